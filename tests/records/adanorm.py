"""Records of AdaNorm."""

import numpy as np

import jopt
from tests.case import DECAY, FADING, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

WHOLE = "odd translation_invariant still complex"  # leaves have norms

RARE = {"A1": "a gradient is lifted only after larger ones, which the law has not"}

CASES = {
    "adanorm": record(
        jopt.adanorm(RATE),
        jopt.adanorm(RATE, b1=0.5, b2=0.9, b3=0.5),
        Vary(jopt.adanorm(RATE, eps=1e-2), "-scale_invariant"),
        Vary(jopt.adanorm(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.adanorm(FADING, eps=0.0),
        tags=f"{WHOLE} descends scale_invariant",
        memory=2,
        skips=RARE,
    ),
    "scale_by_adanorm": record(
        jopt.scale_by_adanorm(),
        jopt.scale_by_adanorm(0.5, 0.9, 0.5),
        tags=f"{WHOLE} scale_invariant",
        memory=2,
        skips=RARE,
    ),
}


@stepwise
def paper(s, g, t, p, b1=0.9, b2=0.999, b3=0.95, eps=1e-8):
    norm = np.sqrt(np.sum(g**2))
    s.e = b3 * s.e + (1 - b3) * norm
    lifted = s.e / norm * g if s.e > norm else g
    s.m = b1 * s.m + (1 - b1) * lifted
    s.v = b2 * s.v + (1 - b2) * g**2
    return s.m / (1 - b1**t) / (np.sqrt(s.v / (1 - b2**t)) + eps)


CERTIFICATES = [
    Rows(
        "adanorm",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "b2": 0.8, "weight_decay": 0.3},
                {"lr": RATES, "b1": 0.5, "b2": 0.8, "decay": 0.3},
            ),
            ({"learning_rate": 0.1, "b3": 0.6, "eps": 0.1}, {"b3": 0.6, "eps": 0.1}),
        ],
        "tree",
        paper,
    ),
]
