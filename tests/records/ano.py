"""Records of Ano."""

import numpy as np

import jopt
from tests.case import DECAY, FADING, FREE, RATE, record, STEP, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

CASES = {
    "ano": record(
        jopt.ano(RATE),
        jopt.ano(RATE, b1=0.5, b2=0.9),
        Vary(jopt.ano(RATE, eps=1e-2), "-scale_invariant"),
        Vary(jopt.ano(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.ano(FADING),
        tags=f"{STEP} scale_invariant",
        memory=2,
    ),
    "scale_by_ano": record(
        jopt.scale_by_ano(),
        jopt.scale_by_ano(0.5, 0.9),
        tags=f"{FREE} scale_invariant",
        memory=2,
    ),
}


@stepwise
def paper(s, g, t, p, b1=0.92, b2=0.99, eps=1e-8):
    s.m = b1 * s.m + (1 - b1) * g
    s.v = b2 * s.v + (1 - b2) * np.sign(g**2 - s.v) * g**2
    return np.sign(s.m) * np.abs(g) / (np.sqrt(s.v / (1 - b2**t)) + eps)


CERTIFICATES = [
    Rows(
        "ano",
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
