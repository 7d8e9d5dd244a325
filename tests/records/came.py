"""Records of CAME."""

import jopt
from tests.case import FADING, is_matrix, RATE, record, Vary
from tests.certificates.record import RAMP, RATES, Rows

TAGS = "odd translation_invariant still complex descends scale_invariant matrix"
MEMORY = (15 + 3 + 2 * 7) / 15

CASES = {
    "came": record(
        jopt.came(RATE),
        jopt.came(RATE, b1=0.5, b2=0.9, b3=0.99),
        jopt.came(RATE, eps=1e-20, eps_res=1e-8, clipping_threshold=0.1),
        Vary(
            jopt.came(RATE, weight_decay=0.1),
            "-translation_invariant -still",
            needs="params",
        ),
        Vary(
            jopt.came(FADING, weight_decay=0.1, mask=is_matrix),
            "-translation_invariant -still",
            needs="params",
        ),
        tags=TAGS,
        memory=MEMORY,
    ),
    "scale_by_came": record(
        jopt.scale_by_came(),
        jopt.scale_by_came(0.5, 0.9, 0.99),
        tags=TAGS.replace("descends ", ""),
        memory=MEMORY,
    ),
}

CERTIFICATES = [
    Rows(
        "came",
        "came_pytorch.CAME",
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                jopt.came(0.1, 0.5, 0.8, 0.9, 0.1, 0.01, 0.5, weight_decay=0.3),
                {
                    "lr": 0.1,
                    "betas": (0.5, 0.8, 0.9),
                    "eps": (0.1, 0.01),
                    "clip_threshold": 0.5,
                    "weight_decay": 0.3,
                },
            ),
            ({"learning_rate": RAMP}, {"lr": RATES}),
        ],
        "tree",
    )
]
