"""Records of AggMo."""

import jopt
from tests.case import DECAY, FADING, FREE, is_matrix, RATE, record, STEP, Vary
from tests.certificates.record import RAMP, RATES, Rows

CASES = {
    "aggmo": record(
        jopt.aggmo(RATE),
        Vary(jopt.aggmo(RATE, (0.5,)), memory=1),
        Vary(jopt.aggmo(RATE, (0.0, 0.9, 0.99, 0.999)), memory=4),
        Vary(jopt.aggmo(RATE, weight_decay=0.1), DECAY, needs="params"),
        Vary(
            jopt.aggmo(FADING, weight_decay=0.1, mask=is_matrix),
            DECAY,
            needs="params",
        ),
        tags=STEP,
        memory=3,
    ),
    "scale_by_aggmo": record(
        jopt.scale_by_aggmo(),
        Vary(jopt.scale_by_aggmo((0.0, 0.5)), memory=2),
        tags=FREE,
        memory=3,
    ),
}

CERTIFICATES = [
    Rows(
        "aggmo",
        "pytorch_optimizer.AggMo",
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                jopt.aggmo(0.1, (0.3, 0.8), weight_decay=0.1),
                {"lr": 0.1, "betas": (0.3, 0.8), "weight_decay": 0.1},
            ),
            ({"learning_rate": RAMP}, {"lr": RATES}),
        ],
    )
]
