"""Records of LARC."""

import numpy as np

import jopt
from tests.case import FADING, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.walk import at, walk

CAP = {
    "A5": "it holds only where the rate is capped, as with the large gradients here",
    "A8": "where it is capped, the step does not depend on the learning rate",
}

CASES = {
    "larc": record(
        jopt.larc(RATE),
        jopt.larc(RATE, 0.5, nesterov=True),
        Vary(jopt.larc(RATE, momentum=None, trust_coefficient=0.1), memory=0),
        jopt.larc(RATE, weight_decay=0.1),
        jopt.larc(FADING, eps=0.0),
        tags="odd still complex descends",
        needs="params",
        memory=1,
        skips=CAP,
    ),
    "scale_by_larc": record(
        jopt.scale_by_larc(RATE),
        jopt.scale_by_larc(FADING, 0.1),
        tags="odd still complex",
        needs="params",
        skips=CAP,
    ),
}


def capped(first, grads, lr=0.1, trust=0.02, decay=0.0, momentum=0.9, eps=1e-8):
    m = dict.fromkeys(first, 0.0)

    def step(params, grad, t):
        new, rate = {}, at(lr, t)
        for k, p in params.items():
            size, slope = np.linalg.norm(p), np.linalg.norm(grad[k])
            local = min(trust * size / (slope + decay * size + eps) / rate, 1.0)
            m[k] = momentum * m[k] + local * (grad[k] + decay * p)
            new[k] = p - rate * m[k]
        return new

    return walk(first, grads, step)


CERTIFICATES = [
    Rows(
        "larc",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "momentum": 0.5, "weight_decay": 0.3},
                {"lr": RATES, "momentum": 0.5, "decay": 0.3},
            ),
            (
                {"learning_rate": 0.01, "trust_coefficient": 0.1, "eps": 0.1},
                {"lr": 0.01, "trust": 0.1, "eps": 0.1},
            ),
        ],
        "tree",
        capped,
    ),
]
