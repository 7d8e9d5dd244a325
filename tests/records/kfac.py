"""Records of K-FAC."""

import jax.numpy as jnp
import numpy as np

import jopt
from tests.case import DECAY, FADING, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.given import LAYER, with_factors

NAMES = {"A3": "a layer is known by the names of its leaves"}
SPLIT = dict.fromkeys(
    ("D1", "D2", "D4", "D6"),
    "a layer is gathered whole; on an Auto mesh the next step may be compiled anew",
)
MEMORY = 2 * (25 + 9) / 18
GIVEN = "-complex +matrix +global_scalar"

CASES = {
    "kfac": record(
        jopt.kfac(RATE),
        Vary(with_factors(jopt.kfac(RATE)), GIVEN, skips=NAMES | SPLIT),
        Vary(
            with_factors(jopt.kfac(RATE, None, 0.1, 0.5, refresh_every=3)),
            GIVEN,
            memory=MEMORY,
            skips=NAMES | SPLIT,
        ),
        Vary(
            with_factors(jopt.kfac(FADING, norm_constraint=1.0, nesterov=True)),
            GIVEN,
            skips=NAMES | SPLIT,
        ),
        Vary(jopt.kfac(RATE, weight_decay=0.1), DECAY, needs="params"),
        tags="odd translation_invariant still complex descends",
        memory=MEMORY + 1,
        skips=SPLIT,
        like=LAYER,
    ),
    "scale_by_kfac": record(
        jopt.scale_by_kfac(),
        Vary(with_factors(jopt.scale_by_kfac()), GIVEN, skips=NAMES | SPLIT),
        Vary(
            with_factors(jopt.scale_by_kfac(norm_constraint=0.1, refresh_every=2)),
            GIVEN,
            skips=NAMES | SPLIT,
        ),
        tags="odd translation_invariant still complex",
        memory=MEMORY,
        skips=SPLIT,
        like=LAYER,
    ),
}


def factors(params, g):
    """In the place of second moments of inputs and slopes: those of the gradient."""
    both = jnp.concatenate([g["kernel"], g["bias"][None]])
    return {"factors": {"": jopt.KroneckerFactors(both @ both.T, both.T @ both / 5)}}


def paper(
    first,
    grads,
    lr,
    momentum=0.9,
    damping=1e-3,
    decay=0.95,
    wd=0.0,
    bound=None,
    every=1,
    nesterov=False,
):
    path, m, a, s = [first], {k: 0.0 for k in first}, 0.0, 0.0
    for t, g in enumerate(grads):
        both = np.vstack([g["kernel"], g["bias"]])
        a = decay * a + (1 - decay) * both @ both.T
        s = decay * s + (1 - decay) * both.T @ both / 5
        if t % every == 0:
            left, right = (x / (1 - decay ** (t + 1)) for x in (a, s))
            p, q = len(left), len(right)
            pi = np.sqrt(np.trace(left) / p / (np.trace(right) / q))
            left = np.linalg.inv(left + pi * np.sqrt(damping) * np.eye(p))
            right = np.linalg.inv(right + np.sqrt(damping) / pi * np.eye(q))
        natural = left @ both @ right
        u = {"kernel": natural[:-1], "bias": natural[-1], "scale": g["scale"]}
        if bound is not None:
            inner = sum(np.sum(u[k] * g[k]) for k in u)
            u = {k: x * min(1.0, np.sqrt(bound / inner)) for k, x in u.items()}
        m = {k: momentum * m[k] + u[k] for k in u}
        if momentum and nesterov:
            u = {k: momentum * m[k] + u[k] for k in u}
        else:
            u = m
        rate = lr[t] if isinstance(lr, tuple) else lr
        path.append({k: x - rate * (u[k] + wd * x) for k, x in path[-1].items()})
    return path[1:]


CERTIFICATES = [
    Rows(
        "kfac",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {
                    "learning_rate": RAMP,
                    "damping": 0.1,
                    "decay": 0.5,
                    "norm_constraint": 0.3,
                    "nesterov": True,
                },
                {
                    "lr": RATES,
                    "damping": 0.1,
                    "decay": 0.5,
                    "bound": 0.3,
                    "nesterov": True,
                },
            ),
            (
                {
                    "learning_rate": 0.1,
                    "momentum": None,
                    "weight_decay": 0.3,
                    "refresh_every": 3,
                },
                {"lr": 0.1, "momentum": 0.0, "wd": 0.3, "every": 3},
            ),
        ],
        "layer",
        paper,
        factors,
    ),
]
