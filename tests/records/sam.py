"""Records of the wrappers that take a gradient elsewhere: SAM and extragradient."""

import jax
import numpy as np

import jopt
from tests.case import FADING, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.walk import Adam, at, stepped, total, walk

SHARP = "odd complex descends global_scalar"
NEEDS = "params grad_fn"

CASES = {
    "asam": record(
        jopt.asam(jopt.sgd(RATE)),
        jopt.asam(jopt.sgd(FADING), rho=0.1, eta=0.1),
        tags=f"{SHARP} scale_invariant",
        needs=NEEDS,
    ),
    "extragradient": record(
        jopt.extragradient(jopt.sgd(RATE)),
        Vary(
            jopt.extragradient(jopt.adam(RATE), both_halves=True),
            memory=2,
        ),
        tags="elementwise odd complex descends",
        needs=NEEDS,
    ),
    "gsam": record(
        jopt.gsam(jopt.sgd(RATE)),
        jopt.gsam(jopt.sgd(RATE), rho=FADING, alpha=0.1),
        tags=SHARP,
        needs=NEEDS,
    ),
    "looksam": record(
        jopt.looksam(jopt.sgd(RATE), every_k=2),
        jopt.looksam(jopt.sgd(RATE), rho=0.5, alpha=0.3, every_k=3),
        tags=SHARP,
        needs=NEEDS,
        memory=1,
    ),
    "sam": record(
        jopt.sam(jopt.sgd(RATE)),
        jopt.sam(jopt.sgd(RATE), rho=FADING),
        Vary(jopt.sam(jopt.adam(RATE), rho=0.5), memory=2),
        tags=f"{SHARP} scale_invariant",
        needs=NEEDS,
    ),
}


def grad_fn(p, g):
    """The gradient near `p`, where it is `g`; it bends otherwise in every entry."""
    return {"grad_fn": lambda q: jax.tree.map(lambda q, p, g: g + p * (q - p), q, p, g)}


def near(p, g, e):
    return {k: g[k] + p[k] * e[k] for k in p}


def inner_product(a, b):
    return sum(np.sum(a[k] * b[k]) for k in a)


def sam(first, grads, lr, rho, eta=None, alpha=None, plain=()):
    """SAM; ASAM with `eta`; GSAM with `alpha`: on Adam."""
    adam = Adam()

    def step(p, g, t):
        size = {
            k: 1.0 if eta is None or k in plain else np.abs(x) + eta
            for k, x in p.items()
        }
        r = at(rho, t) / total({k: size[k] * g[k] for k in p})
        there = near(p, g, {k: r * size[k] ** 2 * g[k] for k in p})
        if alpha is not None:
            share = inner_product(g, there) / inner_product(there, there)
            there = {k: there[k] - alpha * (g[k] - share * there[k]) for k in p}
        return stepped(p, adam(there), at(lr, t))

    return walk(first, grads, step)


def looksam(first, grads, lr, rho, alpha, every_k):
    adam, kept = Adam(), {}

    def step(p, g, t):
        if t % every_k == 0:
            there = near(p, g, {k: rho * g[k] / total(g) for k in p})
            share = inner_product(g, there) / inner_product(g, g)
            kept.update({k: there[k] - share * g[k] for k in p})
        else:
            ratio = alpha * total(g) / total(kept)
            there = {k: g[k] + ratio * kept[k] for k in p}
        return stepped(p, adam(there), at(lr, t))

    return walk(first, grads, step)


def extragradient(first, grads, lr, both=False):
    adam = Adam()

    def step(p, g, t):
        before = adam.t, dict(adam.m), dict(adam.v)
        ahead = adam(g)
        if not both:
            adam.t, adam.m, adam.v = before
        one, two = (min(2 * t, 11), min(2 * t + 1, 11)) if both else (t, t)
        there = near(p, g, {k: -at(lr, one) * ahead[k] for k in p})
        return stepped(p, adam(there), at(lr, two))

    return walk(first, grads, step)


CERTIFICATES = [
    Rows(
        "sam",
        PAPER,
        [
            (jopt.sam(jopt.adam(0.1)), {"lr": 0.1, "rho": 0.05}),
            (jopt.sam(jopt.adam(RAMP), rho=0.5), {"lr": RATES, "rho": 0.5}),
            (jopt.sam(jopt.adam(0.1), rho=RAMP), {"lr": 0.1, "rho": RATES}),
        ],
        "tree",
        sam,
        grad_fn,
    ),
    Rows(
        "asam",
        PAPER,
        [
            (jopt.asam(jopt.adam(0.1)), {"lr": 0.1, "rho": 0.5, "eta": 0.01}),
            (
                jopt.asam(jopt.adam(RAMP), 2.0, eta=0.1, mask="w"),
                {"lr": RATES, "rho": 2.0, "eta": 0.1, "plain": ("b",)},
            ),
        ],
        "tree",
        sam,
        grad_fn,
    ),
    Rows(
        "gsam",
        PAPER,
        [
            (jopt.gsam(jopt.adam(0.1)), {"lr": 0.1, "rho": 0.05, "alpha": 0.4}),
            (
                jopt.gsam(jopt.adam(RAMP), 0.5, alpha=0.1),
                {"lr": RATES, "rho": 0.5, "alpha": 0.1},
            ),
        ],
        "tree",
        sam,
        grad_fn,
    ),
    Rows(
        "looksam",
        PAPER,
        [
            (
                jopt.looksam(jopt.adam(0.1)),
                {"lr": 0.1, "rho": 0.05, "alpha": 0.7, "every_k": 5},
            ),
            (
                jopt.looksam(jopt.adam(RAMP), 0.5, alpha=0.3, every_k=2),
                {"lr": RATES, "rho": 0.5, "alpha": 0.3, "every_k": 2},
            ),
        ],
        "tree",
        looksam,
        grad_fn,
    ),
    Rows(
        "extragradient",
        PAPER,
        [
            (jopt.extragradient(jopt.adam(0.1)), {"lr": 0.1}),
            (
                jopt.extragradient(jopt.adam(RAMP), both_halves=True),
                {"lr": RATES, "both": True},
            ),
        ],
        "tree",
        extragradient,
        grad_fn,
    ),
]
