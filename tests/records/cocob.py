"""COCOB: laws, and runs of the package of its author."""

import numpy as np
import optax

import jopt
from tests.case import DECAY, FADING, record, Vary
from tests.certificates.peer import Peer
from tests.certificates.record import PAPER, RAMP, RATES, Rows

TAGS = "elementwise odd translation_invariant still complex descends scale_invariant"

CASES = {
    "cocob": record(
        jopt.cocob(0.5),
        jopt.cocob(0.5, alpha=10.0),
        jopt.cocob(0.5, eps=0.0),
        Vary(jopt.cocob(0.5, weight_decay=0.1), f"{DECAY} -scale_invariant"),
        jopt.cocob(FADING, alpha=1.0),
        tags=TAGS,
        needs="params",
        memory=5,
    ),
    "scale_by_cocob": record(
        jopt.scale_by_cocob(10.0),
        jopt.scale_by_cocob(1.0, eps=1e-4),
        tags=TAGS,
        needs="params",
        memory=5,
    ),
}


def cocob(first, grads, lr=RATES, alpha=100.0, eps=1e-8, decay=0.0):
    """Algorithm 2, and part of the way to where it leads."""
    x, path = first.copy(), []
    scale, total = np.full_like(first, eps), np.zeros_like(first)
    reward, against = np.zeros_like(first), np.zeros_like(first)
    for rate, g in zip(lr, grads, strict=False):
        g = g + decay * x
        scale = np.maximum(scale, abs(g))
        total = total + abs(g)
        reward = np.maximum(reward - g * (x - first), 0.0)
        against = against - g
        bet = against / (scale * np.maximum(total + scale, alpha * scale))
        x = x + rate * (first + bet * (scale + reward) - x)
        path.append(x)
    return path


CERTIFICATES = [
    Rows(
        "cocob",
        "parameterfree.COCOB",
        [
            ({}, {}),
            ({"alpha": 2.0, "eps": 0.1}, {"alpha": 2.0, "eps": 0.1}),
            ({"weight_decay": 0.1}, {"weight_decay": 0.1}),
        ],
        "tree",
    ),
    Rows(
        "cocob",
        PAPER,
        [(jopt.cocob(RAMP, 2.0, weight_decay=0.1), {"alpha": 2.0, "decay": 0.1})],
        "vector",
        cocob,
    ),
]

PEERS = [
    Peer("cocob-0", "contrib.cocob()", lambda: optax.contrib.cocob(), 1e-9),
]
