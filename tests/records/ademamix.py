"""Records of AdEMAMix, also simplified."""

import math

import numpy as np
import optax

import jopt
from tests.case import DECAY, FADING, FREE, RATE, record, STEP, Vary
from tests.certificates.peer import Peer, Unsound
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

CASES = {
    "ademamix": record(
        jopt.ademamix(RATE),
        jopt.ademamix(RATE, b1=0.5, b2=0.9, b3=0.99, alpha=2.0),
        jopt.ademamix(RATE, warmup_steps=5),
        Vary(jopt.ademamix(RATE, eps_root=1e-2), "-scale_invariant"),
        Vary(jopt.ademamix(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.ademamix(FADING),
        tags=f"{STEP} scale_invariant",
        memory=3,
    ),
    "scale_by_ademamix": record(
        jopt.scale_by_ademamix(),
        jopt.scale_by_ademamix(0.5, 0.9, 0.95, warmup_steps=3),
        tags=f"{FREE} scale_invariant",
        memory=3,
    ),
    "simplified_ademamix": record(
        jopt.simplified_ademamix(RATE),
        jopt.simplified_ademamix(RATE, b1=0.5, b2=0.9),
        jopt.simplified_ademamix(RATE, alpha=10.0),
        Vary(jopt.simplified_ademamix(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.simplified_ademamix(FADING),
        tags=f"{STEP} scale_invariant",
        memory=2,
    ),
    "scale_by_simplified_ademamix": record(
        jopt.scale_by_simplified_ademamix(),
        jopt.scale_by_simplified_ademamix(0.5, 0.9, 2.0),
        tags=f"{FREE} scale_invariant",
        memory=2,
    ),
}


@stepwise
def mix(s, g, t, p, b1=0.9, b2=0.999, b3=0.9999, alpha=5.0, eps=1e-8, warmup=None):
    if warmup:
        share = min(t / warmup, 1.0)
        alpha = share * alpha
        x, y = math.log(b1), math.log(b3)
        b3 = min(math.exp(x * y / ((1 - share) * y + share * x)), b3)
    s.m1 = b1 * s.m1 + (1 - b1) * g
    s.m2 = b3 * s.m2 + (1 - b3) * g
    s.v = b2 * s.v + (1 - b2) * g**2
    top = s.m1 / (1 - b1**t) + alpha * s.m2
    return top / (np.sqrt(s.v / (1 - b2**t)) + eps)


@stepwise
def simplified(s, g, t, p, b1=0.99, b2=0.95, alpha=0.0, eps=1e-8):
    s.m = b1 * s.m + g
    s.v = b2 * s.v + (1 - b2) * g**2
    return (s.m + alpha * g) / (np.sqrt(s.v / (1 - b2**t)) + eps)


CERTIFICATES = [
    Rows(
        "ademamix",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "b2": 0.8, "weight_decay": 0.3},
                {"lr": RATES, "b1": 0.5, "b2": 0.8, "decay": 0.3},
            ),
            (
                {"learning_rate": 0.1, "alpha": 8.0, "warmup_steps": 6, "eps": 0.1},
                {"alpha": 8.0, "warmup": 6, "eps": 0.1},
            ),
        ],
        "tree",
        mix,
    ),
    Rows(
        "simplified_ademamix",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "b2": 0.8, "weight_decay": 0.3},
                {"lr": RATES, "b1": 0.5, "b2": 0.8, "decay": 0.3},
            ),
            (
                {"learning_rate": 0.01, "alpha": 10.0, "eps": 0.1},
                {"lr": 0.01, "alpha": 10.0, "eps": 0.1},
            ),
        ],
        "tree",
        simplified,
    ),
]

PEERS = [
    Peer(
        "ademamix-paper-0",
        "contrib.ademamix(0.1)",
        lambda: optax.contrib.ademamix(0.1),
        1e-9,
    ),
    Peer(
        "simplified_ademamix-paper-0",
        "contrib.simplified_ademamix(0.1)",
        lambda: optax.contrib.simplified_ademamix(0.1),
        1e-9,
    ),
]

UNSOUND = [
    Unsound(
        "pytorch_optimizer.SimplifiedAdEMAMix",
        {"lr": 0.01, "alpha": 10.0},
        simplified,
        {"lr": 0.01, "alpha": 10.0},
        "The momentum of the paper is a decaying sum; this class has an average, which "
        "changes its weight against that of the gradient.",
    ),
]
