"""Records of SWATS."""

import numpy as np

import jopt
from tests.case import DECAY, FADING, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.walk import at, walk

TAGS = "odd translation_invariant still complex descends scale_invariant"
SWITCHED = "-elementwise +global_scalar"  # SGD's rate is one number of all gradients

CASES = {
    "swats": record(
        jopt.swats(RATE),
        Vary(jopt.swats(RATE, threshold=1e3), SWITCHED),
        jopt.swats(RATE, b1=0.5, b2=0.9, eps=0.0),
        Vary(
            jopt.swats(0.01, weight_decay=0.1),
            f"{DECAY} -scale_invariant",
            needs="params",
        ),
        jopt.swats(FADING),
        tags=f"{TAGS} elementwise",
        memory=2,
    ),
    "scale_by_swats": record(
        jopt.scale_by_swats(RATE),
        Vary(jopt.scale_by_swats(0.01, 0.5, 0.9, threshold=1e3), SWITCHED),
        tags=f"{TAGS} elementwise",
        memory=2,
    ),
}


def dot(a, b):
    return sum(np.sum(a[k] * b[k]) for k in a)


def paper(
    first, grads, lr, b1=0.9, b2=0.999, eps=1e-9, threshold=1e-9, decay=0.0, end=None
):
    """Algorithm 1. After a switch, the rate follows those of `lr`.

    `end` gets the step of the switch, if there is one.
    """
    m = {k: np.zeros_like(x) for k, x in first.items()}
    a = {k: np.zeros_like(x) for k, x in first.items()}
    mean, sgd = 0.0, None

    def step(params, grad, t):
        nonlocal mean, sgd
        k, alpha, p = t + 1, at(lr, t), {}
        g = {i: grad[i] + decay * params[i] for i in params}
        if sgd is not None:
            rate, v = sgd
            for i in params:
                v[i] = b1 * v[i] + g[i]
            return {i: params[i] - (1 - b1) * rate * alpha * v[i] for i in params}
        for i in params:
            m[i] = b1 * m[i] + (1 - b1) * g[i]
            a[i] = b2 * a[i] + (1 - b2) * g[i] ** 2
            size = alpha * np.sqrt(1 - b2**k) / (1 - b1**k)
            p[i] = -size * m[i] / (np.sqrt(a[i]) + eps)
        if dot(p, g) != 0:
            gamma = dot(p, p) / -dot(p, g)
            mean = b2 * mean + (1 - b2) * gamma
            found = mean / (1 - b2**k)
            if k > 1 and abs(found - gamma) < threshold and found > 0:
                sgd = found / alpha, {i: np.zeros_like(m[i]) for i in m}
                if end is not None:
                    end.append(k)
        return {i: params[i] + p[i] for i in params}

    return walk(first, grads, step)


def vector(first, grads, **settings):
    path = paper({"x": first}, [{"x": g} for g in grads], **settings)
    return [p["x"] for p in path]


CERTIFICATES = [
    Rows(
        "swats",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": 0.1, "threshold": 0.03},
                {"lr": 0.1, "threshold": 0.03},
            ),
            (
                jopt.swats(RAMP, 0.5, 0.8, 1e-3, threshold=0.03, weight_decay=0.1),
                {
                    "lr": RATES,
                    "b1": 0.5,
                    "b2": 0.8,
                    "eps": 1e-3,
                    "threshold": 0.03,
                    "decay": 0.1,
                },
            ),
        ],
        "tree",
        paper,
    ),
    Rows(
        "swats",
        "pytorch_optimizer.SWATS",
        [
            (
                jopt.swats(0.1, 0.5, 0.8, eps=1e-9, weight_decay=0.1),
                {"lr": 0.1, "betas": (0.5, 0.8), "eps": 1e-9, "weight_decay": 0.1},
            )
        ],
        "vector",
    ),
]
