"""Records of ADOPT."""

import numpy as np
import optax

import jopt
from tests.case import FADING, FREE, RATE, record, STEP
from tests.certificates.peer import Peer, Unsound
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.stepwise import stepwise

CASES = {
    "adopt": record(
        jopt.adopt(RATE),
        jopt.adopt(RATE, b1=0.5, b2=0.9),
        jopt.adopt(RATE, nesterov=True),
        jopt.adopt(RATE, use_clipping=False),
        jopt.adopt(RATE, clip_value_fn=0.5),
        jopt.adopt(FADING),
        tags=f"{STEP} scale_invariant",
        memory=2,
    ),
    "scale_by_adopt": record(
        jopt.scale_by_adopt(),
        jopt.scale_by_adopt(0.5, 0.9),
        tags=f"{FREE} scale_invariant",
        memory=2,
    ),
}


@stepwise
def paper(s, g, t, p, b1=0.9, b2=0.9999, eps=1e-6, clip=None, nesterov=False):
    if t == 1:
        s.v = g**2
        return 0.0
    c = (t - 1) ** 0.25 if clip is None else clip
    u = np.clip(g / np.maximum(np.sqrt(s.v), eps), -c, c)
    s.m = b1 * s.m + (1 - b1) * u
    s.v = b2 * s.v + (1 - b2) * g**2
    return b1 * s.m + (1 - b1) * u if nesterov else s.m


CERTIFICATES = [
    Rows(
        "adopt",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": RAMP, "b1": 0.5, "b2": 0.8, "nesterov": True},
                {"lr": RATES, "b1": 0.5, "b2": 0.8, "nesterov": True},
            ),
            (
                {"learning_rate": 0.1, "eps": 1.0, "use_clipping": False},
                {"eps": 1.0, "clip": np.inf},
            ),
            ({"learning_rate": 0.1, "clip_value_fn": 0.5}, {"clip": 0.5}),
        ],
        "tree",
        paper,
    ),
]

PEERS = [
    Peer("adopt-paper-0", "contrib.adopt(0.1)", lambda: optax.contrib.adopt(0.1), 1e-9),
]

UNSOUND = [
    Unsound(
        "pytorch_optimizer.ADOPT",
        {"lr": 0.1},
        paper,
        {"lr": 0.1},
        "Algorithm 2 clips at `t^(1/4)` with steps counted from 0; this class counts "
        "from 1.",
    ),
]
