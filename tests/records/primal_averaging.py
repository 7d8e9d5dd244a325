"""Schedule-Free and primal averaging as wrappers: laws, and runs of the papers."""

import numpy as np

import jopt
from tests.case import FADING, RATE, record, STEP, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows

SGD = jopt.sgd(RATE)

CASES = {
    "schedule_free": record(
        jopt.schedule_free(SGD, RATE),
        jopt.schedule_free(SGD, RATE, b1=0.5),
        Vary(
            jopt.schedule_free(jopt.rmsprop(RATE), RATE, r=1.0),
            "+scale_invariant",
            memory=2,
        ),
        jopt.schedule_free(SGD, RATE, weight_lr_power=0.0),
        jopt.schedule_free(jopt.sgd(FADING), FADING),
        tags=STEP,
        needs="params",
        memory=1,
        skips={"A8": "the rate weights the average; the step's is that of `inner`"},
    ),
    "gpa": record(
        jopt.gpa(SGD),
        jopt.gpa(SGD, mu_x=0.9),
        jopt.gpa(SGD, mu_y=0.9),
        Vary(jopt.gpa(jopt.adam(RATE)), "+scale_invariant", memory=3),
        jopt.gpa(jopt.sgd(FADING)),
        tags=STEP,
        needs="params",
        memory=1,
    ),
}


def averaged(first, grads, lr, weight, mu_y, decay=0.0):
    """Three sequences: `x` averages `z` with weight `weight(t)`; `y` lies between."""
    rates = lr if isinstance(lr, tuple) else (lr,) * len(grads)
    x, z, y, path = first.copy(), first.copy(), first.copy(), []
    for t, g in enumerate(grads):
        z = (1 - rates[t] * decay) * z - rates[t] * g
        c = weight(t, rates)
        x = (1 - c) * x + c * z
        y = mu_y * x + (1 - mu_y) * z
        path.append(y)
    return path


def gpa(first, grads, lr=0.1, mu_x=0.9967, mu_y=0.7, decay=0.0):
    return averaged(first, grads, lr, lambda t, rates: 1 - mu_x, mu_y, decay)


def schedule_free(first, grads, lr=0.1, b1=0.9, power=2.0, r=0.0):
    def weight(t, rates):
        w = [(s + 1) ** r * max(rates[: s + 1]) ** power for s in range(t + 1)]
        return w[-1] / np.sum(w)

    return averaged(first, grads, lr, weight, b1)


CERTIFICATES = [
    Rows(
        "schedule_free",
        PAPER,
        [
            (jopt.schedule_free(SGD, 0.1), {}),
            (
                jopt.schedule_free(SGD, 0.1, 0.5, 1.0, r=1.0),
                {"b1": 0.5, "power": 1.0, "r": 1.0},
            ),
            (jopt.schedule_free(jopt.sgd(RAMP), RAMP), {"lr": RATES}),
        ],
        "vector",
        schedule_free,
    ),
    Rows(
        "gpa",
        PAPER,
        [
            (jopt.gpa(SGD), {}),
            (jopt.gpa(SGD, 0.5, 0.9), {"mu_x": 0.5, "mu_y": 0.9}),
            (jopt.gpa(jopt.sgd(RAMP)), {"lr": RATES}),
            (jopt.gpa(jopt.sgd(0.1, weight_decay=0.3)), {"decay": 0.3}),
        ],
        "vector",
        gpa,
    ),
]
