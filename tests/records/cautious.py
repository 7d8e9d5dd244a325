"""Records of cautious updates and cautious weight decay."""

import numpy as np

import jopt
from tests.case import FADING, is_matrix, PLAIN, RATE, record, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.walk import Adam, at, stepped, walk

ADAMW = "odd complex descends scale_invariant"

CASES = {
    "add_cautious_weight_decay": record(
        jopt.add_cautious_weight_decay(0.1),
        jopt.add_cautious_weight_decay(0.1, mask=is_matrix),
        tags="elementwise odd complex",
        needs="params",
    ),
    "cadamw": record(
        jopt.cadamw(RATE),
        jopt.cadamw(RATE, weight_decay=0.1, rescale="count"),
        Vary(jopt.cadamw(RATE, b1=0.5, rescale="none"), "+elementwise"),
        Vary(jopt.cadamw(RATE, weight_decay=0.0), PLAIN, needs=""),
        jopt.cadamw(FADING, eps=0.0),
        tags=ADAMW,
        needs="params",
        memory=2,
    ),
    "cautious": record(
        jopt.cautious(jopt.adam(RATE)),
        Vary(jopt.cautious(jopt.signum(RATE), "count"), memory=1),
        Vary(
            jopt.cautious(jopt.scale_by_adam(), "none", flip_sign=False),
            "+elementwise -descends",
        ),
        tags=f"{ADAMW} translation_invariant still",
        memory=2,
    ),
    "clion": record(
        jopt.clion(RATE),
        jopt.clion(RATE, b1=0.5, rescale="count"),
        Vary(jopt.clion(RATE, rescale="none"), "+elementwise"),
        Vary(jopt.clion(RATE, weight_decay=0.0), PLAIN, needs=""),
        jopt.clion(FADING, weight_decay=0.1),
        tags=ADAMW,
        needs="params",
        memory=1,
    ),
}


def judged(u, g, rescale):
    """The update where it agrees with the gradient, scaled up."""
    mask = (u * g > 0).astype(float)
    if rescale == "count":
        mask = mask * mask.size / (mask.sum() + 1)
    if rescale == "mean":
        mask = mask / max(mask.mean(), 1e-3)
    return u * mask


def adamw(first, grads, lr, b1=0.9, weight_decay=0.0, rescale="mean"):
    adam = Adam(b1)

    def step(p, g, t):
        u = adam(g)
        u = {k: judged(u[k], g[k], rescale) for k in u}
        return stepped(p, u, at(lr, t), weight_decay)

    return walk(first, grads, step)


def lion(first, grads, lr, b1=0.9, b2=0.99, weight_decay=0.0, rescale="mean"):
    m = {k: np.zeros_like(p) for k, p in first.items()}

    def step(p, g, t):
        c = {k: b1 * m[k] + (1 - b1) * g[k] for k in p}
        m.update({k: b2 * m[k] + (1 - b2) * g[k] for k in p})
        u = {k: judged(np.sign(c[k]), g[k], rescale) for k in p}
        return stepped(p, u, at(lr, t), weight_decay)

    return walk(first, grads, step)


def aligned(first, grads, lr, weight_decay):
    """AdamW with cautious weight decay."""
    adam = Adam()

    def step(p, g, t):
        u = adam(g)
        return {
            k: p[k]
            - at(lr, t) * (u[k] + weight_decay * np.where(u[k] * p[k] >= 0, p[k], 0))
            for k in p
        }

    return walk(first, grads, step)


def cwd(rate, weight_decay):
    return jopt.chain(
        jopt.scale_by_adam(),
        jopt.add_cautious_weight_decay(weight_decay),
        jopt.scale_by_learning_rate(rate),
    )


NO_DECAY = {"weight_decay": 0.0}

CERTIFICATES = [
    Rows(
        "cadamw",
        PAPER,
        [
            (
                {"learning_rate": 0.1, "weight_decay": 0.1},
                {"lr": 0.1, "weight_decay": 0.1},
            ),
            (
                {
                    "learning_rate": 0.1,
                    "b1": 0.5,
                    "rescale": "count",
                    "weight_decay": 0.0,
                },
                {"lr": 0.1, "b1": 0.5, "rescale": "count"},
            ),
            ({"learning_rate": RAMP, "weight_decay": 0.0}, {"lr": RATES}),
        ],
        "tree",
        adamw,
    ),
    Rows(
        "cautious",
        PAPER,
        [
            (jopt.cautious(jopt.adam(0.1)), {"lr": 0.1}),
            (
                jopt.cautious(jopt.adam(RAMP), "count"),
                {"lr": RATES, "rescale": "count"},
            ),
        ],
        "tree",
        adamw,
    ),
    Rows(
        "clion",
        PAPER,
        [
            (
                {"learning_rate": 0.1, "weight_decay": 0.1},
                {"lr": 0.1, "weight_decay": 0.1},
            ),
            (
                {
                    "learning_rate": 0.1,
                    "b1": 0.5,
                    "rescale": "count",
                    "weight_decay": 0.0,
                },
                {"lr": 0.1, "b1": 0.5, "rescale": "count"},
            ),
            ({"learning_rate": RAMP, "weight_decay": 0.0}, {"lr": RATES}),
        ],
        "tree",
        lion,
    ),
    Rows(
        "add_cautious_weight_decay",
        PAPER,
        [
            (cwd(0.1, 0.1), {"lr": 0.1, "weight_decay": 0.1}),
            (cwd(RAMP, 0.5), {"lr": RATES, "weight_decay": 0.5}),
        ],
        "tree",
        aligned,
    ),
]
