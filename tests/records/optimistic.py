"""Records of the optimistic methods."""

import numpy as np
import optax

import jopt
from tests.case import FADING, FREE, RATE, record, STEP, Vary
from tests.certificates.peer import Peer
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.modern import each

CASES = {
    "optimistic_gradient_descent": record(
        jopt.optimistic_gradient_descent(RATE),
        jopt.optimistic_gradient_descent(RATE, alpha=0.5),
        jopt.optimistic_gradient_descent(RATE, beta=0.1),
        jopt.optimistic_gradient_descent(RATE, beta=0.0),
        jopt.optimistic_gradient_descent(FADING),
        tags=STEP,
        memory=1,
    ),
    "optimistic_adam": record(
        jopt.optimistic_adam(RATE),
        jopt.optimistic_adam(RATE, alpha=0.5, beta=0.1),
        jopt.optimistic_adam(RATE, b1=0.5, b2=0.9, nesterov=True),
        Vary(jopt.optimistic_adam(RATE, eps_root=1e-2), "-scale_invariant"),
        jopt.optimistic_adam(FADING, eps=0.0),
        tags=f"{STEP} scale_invariant",
        memory=3,
    ),
    "scale_by_optimistic_gradient": record(
        jopt.scale_by_optimistic_gradient(),
        jopt.scale_by_optimistic_gradient(0.5, 0.1),
        tags=FREE,
        memory=1,
    ),
}


@each
def gradient_descent(p, grads, lr, alpha=1.0, beta=1.0):
    path, last = [], grads[0]
    for g, rate in zip(grads, lr, strict=False):
        p = p - rate * ((alpha + beta) * g - beta * last)
        path.append(p)
        last = g
    return path


@each
def adam(p, grads, lr, alpha=1.0, beta=1.0, b1=0.9, b2=0.999, eps=1e-8):
    path, m, v, last = [], 0.0, 0.0, None
    for t, (g, rate) in enumerate(zip(grads, lr, strict=False), 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        step = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)
        p = p - rate * ((alpha + beta) * step - beta * (step if t == 1 else last))
        path.append(p)
        last = step
    return path


CONSTANT = (0.1,) * 12

CERTIFICATES = [
    Rows(
        "optimistic_gradient_descent",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": CONSTANT}),
            (
                {"learning_rate": 0.1, "alpha": 0.5, "beta": 0.3},
                {"lr": CONSTANT, "alpha": 0.5, "beta": 0.3},
            ),
            ({"learning_rate": RAMP}, {"lr": RATES}),
        ],
        "tree",
        gradient_descent,
    ),
    Rows(
        "optimistic_adam",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": CONSTANT}),
            (
                jopt.optimistic_adam(0.1, alpha=0.5, beta=0.3, b1=0.5, b2=0.8, eps=0.1),
                {
                    "lr": CONSTANT,
                    "alpha": 0.5,
                    "beta": 0.3,
                    "b1": 0.5,
                    "b2": 0.8,
                    "eps": 0.1,
                },
            ),
            ({"learning_rate": RAMP}, {"lr": RATES}),
        ],
        "tree",
        adam,
    ),
]

PEERS = [
    Peer(
        "optimistic_gradient_descent-paper-1",
        "optimistic_gradient_descent(0.1, 0.5, 0.3)",
        lambda: optax.optimistic_gradient_descent(0.1, 0.5, 0.3),
        1e-9,
    ),
    Peer(
        "optimistic_adam-paper-0",
        "optimistic_adam_v2(0.1)",
        lambda: optax.optimistic_adam_v2(0.1),
        None,
        "`nesterov=True` by default",
    ),
]
