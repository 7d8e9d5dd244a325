"""Records of SGD-SaI."""

import numpy as np

import jopt
from tests.case import FADING, is_matrix, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.modern import each

TAGS = "odd translation_invariant still complex descends"

CASES = {
    "sgd_sai": record(
        jopt.sgd_sai(RATE),
        jopt.sgd_sai(0.01, momentum=0.5),
        Vary(jopt.sgd_sai(RATE, momentum=0.0), memory=0),
        Vary(
            jopt.sgd_sai(RATE, weight_decay=0.0),
            "+translation_invariant +still",
            needs="",
        ),
        jopt.sgd_sai(FADING, eps=0.0, mask=is_matrix),
        tags="odd complex descends",
        needs="params",
        memory=1,
    ),
    "scale_by_gsnr": record(
        jopt.scale_by_gsnr(),
        jopt.scale_by_gsnr(0.1),
        tags=TAGS.replace(" descends", ""),
    ),
}


@each
def paper(p, grads, lr, momentum=0.9, eps=1e-8, decay=0.01):
    first = grads[0]
    ratio = np.linalg.norm(first) / (np.std(first, ddof=1) + eps)
    path, m = [], first
    for g, rate in zip(grads, lr, strict=False):
        m = momentum * m + (1 - momentum) * g
        p = p * (1 - rate * decay) - rate * ratio * m
        path.append(p)
    return path


CERTIFICATES = [
    Rows(
        "sgd_sai",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": (0.1,) * 12}),
            (
                jopt.sgd_sai(0.1, 0.5, 0.1, weight_decay=0.3),
                {"lr": (0.1,) * 12, "momentum": 0.5, "eps": 0.1, "decay": 0.3},
            ),
            (
                {"learning_rate": RAMP, "momentum": 0.0},
                {"lr": RATES, "momentum": 0.0},
            ),
        ],
        "tree",
        paper,
    )
]
