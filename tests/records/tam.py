"""Records of torque-aware momentum."""

import numpy as np

import jopt
from tests.case import DECAY, FADING, RATE, record, Vary
from tests.certificates.peer import Unsound
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

_TAGS = "odd translation_invariant still complex"

CASES = {
    "tam": record(
        jopt.tam(RATE),
        jopt.tam(RATE, momentum=0.5),
        jopt.tam(RATE, decay_rate=0.5, eps=0.1),
        Vary(jopt.tam(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.tam(FADING),
        tags=f"{_TAGS} descends",
        memory=1,
    ),
    "scale_by_tam": record(
        jopt.scale_by_tam(),
        jopt.scale_by_tam(0.5, 0.5),
        tags=_TAGS,
        memory=1,
    ),
    "adatam": record(
        jopt.adatam(RATE),
        jopt.adatam(RATE, b1=0.5, b2=0.9),
        jopt.adatam(0.01, decay_rate=0.5),
        Vary(jopt.adatam(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.adatam(FADING),
        tags=f"{_TAGS} descends scale_invariant",
        memory=2,
    ),
    "scale_by_adatam": record(
        jopt.scale_by_adatam(),
        jopt.scale_by_adatam(0.5, 0.9),
        tags=f"{_TAGS} scale_invariant",
        memory=2,
    ),
}


def turned(s, g, beta, rate, eps):
    """Advance the momentum of one array."""
    length = np.sqrt(np.sum(g**2) * np.sum(np.square(s.m)))
    s.s = rate * s.s + (1 - rate) * (np.sum(s.m * g) / length if length else 0.0)
    s.m = beta * s.m + (eps + (1 + s.s) / 2) * g


@stepwise
def tam(s, g, t, p, beta=0.9, rate=0.9, eps=1e-8):
    turned(s, g, beta, rate, eps)
    return s.m


@stepwise
def adatam(s, g, t, p, b1=0.9, b2=0.999, rate=0.9, eps=1e-8):
    turned(s, g, b1, rate, eps)
    s.v = b2 * s.v + (1 - b2) * g**2
    return s.m / (np.sqrt(s.v) + eps)


CERTIFICATES = [
    Rows(
        "tam",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "momentum": 0.5, "weight_decay": 0.3},
                {"lr": RATES, "beta": 0.5, "decay": 0.3},
            ),
            (
                {"learning_rate": 0.1, "decay_rate": 0.5, "eps": 0.1},
                {"rate": 0.5, "eps": 0.1},
            ),
        ],
        "tree",
        tam,
    ),
    Rows(
        "adatam",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "b2": 0.8, "weight_decay": 0.3},
                {"lr": RATES, "b1": 0.5, "b2": 0.8, "decay": 0.3},
            ),
            (
                {"learning_rate": 0.1, "decay_rate": 0.5, "eps": 0.1},
                {"rate": 0.5, "eps": 0.1},
            ),
        ],
        "tree",
        adatam,
    ),
]

UNSOUND = [
    Unsound(
        "pytorch_optimizer.TAM",
        {"lr": 0.1},
        tam,
        {"lr": 0.1},
        "The paper damps by the cosine of momentum and gradient, one number. This "
        "class multiplies the two entry by entry, normalized along the first axis, and "
        "does not add the products up.",
    ),
]
