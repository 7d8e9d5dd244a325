"""Records of Amos."""

import numpy as np

import jopt
from tests.case import FADING, RATE, record, Vary
from tests.certificates.peer import Unsound
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import Slots
from tests.references.walk import at, walk

SKIPS = {
    "A8": "by its rule the step is not proportional to the learning rate",
    "C5": "it keeps a number for each column, and none that tells how many rows",
}
INSIDE = {"A8": SKIPS["A8"]}  # with momentum it has slots like the parameters
TAGS = "odd still complex descends scale_invariant matrix"


def scales(name, leaf):
    """Those of pytorch_optimizer, for layouts of JAX."""
    return 0.5 if len(leaf.shape) < 2 else float(np.sqrt(2 / max(leaf.shape[0], 1)))


CASES = {
    "amos": record(
        jopt.amos(RATE),
        Vary(jopt.amos(RATE, beta=0.9, momentum=0.9), memory=23 / 15, skips=INSIDE),
        Vary(jopt.amos(RATE, 0.5, extra_l2=0.01), "-still"),
        Vary(
            jopt.amos(0.01, scales, eps=0.0, block_axis=None), "-matrix", memory=4 / 15
        ),
        jopt.amos(FADING, d_coef=1.0, c_coef=0.5),
        tags=TAGS,
        needs="params",
        memory=8 / 15,
        skips=SKIPS,
    ),
    "scale_by_amos": record(
        jopt.scale_by_amos(RATE),
        Vary(
            jopt.scale_by_amos(0.01, 2.0, 0.5, block_axis=None),
            "-matrix",
            memory=4 / 15,
        ),
        tags=TAGS,
        needs="params",
        memory=8 / 15,
        skips=SKIPS,
    ),
}


def paper(
    first,
    grads,
    lr,
    eta=None,
    beta=0.999,
    momentum=0.0,
    extra_l2=0.0,
    d_coef=0.25,
    c_coef=0.25,
    columns=True,
):
    """The algorithm, for a vector `b` and a matrix `w` of inputs by outputs."""
    slots = {k: Slots() for k in first}
    scale = {"b": 0.5, "w": (1 / len(first["w"])) ** 0.5} if eta is None else eta

    def step(params, grad, t):
        new = {}
        for k, p in params.items():
            s, g, xi = slots[k], grad[k], at(lr, t)
            square = np.mean(g**2, axis=0 if columns and g.ndim == 2 else None)
            s.v = beta * s.v + (1 - beta) * square
            v_hat = s.v / (1 - beta ** (t + 1))
            c = (1 + c_coef * np.sqrt(xi) * s.b) ** -0.5
            d = 1 / (1 + d_coef * np.sqrt(xi * scale[k]) * s.b)
            gamma = c * xi**2 * square / v_hat
            u = d * (xi * scale[k] * g / np.sqrt(v_hat) + (gamma / 2 + extra_l2) * p)
            s.b = s.b + gamma * (1 + s.b)
            s.m = momentum * s.m + (1 - momentum) * u
            new[k] = p - s.m
        return new

    return walk(first, grads, step)


CERTIFICATES = [
    Rows(
        "amos",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                jopt.amos(RAMP, 0.3, 0.9, 0.5),
                {
                    "lr": RATES,
                    "eta": {"b": 0.3, "w": 0.3},
                    "beta": 0.9,
                    "momentum": 0.5,
                },
            ),
            (
                jopt.amos(0.5, 1.0, extra_l2=0.01, d_coef=0.5, c_coef=1.0),
                {
                    "lr": 0.5,
                    "eta": {"b": 1.0, "w": 1.0},
                    "extra_l2": 0.01,
                    "d_coef": 0.5,
                    "c_coef": 1.0,
                },
            ),
            (
                {"learning_rate": 0.1, "block_axis": None},
                {"lr": 0.1, "columns": False},
            ),
        ],
        "tree",
        paper,
    ),
    Rows(
        "amos",
        "pytorch_optimizer.Amos",
        [
            (jopt.amos(0.1, scales, block_axis=None), {"lr": 0.1}),
            (
                jopt.amos(RAMP, scales, 0.9, 0.5, block_axis=None),
                {"lr": RATES, "beta": 0.9, "momentum": 0.5},
            ),
        ],
        "tree",
    ),
]

UNSOUND = [
    Unsound(
        "pytorch_optimizer.Amos",
        {"lr": 0.1, "extra_l2": 0.1},
        paper,
        {
            "lr": 0.1,
            "eta": {"b": 0.5, "w": 0.5**0.5},
            "extra_l2": 0.1,
            "columns": False,
        },
        "The authors' code adds `extra_l2` to half of gamma. In this class it is taken "
        "from gamma before that is halved, so that it makes parameters grow. Without "
        "it, and with one block for each leaf, the class is sound.",
    )
]
