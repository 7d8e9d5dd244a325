"""Records of AdaHessian."""

import jax
import numpy as np

import jopt
from tests.case import DECAY, FADING, FREE, RATE, record, STEP, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.given import with_hessian
from tests.references.stepwise import stepwise

UNEVEN = "-scale_invariant"

CASES = {
    "adahessian": record(
        Vary(jopt.adahessian(RATE), UNEVEN),
        with_hessian(jopt.adahessian(RATE)),
        Vary(with_hessian(jopt.adahessian(RATE, 0.5, 0.9, hessian_power=0.5)), UNEVEN),
        Vary(
            with_hessian(jopt.adahessian(RATE, averaged_axes="rows")),
            "-elementwise +matrix",
            memory=(15 + 7) / 15,
        ),
        Vary(
            with_hessian(jopt.adahessian(RATE, eps=1e-8, weight_decay=0.1)),
            DECAY,
            needs="params",
        ),
        with_hessian(jopt.adahessian(FADING)),
        tags=f"{STEP} scale_invariant",
        memory=2,
    ),
    "scale_by_adahessian": record(
        with_hessian(jopt.scale_by_adahessian()),
        with_hessian(jopt.scale_by_adahessian(eps=0.0)),
        tags=f"{FREE} scale_invariant",
        memory=2,
    ),
}


def product(params, grads):
    """In the place of an estimate of the Hessian's diagonal."""
    return {"hessian": jax.tree.map(lambda p, g: p * g, params, grads)}


@stepwise
def paper(s, g, t, p, b1=0.9, b2=0.999, eps=1e-4, k=1.0, rows=False):
    d = np.abs(g * p)
    if rows and d.ndim == 2:
        d = np.repeat(d.mean(1)[:, None], d.shape[1], 1)
    s.m = b1 * s.m + (1 - b1) * g
    s.v = b2 * s.v + (1 - b2) * d**2
    return s.m / (1 - b1**t) / (np.sqrt(s.v / (1 - b2**t)) ** k + eps)


CERTIFICATES = [
    Rows(
        "adahessian",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "b2": 0.8, "hessian_power": 0.5},
                {"lr": RATES, "b1": 0.5, "b2": 0.8, "k": 0.5},
            ),
            (
                {
                    "learning_rate": 0.1,
                    "eps": 0.1,
                    "weight_decay": 0.3,
                    "averaged_axes": "rows",
                },
                {"lr": 0.1, "eps": 0.1, "decay": 0.3, "rows": True},
            ),
        ],
        "tree",
        paper,
        product,
    ),
    Rows(
        "adahessian",
        "pytorch_optimizer.AdaHessian",
        [
            ({"learning_rate": 0.1, "eps": 1e-16}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "b2": 0.8, "hessian_power": 0.5},
                {
                    "lr": RATES,
                    "betas": (0.5, 0.8),
                    "hessian_power": 0.5,
                    "eps": 1e-4,
                },
            ),
            (
                {"learning_rate": 0.1, "weight_decay": 0.3},
                {"lr": 0.1, "weight_decay": 0.3, "eps": 1e-4},
            ),
        ],
        "tree",
        extra=product,
    ),
]
