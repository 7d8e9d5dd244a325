"""Records of Lagrange multipliers: who ascends, and how the penalty grows."""

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from tests.case import FADING, FREE, is_matrix, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.walk import at, walk

PAIR = jopt.PrimalDual(
    {"w": jax.ShapeDtypeStruct((4, 3), jnp.float32)},
    jopt.Constraints(
        jax.ShapeDtypeStruct((3,), jnp.float32), jax.ShapeDtypeStruct((2,), jnp.float32)
    ),
    jax.ShapeDtypeStruct((), jnp.float32),
)


def at_most(name, leaf):
    return "params" if is_matrix(name, leaf) else "inequalities"


def exactly(name, leaf):
    return "params" if is_matrix(name, leaf) else "equalities"


DUAL = jopt.chain(jopt.scale_by_nupi(2.0), jopt.scale_by_learning_rate(RATE))

CASES = {
    "primal_dual": record(
        jopt.primal_dual(jopt.sgd(RATE), jopt.sgd(RATE), roles=at_most),
        Vary(
            jopt.primal_dual(jopt.adam(FADING), DUAL, roles=exactly),
            "+odd +still +translation_invariant",
            memory=1.8,
        ),
        Vary(
            jopt.primal_dual(jopt.sgd(RATE), DUAL, order="dual_first", roles=at_most),
            memory=0.2,
            needs="params grad_fn",
        ),
        Vary(
            jopt.primal_dual(
                jopt.sgd(RATE), jopt.sgd(RATE), order="primal_first", roles=exactly
            ),
            "+odd",
            needs="params grad_fn",
        ),
        tags="elementwise complex",
        needs="params",
    ),
    "method_of_multipliers": record(
        jopt.method_of_multipliers(jopt.sgd(RATE), 2),
        Vary(
            jopt.method_of_multipliers(jopt.adam(RATE), 2, 2.0, 0.5, limit=8.0),
            memory=24 / 17,
        ),
        tags="elementwise",
        needs="params",
        like=PAIR,
        skips=dict.fromkeys(
            ("P7", "P10", "A3", "W2", "C5"), "it takes a PrimalDual alone"
        ),
    ),
    "scale_by_nupi": record(
        jopt.scale_by_nupi(),
        jopt.scale_by_nupi(jopt.linear_schedule(2.0, 1.0, 5), 0.5, 0.9),
        jopt.scale_by_nupi(0.0),
        jopt.scale_by_nupi(-0.5, 1.0, 0.5, start="zeros"),
        tags=FREE,
        memory=1,
    ),
}


class NuPI:
    """The controller of the paper, leaf by leaf."""

    def __init__(self, kp=1.0, ki=1.0, nu=0.0, zeros=False):
        self.kp, self.ki, self.nu, self.zeros = kp, ki, nu, zeros
        self.xi = None

    def __call__(self, e):
        before = self.xi
        if before is None:
            before = 0.0 * e if self.zeros else e
        self.xi = self.nu * before + (1 - self.nu) * e
        return self.ki * e + self.kp * (self.xi - before)


def controlled(first, grads, lr=0.1, **gains):
    nupi = {k: NuPI(**gains) for k in first}

    def step(p, g, t):
        return {k: p[k] - at(lr, t) * nupi[k](g[k]) for k in p}

    return walk(first, grads, step)


def ascended(first, grads, lr=0.1, up=0.1, bounded=True, **gains):
    """The matrix descends; the vector is of multipliers."""
    nupi = NuPI(**gains)

    def step(p, g, t):
        m = p["b"] + at(up, t) * nupi(g["b"])
        m = np.maximum(m, 0.0) if bounded else m
        return {"w": p["w"] - at(lr, t) * g["w"], "b": m}

    return walk(first, grads, step)


def multiplied(
    first, grads, lr=0.1, every=2, growth=10.0, shrink=0.25, tolerance=1e-4, limit=1e4
):
    """The first number of the vector is the penalty; the others are multipliers."""
    last = np.inf

    def step(p, g, t):
        nonlocal last
        new = {"w": p["w"] - at(lr, t) * g["w"], "m": p["m"], "c": p["c"]}
        if (t + 1) % every == 0:
            new["m"] = np.maximum(p["m"] + p["c"] * g["m"], 0.0)
            size = np.sqrt(2 * max(g["c"], 0.0))
            if size > tolerance and size > shrink * last:
                new["c"] = min(growth * p["c"], max(limit, p["c"]))
            last = size
        return new

    return walk(first, grads, step)


def kind(name, leaf):
    return {"w": "params", "m": "inequalities", "c": "penalty"}[name]


RISING = jopt.scale_by_learning_rate(RAMP)
CERTIFICATES = [
    Rows(
        "scale_by_nupi",
        PAPER,
        [
            (
                jopt.chain(jopt.scale_by_nupi(2.0, 1.0, 0.5), RISING),
                {"lr": RATES, "kp": 2.0, "nu": 0.5},
            ),
            (
                jopt.chain(jopt.scale_by_nupi(0.5, 3.0, start="zeros"), RISING),
                {"lr": RATES, "kp": 0.5, "ki": 3.0, "zeros": True},
            ),
            (
                jopt.chain(jopt.scale_by_nupi(-0.5, 1.0, 0.9), RISING),
                {"lr": RATES, "kp": -0.5, "nu": 0.9},
            ),
        ],
        "tree",
        controlled,
    ),
    Rows(
        "primal_dual",
        PAPER,
        [
            (
                {"primal": jopt.sgd(0.1), "dual": jopt.sgd(0.1), "roles": at_most},
                {"kp": 0.0},
            ),
            (
                {"primal": jopt.sgd(RAMP), "dual": jopt.sgd(0.3), "roles": exactly},
                {"lr": RATES, "up": 0.3, "bounded": False, "kp": 0.0},
            ),
            (
                {"primal": jopt.sgd(0.1), "dual": DUAL, "roles": at_most},
                {"kp": 2.0},
            ),
        ],
        "tree",
        ascended,
    ),
    Rows(
        "method_of_multipliers",
        PAPER,
        [
            ({"primal": jopt.sgd(0.1), "every": 2, "roles": kind}, {}),
            (
                {"primal": jopt.sgd(RAMP), "every": 1, "growth": 2.0, "roles": kind},
                {"lr": RATES, "every": 1, "growth": 2.0},
            ),
            (
                {
                    "primal": jopt.sgd(0.1),
                    "every": 3,
                    "shrink": 1.0,
                    "limit": 5.0,
                    "tolerance": 1.0,
                    "roles": kind,
                },
                {"every": 3, "shrink": 1.0, "limit": 5.0, "tolerance": 1.0},
            ),
        ],
        "saddle",
        multiplied,
    ),
]
