"""Samplers: laws, and runs of the papers with numbers drawn from the same key."""

import jax
import numpy as np

import jopt
from tests.case import FADING, is_matrix, RATE, record, SLOW, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows

TAGS = "translation_invariant stochastic descends"
ROOT = {"A8": "the noise grows with the root of the rate"}
CALM = {"temperature": 1e-4}
COLD = {"temperature": 0.0}
NO_NOISE = "-stochastic +elementwise +odd +still +complex"

CASES = {
    "sgld": record(
        jopt.sgld(RATE, **CALM),
        Vary(jopt.sgld(RATE, **COLD), NO_NOISE, skips={}),
        Vary(jopt.sgld(SLOW, key=jax.random.key(1)), "-descends"),
        jopt.sgld(FADING, 0.01, 2),
        jopt.sgld(RATE, jopt.cyclical_temperature_schedule(4, 0.0, 0.01)),
        tags=TAGS,
        skips=ROOT,
    ),
    "psgld": record(
        jopt.psgld(0.01, temperature=1e-4),
        Vary(jopt.psgld(0.01, **COLD), f"{NO_NOISE} +scale_invariant", skips={}),
        Vary(jopt.psgld(0.01, 0.9, 0.0, 1e-4), "+still"),
        jopt.psgld(FADING, 0.5, 1e-3, 1e-4, 3),
        jopt.psgld(0.01, decay=0.0, eps=1.0, temperature=1e-4),
        tags=TAGS,
        memory=1,
        skips=ROOT,
    ),
    "sghmc": record(
        jopt.sghmc(0.01, **CALM),
        Vary(jopt.sghmc(0.01, **COLD), NO_NOISE, skips={}),
        jopt.sghmc(0.01, 1.0, 1e-4, jax.random.key(1)),
        jopt.sghmc(FADING, 0.5, 1e-4),
        jopt.sghmc(0.01, 0.5, 1e-4, noise_estimate=0.2),
        tags=TAGS,
        memory=1,
        skips=ROOT,
    ),
    "sgnht": record(
        jopt.sgnht(0.01, **CALM),
        jopt.sgnht(0.01, 0.5, 1e-4, jax.random.key(1)),
        jopt.sgnht(FADING, 0.5, 1e-4),
        Vary(
            jopt.sgnht(0.01, **COLD),
            "-stochastic +odd +still +global_scalar",
            skips={},
        ),
        tags=TAGS,
        memory=1,
        skips=ROOT,
    ),
    "add_gaussian_prior": record(
        jopt.add_gaussian_prior(),
        jopt.add_gaussian_prior(2.0, 10, is_matrix),
        Vary(
            jopt.chain(jopt.add_gaussian_prior(0.5), jopt.scale(-0.1)),
            "+descends",
        ),
        tags="elementwise odd complex",
        needs="params",
    ),
}

SCHEDULES = {
    "cyclical_temperature_schedule": [
        jopt.cyclical_temperature_schedule(10, 0.45),
        jopt.cyclical_temperature_schedule(7, 0.0, 0.1),
        jopt.cyclical_temperature_schedule(1, 1.0),
    ],
}

SCHEDULE_CERTIFICATES = {
    "cyclical_temperature_schedule": [
        (
            (period, share, heat),
            PAPER,
            lambda t, period=period, share=share, heat=heat: (
                heat * (np.mod(t, period) / period >= share)
            ),
        )
        for period, share, heat in [(50, 0.9, 1.0), (32, 0.25, 0.1), (7, 0.5, 2.0)]
    ],
}


def draws(tree, steps, seed):
    """Unit normal numbers of each step for a dictionary of arrays."""
    following = jax.random.key(seed)
    for _ in range(steps):
        following, now = jax.random.split(following)
        with jax.enable_x64(True):
            yield {
                k: np.asarray(
                    jax.random.normal(jax.random.fold_in(now, i), tree[k].shape)
                )
                for i, k in enumerate(sorted(tree))
            }


def each(value, steps):
    """A number for each step."""
    return value if isinstance(value, tuple) else (value,) * steps


def langevin(first, grads, epsilon, heat=1.0, seed=0):
    """Equation 4 of Welling and Teh, with noise of `heat` times the variance."""
    p, path, noise = dict(first), [], draws(first, len(grads), seed)
    for e, g, n in zip(each(epsilon, len(grads)), grads, noise, strict=False):
        p = {k: p[k] - e / 2 * g[k] + np.sqrt(e * heat) * n[k] for k in p}
        path.append(p)
    return path


def preconditioned(first, grads, epsilon, a=0.99, lam=1e-5, heat=1.0, seed=0):
    """Algorithm 1 of Li et al., without Gamma."""
    p, path, noise = dict(first), [], draws(first, len(grads), seed)
    v = {k: 0 * p[k] for k in p}
    for e, g, n in zip(each(epsilon, len(grads)), grads, noise, strict=False):
        v = {k: a * v[k] + (1 - a) * g[k] * g[k] for k in p}
        scale = {k: 1 / (lam + np.sqrt(v[k])) for k in p}
        p = {
            k: p[k] - e / 2 * scale[k] * g[k] + np.sqrt(e * scale[k] * heat) * n[k]
            for k in p
        }
        path.append(p)
    return path


def hamiltonian(first, grads, eta, alpha=0.1, beta=0.0, heat=1.0, seed=0):
    """Equation 15 of Chen et al."""
    p, path, noise = dict(first), [], draws(first, len(grads), seed)
    v = {k: 0 * p[k] for k in p}
    for e, g, n in zip(each(eta, len(grads)), grads, noise, strict=False):
        spread = np.sqrt(2 * (alpha - beta) * e * heat)
        v = {k: v[k] - e * g[k] - alpha * v[k] + spread * n[k] for k in p}
        p = {k: p[k] + v[k] for k in p}
        path.append(p)
    return path


def thermostat(first, grads, h, diffusion, heat=1.0, seed=0):
    """Algorithm 1 of Ding et al., with the friction held where `xi h` is 1."""
    q, path, noise = dict(first), [], draws(first, len(grads), seed)
    n = sum(x.size for x in q.values())
    p, xi = {k: 0 * q[k] for k in q}, diffusion
    for g, z in zip(grads, noise, strict=True):
        spread = np.sqrt(2 * diffusion * heat * h)
        p = {k: p[k] - xi * p[k] * h - g[k] * h + spread * z[k] for k in q}
        q = {k: q[k] + p[k] * h for k in q}
        energy = sum((x**2).sum() for x in p.values())
        xi = min(xi + (energy / n - heat) * h, 1 / h)
        path.append(q)
    return path


DOUBLE = tuple(2 * rate for rate in RATES)

CERTIFICATES = [
    Rows(
        "sgld",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"epsilon": 0.2}),
            (
                {"learning_rate": 0.1, "temperature": 0.01, "key": 7},
                {"epsilon": 0.2, "heat": 0.01, "seed": 7},
            ),
            ({"learning_rate": RAMP}, {"epsilon": DOUBLE}),
        ],
        "tree",
        langevin,
    ),
    Rows(
        "psgld",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"epsilon": 0.2}),
            (
                {
                    "learning_rate": 0.01,
                    "decay": 0.5,
                    "eps": 0.1,
                    "temperature": 0.1,
                    "key": 3,
                },
                {"epsilon": 0.02, "a": 0.5, "lam": 0.1, "heat": 0.1, "seed": 3},
            ),
            ({"learning_rate": RAMP}, {"epsilon": DOUBLE}),
        ],
        "tree",
        preconditioned,
    ),
    Rows(
        "sghmc",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"eta": 0.1}),
            (
                {
                    "learning_rate": 0.1,
                    "friction": 0.5,
                    "noise_estimate": 0.2,
                    "temperature": 0.1,
                    "key": 3,
                },
                {"eta": 0.1, "alpha": 0.5, "beta": 0.2, "heat": 0.1, "seed": 3},
            ),
            ({"learning_rate": RAMP}, {"eta": RATES}),
        ],
        "tree",
        hamiltonian,
    ),
    Rows(
        "sgnht",
        PAPER,
        [
            (
                {"learning_rate": 1e-4, "friction": 0.01},
                {"h": 0.01, "diffusion": 1.0},
            ),
            (
                {
                    "learning_rate": 0.01,
                    "friction": 0.2,
                    "temperature": 0.1,
                    "key": 3,
                },
                {"h": 0.1, "diffusion": 2.0, "heat": 0.1, "seed": 3},
            ),
            (
                {"learning_rate": 0.25, "friction": 0.5},
                {"h": 0.5, "diffusion": 1.0},
            ),
        ],
        "tree",
        thermostat,
    ),
]
