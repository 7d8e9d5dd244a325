"""Mechanic: laws, and runs of the paper."""

import numpy as np
import optax

import jopt
from tests.case import FADING, record, Vary
from tests.certificates.peer import Peer
from tests.certificates.record import PAPER, RAMP, RATES, Rows

SGD = jopt.sgd(1.0)
START = {"s_init": 0.1}

CASES = {
    "mechanize": record(
        jopt.mechanize(SGD, 1.0, **START),
        Vary(
            jopt.mechanize(jopt.adam(1.0), 1.0, **START, num_betas=2),
            "+scale_invariant",
            memory=3 + 8 / 15,
        ),
        Vary(jopt.mechanize(SGD, 0.0, **START), "+translation_invariant", skips={}),
        jopt.mechanize(jopt.sgd(FADING), 1.0, eps=1e-4, **START),
        Vary(
            jopt.mechanize(jopt.lion(1.0, weight_decay=0.0), 1.0, **START),
            "+scale_invariant",
            memory=2 + 24 / 15,
        ),
        tags="odd still complex descends global_scalar",
        needs="params",
        memory=1 + 24 / 15,
        skips={"A6": "the parameters enter from the third step on"},
    ),
}


def mechanic(first, grads, lr=1.0, decay=1e-2, eps=1e-8, start=1e-6, betas=6):
    """Algorithm 1 around gradient descent, with clipped products."""
    rates = lr if isinstance(lr, tuple) else (lr,) * len(grads)
    b = 1 - 0.1 ** np.arange(1, betas + 1)
    x, total, path = first.copy(), np.zeros_like(first), []
    r, m, v, s = (
        np.zeros(betas),
        np.zeros(betas),
        np.zeros(betas),
        np.full(betas, start),
    )
    for rate, g in zip(rates, grads, strict=False):
        lam = decay * s.sum() * np.linalg.norm(g) / (np.linalg.norm(x) + eps)
        h = (g + lam * x) @ total
        total = total + rate * g
        r = b * r + np.clip(h, -m, m) * s
        m = np.maximum(b * m, abs(h) + eps)
        v = b**2 * v + h**2
        s = (start / betas * m + np.maximum(r, 0)) / (np.sqrt(v) + eps)
        x = first - s.sum() * total
        path.append(x)
    return path


CERTIFICATES = [
    Rows(
        "mechanize",
        PAPER,
        [
            (jopt.mechanize(SGD), {}),
            (
                jopt.mechanize(SGD, 0.1, 1e-3, 0.1, 3),
                {"decay": 0.1, "eps": 1e-3, "start": 0.1, "betas": 3},
            ),
            (jopt.mechanize(jopt.sgd(RAMP), **START), {"lr": RATES, "start": 0.1}),
        ],
        "vector",
        mechanic,
    ),
]

PEERS = [
    Peer(
        "mechanize-paper-0",
        "contrib.mechanize(sgd(1.0))",
        lambda: optax.contrib.mechanize(optax.sgd(1.0)),
        None,
        "finds the sum of the updates from the parameters, divided by the scale plus "
        "`eps`, which shrinks it at every step",
    ),
]
