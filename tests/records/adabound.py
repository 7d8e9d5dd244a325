"""Records of AdaBound and AMSBound."""

import numpy as np

import jopt
from tests.case import DECAY, FADING, FREE, RATE, record, STEP, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

CASES = {
    "adabound": record(
        jopt.adabound(RATE),
        jopt.adabound(RATE, b1=0.5, b2=0.9, eps=1e-4),
        jopt.adabound(RATE, final_ratio=1.0, gamma=0.1),
        Vary(jopt.adabound(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.adabound(FADING),
        tags=STEP,
        memory=2,
    ),
    "amsbound": record(
        jopt.amsbound(RATE),
        jopt.amsbound(RATE, b1=0.5, b2=0.9, eps=1e-4),
        jopt.amsbound(RATE, final_ratio=1.0, gamma=0.1),
        Vary(jopt.amsbound(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.amsbound(FADING),
        tags=STEP,
        memory=3,
    ),
    "scale_by_adabound": record(
        jopt.scale_by_adabound(),
        Vary(jopt.scale_by_adabound(0.5, 0.9, amsbound=True), memory=3),
        tags=FREE,
        memory=2,
    ),
}


@stepwise
def paper(
    s, g, t, p, b1=0.9, b2=0.999, eps=1e-8, ratio=100.0, gamma=1e-3, largest=False
):
    s.m = b1 * s.m + (1 - b1) * g
    s.v = b2 * s.v + (1 - b2) * g**2
    s.w = np.maximum(s.w, s.v) if largest else s.v
    size = np.sqrt(1 - b2**t) / (1 - b1**t) / (np.sqrt(s.w) + eps)
    low = ratio * (1 - 1 / (gamma * t + 1))
    high = ratio * (1 + 1 / (gamma * t))
    return np.clip(size, low, high) * s.m


_SETTINGS = [
    ({"learning_rate": 0.1}, {"lr": 0.1}),
    (
        {"learning_rate": RAMP, "b1": 0.5, "b2": 0.8, "weight_decay": 0.3},
        {"lr": RATES, "b1": 0.5, "b2": 0.8, "decay": 0.3},
    ),
    (
        {"learning_rate": 0.1, "final_ratio": 1.0, "gamma": 0.3, "eps": 0.01},
        {"ratio": 1.0, "gamma": 0.3, "eps": 0.01},
    ),
]

CERTIFICATES = [
    Rows("adabound", PAPER, _SETTINGS, "tree", paper),
    Rows(
        "amsbound",
        PAPER,
        [(ours, theirs | {"largest": True}) for ours, theirs in _SETTINGS],
        "tree",
        paper,
    ),
]
