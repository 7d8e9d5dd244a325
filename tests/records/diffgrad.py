"""Records of diffGrad."""

import numpy as np

import jopt
from tests.case import DECAY, FADING, FREE, RATE, record, STEP, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

CASES = {
    "diffgrad": record(
        jopt.diffgrad(RATE),
        jopt.diffgrad(RATE, b1=0.5, b2=0.9),
        jopt.diffgrad(RATE, eps=1e-2, eps_root=1e-4),
        Vary(jopt.diffgrad(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.diffgrad(FADING, eps=0.0),
        tags=STEP,
        memory=3,
    ),
    "scale_by_diffgrad": record(
        jopt.scale_by_diffgrad(),
        jopt.scale_by_diffgrad(0.5, 0.9),
        tags=FREE,
        memory=3,
    ),
}


@stepwise
def paper(s, g, t, p, b1=0.9, b2=0.999, eps=1e-8):
    s.m = b1 * s.m + (1 - b1) * g
    s.v = b2 * s.v + (1 - b2) * g**2
    friction = 1 / (1 + np.exp(-np.abs(s.previous - g)))
    s.previous = g
    return friction * s.m / (1 - b1**t) / (np.sqrt(s.v / (1 - b2**t)) + eps)


CERTIFICATES = [
    Rows(
        "diffgrad",
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
