"""Records of noisy SGD."""

import jax
import numpy as np

import jopt
from tests.case import FADING, RATE, record
from tests.certificates.record import PAPER, RAMP, RATES, Rows

CASES = {
    "noisy_sgd": record(
        jopt.noisy_sgd(RATE),
        jopt.noisy_sgd(0.01, eta=1.0),
        jopt.noisy_sgd(RATE, gamma=0.0),
        jopt.noisy_sgd(RATE, key=jax.random.key(1)),
        jopt.noisy_sgd(FADING, key=2),
        tags="translation_invariant stochastic descends",
    ),
}


def paper(first, grads, lr, eta=0.01, gamma=0.55, seed=0):
    """The rule of the paper, with numbers drawn from the same key."""
    path, p, following = [], dict(first), jax.random.key(seed)
    for t, g in enumerate(grads):
        following, now = jax.random.split(following)
        for i, k in enumerate(sorted(p)):
            with jax.enable_x64(True):
                key = jax.random.fold_in(now, i)
                noise = np.asarray(jax.random.normal(key, p[k].shape, "float64"))
            p[k] = p[k] - lr[t] * (g[k] + noise * np.sqrt(eta / (1 + t) ** gamma))
        path.append(dict(p))
    return path


CERTIFICATES = [
    Rows(
        "noisy_sgd",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": (0.1,) * 12}),
            (
                {"learning_rate": RAMP, "eta": 1.0, "gamma": 0.1, "key": 7},
                {"lr": RATES, "eta": 1.0, "gamma": 0.1, "seed": 7},
            ),
            (
                {"learning_rate": 0.1, "eta": 0.0},
                {"lr": (0.1,) * 12, "eta": 0.0},
            ),
        ],
        "tree",
        paper,
    )
]
