"""Records of Tiger."""

import jopt
from tests.case import DECAYED, FADING, is_matrix, PLAIN, RATE, record, Vary
from tests.certificates.record import RAMP, RATES, Rows

CASES = {
    "tiger": record(
        jopt.tiger(RATE),
        jopt.tiger(RATE, beta=0.5),
        jopt.tiger(RATE, weight_decay=0.1, mask=is_matrix),
        Vary(jopt.tiger(RATE, weight_decay=0.0), PLAIN, needs=""),
        jopt.tiger(FADING, beta=0.0),
        tags=f"{DECAYED} scale_invariant",
        needs="params",
        memory=1,
    ),
}

CERTIFICATES = [
    Rows(
        "tiger",
        "pytorch_optimizer.Tiger",
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                jopt.tiger(0.1, 0.5, weight_decay=0.3),
                {"lr": 0.1, "beta": 0.5, "weight_decay": 0.3},
            ),
            (
                {"learning_rate": RAMP, "weight_decay": 0.1},
                {"lr": RATES, "weight_decay": 0.1},
            ),
        ],
    )
]
