"""Record of clipping by each leaf's norm."""

import numpy as np

import jopt
from tests.case import record
from tests.certificates.record import PAPER, RAMP, RATES, Rows

CASES = {
    "clip_by_norm": record(
        jopt.clip_by_norm(10.0),
        jopt.clip_by_norm(20.0),
        tags="odd translation_invariant still complex",
    )
}


def clipped(p, grads, lr, bound):
    """Steps along gradients of at most one norm, leaf by leaf."""
    path = []
    rates = lr if np.ndim(lr) else (lr,) * len(grads)
    for rate, g in zip(rates, grads, strict=False):
        factor = {k: min(1.0, bound / np.linalg.norm(g[k])) for k in p}
        p = {k: p[k] - rate * factor[k] * g[k] for k in p}
        path.append(p)
    return path


CERTIFICATES = [
    Rows(
        "clip_by_norm",
        PAPER,
        [
            (jopt.chain(jopt.clip_by_norm(b), jopt.sgd(r)), {"lr": lr, "bound": b})
            for b, r, lr in ((1.0, 0.1, 0.1), (5.0, 0.1, 0.1), (2.0, RAMP, RATES))
        ],
        "tree",
        clipped,
    )
]
