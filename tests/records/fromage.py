"""Records of Fromage."""

import optax

import jopt
from tests.case import FADING, RATE, record
from tests.certificates.peer import Peer
from tests.certificates.record import RAMP, RATES, Rows

SHRINKS = {"A8": "by its rule parameters are divided by `sqrt(1 + rate^2)`"}

CASES = {
    "fromage": record(
        jopt.fromage(RATE),
        jopt.fromage(0.01),
        jopt.fromage(RATE, min_norm=1e-6),
        jopt.fromage(0.5),
        jopt.fromage(FADING),
        tags="odd complex descends scale_invariant",
        needs="params",
        skips=SHRINKS,
    ),
    "scale_by_fromage": record(
        jopt.scale_by_fromage(RATE),
        jopt.scale_by_fromage(FADING),
        tags="elementwise odd complex descends",
        needs="params",
        skips=SHRINKS,
    ),
}

CERTIFICATES = [
    Rows(
        "fromage",
        "pytorch_optimizer.Fromage",
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            ({"learning_rate": 0.01}, {"lr": 0.01}),
            ({"learning_rate": RAMP}, {"lr": RATES}),
        ],
        "tree",
    ),
]

PEERS = [Peer("fromage-0", "fromage(0.1)", lambda: optax.fromage(0.1), 1e-9)]
