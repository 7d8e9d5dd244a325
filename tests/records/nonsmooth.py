"""Methods for kinks: laws, and runs of the papers."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import nnls

import jopt
from tests.case import FADING, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows

GRAMIAN = {"D6": "the inner products of all gradients are reduced, not one number"}
LEAST = {"N2": "zero parameters are the least of the bowl: no step descends"}
ALIKE = {"P6": "in the hull of gradients nearly alike rounding moves the least by 1e-5"}
BENT = {"A8": "the point that is sought is no linear function of the rate"}

CASES = {
    "gradient_sampling": record(
        jopt.gradient_sampling(3),
        jopt.gradient_sampling(16, 1e-3, 0.0, jax.random.key(1)),
        jopt.gradient_sampling(3, 0.5, 0.2, radius_factor=0.5),
        jopt.gradient_sampling(3, 2.0, max_step=FADING, armijo=0.0),
        jopt.gradient_sampling(3, 2.0, backtrack=0.1, max_rounds=2),
        tags="stochastic descends still",
        needs="params value_fn grad_fn",
        skips=GRAMIAN | LEAST | ALIKE,
    ),
    "subgradient": record(
        jopt.subgradient(),
        jopt.subgradient(f_min=0.0),
        jopt.subgradient(delta=0.3, growth=2.0, shrink=0.5, min_delta=1e-3),
        jopt.subgradient(f_min=-0.5, scaling=FADING),
        jopt.subgradient(scaling=0.5),
        tags="odd translation_invariant still complex descends global_scalar",
        needs="value",
    ),
    "proximal_point": record(
        jopt.proximal_point(RATE, 3),
        Vary(jopt.proximal_point(RATE, 1), "+still +translation_invariant", skips={}),
        jopt.proximal_point(1.0, 5, 0.5),
        jopt.proximal_point(FADING, 2),
        jopt.proximal_point(1.0, 2, FADING),
        tags="elementwise odd complex descends",
        needs="params grad_fn",
        skips=BENT,
    ),
}


def kinked(x):
    """A function with a kink in each entry."""
    return abs(x).sum() + (x**2).sum() / 2


def functions(params, grads):
    """It, and its gradient, beside gradients of something else."""
    return {
        "value_fn": kinked,
        "grad_fn": lambda x: jnp.sign(x) + x,
        "value": kinked(params) + 0.01 * grads.sum(),
    }


def slope(x):
    return np.sign(x) + x


def least(rows):
    """The point of least norm in a hull, by nonnegative least squares."""
    weights, _ = nnls(
        np.vstack([rows.T, np.ones(len(rows))]), np.eye(len(rows.T) + 1)[-1]
    )
    return weights / weights.sum() @ rows


def ball(key, m, size):
    """Points of the unit ball."""
    out = []
    with jax.enable_x64(True):
        for k in jax.random.split(key, m):
            rest, now = jax.random.split(k)
            z = np.asarray(jax.random.normal(jax.random.fold_in(now, 0), (size,)))
            length = float(jax.random.uniform(rest)) ** (1 / size)
            out.append(length * z / np.linalg.norm(z))
    return out


def sampled(
    first,
    grads,
    m,
    eps=0.1,
    nu=0.1,
    mu=0.1,
    theta=0.1,
    top=1.0,
    beta=1e-4,
    gamma=0.5,
    rounds=40,
    seed=0,
):
    """Section 2 of Burke, Lewis and Overton, with a search that ends."""
    tops = top if isinstance(top, tuple) else (top,) * len(grads)
    x, path, following = first.copy(), [], jax.random.key(seed)
    for longest, g in zip(tops, grads, strict=False):
        following, now = jax.random.split(following)
        near = [slope(x + eps * u) for u in ball(now, m, x.size)]
        d = least(np.stack([g, *near]))
        size = np.linalg.norm(d)
        if size <= nu:
            eps, nu = mu * eps, theta * nu
        else:
            for j in range(rounds):
                t = longest * gamma**j
                if kinked(x - t * d / size) < kinked(x) - beta * t * size:
                    x = x - t * d / size
                    break
            else:
                eps = mu * eps
        path.append(x)
    return path


def targeted(first, grads, low=None, delta=1.0, rho=1.5, beta=0.99, least=1e-6, c=1.0):
    """Polyak's step; without `low` towards the level of Nedic and Bertsekas."""
    shares = c if isinstance(c, tuple) else (c,) * len(grads)
    x, path, best, level = first.copy(), [], None, None
    for share, g in zip(shares, grads, strict=False):
        f = kinked(x) + 0.01 * g.sum()
        if low is None:
            if best is not None:
                delta = rho * delta if f <= level else max(beta * delta, least)
            best = f if best is None else min(best, f)
            level = best - delta
        else:
            level = min(low, f)
        x = x - share * (f - level) / (g @ g) * g
        path.append(x)
    return path


def implicit(first, grads, lam, rounds=10, inner=None):
    """Inner steps on the function plus the quadratic, the first by what is given."""
    rates = lam if isinstance(lam, tuple) else (lam,) * len(grads)
    x, path = first.copy(), []
    for rate, g in zip(rates, grads, strict=False):
        y = x.copy()
        for j in range(rounds):
            g = g if j == 0 else slope(y)
            if inner is None:  # the subgradient method with curvature 1 / rate
                y = y - 2 * rate / (j + 2) * (g + (y - x) / rate)
            else:  # the gradient step, then the proximal step of the quadratic
                y = (rate * (y - inner * g) + inner * x) / (rate + inner)
        x = y
        path.append(x)
    return path


CERTIFICATES = [
    Rows(
        "gradient_sampling",
        PAPER,
        [
            ({"samples": 10}, {"m": 10}),
            (
                {
                    "samples": 5,
                    "radius": 0.5,
                    "tolerance": 2.0,
                    "key": 3,
                    "radius_factor": 0.5,
                    "tolerance_factor": 0.7,
                },
                {"m": 5, "eps": 0.5, "nu": 2.0, "seed": 3, "mu": 0.5, "theta": 0.7},
            ),
            (
                {
                    "samples": 8,
                    "max_step": RAMP,
                    "armijo": 0.5,
                    "backtrack": 0.3,
                    "max_rounds": 2,
                },
                {"m": 8, "top": RATES, "beta": 0.5, "gamma": 0.3, "rounds": 2},
            ),
        ],
        "vector",
        sampled,
        functions,
    ),
    Rows(
        "subgradient",
        PAPER,
        [
            ({}, {}),
            (
                {"delta": 0.1, "growth": 2.0, "shrink": 0.5, "min_delta": 0.04},
                {"delta": 0.1, "rho": 2.0, "beta": 0.5, "least": 0.04},
            ),
            ({"f_min": 2.0, "scaling": RAMP}, {"low": 2.0, "c": RATES}),
        ],
        "vector",
        targeted,
        functions,
    ),
    Rows(
        "proximal_point",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lam": 0.1}),
            (
                {"learning_rate": 1.0, "rounds": 4, "inner_rate": 0.3},
                {"lam": 1.0, "rounds": 4, "inner": 0.3},
            ),
            ({"learning_rate": RAMP, "rounds": 3}, {"lam": RATES, "rounds": 3}),
        ],
        "vector",
        implicit,
        functions,
    ),
]
