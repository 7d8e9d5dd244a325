"""Records of AvaGrad."""

import numpy as np

import jopt
from tests.case import DECAY, FADING, is_matrix, RATE, record, Vary
from tests.certificates.peer import Unsound
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.walk import at, stepped, walk

TAGS = "odd translation_invariant still complex global_scalar"

CASES = {
    "avagrad": record(
        jopt.avagrad(RATE),
        jopt.avagrad(RATE, b1=0.5, b2=0.9, debias=True),
        Vary(jopt.avagrad(0.01, weight_decay=0.1), DECAY, needs="params"),
        jopt.avagrad(RATE, eps=1e-8),
        Vary(
            jopt.avagrad(FADING, weight_decay=0.01, mask=is_matrix),
            DECAY,
            needs="params",
        ),
        tags=f"{TAGS} descends",
        memory=2,
    ),
    "scale_by_avagrad": record(
        jopt.scale_by_avagrad(),
        jopt.scale_by_avagrad(0.5, 0.9, 0.0, debias=True),
        tags=TAGS,
        memory=2,
    ),
}


def paper(first, grads, lr, b1=0.9, b2=0.999, eps=0.1, decay=0.0, debias=False):
    """Algorithm 2; the rates are those before the gradient is in them."""
    m = {k: np.zeros_like(x) for k, x in first.items()}
    v = {k: np.zeros_like(x) for k, x in first.items()}
    size = sum(x.size for x in first.values())

    def step(p, g, t):
        past, mean = 1.0, 1.0
        if debias:
            past, mean = 1 - b2**t if t else 1.0, 1 - b1 ** (t + 1)
        eta = {k: 1 / (np.sqrt(v[k] / past) + eps) for k in p}
        norm = np.sqrt(sum(np.sum(x**2) for x in eta.values()) / size)
        for k in p:
            m[k] = b1 * m[k] + (1 - b1) * g[k]
            v[k] = b2 * v[k] + (1 - b2) * g[k] ** 2
        u = {k: eta[k] / norm * m[k] / mean for k in p}
        return stepped(p, u, at(lr, t), decay)

    return walk(first, grads, step)


CERTIFICATES = [
    Rows(
        "avagrad",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                jopt.avagrad(RAMP, 0.5, 0.8, 1e-3, weight_decay=0.1),
                {"lr": RATES, "b1": 0.5, "b2": 0.8, "eps": 1e-3, "decay": 0.1},
            ),
            (
                {"learning_rate": 0.1, "debias": True},
                {"lr": 0.1, "debias": True},
            ),
        ],
        "tree",
        paper,
    )
]

UNSOUND = [
    Unsound(
        "pytorch_optimizer.AvaGrad",
        {"lr": 0.1},
        paper,
        {"lr": 0.1, "debias": True},
        "The rates are to have a mean square of 1. In this class, as in the authors' "
        "code, they are divided by the mean square of those of the step before, and "
        "the first step is left out.",
    )
]
