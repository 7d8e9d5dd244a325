"""Records of MADGRAD."""

import optax

import jopt
from tests.case import FADING, is_matrix, RATE, record, STEP, Vary
from tests.certificates.peer import Peer
from tests.certificates.record import RAMP, RATES, Rows

ROOT = {"A8": "by its rule the first step grows as the rate to the power of 2/3"}

CASES = {
    "madgrad": record(
        jopt.madgrad(RATE),
        jopt.madgrad(RATE, momentum=0.0),
        jopt.madgrad(RATE, momentum=0.5, eps=1e-3),
        Vary(
            jopt.madgrad(RATE, weight_decay=0.1),
            "-translation_invariant -still",
        ),
        Vary(
            jopt.madgrad(FADING, eps=0.0, weight_decay=0.1, mask=is_matrix),
            "-translation_invariant -still",
        ),
        tags=STEP,
        needs="params",
        memory=3,
        skips=ROOT,
    ),
    "scale_by_madgrad": record(
        jopt.scale_by_madgrad(RATE),
        jopt.scale_by_madgrad(0.01, 0.0, 1e-3),
        tags=STEP,
        needs="params",
        memory=3,
        skips=ROOT,
    ),
}

CERTIFICATES = [
    Rows(
        "madgrad",
        "pytorch_optimizer.MADGRAD",
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                jopt.madgrad(0.01, 0.5, 0.1, 1e-3),
                {"lr": 0.01, "momentum": 0.5, "weight_decay": 0.1, "eps": 1e-3},
            ),
            ({"learning_rate": RAMP, "momentum": 0.0}, {"lr": RATES, "momentum": 0.0}),
        ],
    ),
]

PEERS = [
    Peer(
        "madgrad-1",
        "contrib.madgrad(0.01, 0.5, 0.1, 1e-3)",
        lambda: optax.contrib.madgrad(0.01, 0.5, 0.1, 1e-3),
        1e-6,
        "the root of its step is formed in float32",
    )
]
