"""Records of Rprop."""

import numpy as np
import optax

import jopt
from tests.case import FADING, FREE, RATE, record, STEP
from tests.certificates.peer import Peer
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.modern import each

CASES = {
    "rprop": record(
        jopt.rprop(RATE),
        jopt.rprop(RATE, eta_minus=0.7, eta_plus=1.5),
        jopt.rprop(RATE, min_step_size=1e-3, max_step_size=0.2),
        jopt.rprop(RATE, late=True),
        jopt.rprop(FADING),
        tags=f"{STEP} scale_invariant",
        memory=2,
    ),
    "scale_by_rprop": record(
        jopt.scale_by_rprop(RATE),
        jopt.scale_by_rprop(RATE, 0.7, 1.1, late=True),
        tags=f"{FREE} scale_invariant",
        memory=2,
    ),
}


@each
def late(p, grads, lr):
    """The order of optax: the step of the update before, dropped at a flip."""
    path, size, waiting = [], lr, np.zeros_like(p)
    for g in grads:
        flip = np.sign(g) * np.sign(waiting)
        factor = np.where(flip > 0, 1.2, np.where(flip < 0, 0.5, 1.0))
        size = np.clip(size * factor, 1e-6, 50.0)
        p = p - np.where(flip < 0, 0.0, waiting)
        waiting = np.where(flip < 0, 0.0, size * np.sign(g))
        path.append(p)
    return path


CERTIFICATES = [
    Rows(
        "rprop",
        "torch.optim.Rprop",
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                jopt.rprop(0.1, 0.7, 1.5, 0.08, 0.3),
                {"lr": 0.1, "etas": (0.7, 1.5), "step_sizes": (0.08, 0.3)},
            ),
            ({"learning_rate": RAMP}, {"lr": RATES}),
        ],
    ),
    Rows("rprop", PAPER, [(jopt.rprop(0.1, late=True), {"lr": 0.1})], "tree", late),
]

PEERS = [
    Peer(
        "rprop-0",
        "rprop(0.1)",
        lambda: optax.rprop(0.1),
        None,
        "applies each step one update late; here `late=True`",
    ),
    Peer("rprop-paper-0", "rprop(0.1)", lambda: optax.rprop(0.1), 1e-9),
]
