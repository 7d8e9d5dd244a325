"""Records of AdaMod."""

import numpy as np

import jopt
from tests.case import DECAY, FADING, FREE, RATE, record, STEP, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

CASES = {
    "adamod": record(
        jopt.adamod(RATE),
        jopt.adamod(RATE, b1=0.5, b2=0.9, b3=0.5),
        Vary(jopt.adamod(RATE, b3=0.0, eps=1e-2), "-scale_invariant"),
        Vary(jopt.adamod(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.adamod(FADING, eps=0.0),
        tags=f"{STEP} scale_invariant",
        memory=3,
    ),
    "scale_by_adamod": record(
        jopt.scale_by_adamod(),
        jopt.scale_by_adamod(0.5, 0.9, 0.5),
        tags=f"{FREE} scale_invariant",
        memory=3,
    ),
}


@stepwise
def paper(s, g, t, p, b1=0.9, b2=0.999, b3=0.999, eps=1e-8):
    s.m = b1 * s.m + (1 - b1) * g
    s.v = b2 * s.v + (1 - b2) * g**2
    size = 1 / (np.sqrt(s.v / (1 - b2**t)) + eps)
    s.size = b3 * s.size + (1 - b3) * size
    return np.minimum(size, s.size) * s.m / (1 - b1**t)


CERTIFICATES = [
    Rows(
        "adamod",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "b2": 0.8, "weight_decay": 0.3},
                {"lr": RATES, "b1": 0.5, "b2": 0.8, "decay": 0.3},
            ),
            (
                {"learning_rate": 0.1, "b3": 0.5, "eps": 0.1},
                {"b3": 0.5, "eps": 0.1},
            ),
        ],
        "tree",
        paper,
    ),
]
