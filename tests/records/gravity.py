"""Records of Gravity."""

import jax
import numpy as np

import jopt
from tests.case import FADING, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows

TAGS = "translation_invariant stochastic descends"
FIRST = {"A8": "by its rule the first velocity is in units of the learning rate"}
AT_REST = "-stochastic +odd +still +complex"

CASES = {
    "gravity": record(
        jopt.gravity(RATE),
        Vary(jopt.gravity(RATE, alpha=0.0), AT_REST, skips={}),
        jopt.gravity(0.01, alpha=0.1, key=jax.random.key(1)),
        Vary(jopt.gravity(RATE, alpha=0.0, beta=0.5), AT_REST, skips={}),
        jopt.gravity(FADING, key=2),
        tags=TAGS,
        memory=1,
        skips=FIRST,
    ),
    "scale_by_gravity": record(
        jopt.scale_by_gravity(RATE),
        Vary(jopt.scale_by_gravity(RATE, alpha=0.0), AT_REST, skips={}),
        tags=TAGS,
        memory=1,
        skips=FIRST,
    ),
}


def paper(first, grads, lr, alpha=0.01, beta=0.9, seed=0):
    """The algorithm, with the first velocity drawn from the same key."""
    path, p, v = [], dict(first), {}
    for i, k in enumerate(sorted(p)):
        key = jax.random.fold_in(jax.random.key(seed), i)
        drawn = jax.random.normal(key, p[k].shape, "float32")
        v[k] = np.asarray(drawn, "float64") * alpha / lr[0]
    for t, g in enumerate(grads, 1):
        b = (beta * t + 1) / (t + 2)
        for k in p:
            m = 1 / np.max(np.abs(g[k]))
            z = g[k] / (1 + (g[k] / m) ** 2)
            v[k] = b * v[k] + (1 - b) * z
            p[k] = p[k] - lr[t - 1] * v[k]
        path.append(dict(p))
    return path


CERTIFICATES = [
    Rows(
        "gravity",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": (0.1,) * 12}),
            (
                {"learning_rate": RAMP, "alpha": 0.1, "beta": 0.5, "key": 7},
                {"lr": RATES, "alpha": 0.1, "beta": 0.5, "seed": 7},
            ),
            (
                {"learning_rate": 0.5, "alpha": 0.0},
                {"lr": (0.5,) * 12, "alpha": 0.0},
            ),
        ],
        "tree",
        paper,
    ),
    Rows(
        "gravity",
        "pytorch_optimizer.Gravity",
        [
            (jopt.gravity(0.1, alpha=0.0), {"lr": 0.1, "alpha": 0.0}),
            (
                jopt.gravity(RAMP, alpha=0.0, beta=0.5),
                {"lr": RATES, "alpha": 0.0, "beta": 0.5},
            ),
        ],
        "tree",
    ),
]
