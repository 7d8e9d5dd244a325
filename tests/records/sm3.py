"""Records of SM3."""

import optax

import jopt
from tests.case import FADING, RATE, record, Vary
from tests.certificates.peer import Peer
from tests.certificates.record import RAMP, RATES, Rows

TAGS = "odd translation_invariant still complex descends scale_invariant matrix"

CASES = {
    "sm3": record(
        jopt.sm3(RATE),
        jopt.sm3(RATE, momentum=0.0),
        jopt.sm3(RATE, momentum=0.5),
        Vary(jopt.sm3(RATE, eps=1e-2), "-scale_invariant"),
        jopt.sm3(FADING),
        tags=TAGS,
        memory=25 / 15,
    ),
    "scale_by_sm3": record(
        jopt.scale_by_sm3(),
        jopt.scale_by_sm3(0.5, 0.9),
        tags=TAGS.replace("descends ", ""),
        memory=25 / 15,
    ),
}

CERTIFICATES = [
    Rows(
        "sm3",
        "pytorch_optimizer.SM3",
        [
            ({"learning_rate": 0.1}, {"lr": 0.1, "momentum": 0.9}),
            (
                jopt.sm3(0.1, 0.5, eps=0.1),
                {"lr": 0.1, "momentum": 0.5, "eps": 0.1},
            ),
            ({"learning_rate": RAMP, "momentum": 0.0}, {"lr": RATES}),
            (
                {"learning_rate": 0.1, "eps": 1e-8},
                {"lr": 0.1, "momentum": 0.9, "eps": 1e-8},
            ),
        ],
        "tree",
    ),
]

PEERS = [Peer("sm3-3", "sm3(0.1)", lambda: optax.sm3(0.1), 1e-9)]
