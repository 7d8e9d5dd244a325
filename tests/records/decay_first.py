"""Record of weight decay before the step."""

import numpy as np

import jopt
from tests.case import FADING, is_matrix, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows

CASES = {
    "decay_first": record(
        jopt.decay_first(jopt.sgd(RATE), 0.01),
        Vary(
            jopt.decay_first(jopt.sgd(RATE, momentum=0.9), 0.01, mask=is_matrix),
            memory=1,
        ),
        jopt.decay_first(jopt.sgd(FADING), FADING * 0.1),
        tags="elementwise odd complex descends",
        needs="params",
    )
}


def shrunk(p, grads, lr, decay):
    """SGD from parameters that were shrunk first."""
    path = []
    rates = lr if np.ndim(lr) else (lr,) * len(grads)
    for rate, g in zip(rates, grads, strict=False):
        p = p - rate * decay * p
        p = p - rate * g
        path.append(p)
    return path


CERTIFICATES = [
    Rows(
        "decay_first",
        PAPER,
        [
            (jopt.decay_first(jopt.sgd(0.1), 0.1 * wd), {"lr": 0.1, "decay": wd})
            for wd in (0.1, 0.5)
        ]
        + [
            (
                jopt.decay_first(jopt.sgd(RAMP), RAMP * 0.3),
                {"lr": RATES, "decay": 0.3},
            )
        ],
        transcription=shrunk,
    )
]
