"""Records of ASGD."""

import jopt
from tests.case import FADING, is_matrix, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.modern import each

CASES = {
    "asgd": record(
        jopt.asgd(RATE),
        jopt.asgd(RATE, lambd=0.1, alpha=0.5, t0=2),
        Vary(jopt.asgd(RATE, lambd=0.0), "+translation_invariant +still"),
        jopt.asgd(RATE, weight_decay=0.1, mask=is_matrix),
        jopt.asgd(FADING, t0=0),
        tags="elementwise odd complex descends",
        needs="params",
        memory=1,
    ),
    "scale_by_asgd": record(
        jopt.scale_by_asgd(RATE),
        jopt.scale_by_asgd(RATE, 0.1, 0.5, 0),
        tags="elementwise odd complex descends",
        needs="params",
        memory=1,
    ),
}


@each
def paper(p, grads, lr, lambd=1e-4, alpha=0.75):
    path = []
    for t, (g, rate) in enumerate(zip(grads, lr, strict=False)):
        eta = rate / (1 + lambd * rate * t) ** alpha
        p = p - eta * (g + lambd * p)
        path.append(p)
    return path


CERTIFICATES = [
    Rows(
        "asgd",
        "torch.optim.ASGD",
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                jopt.asgd(0.1, lambd=0.3, alpha=0.5, t0=3, weight_decay=0.1),
                {"lr": 0.1, "lambd": 0.3, "alpha": 0.5, "t0": 3, "weight_decay": 0.1},
            ),
        ],
    ),
    Rows(
        "asgd",
        PAPER,
        [
            ({"learning_rate": RAMP}, {"lr": RATES}),
            (
                {"learning_rate": RAMP, "lambd": 0.3, "alpha": 1.0},
                {"lr": RATES, "lambd": 0.3, "alpha": 1.0},
            ),
        ],
        "tree",
        paper,
    ),
]
