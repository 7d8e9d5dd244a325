"""Records of Yogi."""

import numpy as np
import optax

import jopt
from tests.case import FADING, FREE, RATE, record, STEP, Vary
from tests.certificates.peer import Peer
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

CASES = {
    "yogi": record(
        jopt.yogi(RATE),
        jopt.yogi(RATE, b1=0.5),
        jopt.yogi(RATE, b2=0.9),
        jopt.yogi(RATE, eps=1e-8, bias_correction=False),
        jopt.yogi(FADING),
        tags=STEP,
        memory=2,
    ),
    "scale_by_yogi": record(
        jopt.scale_by_yogi(),
        Vary(
            jopt.scale_by_yogi(0.5, 0.9, 0.1, initial_mean=0.1), "-odd -still -complex"
        ),
        tags=FREE,
        memory=2,
    ),
}


@stepwise
def paper(s, g, t, p, b1=0.9, b2=0.999, eps=1e-3, start=1e-6, correct=True, mean=0.0):
    if t == 1:
        s.v, s.m = start, mean
    s.m = b1 * s.m + (1 - b1) * g
    s.v = s.v - (1 - b2) * np.sign(s.v - g**2) * g**2
    c, d = (1 - b1**t, 1 - b2**t) if correct else (1.0, 1.0)
    return s.m / c / (np.sqrt(s.v / d) + eps)


CERTIFICATES = [
    Rows(
        "yogi",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "b2": 0.8},
                {"lr": RATES, "b1": 0.5, "b2": 0.8},
            ),
            (
                {"learning_rate": 0.1, "eps": 0.1, "bias_correction": False},
                {"eps": 0.1, "correct": False},
            ),
            (
                jopt.chain(
                    jopt.scale_by_yogi(initial_accumulator_value=1.0, initial_mean=0.1),
                    jopt.scale_by_learning_rate(0.1),
                ),
                {"start": 1.0, "mean": 0.1},
            ),
        ],
        "tree",
        paper,
    ),
]

PEERS = [
    Peer(
        "yogi-paper-0",
        "yogi(0.1)",
        lambda: optax.yogi(0.1),
        1e-4,
        "its average of gradients starts from 1e-6; here `initial_mean` of "
        "`scale_by_yogi`",
    ),
]
