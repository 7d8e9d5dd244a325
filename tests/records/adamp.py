"""Records of AdamP and SGDP."""

import numpy as np

import jopt
from tests.case import FADING, is_matrix, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

_TAGS = "odd complex descends still"
CHANNELS = {
    "D6": "it compares each channel with its gradient, by sums over the channel"
}

CASES = {
    "adamp": record(
        jopt.adamp(RATE),
        jopt.adamp(RATE, b1=0.5, b2=0.9, nesterov=True),
        Vary(jopt.adamp(RATE, delta=1.0), "+matrix"),  # where it projects
        Vary(jopt.adamp(RATE, weight_decay=0.1, mask=is_matrix), "-still"),
        jopt.adamp(FADING),
        tags=f"{_TAGS} scale_invariant",
        needs="params",
        skips=CHANNELS,
        memory=2,
    ),
    "scale_by_adamp": record(
        jopt.scale_by_adamp(),
        Vary(jopt.scale_by_adamp(delta=1.0), "+matrix"),
        Vary(jopt.scale_by_adamp(0.5, 0.9, weight_decay=0.1), "-still"),
        tags="odd complex still scale_invariant",
        needs="params",
        skips=CHANNELS,
        memory=2,
    ),
    "sgdp": record(
        jopt.sgdp(RATE),
        jopt.sgdp(RATE, momentum=0.5, nesterov=True),
        Vary(jopt.sgdp(RATE, delta=1.0), "+matrix"),
        Vary(jopt.sgdp(RATE, weight_decay=0.1, mask=is_matrix), "-still"),
        jopt.sgdp(FADING),
        tags=_TAGS,
        needs="params",
        skips=CHANNELS,
        memory=1,
    ),
    "scale_by_sgdp": record(
        jopt.scale_by_sgdp(),
        Vary(jopt.scale_by_sgdp(delta=1.0), "+matrix"),
        Vary(jopt.scale_by_sgdp(0.5, weight_decay=0.1), "-still"),
        tags="odd complex still",
        needs="params",
        skips=CHANNELS,
        memory=1,
    ),
}


def project(p, g, u, delta, ratio):
    """The direction on the tangent, and the factor of the decay."""
    if p.ndim < 2:
        return u, 1.0
    for axis in (0, None):  # each column, the weights of one output, then all
        lengths = np.sum(p * p, axis) ** 0.5, np.sum(g * g, axis) ** 0.5
        cosine = np.abs(np.sum(p * g, axis)) / (lengths[0] * lengths[1])
        size = p.shape[0] if axis == 0 else p.size
        if np.max(cosine) < delta / np.sqrt(size):
            w = p / lengths[0]
            return u - w * np.sum(w * u, axis), ratio
    return u, 1.0


@stepwise
def adamp(
    s, g, t, p, b1=0.9, b2=0.999, eps=1e-8, delta=0.1, ratio=0.1, wd=0.0, ahead=False
):
    s.m = b1 * s.m + (1 - b1) * g
    s.v = b2 * s.v + (1 - b2) * g**2
    top = b1 * s.m + (1 - b1) * g if ahead else s.m
    u = top / (1 - b1**t) / (np.sqrt(s.v / (1 - b2**t)) + eps)
    u, factor = project(p, g, u, delta, ratio)
    return u + wd * factor * p


@stepwise
def sgdp(s, g, t, p, beta=0.9, ahead=False, delta=0.1, ratio=0.1, wd=0.0):
    s.m = beta * s.m + g
    u = g + beta * s.m if ahead else s.m
    u, factor = project(p, g, u, delta, ratio)
    return u + wd * factor / (1 - beta) * p


CERTIFICATES = [
    Rows(
        "adamp",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {
                    "learning_rate": RAMP,
                    "b1": 0.5,
                    "b2": 0.8,
                    "delta": 1.0,
                    "weight_decay": 0.3,
                },
                {"lr": RATES, "b1": 0.5, "b2": 0.8, "delta": 1.0, "wd": 0.3},
            ),
            (
                {
                    "learning_rate": 0.1,
                    "delta": 1.5,
                    "wd_ratio": 0.5,
                    "weight_decay": 0.3,
                    "nesterov": True,
                },
                {"delta": 1.5, "ratio": 0.5, "wd": 0.3, "ahead": True},
            ),
        ],
        "tree",
        adamp,
    ),
    Rows(
        "sgdp",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {
                    "learning_rate": RAMP,
                    "momentum": 0.5,
                    "delta": 1.0,
                    "weight_decay": 0.3,
                },
                {"lr": RATES, "beta": 0.5, "delta": 1.0, "wd": 0.3},
            ),
            (
                {
                    "learning_rate": 0.01,
                    "nesterov": True,
                    "delta": 1.5,
                    "wd_ratio": 0.5,
                    "weight_decay": 0.3,
                },
                {"lr": 0.01, "ahead": True, "delta": 1.5, "ratio": 0.5, "wd": 0.3},
            ),
        ],
        "tree",
        sgdp,
    ),
]
