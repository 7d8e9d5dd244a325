"""Records of BCOS."""

import numpy as np

import jopt
from tests.case import DECAYED, FADING, FREE, is_matrix, PLAIN, RATE, record, Vary
from tests.certificates.peer import Unsound
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.modern import each

CASES = {
    "bcos": record(
        jopt.bcos(RATE),
        Vary(jopt.bcos(RATE, mode="m", beta2=0.99), memory=2),
        jopt.bcos(RATE, mode="g"),
        Vary(jopt.bcos(RATE, 0.5, simple_cond=True, weight_decay=0.0), PLAIN, needs=""),
        jopt.bcos(FADING, eps=0.0, mask=is_matrix),
        tags=f"{DECAYED} scale_invariant",
        needs="params",
        memory=1,
    ),
    "scale_by_bcos": record(
        jopt.scale_by_bcos(),
        Vary(jopt.scale_by_bcos(0.5, mode="m"), memory=2),
        tags=f"{FREE} scale_invariant",
        memory=1,
    ),
}


@each
def paper(p, grads, lr, beta=0.9, beta2=None, eps=1e-6, decay=0.1, simple=False):
    path, m = [], grads[0]
    for g, rate in zip(grads, lr, strict=False):
        v = (3 * beta**2 - 2 * beta**3) * m**2 + (1 - beta) ** 2 * g**2
        v = v + 2 * beta * (1 - beta) ** 2 * m * g
        if simple:
            b = 1 - (1 - beta) ** 2 if beta2 is None else beta2
            v = b * m**2 + (1 - b) * g**2
        m = beta * m + (1 - beta) * g
        p = p * (1 - rate * decay) - rate * m / (np.sqrt(v) + eps)
        path.append(p)
    return path


CERTIFICATES = [
    Rows(
        "bcos",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": (0.1,) * 12}),
            (
                jopt.bcos(0.1, 0.5, 0.8, 0.1, weight_decay=0.3, simple_cond=True),
                {
                    "lr": (0.1,) * 12,
                    "beta": 0.5,
                    "beta2": 0.8,
                    "eps": 0.1,
                    "decay": 0.3,
                    "simple": True,
                },
            ),
            (
                {"learning_rate": 0.1, "simple_cond": True},
                {"lr": (0.1,) * 12, "simple": True},
            ),
            ({"learning_rate": RAMP}, {"lr": RATES}),
        ],
        "tree",
        paper,
    ),
    Rows(
        "bcos",
        "pytorch_optimizer.BCOS",
        [
            ({"learning_rate": 0.1, "mode": "g"}, {"lr": 0.1, "mode": "g"}),
            (
                jopt.bcos(RAMP, 0.5, 0.8, mode="m"),
                {"lr": RATES, "beta": 0.5, "beta2": 0.8, "mode": "m"},
            ),
        ],
    ),
]

UNSOUND = [
    Unsound(
        "pytorch_optimizer.BCOS",
        {"lr": 0.1},
        paper,
        {"lr": (0.1,) * 12},
        "The second moment is conditional on the last momentum. In this class it reads "
        "the momentum after the new gradient is in it, because the momentum is changed "
        'in place first. Modes `"g"` and `"m"` are sound.',
    )
]
