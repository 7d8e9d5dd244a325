"""Hypergradient descent: laws, and runs of the paper."""

import numpy as np

import jopt
from tests.case import DECAY, FADING, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows

TAGS = "odd translation_invariant still complex descends global_scalar"
HYPER = {"hypergrad_lr": 1e-3}

CASES = {
    "hypergradient_sgd": record(
        jopt.hypergradient_sgd(RATE, **HYPER),
        Vary(
            jopt.hypergradient_sgd(RATE, momentum=0.9, **HYPER),
            memory=2,
            skips={"N4": "the rate follows the product: the exact step is 1e47"},
        ),
        jopt.hypergradient_sgd(RATE, 0.02, multiplicative=True),
        Vary(
            jopt.hypergradient_sgd(RATE, weight_decay=0.1, **HYPER),
            DECAY,
            needs="params",
        ),
        jopt.hypergradient_sgd(FADING, **HYPER),
        tags=TAGS,
        memory=1,
    ),
    "adam_hd": record(
        jopt.adam_hd(RATE, **HYPER),
        jopt.adam_hd(RATE, b1=0.5, b2=0.9, **HYPER),
        Vary(
            jopt.adam_hd(RATE, hypergrad_lr=0.02, multiplicative=True),
            "+scale_invariant",
        ),
        Vary(jopt.adam_hd(RATE, weight_decay=0.1, **HYPER), DECAY, needs="params"),
        jopt.adam_hd(FADING, **HYPER),
        tags=TAGS,
        memory=3,
    ),
    "scale_by_hypergradient": record(
        Vary(jopt.scale_by_hypergradient(jopt.identity(), RATE, 1e-3), "-descends"),
        jopt.chain(
            jopt.scale_by_hypergradient(jopt.identity(), RATE, 1e-3), jopt.scale(-1.0)
        ),
        tags=TAGS,
        memory=1,
    ),
}


def descent(first, grads, direction, lr, hyper, decay=0.0, factors=False):
    """Equation 5, or with `factors` equation 9, around a direction."""
    rates = lr if isinstance(lr, tuple) else (lr,) * len(grads)
    x, before, path = first.copy(), np.zeros_like(first), []
    change = 1.0 if factors else 0.0
    for t, g in enumerate(grads):
        g = g + decay * x
        h = g @ before
        if factors and t:
            h = h / (np.linalg.norm(g) * np.linalg.norm(before))
        change = change * (1 + hyper * h) if factors else change + hyper * h
        before = direction(g, t + 1)
        rate = rates[t] * change if factors else rates[t] + change
        x = x - rate * before
        path.append(x)
    return path


def sgd_hd(first, grads, lr, hyper, momentum=0.0, decay=0.0, factors=False):
    v = np.zeros_like(first)

    def direction(g, t):
        nonlocal v
        v = momentum * v + g
        return v

    return descent(first, grads, direction, lr, hyper, decay, factors)


def adam_hd(first, grads, lr, hyper, b1=0.9, b2=0.999, eps=1e-8, decay=0.0):
    m, v = np.zeros_like(first), np.zeros_like(first)

    def direction(g, t):
        nonlocal m, v
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        return m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)

    return descent(first, grads, direction, lr, hyper, decay)


CERTIFICATES = [
    Rows(
        "hypergradient_sgd",
        PAPER,
        [
            ({"learning_rate": 0.1, "hypergrad_lr": 1e-3}, {"lr": 0.1, "hyper": 1e-3}),
            (
                jopt.hypergradient_sgd(0.1, 1e-3, 0.9, weight_decay=0.1),
                {"lr": 0.1, "hyper": 1e-3, "momentum": 0.9, "decay": 0.1},
            ),
            (
                jopt.hypergradient_sgd(RAMP, 0.02, multiplicative=True),
                {"lr": RATES, "hyper": 0.02, "factors": True},
            ),
        ],
        "vector",
        sgd_hd,
    ),
    Rows(
        "adam_hd",
        PAPER,
        [
            ({"learning_rate": 0.1, "hypergrad_lr": 1e-3}, {"lr": 0.1, "hyper": 1e-3}),
            (
                jopt.adam_hd(0.1, 0.5, 0.9, 0.01, 0.1, 1e-2),
                {
                    "lr": 0.1,
                    "hyper": 1e-2,
                    "b1": 0.5,
                    "b2": 0.9,
                    "eps": 0.01,
                    "decay": 0.1,
                },
            ),
            (jopt.adam_hd(RAMP, **HYPER), {"lr": RATES, "hyper": 1e-3}),
        ],
        "vector",
        adam_hd,
    ),
]
