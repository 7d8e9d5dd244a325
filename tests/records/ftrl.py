"""Records of FTRL."""

import numpy as np

import jopt
from tests.case import FADING, RATE, record
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.modern import each

ROUNDED = (
    "it solves for the parameters out of float32 sums, so where loops are compiled "
    "differently an ulp of a power is up to 1e-5 of a small update"
)
SOLVES = {
    "A1": ROUNDED,
    "A3": ROUNDED,
    "A8": "it solves for the parameters, and forgets part of the first ones",
}

CASES = {
    "ftrl": record(
        jopt.ftrl(RATE),
        jopt.ftrl(RATE, l1_regularization_strength=0.1),
        jopt.ftrl(RATE, l2_regularization_strength=0.1, beta=1.0),
        jopt.ftrl(RATE, -0.7, 1.0, l2_shrinkage_regularization_strength=0.1),
        jopt.ftrl(FADING, initial_accumulator_value=1.0),
        tags="elementwise odd complex descends",
        needs="params",
        memory=2,
        skips=SOLVES,
    ),
    "scale_by_ftrl": record(
        jopt.scale_by_ftrl(RATE),
        jopt.scale_by_ftrl(RATE, -0.5, 0.5, 0.1, 0.1, 0.1, 1.0),
        tags="elementwise odd complex descends",
        needs="params",
        memory=2,
        skips=SOLVES,
    ),
}


@each
def paper(p, grads, lr, power=-0.5, initial=0.1, l1=0.0, l2=0.0, shrink=0.0, beta=0.0):
    path, n, z = [], np.full_like(p, initial), np.zeros_like(p)
    for g, rate in zip(grads, lr, strict=False):
        sigma = ((n + g * g) ** -power - n**-power) / rate
        n = n + g * g
        z = z + g + 2 * shrink * p - sigma * p
        bottom = n**-power / rate + 2 * (l2 + beta / (2 * rate))
        p = np.where(np.abs(z) <= l1, 0.0, (l1 * np.sign(z) - z) / bottom)
        path.append(p)
    return path


KERAS = {"lr": 0.1, "initial_accumulator_value": 0.3, "beta": 0.5}
PENALTIES = {
    "l1_regularization_strength": 0.2,
    "l2_regularization_strength": 0.1,
    "l2_shrinkage_regularization_strength": 0.05,
}

CERTIFICATES = [
    Rows(
        "ftrl",
        "keras.optimizers.Ftrl",
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (jopt.ftrl(0.1, -0.5, 0.3, beta=0.5, **PENALTIES), KERAS | PENALTIES),
            (
                {"learning_rate": 0.1, "learning_rate_power": -0.7},
                {"lr": 0.1, "learning_rate_power": -0.7},
            ),
        ],
    ),
    Rows(
        "ftrl",
        PAPER,
        [
            (
                jopt.ftrl(RAMP, l1_regularization_strength=0.2, beta=1.0),
                {"lr": RATES, "l1": 0.2, "beta": 1.0},
            ),
        ],
        "tree",
        paper,
    ),
]
