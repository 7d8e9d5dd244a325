"""Records of StableAdamW."""

import numpy as np

import jopt
from tests.case import DECAY, FADING, is_matrix, PLAIN, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

_TAGS = "odd complex descends scale_invariant"

CASES = {
    "stable_adamw": record(
        jopt.stable_adamw(RATE),
        jopt.stable_adamw(RATE, b1=0.5, b2=0.9),
        jopt.stable_adamw(RATE, weight_decay=0.1, mask=is_matrix),
        Vary(jopt.stable_adamw(RATE, weight_decay=0.0), PLAIN, needs=""),
        Vary(jopt.stable_adamw(FADING, eps=1e-2), "-scale_invariant"),
        tags=_TAGS,
        needs="params",
        memory=2,
    ),
    "scale_by_stable_adamw": record(
        jopt.scale_by_stable_adamw(),
        Vary(
            jopt.scale_by_stable_adamw(0.5, 0.9, weight_decay=0.1),
            DECAY,
            needs="params",
        ),
        tags="odd complex scale_invariant translation_invariant still",
        memory=2,
    ),
}


@stepwise
def paper(s, g, t, p, b1=0.9, b2=0.99, eps=1e-6, decay_inside=0.01):
    s.m = b1 * s.m + (1 - b1) * g
    s.v = b2 * s.v + (1 - b2) * g**2
    v = s.v / (1 - b2**t)
    rms = np.sqrt(np.mean(g**2 / np.maximum(v, eps**2)))
    u = s.m / (1 - b1**t) / (np.sqrt(v) + eps) + decay_inside * p
    return u / max(1.0, rms)


CERTIFICATES = [
    Rows(
        "stable_adamw",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "b2": 0.8, "weight_decay": 0.3},
                {"lr": RATES, "b1": 0.5, "b2": 0.8, "decay_inside": 0.3},
            ),
            (
                {"learning_rate": 0.1, "eps": 0.3, "weight_decay": 0.0},
                {"eps": 0.3, "decay_inside": 0.0},
            ),
        ],
        "tree",
        paper,
    ),
]
