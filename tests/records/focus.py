"""Records of FOCUS."""

import numpy as np

import jopt
from tests.case import DECAY, FADING, FREE, RATE, record, STEP, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

CASES = {
    "focus": record(
        jopt.focus(RATE),
        jopt.focus(RATE, b1=0.5, b2=0.9),
        jopt.focus(RATE, gamma=0.5),
        Vary(jopt.focus(RATE, weight_decay=0.1), DECAY),
        jopt.focus(FADING),
        tags=f"{STEP} scale_invariant",
        needs="params",
        memory=2,
    ),
    "scale_by_focus": record(
        jopt.scale_by_focus(),
        jopt.scale_by_focus(0.5, 0.9, 0.0),
        tags=f"{FREE} scale_invariant",
        needs="params",
        memory=2,
    ),
}


@stepwise
def paper(s, g, t, p, b1=0.9, b2=0.999, gamma=0.1, wd=0.0):
    s.m = b1 * s.m + (1 - b1) * g
    s.w = b2 * s.w + (1 - b2) * p
    c = p if t == 1 else s.w / (1 - b2**t)
    return np.sign(s.m) + gamma * np.sign(p - c) + wd * c


CERTIFICATES = [
    Rows(
        "focus",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "b2": 0.8, "weight_decay": 0.3},
                {"lr": RATES, "b1": 0.5, "b2": 0.8, "wd": 0.3},
            ),
            ({"learning_rate": 0.1, "gamma": 0.5}, {"gamma": 0.5}),
        ],
        "tree",
        paper,
    ),
]
