"""Records of LaProp."""

import numpy as np

import jopt
from tests.case import DECAY, FADING, FREE, RATE, record, STEP, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

CASES = {
    "laprop": record(
        jopt.laprop(RATE),
        jopt.laprop(RATE, b1=0.5, b2=0.9),
        Vary(jopt.laprop(RATE, eps=1e-2), "-scale_invariant"),
        Vary(jopt.laprop(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.laprop(FADING, eps=0.0),
        tags=f"{STEP} scale_invariant",
        memory=2,
    ),
    "scale_by_laprop": record(
        jopt.scale_by_laprop(),
        jopt.scale_by_laprop(0.5, 0.9),
        tags=f"{FREE} scale_invariant",
        memory=2,
    ),
}


@stepwise
def paper(s, g, t, p, b1=0.9, b2=0.999, eps=1e-15):
    s.v = b2 * s.v + (1 - b2) * g**2
    s.m = b1 * s.m + (1 - b1) * g / (np.sqrt(s.v / (1 - b2**t)) + eps)
    return s.m / (1 - b1**t)


CERTIFICATES = [
    Rows(
        "laprop",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "b2": 0.8, "weight_decay": 0.3},
                {"lr": RATES, "b1": 0.5, "b2": 0.8, "decay": 0.3},
            ),
            ({"learning_rate": 0.1, "eps": 0.1}, {"eps": 0.1}),
        ],
        "tree",
        paper,
    ),
]
