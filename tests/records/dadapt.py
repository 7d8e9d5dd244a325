"""D-Adaptation: laws, and runs of the package of its authors."""

import numpy as np
import optax

import jopt
from tests.case import DECAY, FADING, record, Vary
from tests.certificates.peer import Peer
from tests.certificates.record import PAPER, RAMP, RATES, Rows

TAGS = "odd translation_invariant still complex descends scale_invariant global_scalar"
START = {"estim_lr0": 1e-2}
SOON = {"learning_rate": 10.0, "estim_lr0": 1e-3}  # it grows in the first steps

CASES = {
    "dadapt_sgd": record(
        jopt.dadapt_sgd(**START),
        Vary(jopt.dadapt_sgd(momentum=0.5, **START), memory=2),
        jopt.dadapt_sgd(growth_rate=1.1, **START),
        Vary(
            jopt.dadapt_sgd(weight_decay=0.1, **START),
            f"{DECAY} -scale_invariant",
            needs="params",
        ),
        Vary(jopt.dadapt_sgd(FADING, momentum=0.9, **START), memory=2),
        tags=TAGS,
        memory=1,
    ),
    "dadapt_adamw": record(
        jopt.dadapt_adamw(estim_lr0=1e-3),
        jopt.dadapt_adamw(b1=0.5, b2=0.9, **START),
        jopt.dadapt_adamw(use_bias_correction=True, growth_rate=100.0, **START),
        Vary(
            jopt.dadapt_adamw(weight_decay=0.1, **START),
            "-translation_invariant -still",
            needs="params",
        ),
        jopt.dadapt_adamw(FADING, **START),
        tags=TAGS,
        memory=3,
    ),
    "dadapt_lion": record(
        jopt.dadapt_lion(**SOON),
        jopt.dadapt_lion(b1=0.5, **SOON),
        Vary(jopt.dadapt_lion(b2=0.9, **SOON), "-descends"),  # it overshoots
        Vary(
            jopt.dadapt_lion(5.0, estim_lr0=1e-3, weight_decay=0.1),
            "-translation_invariant -still -descends",
            needs="params",
        ),
        jopt.dadapt_lion(jopt.linear_schedule(10.0, 5.0, 10), estim_lr0=1e-3),
        tags=TAGS,
        memory=2,
    ),
    "scale_by_dadapt_sgd": record(
        Vary(jopt.scale_by_dadapt_sgd(**START), "-descends", memory=1),
        jopt.chain(jopt.scale_by_dadapt_sgd(momentum=0.5, **START), jopt.scale(-1.0)),
        tags=TAGS,
        memory=2,
    ),
    "scale_by_dadapt_adamw": record(
        Vary(jopt.scale_by_dadapt_adamw(**START), "-descends"),
        jopt.chain(jopt.scale_by_dadapt_adamw(b1=0.5, **START), jopt.scale(-1.0)),
        tags=TAGS,
        memory=3,
    ),
    "scale_by_dadapt_lion": record(
        Vary(jopt.scale_by_dadapt_lion(**SOON), "-descends"),
        jopt.chain(jopt.scale_by_dadapt_lion(b1=0.5, **SOON), jopt.scale(-1.0)),
        tags=TAGS,
        memory=2,
    ),
}


def dadapt_sgd(first, grads, lr, d, momentum=0.0, decay=0.0):
    """Algorithm 3, with the decay as part of the gradient."""
    rates = lr if isinstance(lr, tuple) else (lr,) * len(grads)
    x, s, r, path = first.copy(), np.zeros_like(first), 0.0, []
    for t, g in enumerate(grads):
        g = g + decay * x
        if t == 0:
            g0 = np.linalg.norm(g)
        step = d * rates[t] / g0
        r += step * (g @ s)
        s = s + step * g
        d = max(d, 2.0 * r / np.linalg.norm(s))
        x = momentum * x + (1.0 - momentum) * (first - s)
        path.append(x)
    return path


CERTIFICATES = [
    Rows(
        "dadapt_sgd",
        "dadaptation.DAdaptSGD",
        [
            (START, {"d0": 1e-2}),
            (
                {"momentum": 0.9, "growth_rate": 1.2, **START},
                {"momentum": 0.9, "growth_rate": 1.2, "d0": 1e-2},
            ),
            (jopt.dadapt_sgd(RAMP, **START), {"lr": RATES, "d0": 1e-2}),
        ],
        "tree",
    ),
    Rows(
        "dadapt_sgd",
        PAPER,
        [
            (
                jopt.dadapt_sgd(RAMP, 0.5, weight_decay=0.3, **START),
                {"lr": RATES, "d": 1e-2, "momentum": 0.5, "decay": 0.3},
            )
        ],
        "vector",
        dadapt_sgd,
    ),
    Rows(
        "dadapt_adamw",
        "dadaptation.DAdaptAdam",
        [
            (START, {"d0": 1e-2}),
            (
                {"b1": 0.8, "b2": 0.9, "eps": 0.01, "weight_decay": 0.1, **START},
                {
                    "betas": (0.8, 0.9),
                    "eps": 0.01,
                    "weight_decay": 0.1,
                    "decouple": True,
                    "d0": 1e-2,
                },
            ),
            (
                {"use_bias_correction": True, "growth_rate": 1.2, **START},
                {"use_bias_correction": True, "growth_rate": 1.2, "d0": 1e-2},
            ),
            (jopt.dadapt_adamw(RAMP, **START), {"lr": RATES, "d0": 1e-2}),
        ],
        "tree",
    ),
    Rows(
        "dadapt_lion",
        "dadaptation.DAdaptLion",
        [
            (START, {"d0": 1e-2}),
            (
                {"b1": 0.5, "b2": 0.8, "weight_decay": 0.1, **START},
                {"betas": (0.5, 0.8), "weight_decay": 0.1, "d0": 1e-2},
            ),
            (jopt.dadapt_lion(RAMP, **START), {"lr": RATES, "d0": 1e-2}),
        ],
        "tree",
    ),
]

PEERS = [
    Peer(
        "dadapt_adamw-0",
        "contrib.dadapt_adamw(estim_lr0=0.01)",
        lambda: optax.contrib.dadapt_adamw(estim_lr0=0.01),
        None,
        "corrects for bias, which the package does on request; here "
        "`use_bias_correction=True`",
    ),
]
