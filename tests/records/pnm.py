"""Records of PNM and AdaPNM."""

import numpy as np

import jopt
from tests.case import (
    DECAY,
    FADING,
    FREE,
    is_matrix,
    RATE,
    record,
    STEP,
    Vary,
)
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.modern import each

CASES = {
    "pnm": record(
        jopt.pnm(RATE),
        jopt.pnm(RATE, b1=0.0),
        jopt.pnm(RATE, b0=0.0),
        Vary(jopt.pnm(RATE, weight_decay=0.1), DECAY, needs="params"),
        Vary(
            jopt.pnm(FADING, b0=0.3, weight_decay=0.1, mask=is_matrix),
            DECAY,
            needs="params",
        ),
        tags=STEP,
        memory=2,
    ),
    "adapnm": record(
        jopt.adapnm(RATE),
        jopt.adapnm(RATE, b1=0.5, b2=0.9, b0=0.5),
        Vary(jopt.adapnm(RATE, amsgrad=False), memory=3),
        Vary(jopt.adapnm(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.adapnm(FADING, eps=0.0),
        tags=f"{STEP} scale_invariant",
        memory=4,
    ),
    "scale_by_pnm": record(
        jopt.scale_by_pnm(), jopt.scale_by_pnm(0.5, 0.3), tags=FREE, memory=2
    ),
    "scale_by_adapnm": record(
        jopt.scale_by_adapnm(),
        Vary(jopt.scale_by_adapnm(0.5, 0.9, amsgrad=False), memory=3),
        tags=f"{FREE} scale_invariant",
        memory=4,
    ),
}


@each
def paper(p, grads, lr, b1=0.9, b2=0.999, b0=1.0, eps=1e-8, decay=0.0, amsgrad=True):
    path, v, top = [], 0.0, 0.0
    momenta = [np.zeros_like(p), np.zeros_like(p)]  # of even steps and of odd ones
    for t, (g, rate) in enumerate(zip(grads, lr, strict=False), 1):
        momenta[t % 2] = b1**2 * momenta[t % 2] + (1 - b1**2) * g
        v = b2 * v + (1 - b2) * g**2
        top = np.maximum(top, v)
        u = (1 + b0) * momenta[t % 2] - b0 * momenta[1 - t % 2]
        u = u / np.sqrt((1 + b0) ** 2 + b0**2) / (1 - b1**t)
        root = np.sqrt((top if amsgrad else v) / (1 - b2**t)) + eps
        p = p * (1 - rate * decay) - rate * u / root
        path.append(p)
    return path


CERTIFICATES = [
    Rows(
        "pnm",
        "pytorch_optimizer.PNM",
        [
            ({"learning_rate": 0.1}, {"lr": 0.1, "betas": (0.9, 1.0)}),
            (
                jopt.pnm(0.1, 0.5, 0.3, weight_decay=0.3),
                {"lr": 0.1, "betas": (0.5, 0.3), "weight_decay": 0.3},
            ),
            ({"learning_rate": RAMP}, {"lr": RATES, "betas": (0.9, 1.0)}),
        ],
    ),
    Rows(
        "adapnm",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": (0.1,) * 12}),
            (
                jopt.adapnm(RAMP, 0.5, 0.8, 0.3, 0.1, amsgrad=False, weight_decay=0.3),
                {
                    "lr": RATES,
                    "b1": 0.5,
                    "b2": 0.8,
                    "b0": 0.3,
                    "eps": 0.1,
                    "decay": 0.3,
                    "amsgrad": False,
                },
            ),
            (
                {"learning_rate": RAMP, "b2": 0.9, "weight_decay": 0.1},
                {"lr": RATES, "b2": 0.9, "decay": 0.1},
            ),
        ],
        "tree",
        paper,
    ),
]
