"""Records of Adai."""

import jopt
from tests.case import FADING, is_matrix, RATE, record, Vary
from tests.certificates.record import RAMP, RATES, Rows

TAGS = "odd translation_invariant still complex descends global_scalar"
DECAYED = "-translation_invariant -still"

CASES = {
    "adai": record(
        jopt.adai(RATE),
        jopt.adai(1.0, b0=0.5),
        jopt.adai(RATE, b2=0.9, eps=1e-2),
        Vary(jopt.adai(RATE, weight_decay=0.1), DECAYED, needs="params"),
        jopt.adai(FADING),
        tags=TAGS,
        memory=3,
    ),
    "adaiw": record(
        jopt.adaiw(RATE),
        jopt.adaiw(1.0, b0=0.5, weight_decay=0.1),
        jopt.adaiw(RATE, b2=0.9, eps=1e-2),
        Vary(
            jopt.adaiw(RATE, weight_decay=0.0),
            "+translation_invariant +still",
            needs="",
        ),
        jopt.adaiw(FADING, weight_decay=0.1, mask=is_matrix),
        tags="odd complex descends global_scalar",
        needs="params",
        memory=3,
    ),
    "scale_by_adai": record(
        jopt.scale_by_adai(),
        jopt.scale_by_adai(0.5, 0.9),
        tags=TAGS.replace("descends ", ""),
        memory=3,
    ),
}

DECOUPLED = {"weight_decouple": True}

CERTIFICATES = [
    Rows(
        "adai",
        "pytorch_optimizer.Adai",
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                jopt.adai(0.1, 0.5, 0.8, 0.1, weight_decay=0.1),
                {"lr": 0.1, "betas": (0.5, 0.8), "eps": 0.1, "weight_decay": 0.1},
            ),
            ({"learning_rate": RAMP}, {"lr": RATES}),
        ],
        "tree",
    ),
    Rows(
        "adaiw",
        "pytorch_optimizer.Adai",
        [
            (
                {"learning_rate": 0.1, "weight_decay": 0.1},
                {"lr": 0.1, "weight_decay": 0.1} | DECOUPLED,
            ),
            (
                jopt.adaiw(0.1, 0.5, 0.8, 0.1, weight_decay=0.3),
                {"lr": 0.1, "betas": (0.5, 0.8), "eps": 0.1, "weight_decay": 0.3}
                | DECOUPLED,
            ),
            (
                {"learning_rate": RAMP, "weight_decay": 0.3},
                {"lr": RATES, "weight_decay": 0.3} | DECOUPLED,
            ),
        ],
        "tree",
    ),
]
