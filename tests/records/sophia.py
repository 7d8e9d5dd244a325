"""Records of Sophia."""

import jax
import numpy as np

import jopt
from tests.case import DECAYED, FADING, FREE, PLAIN, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

CASES = {
    "sophia": record(
        jopt.sophia(RATE),
        jopt.sophia(RATE, b1=0.5, b2=0.9),
        jopt.sophia(RATE, gamma=0.05, clip_threshold=0.5),
        Vary(jopt.sophia(RATE, weight_decay=0.0), PLAIN, needs=""),
        jopt.sophia(FADING),
        tags=f"{DECAYED} scale_invariant",
        needs="params",
        memory=2,
    ),
    "scale_by_sophia": record(
        jopt.scale_by_sophia(),
        jopt.scale_by_sophia(0.5, 0.9),
        tags=f"{FREE} scale_invariant",
        memory=2,
    ),
}


def square(params, grads):
    """An estimate of the Hessian's diagonal, as that of Gauss, Newton and Bartlett."""
    return {"hessian": jax.tree.map(lambda g: g * g, grads)}


@stepwise
def paper(s, g, t, p, b1=0.965, b2=0.99, eps=1e-12, gamma=0.01, clip=1.0):
    s.m = b1 * s.m + (1 - b1) * g
    s.h = b2 * s.h + (1 - b2) * g**2
    return np.clip(s.m / np.maximum(gamma * s.h, eps), -clip, clip)


CERTIFICATES = [
    Rows(
        "sophia",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1, "decay": 1e-4}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "b2": 0.8, "gamma": 1.0},
                {"lr": RATES, "b1": 0.5, "b2": 0.8, "gamma": 1.0, "decay": 1e-4},
            ),
            (
                {
                    "learning_rate": 0.1,
                    "gamma": 3.0,
                    "clip_threshold": 0.5,
                    "weight_decay": 0.3,
                    "eps": 0.1,
                },
                {"gamma": 3.0, "clip": 0.5, "decay": 0.3, "eps": 0.1},
            ),
        ],
        "tree",
        paper,
        square,
    ),
]
