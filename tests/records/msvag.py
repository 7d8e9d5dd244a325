"""Records of M-SVAG."""

import jopt
from tests.case import DECAY, FADING, FREE, RATE, record, STEP, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

CASES = {
    "msvag": record(
        jopt.msvag(RATE),
        jopt.msvag(RATE, b1=0.5),
        jopt.msvag(RATE, b1=0.0),
        Vary(jopt.msvag(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.msvag(FADING),
        tags=STEP,
        memory=2,
    ),
    "scale_by_msvag": record(
        jopt.scale_by_msvag(),
        jopt.scale_by_msvag(0.5),
        tags=FREE,
        memory=2,
    ),
}


@stepwise
def paper(s, g, t, p, b1=0.9):
    s.m = b1 * s.m + (1 - b1) * g
    s.v = b1 * s.v + (1 - b1) * g**2
    m, v = s.m / (1 - b1**t), s.v / (1 - b1**t)
    if t == 1:
        return m
    rho = (1 - b1) * (1 + b1**t) / ((1 + b1) * (1 - b1**t))
    variance = (v - m**2) / (1 - rho)
    return m * m**2 / (m**2 + rho * variance)


CERTIFICATES = [
    Rows(
        "msvag",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "weight_decay": 0.3},
                {"lr": RATES, "b1": 0.5, "decay": 0.3},
            ),
            ({"learning_rate": 0.1, "b1": 0.99}, {"b1": 0.99}),
        ],
        "tree",
        paper,
    ),
]
