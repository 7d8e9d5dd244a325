"""Records of Ranger."""

import jopt
from tests.case import FADING, RATE, record, Vary
from tests.certificates.record import RAMP, RATES, Rows

TAGS = "odd translation_invariant still complex descends matrix"

CASES = {
    "ranger": record(
        jopt.ranger(RATE),
        Vary(jopt.ranger(RATE, centralized=False), "-matrix +elementwise"),
        jopt.ranger(RATE, b2=0.9, sync_period=2, slow_step_size=0.8),
        Vary(
            jopt.ranger(RATE, weight_decay=0.1, threshold=4.0),
            "-translation_invariant -still",
        ),
        jopt.ranger(FADING, sync_period=3),
        tags=TAGS,
        needs="params",
        memory=3,
    ),
}

# without it the package ascends until the second moment counts
PLAIN_FIRST = {"degenerated_to_sgd": True}

CERTIFICATES = [
    Rows(
        "ranger",
        "pytorch_optimizer.Ranger",
        [
            ({"learning_rate": 0.1}, {"lr": 0.1} | PLAIN_FIRST),
            (
                jopt.ranger(
                    0.1,
                    0.5,
                    0.8,
                    0.1,
                    sync_period=3,
                    slow_step_size=0.3,
                    weight_decay=0.1,
                ),
                {
                    "lr": 0.1,
                    "betas": (0.5, 0.8),
                    "eps": 0.1,
                    "k": 3,
                    "alpha": 0.3,
                    "weight_decay": 0.1,
                }
                | PLAIN_FIRST,
            ),
            (
                {"learning_rate": RAMP, "centralized": False, "b2": 0.9},
                {"lr": RATES, "use_gc": False, "betas": (0.95, 0.9)} | PLAIN_FIRST,
            ),
        ],
        "tree",
    )
]
