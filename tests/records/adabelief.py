"""Records of AdaBelief and ACProp."""

import numpy as np
import optax

import jopt
from tests.case import DECAY, FADING, FREE, RATE, record, STEP, Vary
from tests.certificates.peer import Peer
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

CASES = {
    "adabelief": record(
        jopt.adabelief(RATE),
        jopt.adabelief(RATE, b1=0.5, b2=0.9),
        jopt.adabelief(RATE, nesterov=True),
        Vary(jopt.adabelief(RATE, eps_root=1e-2), "-scale_invariant"),
        jopt.adabelief(FADING),
        tags=f"{STEP} scale_invariant",
        memory=2,
    ),
    "scale_by_belief": record(
        jopt.scale_by_belief(),
        jopt.scale_by_belief(0.5, 0.9),
        tags=f"{FREE} scale_invariant",
        memory=2,
    ),
    "acprop": record(
        jopt.acprop(RATE),
        jopt.acprop(RATE, b1=0.5, b2=0.9),
        jopt.acprop(RATE, lagged_mean=True),
        Vary(jopt.acprop(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.acprop(FADING),
        tags=STEP,
        memory=2,
    ),
    "scale_by_acprop": record(
        jopt.scale_by_acprop(),
        jopt.scale_by_acprop(0.5, 0.9),
        tags=FREE,
        memory=2,
    ),
}


@stepwise
def adabelief(s, g, t, p, b1=0.9, b2=0.999, eps=1e-16, inside=1e-16):
    s.m = b1 * s.m + (1 - b1) * g
    s.s = b2 * s.s + (1 - b2) * (g - s.m) ** 2 + inside
    return s.m / (1 - b1**t) / (np.sqrt(s.s / (1 - b2**t)) + eps)


@stepwise
def acprop(s, g, t, p, b1=0.9, b2=0.999, eps=1e-16, inside=1e-16):
    u = g if t == 1 else g / (np.sqrt(s.s / (1 - b2 ** (t - 1))) + eps)
    s.m = b1 * s.m + (1 - b1) * g
    s.s = b2 * s.s + (1 - b2) * (g - s.m) ** 2 + inside
    return u


CERTIFICATES = [
    Rows(
        "adabelief",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "b2": 0.8},
                {"lr": RATES, "b1": 0.5, "b2": 0.8},
            ),
            (
                {"learning_rate": 0.1, "eps": 0.1, "eps_root": 0.01},
                {"eps": 0.1, "inside": 0.01},
            ),
        ],
        "tree",
        adabelief,
    ),
    Rows(
        "acprop",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "b2": 0.8, "weight_decay": 0.3},
                {"lr": RATES, "b1": 0.5, "b2": 0.8, "decay": 0.3},
            ),
            (
                {"learning_rate": 0.1, "eps": 0.1, "eps_root": 0.01},
                {"eps": 0.1, "inside": 0.01},
            ),
        ],
        "tree",
        acprop,
    ),
]

PEERS = [
    Peer("adabelief-paper-0", "adabelief(0.1)", lambda: optax.adabelief(0.1), 1e-9),
    Peer(
        "acprop-paper-0",
        "contrib.acprop(0.1)",
        lambda: optax.contrib.acprop(0.1),
        None,
        "the deviation is from the average before the gradient; here "
        "`lagged_mean=True`",
    ),
]
