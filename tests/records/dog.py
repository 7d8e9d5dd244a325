"""DoG, L-DoG and DoWG: laws, and runs of the authors' package and of the paper."""

import numpy as np

import jopt
from tests.case import DECAY, FADING, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows

NEAR = ("distance", 0.1)
FIRST = ("learning_rate", 0.1)
HEURISTIC = ("heuristic", 0.05)
TAGS = "odd translation_invariant still complex descends scale_invariant"
GLOBAL = f"{TAGS} global_scalar"
MOVED = "-translation_invariant"

# not at a rate of 1: the first step then ends in the kink of the largest distance
CASES = {
    "dog": record(
        jopt.dog(2.0, NEAR),
        Vary(jopt.dog(2.0, FIRST), "-scale_invariant"),
        Vary(jopt.dog(2.0, HEURISTIC), MOVED),
        Vary(jopt.dog(2.0, NEAR, weight_decay=0.1), f"{DECAY} -scale_invariant"),
        jopt.dog(FADING, init_step=NEAR, eps=0.0),
        tags=GLOBAL,
        needs="params",
        memory=1,
    ),
    "ldog": record(
        jopt.ldog(2.0, NEAR),
        Vary(jopt.ldog(2.0, FIRST), "-scale_invariant"),
        Vary(jopt.ldog(2.0, HEURISTIC), MOVED),
        Vary(jopt.ldog(2.0, NEAR, weight_decay=0.1), f"{DECAY} -scale_invariant"),
        jopt.ldog(FADING, init_step=NEAR, eps=0.0),
        tags=TAGS,
        needs="params",
        memory=1,
    ),
    "dowg": record(
        jopt.dowg(init_estim_sq_dist=0.01),
        jopt.dowg(init_estim_sq_dist=1.0),
        Vary(jopt.dowg(eps=0.01), "-scale_invariant"),
        Vary(
            jopt.dowg(init_estim_sq_dist=0.01, weight_decay=0.1),
            f"{DECAY} -scale_invariant",
        ),
        jopt.dowg(FADING, init_estim_sq_dist=0.01, eps=0.0),
        tags=GLOBAL,
        needs="params",
        memory=1,
    ),
    "scale_by_dog": record(
        Vary(jopt.scale_by_dog(NEAR, eps=0.1), "-descends"),
        Vary(
            jopt.chain(jopt.scale_by_dog(NEAR, layerwise=True), jopt.scale(-2.0)),
            "-global_scalar",
        ),
        tags=GLOBAL,
        needs="params",
        memory=1,
    ),
    "scale_by_dowg": record(
        Vary(jopt.scale_by_dowg(0.01), "-descends"),
        jopt.chain(jopt.scale_by_dowg(0.01, eps=0.0), jopt.scale(-2.0)),
        tags=GLOBAL,
        needs="params",
        memory=1,
    ),
}


def dowg(first, grads, lr=1.0, square=1e-4, eps=1e-4, decay=0.0):
    """Algorithm 1, with the authors' epsilon and the decay as part of the gradient."""
    rates = lr if isinstance(lr, tuple) else (lr,) * len(grads)
    x, total, path = first.copy(), 0.0, []
    for rate, g in zip(rates, grads, strict=False):
        g = g + decay * x
        square = max(square, np.sum((x - first) ** 2))
        total += square * np.sum(g**2)
        x = x - rate * square / (np.sqrt(total) + eps) * g
        path.append(x)
    return path


def _rows(name, source):
    """The settings of `dog` and of `ldog`."""
    make = getattr(jopt, name)
    pairs = [
        ({}, {}),
        (
            {"init_step": HEURISTIC, "weight_decay": 0.1, "eps": 0.01},
            {"reps_rel": 0.05, "weight_decay": 0.1, "eps": 0.01},
        ),
        ({"init_step": FIRST}, {"init_eta": 0.1}),
        (make(RAMP, HEURISTIC), {"lr": RATES, "reps_rel": 0.05}),
    ]
    return Rows(name, source, pairs, "tree")


CERTIFICATES = [
    _rows("dog", "dog.DoG"),
    _rows("ldog", "dog.LDoG"),
    Rows(
        "dowg",
        PAPER,
        [
            ({}, {}),
            (
                {"init_estim_sq_dist": 0.1, "eps": 0.01, "weight_decay": 0.1},
                {"square": 0.1, "eps": 0.01, "decay": 0.1},
            ),
            (
                jopt.dowg(RAMP, init_estim_sq_dist=0.5),
                {"lr": RATES, "square": 0.5},
            ),
        ],
        "vector",
        dowg,
    ),
]
