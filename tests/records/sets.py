"""Records of steps within a set: Frank-Wolfe, mirror descent, manifolds."""

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from tests.case import FADING, is_matrix, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.walk import at, walk

ZERO = {"N2": "a parameter of 0 stays at 0, as the step multiplies"}
BENT = ZERO | {"A8": "a factor is not in proportion to the rate"}
AWAY = dict.fromkeys(
    ("N6", "N8", "N11"), "alone it leaves the manifold, and grows with the cube"
)
SLOW = 0.01
# with several numbers above 0 in each leaf and column
LARGER = {
    "b": jax.ShapeDtypeStruct((9,), jnp.float32),
    "w": jax.ShapeDtypeStruct((12, 3), jnp.float32),
}

CASES = {
    "frank_wolfe": record(
        jopt.frank_wolfe("linf_ball", 2.0),
        Vary(jopt.frank_wolfe("l1_ball", 3.0, FADING), "-elementwise"),
        Vary(jopt.frank_wolfe("l2_ball", 2.0, RATE), "-elementwise"),
        Vary(jopt.frank_wolfe("simplex"), "-elementwise -complex -odd"),
        Vary(jopt.frank_wolfe("nuclear_ball", 2.0), "-elementwise +matrix"),
        tags="complex elementwise odd scale_invariant still descends",
        needs="params",
    ),
    "mirror_descent": record(
        jopt.mirror_descent(SLOW),
        Vary(
            jopt.mirror_descent(0.1 * FADING, axis=0, total=2.0),
            "+matrix",
            skips=ZERO,
        ),
        Vary(jopt.mirror_descent(SLOW, "positive"), "+elementwise"),
        tags="descends",
        needs="params",
        skips=BENT,
        like=LARGER,
    ),
    "tangent": record(
        jopt.tangent("sphere"),
        Vary(jopt.tangent("stiefel"), "+matrix -descends", skips=AWAY),
        Vary(jopt.tangent("oblique", is_matrix), "+matrix -descends"),
        tags="complex odd still descends",
        needs="params",
    ),
    "retracted": record(
        jopt.chain(jopt.sgd(SLOW), jopt.retracted("stiefel")),
        Vary(jopt.chain(jopt.sgd(0.03), jopt.retracted("sphere")), "-matrix"),
        jopt.chain(jopt.sgd(FADING), jopt.retracted("oblique", is_matrix)),
        tags="complex odd matrix descends",
        needs="params",
    ),
    "riemannian": record(
        jopt.riemannian(jopt.sgd(SLOW), "stiefel"),
        Vary(
            jopt.riemannian(jopt.sgd(FADING, momentum=0.9), "sphere"),
            "-matrix",
            memory=1,
        ),
        Vary(
            jopt.riemannian(jopt.adam(RATE), "oblique", is_matrix),
            "+scale_invariant",
            memory=2,
        ),
        tags="complex odd matrix descends",
        needs="params",
    ),
}


# -- each rule, leaf by leaf, in NumPy


def corner(g, region, r):
    """The point of the set that is best for a gradient."""
    if region == "l2_ball":
        return -r * g / np.linalg.norm(g)
    if region == "linf_ball":
        return -r * np.sign(g)
    if region == "nuclear_ball":
        u, _, v = np.linalg.svd(g)
        return -r * np.outer(u[:, 0], v[0])
    s = np.zeros_like(g)
    if region == "simplex":
        s.flat[np.argmin(g)] = r
    else:
        i = np.argmax(np.abs(g))
        s.flat[i] = -r * np.sign(g.flat[i])
    return s


def towards_corners(first, grads, region, r=1.0, lr=None):
    def step(p, g, t):
        rate = 2 / (t + 2) if lr is None else at(lr, t)
        return {k: p[k] + rate * (corner(g[k], region, r) - p[k]) for k in p}

    return walk(first, grads, step)


def multiplicative(first, grads, lr=0.1, axis=None, total=None, keep=True):
    def step(p, g, t):
        out = {}
        for k, x in p.items():
            x = np.maximum(x, 0.0)
            z = -at(lr, t) * g[k]
            w = x * np.exp(z - z.max() if keep else z)
            if keep:
                sums = (v.sum(axis=axis, keepdims=True) for v in (x, w))
                before, after = sums
                w = w * (before if total is None else total) / after
            out[k] = w
        return out

    return walk(first, grads, step)


def along(p, g, kind):
    if kind == "stiefel" and p.ndim > 1:
        if len(p) < len(p.T):
            return along(p.T, g.T, kind).T
        return g - p @ (p.T @ g + g.T @ p) / 2
    axis = 0 if kind == "oblique" and p.ndim > 1 else None
    share = np.sum(p * g, axis=axis, keepdims=True)
    return g - p * share / np.sum(p * p, axis=axis, keepdims=True)


def back(x, kind):
    if kind == "stiefel" and x.ndim > 1:
        if len(x) < len(x.T):
            return back(x.T, kind).T
        q, r = np.linalg.qr(x)
        return q * np.sign(np.diag(r))
    axis = 0 if kind == "oblique" and x.ndim > 1 else None
    return x / np.linalg.norm(x, axis=axis, keepdims=True)


def on_a_manifold(first, grads, kind, lr=0.1, before=True, after=True, momentum=0.0):
    m = dict.fromkeys(first, 0.0)

    def step(p, g, t):
        out = {}
        for k, x in p.items():
            m[k] = momentum * m[k] + (along(x, g[k], kind) if before else g[k])
            u = -at(lr, t) * m[k]
            out[k] = back(x + along(x, u, kind), kind) if after else x + u
        return out

    return walk(first, grads, step)


CERTIFICATES = [
    Rows(
        "frank_wolfe",
        PAPER,
        [
            ({"region": "l1_ball", "radius": 2.0}, {"region": "l1_ball", "r": 2.0}),
            ({"region": "l2_ball"}, {"region": "l2_ball"}),
            (
                {"region": "linf_ball", "radius": 0.5, "learning_rate": RAMP},
                {"region": "linf_ball", "r": 0.5, "lr": RATES},
            ),
            ({"region": "simplex", "radius": 3.0}, {"region": "simplex", "r": 3.0}),
        ],
        "tree",
        towards_corners,
    ),
    Rows(
        "frank_wolfe",
        PAPER,
        [({"region": "nuclear_ball"}, {"region": "nuclear_ball"})],
        "matrix",
        towards_corners,
    ),
    Rows(
        "mirror_descent",
        PAPER,
        [
            ({"learning_rate": 0.1}, {}),
            (
                {"learning_rate": RAMP, "axis": 0, "total": 2.0},
                {"lr": RATES, "axis": 0, "total": 2.0},
            ),
            (
                {"learning_rate": 0.05, "domain": "positive"},
                {"lr": 0.05, "keep": False},
            ),
        ],
        "tree",
        multiplicative,
    ),
    Rows(
        "riemannian",
        PAPER,
        [
            ({"inner": jopt.sgd(0.1), "manifold": "stiefel"}, {"kind": "stiefel"}),
            (
                {"inner": jopt.sgd(RAMP), "manifold": "oblique"},
                {"kind": "oblique", "lr": RATES},
            ),
            (
                {"inner": jopt.sgd(0.05, momentum=0.9), "manifold": "sphere"},
                {"kind": "sphere", "lr": 0.05, "momentum": 0.9},
            ),
        ],
        "tree",
        on_a_manifold,
    ),
    Rows(
        "tangent",
        PAPER,
        [
            (jopt.chain(jopt.tangent(kind), jopt.sgd(RAMP)), settings)
            for kind in ("sphere", "oblique")
            for settings in [{"kind": kind, "lr": RATES, "after": False}]
        ],
        "tree",
        on_a_manifold,
    ),
    Rows(
        "retracted",
        PAPER,
        [
            (jopt.chain(jopt.sgd(RAMP), jopt.retracted(kind)), settings)
            for kind in ("sphere", "oblique", "stiefel")
            for settings in [{"kind": kind, "lr": RATES, "before": False}]
        ],
        "tree",
        on_a_manifold,
    ),
]
