"""Polyak's step size and MoMo: laws, and runs of the papers."""

import numpy as np
import optax

import jopt
from tests.case import FADING, record, Vary
from tests.certificates.peer import Peer
from tests.certificates.record import PAPER, RAMP, RATES, Rows

TAGS = "odd translation_invariant still complex descends global_scalar"
UNBOUND = "the step is the lesser of the rate and one that the loss gives"

CASES = {
    "polyak_sgd": record(
        jopt.polyak_sgd(),
        jopt.polyak_sgd(f_min=-0.5),
        jopt.polyak_sgd(scaling=0.5, eps=0.1),
        jopt.polyak_sgd(variant="sps+", f_min=0.1),
        jopt.polyak_sgd(scaling=FADING),
        tags=TAGS,
        needs="value",
    ),
    "sps": record(
        jopt.sps(),
        jopt.sps(c=0.2, f_min=-0.5),
        jopt.sps(growth_rate=1.5),
        jopt.sps(eps=0.0, scaling=0.5),
        jopt.sps(scaling=FADING),
        tags=TAGS,
        needs="value",
    ),
    "momo": record(
        jopt.momo(),
        jopt.momo(beta=0.5),
        jopt.momo(adapt_lower_bound=True),
        Vary(jopt.momo(weight_decay=0.1), "-translation_invariant -still"),
        jopt.momo(FADING, lower_bound=-1.0),
        tags=TAGS,
        needs="params value",
        memory=1,
        skips={"A8": UNBOUND},
    ),
    "momo_adam": record(
        jopt.momo_adam(0.1),
        jopt.momo_adam(1.0, b1=0.5, b2=0.9),
        jopt.momo_adam(1.0, adapt_lower_bound=True),
        Vary(jopt.momo_adam(1.0, weight_decay=0.1), "-translation_invariant -still"),
        jopt.momo_adam(FADING, lower_bound=-1.0, eps=0.0),
        tags=TAGS,
        needs="params value",
        memory=2,
        skips={"A8": UNBOUND},
    ),
    "scale_by_polyak": record(
        Vary(jopt.scale_by_polyak(), "-descends"),
        jopt.chain(jopt.scale_by_polyak(eps=0.1), jopt.scale(-1.0)),
        tags=TAGS,
        needs="value",
    ),
    "scale_by_sps": record(
        Vary(jopt.scale_by_sps(), "-descends"),
        jopt.chain(jopt.scale_by_sps(growth_rate=1.5), jopt.scale(-1.0)),
        tags=TAGS,
        needs="value",
    ),
    "scale_by_momo": record(
        Vary(jopt.scale_by_momo(), "-descends"),
        jopt.chain(jopt.scale_by_momo(beta=0.5), jopt.scale(-1.0)),
        tags=TAGS,
        needs="params value",
        memory=1,
        skips={"A8": UNBOUND},
    ),
    "scale_by_momo_adam": record(
        Vary(jopt.scale_by_momo_adam(1.0), "-descends"),
        jopt.chain(jopt.scale_by_momo_adam(1.0, b1=0.5), jopt.scale(-1.0)),
        tags=TAGS,
        needs="params value",
        memory=2,
        skips={"A8": UNBOUND},
    ),
}


def loss(params, grads):
    """A number that changes from step to step, for the loss."""
    return {"value": (params**2).sum() + 0.1 * grads.sum()}


def value_of(params, grads):
    return loss(params, grads)["value"]


def polyak(first, grads, low=0.0, top=1.0, c=1.0, eps=0.0, lr=1.0, plus=False):
    """Equation 3."""
    rates = lr if isinstance(lr, tuple) else (lr,) * len(grads)
    x, path = first.copy(), []
    for rate, g in zip(rates, grads, strict=False):
        gap = value_of(x, g) - low
        gap = max(gap, 0.0) if plus else gap
        x = x - rate * min(gap / (c * np.sum(g**2) + eps), top) * g
        path.append(x)
    return path


def smooth(first, grads, top, growth, c, eps=1e-8):
    """The step size bounded by the one before, times its growth."""
    x, path = first.copy(), []
    for g in grads:
        fit = max(value_of(x, g), 0.0) / (c * np.sum(g**2) + eps)
        step = min(fit, growth * top)
        top = step if step > 0 else top
        x = x - step * g
        path.append(x)
    return path


def momo(first, grads, lr=1.0, beta=0.9, low=0.0, decay=0.0, adapt=False):
    """Algorithm 1, and with `adapt` the estimate of the bound."""
    rates = lr if isinstance(lr, tuple) else (lr,) * len(grads)
    x, lb, path = first.copy(), low, []
    for t, g in enumerate(grads):
        old = beta if t else 0.0
        f = value_of(x, g) if not t else old * f + (1 - old) * value_of(x, g)
        d = g if not t else old * d + (1 - old) * g
        c = g @ x if not t else old * c + (1 - old) * (g @ x)
        x, lb = _momo_step(x, f, d, d, c, lb, rates[t], low, decay, adapt, 1.0)
        path.append(x)
    return path


def momo_adam(
    first, grads, lr=1e-2, b1=0.9, b2=0.999, eps=1e-8, low=0.0, decay=0.0, adapt=False
):
    """Algorithm 2, and with `adapt` the estimate of the bound."""
    rates = lr if isinstance(lr, tuple) else (lr,) * len(grads)
    x, lb, path = first.copy(), low, []
    f, d, v, c = 0.0, np.zeros_like(first), np.zeros_like(first), 0.0
    for t, g in enumerate(grads):
        f = b1 * f + (1 - b1) * value_of(x, g)
        d = b1 * d + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        c = b1 * c + (1 - b1) * (g @ x)
        scaled = d / (np.sqrt(v / (1 - b2 ** (t + 1))) + eps)
        k = 1 - b1 ** (t + 1)
        x, lb = _momo_step(x, f, d, scaled, c, lb, rates[t], low, decay, adapt, k)
        path.append(x)
    return path


def _momo_step(x, f, d, scaled, c, lb, rate, low, decay, adapt, k):
    grow = 1 + rate * decay
    if adapt and grow * (f - c) + d @ x < grow * k * lb:
        lb = max((grow * (f - c) + d @ x) / (2 * k * grow), low)
    h = max(grow * (f - k * lb - c) + d @ x, 0.0)
    step = min(rate / k, h / (d @ scaled))
    if adapt:
        lb = max((f + d @ x - c - step * (d @ scaled) / 2) / k, low)
    return (x - step * scaled) / grow, lb


CERTIFICATES = [
    Rows(
        "polyak_sgd",
        PAPER,
        [
            ({}, {}),
            (
                {"max_learning_rate": 0.2, "f_min": 1.0, "eps": 0.1, "variant": "sps+"},
                {"top": 0.2, "low": 1.0, "eps": 0.1, "plus": True},
            ),
            (jopt.polyak_sgd(f_min=2.0, scaling=RAMP), {"low": 2.0, "lr": RATES}),
        ],
        "vector",
        polyak,
        loss,
    ),
    Rows(
        "sps",
        PAPER,
        [
            ({}, {"c": 0.5, "eps": 1e-8, "plus": True}),
            (
                {"max_learning_rate": 0.2, "c": 0.2, "f_min": 1.0, "eps": 0.1},
                {"top": 0.2, "c": 0.2, "low": 1.0, "eps": 0.1, "plus": True},
            ),
            (
                jopt.sps(scaling=RAMP),
                {"c": 0.5, "eps": 1e-8, "plus": True, "lr": RATES},
            ),
        ],
        "vector",
        polyak,
        loss,
    ),
    Rows(
        "sps",
        PAPER,
        [
            (
                {"max_learning_rate": 0.01, "growth_rate": 1.3, "c": 0.2},
                {"top": 0.01, "growth": 1.3, "c": 0.2},
            )
        ],
        "vector",
        smooth,
        loss,
    ),
    Rows(
        "momo",
        PAPER,
        [
            ({}, {}),
            (
                {"beta": 0.5, "weight_decay": 0.1, "lower_bound": 1.0},
                {"beta": 0.5, "decay": 0.1, "low": 1.0},
            ),
            (
                {"adapt_lower_bound": True, "lower_bound": -1.0},
                {"adapt": True, "low": -1.0},
            ),
            (jopt.momo(RAMP), {"lr": RATES}),
        ],
        "vector",
        momo,
        loss,
    ),
    Rows(
        "momo_adam",
        PAPER,
        [
            ({}, {}),
            (
                {
                    "learning_rate": 1.0,
                    "b1": 0.5,
                    "b2": 0.9,
                    "eps": 0.01,
                    "weight_decay": 0.1,
                    "lower_bound": 1.0,
                },
                {
                    "lr": 1.0,
                    "b1": 0.5,
                    "b2": 0.9,
                    "eps": 0.01,
                    "decay": 0.1,
                    "low": 1.0,
                },
            ),
            (
                {"learning_rate": 1.0, "adapt_lower_bound": True, "lower_bound": -1.0},
                {"lr": 1.0, "adapt": True, "low": -1.0},
            ),
            (jopt.momo_adam(RAMP), {"lr": RATES}),
        ],
        "vector",
        momo_adam,
        loss,
    ),
]

_DIVIDED = "divides the parameters alone by `1 + lr * weight_decay`, not the step"

PEERS = [
    Peer("momo-paper-0", "contrib.momo()", lambda: optax.contrib.momo(), 1e-9),
    Peer(
        "momo-paper-1",
        "contrib.momo(beta=0.5, weight_decay=0.1, lower_bound=1.0)",
        lambda: optax.contrib.momo(beta=0.5, weight_decay=0.1, lower_bound=1.0),
        None,
        _DIVIDED,
    ),
    Peer(
        "momo_adam-paper-1",
        "contrib.momo_adam(1.0, 0.5, 0.9, 0.01, 1.0, 0.1)",
        lambda: optax.contrib.momo_adam(1.0, 0.5, 0.9, 0.01, 1.0, 0.1),
        None,
        _DIVIDED,
    ),
    Peer("polyak_sgd-paper-0", "polyak_sgd()", lambda: optax.polyak_sgd(), 1e-9),
]
