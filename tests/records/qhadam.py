"""Records of QHAdam and QHM."""

import numpy as np

import jopt
from tests.case import DECAY, FADING, FREE, RATE, record, STEP, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

CANCELS = (
    "gradient and average cancel in places, and loops compiled differently round apart"
)

CASES = {
    "qhadam": record(
        jopt.qhadam(RATE),
        jopt.qhadam(RATE, b1=0.5, b2=0.9, nu2=0.7),
        jopt.qhadam(RATE, nu1=1.0),
        Vary(jopt.qhadam(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.qhadam(FADING),
        tags=f"{STEP} scale_invariant",
        memory=2,
    ),
    "scale_by_qhadam": record(
        Vary(jopt.scale_by_qhadam(), skips={"A1": CANCELS}),
        jopt.scale_by_qhadam(0.5, 0.9, 0.2, 0.3),
        tags=f"{FREE} scale_invariant",
        memory=2,
    ),
    "qhm": record(
        jopt.qhm(RATE),
        jopt.qhm(RATE, momentum=0.5),
        jopt.qhm(RATE, nu=1.0),
        Vary(jopt.qhm(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.qhm(FADING),
        tags=STEP,
        memory=1,
    ),
    "scale_by_qhm": record(
        jopt.scale_by_qhm(),
        jopt.scale_by_qhm(0.5, 0.9),
        tags=FREE,
        memory=1,
    ),
}


@stepwise
def qhadam(s, g, t, p, b1=0.995, b2=0.999, nu1=0.7, nu2=1.0, eps=1e-8):
    s.m = b1 * s.m + (1 - b1) * g
    s.v = b2 * s.v + (1 - b2) * g**2
    top = (1 - nu1) * g + nu1 * s.m / (1 - b1**t)
    return top / (np.sqrt((1 - nu2) * g**2 + nu2 * s.v / (1 - b2**t)) + eps)


@stepwise
def qhm(s, g, t, p, beta=0.999, nu=0.7, penalty=0.0):
    g = g + penalty * p
    s.m = beta * s.m + (1 - beta) * g
    return (1 - nu) * g + nu * s.m


CERTIFICATES = [
    Rows(
        "qhadam",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "b2": 0.8, "weight_decay": 0.3},
                {"lr": RATES, "b1": 0.5, "b2": 0.8, "decay": 0.3},
            ),
            (
                {"learning_rate": 0.1, "nu1": 0.3, "nu2": 0.6, "eps": 0.1},
                {"nu1": 0.3, "nu2": 0.6, "eps": 0.1},
            ),
        ],
        "tree",
        qhadam,
    ),
    Rows(
        "qhm",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "momentum": 0.5, "weight_decay": 0.3},
                {"lr": RATES, "beta": 0.5, "penalty": 0.3},
            ),
            (
                {"learning_rate": 0.1, "momentum": 0.9, "nu": 0.2},
                {"beta": 0.9, "nu": 0.2},
            ),
        ],
        "tree",
        qhm,
    ),
]
