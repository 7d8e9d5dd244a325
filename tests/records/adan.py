"""Records of Adan."""

import numpy as np
import optax

import jopt
from tests.case import DECAY, FADING, FREE, is_matrix, RATE, record, STEP, Vary
from tests.certificates.peer import Peer
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.modern import each

IMPLICIT = {"A8": "an implicit decay is not proportional to the rate"}

CASES = {
    "adan": record(
        jopt.adan(RATE),
        jopt.adan(RATE, b1=0.5, b3=0.9),
        jopt.adan(RATE, b2=0.0),
        Vary(jopt.adan(RATE, eps_root=1e-2), "-scale_invariant"),
        jopt.adan(FADING),
        Vary(
            jopt.adan(RATE, weight_decay=0.1, mask=is_matrix),
            DECAY,
            needs="params",
            skips=IMPLICIT,
        ),
        tags=f"{STEP} scale_invariant",
        memory=4,
    ),
    "scale_by_adan": record(
        jopt.scale_by_adan(),
        jopt.scale_by_adan(0.5, 0.8, 0.9),
        tags=f"{FREE} scale_invariant",
        memory=4,
    ),
    "scale_by_proximal_decay": record(
        jopt.scale_by_proximal_decay(RATE, 0.1),
        jopt.scale_by_proximal_decay(FADING, 0.5),
        tags="elementwise odd complex descends",
        needs="params",
        skips=IMPLICIT,
    ),
}


@each
def paper(p, grads, lr, b1=0.98, b2=0.92, b3=0.99, eps=1e-8, inside=0.0, decay=0.0):
    path, m, v, n, last = [], 0.0, 0.0, 0.0, grads[0]
    rates = lr if isinstance(lr, tuple) else (lr,) * len(grads)
    for t, g in enumerate(grads, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * (g - last)
        n = b3 * n + (1 - b3) * (g + b2 * (g - last)) ** 2
        top = m / (1 - b1**t) + b2 * v / (1 - b2**t)
        u = top / (np.sqrt(n / (1 - b3**t) + inside) + eps)
        p = (p - rates[t - 1] * u) / (1 + rates[t - 1] * decay)
        path.append(p)
        last = g
    return path


CERTIFICATES = [
    Rows(
        "adan",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "weight_decay": 0.3},
                {"lr": RATES, "decay": 0.3},
            ),
            (
                {"learning_rate": 0.1, "b1": 0.5, "b2": 0.7, "b3": 0.8, "eps": 0.1},
                {"lr": 0.1, "b1": 0.5, "b2": 0.7, "b3": 0.8, "eps": 0.1},
            ),
            (
                {"learning_rate": 0.1, "eps_root": 0.1},
                {"lr": 0.1, "inside": 0.1},
            ),
        ],
        "tree",
        paper,
    )
]

PEERS = [
    Peer(
        "adan-paper-3",
        "adan(0.1, eps_root=0.1)",
        lambda: optax.adan(0.1, eps_root=0.1),
        None,
        "the change of the gradient counts `1 - b2` times, where the paper has its "
        "complement, `b2`",
    )
]
