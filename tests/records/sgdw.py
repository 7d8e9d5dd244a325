"""Records of SGDW."""

import jopt
from tests.case import DECAYED, FADING, PLAIN, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

CASES = {
    "sgdw": record(
        jopt.sgdw(RATE),
        Vary(jopt.sgdw(RATE, momentum=None, weight_decay=0.1), memory=0),
        jopt.sgdw(RATE, nesterov=True),
        Vary(
            jopt.sgdw(RATE, 0.5, dampening=0.5, weight_decay=0.0),
            PLAIN,
            needs="",
        ),
        jopt.sgdw(FADING, 0.5),
        tags=DECAYED,
        needs="params",
        memory=1,
    ),
}


@stepwise
def paper(s, g, t, p, momentum=0.9, nesterov=False, dampening=0.0):
    s.m = momentum * s.m + (g if t == 1 else (1 - dampening) * g)
    return g + momentum * s.m if nesterov else s.m


CERTIFICATES = [
    Rows(
        "sgdw",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1, "decay": 1e-4}),
            (
                {"learning_rate": RAMP, "momentum": 0.5, "weight_decay": 0.3},
                {"lr": RATES, "momentum": 0.5, "decay": 0.3},
            ),
            (
                {"learning_rate": 0.1, "nesterov": True, "weight_decay": 0.1},
                {"nesterov": True, "decay": 0.1},
            ),
            (
                {"learning_rate": 0.1, "dampening": 0.4, "weight_decay": 0.1},
                {"dampening": 0.4, "decay": 0.1},
            ),
        ],
        "tree",
        paper,
    ),
]
