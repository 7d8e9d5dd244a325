"""Records of AdamH."""

import numpy as np

import jopt
from tests.case import FADING, is_matrix, RATE, record
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.walk import Adam, at, walk

CURVED = {"A8": "by its rule a step ends on the sphere, not on the tangent"}

CASES = {
    "adamh": record(
        jopt.adamh(RATE),
        jopt.adamh(RATE, b1=0.5, b2=0.9),
        jopt.adamh(0.01, mask=is_matrix),
        jopt.adamh(RATE, stacked=True),
        jopt.adamh(FADING, eps=0.0),
        tags="odd still complex descends scale_invariant",
        needs="params",
        memory=2,
        skips=CURVED,
    ),
}


def paper(first, grads, lr=0.1, held=("b", "w"), **settings):
    adam = Adam(**settings)

    def step(params, grad, t):
        new = {}
        for k, u in adam(grad).items():
            p, rate = params[k], at(lr, t)
            if k not in held:
                new[k] = p - rate * u
                continue
            size = np.linalg.norm(p)
            q = p - rate * size * u / np.linalg.norm(u)
            new[k] = q * size / np.linalg.norm(q)
        return new

    return walk(first, grads, step)


CERTIFICATES = [
    Rows(
        "adamh",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "b2": 0.8},
                {"lr": RATES, "b1": 0.5, "b2": 0.8},
            ),
            ({"learning_rate": 0.01, "mask": is_matrix}, {"lr": 0.01, "held": ("w",)}),
        ],
        "tree",
        paper,
    ),
]
