"""Records of DP-SGD, behind a stage that makes four gradients of one."""

import jax
import numpy as np

import jopt
from tests.case import FADING, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.given import MULTIPLES, with_examples

CLIPPED = "odd translation_invariant still complex global_scalar"
NOISY = "-odd -still -complex +stochastic"

NORMS = {"D6": "the norms of all examples are reduced, not one number"}

CASES = {
    "dpsgd": record(
        with_examples(jopt.dpsgd(RATE, 45.0, 0.0, 0)),
        Vary(
            with_examples(jopt.dpsgd(RATE, 45.0, 0.0, jax.random.key(1), 0.9, True)),
            memory=1,
        ),
        with_examples(jopt.dpsgd(FADING, 60.0, 0.0, 0, batch_size=8.0)),
        Vary(
            with_examples(jopt.dpsgd(1e-3, 45.0, 0.01, 0)),
            NOISY,
        ),
        Vary(
            with_examples(jopt.dpsgd(1e-3, 45.0, FADING, 2)),
            NOISY,
        ),
        tags=f"{CLIPPED} descends",
        skips=NORMS,
    ),
    "differentially_private_aggregate": record(
        with_examples(jopt.differentially_private_aggregate(45.0, 0.0, 0)),
        Vary(
            with_examples(jopt.differentially_private_aggregate(45.0, 1.0, 0)),
            NOISY,
        ),
        tags=CLIPPED,
        skips=NORMS,
    ),
    "per_example_clip": record(
        with_examples(jopt.per_example_clip(45.0)),
        with_examples(jopt.per_example_clip(60.0, batch_size=3.0)),
        tags=CLIPPED,
        skips=NORMS,
    ),
}


def paper(first, grads, lr, clip, momentum=0.0, size=4.0):
    path, m = [first], {k: 0.0 for k in first}
    for t, g in enumerate(grads):
        total = {k: 0.0 for k in g}
        for factor in MULTIPLES:
            norm = np.sqrt(sum(np.sum((factor * x) ** 2) for x in g.values()))
            for k, x in g.items():
                total[k] = total[k] + factor * x / max(1.0, norm / clip)
        m = {k: momentum * m[k] + x / size for k, x in total.items()}
        rate = lr[t] if isinstance(lr, tuple) else lr
        path.append({k: x - rate * m[k] for k, x in path[-1].items()})
    return path[1:]


CERTIFICATES = [
    Rows(
        "dpsgd",
        PAPER,
        [
            (with_examples(jopt.dpsgd(0.1, 1.0, 0.0, 0)), {"lr": 0.1, "clip": 1.0}),
            (
                with_examples(jopt.dpsgd(RAMP, 3.0, 0.0, 0, batch_size=10.0)),
                {"lr": RATES, "clip": 3.0, "size": 10.0},
            ),
            (
                with_examples(jopt.dpsgd(0.1, 0.5, 0.0, 0, momentum=0.9)),
                {"lr": 0.1, "clip": 0.5, "momentum": 0.9},
            ),
        ],
        "tree",
        paper,
    ),
]
