"""Records of Adam-mini."""

import numpy as np

import jopt
from tests.case import FADING, is_matrix, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows

TAGS = "odd translation_invariant still complex descends scale_invariant"


def rows_of_matrices(name, leaf):
    return 0 if leaf.ndim == 2 else None


CASES = {
    "adam_mini": record(
        jopt.adam_mini(RATE),
        Vary(jopt.adam_mini(RATE, block_axis=None), "-matrix", memory=1 + 2 / 15),
        Vary(jopt.adam_mini(RATE, block_axis=rows_of_matrices), memory=1 + 5 / 15),
        Vary(
            jopt.adam_mini(RATE, weight_decay=0.1, mask=is_matrix),
            "-translation_invariant -still",
            needs="params",
        ),
        jopt.adam_mini(FADING, b1=0.5, b2=0.9, eps=0.0),
        tags=f"{TAGS} matrix",
        memory=1 + 4 / 15,
    ),
    "scale_by_adam_mini": record(
        jopt.scale_by_adam_mini(),
        Vary(
            jopt.scale_by_adam_mini(0.5, 0.9, block_axis=rows_of_matrices),
            memory=1 + 5 / 15,
        ),
        tags=f"{TAGS} matrix".replace("descends ", ""),
        memory=1 + 4 / 15,
    ),
}


def paper(first, grads, lr, b1=0.9, b2=0.999, eps=1e-8, decay=0.0, axis=1):
    """Matrices have a block for each index of an axis; vectors are one."""
    path = [{} for _ in grads]
    for k, p in first.items():
        others = 1 - axis if axis is not None and p.ndim == 2 else None
        m, v = np.zeros_like(p), 0.0
        for t, g in enumerate((g[k] for g in grads), 1):
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * np.mean(g * g, axis=others, keepdims=True)
            u = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)
            p = p * (1 - lr[t - 1] * decay) - lr[t - 1] * u
            path[t - 1][k] = p
    return path


CERTIFICATES = [
    Rows(
        "adam_mini",
        PAPER,
        [
            ({"learning_rate": RAMP}, {"lr": RATES}),
            (
                jopt.adam_mini(
                    RAMP, 0.5, 0.8, 0.1, weight_decay=0.3, block_axis=rows_of_matrices
                ),
                {
                    "lr": RATES,
                    "b1": 0.5,
                    "b2": 0.8,
                    "eps": 0.1,
                    "decay": 0.3,
                    "axis": 0,
                },
            ),
            (
                {"learning_rate": 0.1, "block_axis": None},
                {"lr": (0.1,) * 12, "axis": None},
            ),
        ],
        "tree",
        paper,
    )
]
