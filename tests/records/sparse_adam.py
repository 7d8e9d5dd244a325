"""Records of SparseAdam."""

import numpy as np

import jopt
from tests.case import FADING, FREE, RATE, record, STEP, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.modern import each

ROWS = {"D6": "a row asks its parts whether one of them has a gradient"}

CASES = {
    "sparse_adam": record(
        jopt.sparse_adam(RATE),
        jopt.sparse_adam(RATE, b1=0.0),
        jopt.sparse_adam(RATE, b2=0.9),
        Vary(jopt.sparse_adam(RATE, eps=1e-2), "-scale_invariant"),
        jopt.sparse_adam(FADING, eps=0.0),
        tags=f"{STEP} scale_invariant",
        skips=ROWS,
        memory=2,
    ),
    "scale_by_sparse_adam": record(
        jopt.scale_by_sparse_adam(),
        jopt.scale_by_sparse_adam(0.5, 0.9),
        tags=f"{FREE} scale_invariant",
        skips=ROWS,
        memory=2,
    ),
}


@each
def paper(p, grads, lr, b1=0.9, b2=0.999, eps=1e-8):
    path, p, m, v = [], p.copy(), np.zeros_like(p), np.zeros_like(p)
    for t, (g, rate) in enumerate(zip(grads, lr, strict=False), 1):
        for i in range(len(p)):
            if np.any(g[i]):
                m[i] = b1 * m[i] + (1 - b1) * g[i]
                v[i] = b2 * v[i] + (1 - b2) * g[i] ** 2
                step = rate * np.sqrt(1 - b2**t) / (1 - b1**t)
                p[i] = p[i] - step * m[i] / (np.sqrt(v[i]) + eps)
        path.append(p.copy())
    return path


CERTIFICATES = [
    Rows(
        "sparse_adam",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": (0.1,) * 12}),
            (
                jopt.sparse_adam(0.1, 0.5, 0.8, 0.1),
                {"lr": (0.1,) * 12, "b1": 0.5, "b2": 0.8, "eps": 0.1},
            ),
            ({"learning_rate": RAMP}, {"lr": RATES}),
        ],
        "rows",
        paper,
    )
]
