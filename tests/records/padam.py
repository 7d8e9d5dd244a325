"""Records of Padam."""

import numpy as np

import jopt
from tests.case import DECAY, FADING, FREE, RATE, record, STEP, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

CASES = {
    "padam": record(
        jopt.padam(RATE),
        jopt.padam(RATE, b1=0.5, b2=0.9, eps=1e-4),
        Vary(jopt.padam(RATE, partial=0.125, amsgrad=False), memory=2),
        Vary(jopt.padam(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.padam(FADING, eps=0.0),
        tags=STEP,
        memory=3,
    ),
    "scale_by_padam": record(
        jopt.scale_by_padam(),
        Vary(jopt.scale_by_padam(0.5, 0.9, amsgrad=False), memory=2),
        tags=FREE,
        memory=3,
    ),
}


@stepwise
def paper(s, g, t, p, b1=0.9, b2=0.999, eps=1e-8, partial=0.25, largest=True):
    s.m = b1 * s.m + (1 - b1) * g
    s.v = b2 * s.v + (1 - b2) * g**2
    s.w = np.maximum(s.w, s.v) if largest else s.v
    correction = np.sqrt(1 - b2**t) / (1 - b1**t)
    return correction * s.m / (np.sqrt(s.w) + eps) ** (2 * partial)


CERTIFICATES = [
    Rows(
        "padam",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "b2": 0.8, "weight_decay": 0.3},
                {"lr": RATES, "b1": 0.5, "b2": 0.8, "decay": 0.3},
            ),
            (
                {"learning_rate": 0.1, "partial": 0.1, "eps": 0.1, "amsgrad": False},
                {"partial": 0.1, "eps": 0.1, "largest": False},
            ),
        ],
        "tree",
        paper,
    ),
]
