"""Records of AdaGrad-Norm and WNGrad."""

import numpy as np

import jopt
from tests.case import DECAY, FADING, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.walk import at, total, walk

WHOLE = "global_scalar odd translation_invariant still complex"

NEARLY = {"A5": "it holds only where gradients are large beside the first `b`"}

CASES = {
    name: record(
        make(RATE),
        make(RATE, 3.0),
        make(RATE, 10.0),
        Vary(make(RATE, weight_decay=0.1), DECAY, needs="params"),
        make(FADING),
        tags=f"{WHOLE} descends",
        skips=NEARLY,
    )
    for name, make in (("adagrad_norm", jopt.adagrad_norm), ("wngrad", jopt.wngrad))
} | {
    "scale_by_adagrad_norm": record(
        jopt.scale_by_adagrad_norm(),
        jopt.scale_by_adagrad_norm(2.0, growth="after"),
        tags=WHOLE,
        skips=NEARLY,
    ),
}


def norm_papers(first, grads, lr=0.1, b=0.1, decay=0.0, after=False):
    def step(params, grad, t):
        nonlocal b
        norm, used = total(grad), b
        b = b + norm**2 / b if after else np.sqrt(b**2 + norm**2)
        used = used if after else b
        return {
            k: p - at(lr, t) * (grad[k] / used + decay * p) for k, p in params.items()
        }

    return walk(first, grads, step)


_SETTINGS = [
    (
        {"learning_rate": 0.1, "initial_accumulator_value": 0.5},
        {"lr": 0.1, "b": 0.5},
    ),
    (
        {
            "learning_rate": RAMP,
            "initial_accumulator_value": 2.0,
            "weight_decay": 0.3,
        },
        {"lr": RATES, "b": 2.0, "decay": 0.3},
    ),
    (
        {"learning_rate": 1.0, "initial_accumulator_value": 30.0},
        {"lr": 1.0, "b": 30.0},
    ),
]

CERTIFICATES = [
    Rows("adagrad_norm", PAPER, _SETTINGS, "tree", norm_papers),
    Rows(
        "wngrad",
        PAPER,
        [(ours, theirs | {"after": True}) for ours, theirs in _SETTINGS],
        "tree",
        norm_papers,
    ),
]
