"""Records of NovoGrad."""

import optax

import jopt
from tests.case import FADING, RATE, record, Vary
from tests.certificates.peer import Peer
from tests.certificates.record import RAMP, RATES, Rows

TAGS = "odd translation_invariant still complex descends scale_invariant"

CASES = {
    "novograd": record(
        jopt.novograd(RATE),
        jopt.novograd(RATE, b1=0.5, b2=0.9),
        Vary(jopt.novograd(RATE, eps=0.1), "-scale_invariant"),
        Vary(
            jopt.novograd(RATE, weight_decay=0.1),
            "-translation_invariant -still",
            needs="params",
        ),
        jopt.novograd(FADING, eps=0.0),
        tags=TAGS,
        memory=1,
    ),
    "scale_by_novograd": record(
        jopt.scale_by_novograd(),
        jopt.scale_by_novograd(0.5, 0.9, eps_root=1e-9),
        tags=TAGS.replace("descends ", ""),
        memory=1,
    ),
}

CERTIFICATES = [
    Rows(
        "novograd",
        "pytorch_optimizer.NovoGrad",
        [
            ({"learning_rate": 0.1}, {"lr": 0.1, "betas": (0.9, 0.25), "eps": 1e-6}),
            (
                jopt.novograd(0.1, 0.5, 0.9, 0.1, weight_decay=0.3),
                {"lr": 0.1, "betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.3},
            ),
            (
                {"learning_rate": RAMP},
                {"lr": RATES, "betas": (0.9, 0.25), "eps": 1e-6},
            ),
        ],
        "tree",
    ),
]

PEERS = [Peer("novograd-0", "novograd(0.1)", lambda: optax.novograd(0.1), 1e-9)]
