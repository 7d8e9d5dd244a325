"""Records of Adam-atan2."""

import numpy as np

import jopt
from tests.case import DECAY, FADING, FREE, RATE, record, STEP, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

CASES = {
    "adam_atan2": record(
        jopt.adam_atan2(RATE),
        jopt.adam_atan2(RATE, b1=0.5, b2=0.9),
        jopt.adam_atan2(RATE, a=1.0, b=2.0),
        Vary(jopt.adam_atan2(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.adam_atan2(FADING),
        tags=f"{STEP} scale_invariant",
        memory=2,
    ),
    "scale_by_adam_atan2": record(
        jopt.scale_by_adam_atan2(),
        jopt.scale_by_adam_atan2(0.5, 0.9, 2.0, 0.5),
        tags=f"{FREE} scale_invariant",
        memory=2,
    ),
}


@stepwise
def paper(s, g, t, p, b1=0.9, b2=0.99, a=1.27, b=1.0):
    s.m = b1 * s.m + (1 - b1) * g
    s.v = b2 * s.v + (1 - b2) * g**2
    return a * np.arctan2(s.m / (1 - b1**t), b * np.sqrt(s.v / (1 - b2**t)))


CERTIFICATES = [
    Rows(
        "adam_atan2",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "b2": 0.8, "weight_decay": 0.3},
                {"lr": RATES, "b1": 0.5, "b2": 0.8, "decay": 0.3},
            ),
            ({"learning_rate": 0.1, "a": 2.0, "b": 0.5}, {"a": 2.0, "b": 0.5}),
        ],
        "tree",
        paper,
    ),
]
