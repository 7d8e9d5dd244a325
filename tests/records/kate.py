"""Records of KATE."""

import numpy as np

import jopt
from tests.case import DECAY, FADING, FREE, RATE, record, STEP, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

CASES = {
    "kate": record(
        jopt.kate(RATE),
        jopt.kate(RATE, delta=0.5),
        jopt.kate(RATE, eps=1e-3),
        Vary(jopt.kate(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.kate(FADING),
        tags=STEP,
        memory=2,
    ),
    "scale_by_kate": record(
        jopt.scale_by_kate(),
        jopt.scale_by_kate(1.0, 0.1),
        tags=FREE,
        memory=2,
    ),
}


@stepwise
def paper(s, g, t, p, delta=0.0, eps=1e-8):
    s.b = s.b + g**2 + eps
    s.m = s.m + delta * g**2 + g**2 / s.b
    return np.sqrt(s.m) * g / s.b


CERTIFICATES = [
    Rows(
        "kate",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "delta": 0.3, "weight_decay": 0.3},
                {"lr": RATES, "delta": 0.3, "decay": 0.3},
            ),
            ({"learning_rate": 0.1, "eps": 0.0}, {"eps": 0.0}),
        ],
        "tree",
        paper,
    ),
]
