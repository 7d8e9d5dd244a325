"""Records of the optimizers with moments of low rank."""

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from tests.case import DECAY, FADING, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.walk import at, stepped, walk

LOW = "odd translation_invariant still complex scale_invariant matrix"
RANDOM = "odd translation_invariant still complex scale_invariant stochastic"
# a projection of 3 by 2, two moments of 4 by 2, and two of the vector
GALORE = (6 + 16 + 6) / 15
APOLLO = (16 + 6) / 15

SUMS = {"D6": "its projections are sums of whole rows or columns"}

CASES = {
    "apollo": record(
        jopt.apollo(RATE, rank=2),
        jopt.apollo(RATE, rank=2, scale_type="tensor", update_proj_gap=2),
        Vary(jopt.apollo(RATE, rank=1, scale=4.0), memory=(8 + 6) / 15),
        Vary(jopt.apollo(RATE, rank=2, weight_decay=0.1), DECAY, needs="params"),
        jopt.apollo(FADING, rank=2, key=1),
        tags=f"{RANDOM} descends",
        skips=SUMS,
        memory=APOLLO,
    ),
    "apollo_mini": record(
        jopt.apollo_mini(RATE),
        jopt.apollo_mini(RATE, scale=1.0),
        jopt.apollo_mini(RATE, update_proj_gap=2),
        Vary(jopt.apollo_mini(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.apollo_mini(FADING, scale=4.0, key=1),
        tags=f"{RANDOM} descends",
        skips=SUMS,
        memory=(8 + 6) / 15,
    ),
    "fira": record(
        jopt.fira(RATE, rank=2),
        jopt.fira(RATE, rank=2, update_proj_gap=2),
        jopt.fira(RATE, rank=2, scale=0.25),
        Vary(jopt.fira(RATE, rank=2, weight_decay=0.1), DECAY, needs="params"),
        jopt.fira(FADING, rank=2, b1=0.5),
        tags=f"{LOW} descends",
        memory=GALORE,
    ),
    "galore": record(
        jopt.galore(RATE, rank=2),
        jopt.galore(RATE, rank=2, update_proj_gap=2),
        jopt.galore(RATE, rank=2, scale=0.25),
        Vary(jopt.galore(RATE, rank=2, weight_decay=0.1), DECAY, needs="params"),
        jopt.galore(FADING, rank=2, b1=0.5),
        tags=f"{LOW} descends",
        memory=GALORE,
    ),
    "scale_by_apollo": record(
        jopt.scale_by_apollo(2),
        jopt.scale_by_apollo(2, scale_type="tensor", update_proj_gap=2),
        tags=RANDOM,
        skips=SUMS,
        memory=APOLLO,
    ),
    "scale_by_galore": record(
        jopt.scale_by_galore(2),
        jopt.scale_by_galore(2, residual=True),
        tags=LOW,
        memory=GALORE,
    ),
}


class Moments:
    """Adam without its correction, leaf by leaf."""

    def __init__(self, b1, b2, eps):
        self.b1, self.b2, self.eps, self.m, self.v = b1, b2, eps, {}, {}

    def __call__(self, k, g):
        self.m[k] = self.b1 * self.m.get(k, 0.0) + (1 - self.b1) * g
        self.v[k] = self.b2 * self.v.get(k, 0.0) + (1 - self.b2) * g**2
        return self.m[k] / (np.sqrt(self.v[k]) + self.eps)

    def correction(self, t):
        return np.sqrt(1 - self.b2**t) / (1 - self.b1**t)


def limit(s, k, before):
    """The norm-growth limiter of Fira."""
    n = np.linalg.norm(s)
    if before.get(k):
        s = s / (max(n / before[k], 1.01) / 1.01)
    before[k] = np.linalg.norm(s)
    return s


def galore(
    first,
    grads,
    lr,
    rank,
    gap=200,
    scale=1.0,
    b1=0.9,
    weight_decay=0.0,
    residual=False,
):
    adam, basis, before = Moments(b1, 0.999, 1e-8), {}, {}

    def step(p, g, t):
        u = {}
        for k, x in g.items():
            if x.ndim < 2 or min(x.shape) <= rank:
                u[k] = adam(k, x)
                continue
            wide = x.shape[0] <= x.shape[1]
            y = x if wide else x.T  # the short side first
            if t % gap == 0:
                q = np.linalg.svd(y)[0][:, :rank]
                top = np.argmax(np.abs(q), axis=0)
                basis[k] = q * np.sign(q[top, range(rank)])
            r = basis[k].T @ y
            n = adam(k, r)
            y_new = scale * basis[k] @ n
            if residual:
                ratio = np.linalg.norm(n, axis=0) / np.linalg.norm(r, axis=0)
                y_new = y_new + limit(ratio * (y - basis[k] @ r), k, before)
            u[k] = y_new if wide else y_new.T
        fix = adam.correction(t + 1)
        return stepped(p, {k: fix * u[k] for k in p}, at(lr, t), weight_decay)

    return walk(first, grads, step)


def fira(first, grads, **settings):
    return galore(first, grads, residual=True, **settings)


def projection(key, t, gap, leaf, shape):
    """The random numbers are jax's: only they are shared."""
    with jax.enable_x64(True):
        key = jax.random.fold_in(jax.random.key(key), np.int32(t // gap))
        key = jax.random.fold_in(key, leaf)
        return np.asarray(jax.random.normal(key, shape, jnp.float32), np.float64)


def apollo(
    first,
    grads,
    lr,
    rank,
    gap=200,
    scale=1.0,
    weight_decay=0.0,
    tensor=False,
    key=0,
):
    adam, before = Moments(0.9, 0.999, 1e-6), {}

    def step(p, g, t):
        u = {}
        for i, (k, x) in enumerate(sorted(g.items())):
            if x.ndim < 2 or min(x.shape) <= rank:
                u[k] = adam(k, x)
                continue
            wide = x.shape[0] <= x.shape[1]
            y = x if wide else x.T
            q = projection(key, t, gap, i, (y.shape[0], rank)) / np.sqrt(rank)
            r = q.T @ y
            n = adam(k, r)
            axis = None if tensor else 0
            ratio = np.linalg.norm(n, axis=axis) / np.linalg.norm(r, axis=axis)
            s = np.sqrt(scale) * limit(ratio * y, k, before)
            u[k] = s if wide else s.T
        fix = adam.correction(t + 1)
        return stepped(p, {k: fix * u[k] for k in p}, at(lr, t), weight_decay)

    return walk(first, grads, step)


def mini(first, grads, lr, scale=128.0, **settings):
    return apollo(first, grads, lr, 1, scale=scale, tensor=True, **settings)


LEFT = [
    ({"learning_rate": 0.1, "rank": 2}, {"lr": 0.1, "rank": 2}),
    (
        {"learning_rate": 0.1, "rank": 1, "update_proj_gap": 3, "weight_decay": 0.1},
        {"lr": 0.1, "rank": 1, "gap": 3, "weight_decay": 0.1},
    ),
    (
        {"learning_rate": RAMP, "rank": 2, "scale": 0.25, "b1": 0.5},
        {"lr": RATES, "rank": 2, "scale": 0.25, "b1": 0.5},
    ),
]

CERTIFICATES = [
    Rows("galore", PAPER, LEFT, "tree", galore),
    Rows("fira", PAPER, LEFT, "tree", fira),
    Rows(
        "apollo",
        PAPER,
        [
            ({"learning_rate": 0.1, "rank": 2}, {"lr": 0.1, "rank": 2}),
            (
                {"learning_rate": 0.1, "rank": 1, "update_proj_gap": 3, "scale": 4.0}
                | {"weight_decay": 0.1},
                {"lr": 0.1, "rank": 1, "gap": 3, "scale": 4.0, "weight_decay": 0.1},
            ),
            (
                {"learning_rate": RAMP, "rank": 2, "scale_type": "tensor", "key": 7},
                {"lr": RATES, "rank": 2, "tensor": True, "key": 7},
            ),
        ],
        "tree",
        apollo,
    ),
    Rows(
        "apollo_mini",
        PAPER,
        [
            ({"learning_rate": 0.01}, {"lr": 0.01}),
            (
                {"learning_rate": 0.1, "scale": 1.0, "weight_decay": 0.1},
                {"lr": 0.1, "scale": 1.0, "weight_decay": 0.1},
            ),
            ({"learning_rate": RAMP, "update_proj_gap": 3}, {"lr": RATES, "gap": 3}),
        ],
        "tree",
        mini,
    ),
]
