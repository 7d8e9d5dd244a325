"""Records of Grams."""

import jopt
from tests.case import DECAY, FADING, FREE, is_matrix, RATE, record, STEP, Vary
from tests.certificates.record import RAMP, RATES, Rows

CASES = {
    "grams": record(
        jopt.grams(RATE),
        jopt.grams(RATE, b1=0.5, b2=0.9),
        Vary(jopt.grams(RATE, eps_root=1e-2), "-scale_invariant"),
        Vary(jopt.grams(RATE, weight_decay=0.1, mask=is_matrix), DECAY, needs="params"),
        jopt.grams(FADING, eps=0.0),
        tags=f"{STEP} scale_invariant",
        memory=2,
    ),
    "scale_by_grams": record(
        jopt.scale_by_grams(),
        jopt.scale_by_grams(0.5, 0.9),
        tags=f"{FREE} scale_invariant",
        memory=2,
    ),
}

CERTIFICATES = [
    Rows(
        "grams",
        "pytorch_optimizer.Grams",
        [
            ({"learning_rate": 0.1}, {"lr": 0.1, "eps": 1e-8, "weight_decay": 0.0}),
            (
                jopt.grams(0.1, 0.5, 0.8, 0.1, weight_decay=0.3),
                {"lr": 0.1, "betas": (0.5, 0.8), "eps": 0.1, "weight_decay": 0.3},
            ),
            (
                {"learning_rate": RAMP},
                {"lr": RATES, "eps": 1e-8, "weight_decay": 0.0},
            ),
        ],
    )
]
