"""Records of AccSGD."""

import jopt
from tests.case import DECAY, FADING, FREE, is_matrix, RATE, record, STEP, Vary
from tests.certificates.record import RAMP, RATES, Rows

CASES = {
    "accsgd": record(
        jopt.accsgd(RATE),
        jopt.accsgd(RATE, kappa=100.0, xi=5.0),
        jopt.accsgd(0.01, small_const=0.9),
        Vary(jopt.accsgd(RATE, weight_decay=0.1), DECAY, needs="params"),
        Vary(
            jopt.accsgd(FADING, weight_decay=0.1, mask=is_matrix),
            DECAY,
            needs="params",
        ),
        tags=STEP,
        memory=1,
    ),
    "scale_by_accsgd": record(
        jopt.scale_by_accsgd(), jopt.scale_by_accsgd(50.0, 5.0), tags=FREE, memory=1
    ),
}

CERTIFICATES = [
    Rows(
        "accsgd",
        "pytorch_optimizer.AccSGD",
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                jopt.accsgd(0.01, 50.0, 5.0, 0.9, weight_decay=0.1),
                {
                    "lr": 0.01,
                    "kappa": 50.0,
                    "xi": 5.0,
                    "constant": 0.9,
                    "weight_decay": 0.1,
                },
            ),
            ({"learning_rate": RAMP}, {"lr": RATES}),
        ],
    )
]
