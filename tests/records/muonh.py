"""Records of MuonH."""

import numpy as np

import jopt
from tests.case import FADING, is_matrix, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.modern import newton_schulz, SIMPLE, STABLE
from tests.references.walk import Adam, at, walk

CURVED = {"A8": "by its rule a step ends on the sphere, not on the tangent"}

CASES = {
    "muonh": record(
        jopt.muonh(RATE),
        jopt.muonh(RATE, "polar_express", nesterov=False),
        jopt.muonh(0.01, beta=0.5, matrices=is_matrix),
        Vary(
            jopt.muonh(RATE, adam_learning_rate=0.01, adam_weight_decay=0.1), "-still"
        ),
        jopt.muonh(FADING, ns_steps=3, eps=1e-6),
        tags="odd still complex descends scale_invariant matrix",
        needs="params",
        memory=(12 + 6) / 15,
        skips=CURVED,
    ),
}


def paper(
    first,
    grads,
    lr=0.1,
    triples=(SIMPLE,) * 5,
    beta=0.95,
    nesterov=True,
    adam_lr=None,
    decay=0.0,
):
    """Matrices, also those of a stack, on their spheres; vectors by Adam."""
    adam, m = Adam(), {k: np.zeros_like(x) for k, x in first.items()}

    def turned(p, u, rate):
        o, size = newton_schulz(u, triples), np.linalg.norm(p)
        q = p - rate * size * o / np.linalg.norm(o)
        return q * size / np.linalg.norm(q)

    def step(params, grad, t):
        rate, new = at(lr, t), {}
        other = rate if adam_lr is None else at(adam_lr, t)
        direction = adam({k: g for k, g in grad.items() if g.ndim < 2})
        for k, p in params.items():
            if p.ndim < 2:
                new[k] = p - other * (direction[k] + decay * p)
                continue
            m[k] = beta * m[k] + (1 - beta) * grad[k]
            u = beta * m[k] + (1 - beta) * grad[k] if nesterov else m[k]
            shape = (-1, *p.shape[-2:])
            pairs = zip(p.reshape(shape), u.reshape(shape), strict=True)
            new[k] = np.stack([turned(*pair, rate) for pair in pairs]).reshape(p.shape)
        return new

    return walk(first, grads, step)


CERTIFICATES = [
    Rows(
        "muonh",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                jopt.muonh(RAMP, beta=0.5, nesterov=False, adam_learning_rate=0.01),
                {"lr": RATES, "beta": 0.5, "nesterov": False, "adam_lr": 0.01},
            ),
            (
                jopt.muonh(0.01, adam_weight_decay=0.1),
                {"lr": 0.01, "decay": 0.1},
            ),
        ],
        "tree",
        paper,
    ),
    Rows(
        "muonh",
        PAPER,
        [
            (
                jopt.muonh(0.05, "stable12", matrices="."),
                {"lr": 0.05, "triples": (STABLE,) * 12},
            ),
        ],
        "shapes",
        paper,
    ),
]
