"""Records of norm control, filters of the gradient, and momentum over many steps."""

import numpy as np

import jopt
from tests.case import FADING, FREE, is_matrix, is_vector, RATE, record, STEP, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.walk import Adam, at, stepped, walk

CASES = {
    "ema_nesterov": record(
        jopt.ema_nesterov(jopt.signum(RATE)),
        Vary(jopt.ema_nesterov(jopt.adam(RATE), 0.9, FADING), memory=3),
        tags=f"{STEP} scale_invariant",
        memory=2,
    ),
    "grokfast": record(
        jopt.grokfast(),
        jopt.grokfast(0.5, amplify=0.5),
        tags=FREE,
        memory=1,
    ),
    "hyperball": record(
        # the other leaf can come down a bowl
        jopt.hyperball(RATE, mask=is_matrix),
        jopt.hyperball(FADING, mask=is_vector, stacked=True),
        tags="odd still complex descends",
        needs="params",
        skips={"A8": "a step that keeps a norm is no multiple of a smaller one"},
    ),
    "norm_floor": record(
        jopt.norm_floor(10.0),
        Vary(jopt.norm_floor(20.0, per_row=True), "+matrix"),
        tags="odd still complex",
        needs="params",
    ),
    "ortho_grad": record(
        jopt.ortho_grad(),
        jopt.ortho_grad(rescale=False),
        tags="odd still complex",
        needs="params",
    ),
    "outer_nesterov": record(
        jopt.outer_nesterov(jopt.signum(0.5), sync_period=2),
        jopt.outer_nesterov(jopt.signum(0.5), 0.5, sync_period=3, nesterov=False),
        tags=f"{STEP} scale_invariant",
        needs="params",
        memory=3,
    ),
    "radial_brake": record(
        jopt.radial_brake(),
        jopt.radial_brake(0.25),
        tags="odd still complex",
        needs="params",
    ),
}


def ema_nesterov(first, grads, lr, decay, beta):
    """As the paper has it: what is trained is `q`, ahead of `p`."""
    adam, p, m = Adam(), dict(first), {k: 0.0 * x for k, x in first.items()}

    def step(q, g, t):
        u = adam(g)
        new = stepped(q, u, at(lr, t))
        for k in q:
            m[k] = decay * m[k] + (1 - decay) * (new[k] - p[k])
            p[k] = new[k]
        return {k: p[k] + at(beta, t) * m[k] for k in q}

    return walk(first, grads, step)


def outer(first, grads, lr, rate, momentum, every_k):
    adam, slow, b = Adam(), dict(first), {k: 0.0 * x for k, x in first.items()}

    def step(p, g, t):
        p = stepped(p, adam(g), at(lr, t))
        if (t + 1) % every_k:
            return p
        for k in p:
            d = slow[k] - p[k]
            b[k] = momentum * b[k] + d
            slow[k] = slow[k] - rate * (d + momentum * b[k])
        return dict(slow)

    return walk(first, grads, step)


def hyperball(first, grads, lr, plain=()):
    adam = Adam()

    def step(p, g, t):
        u, out = adam(g), {}
        for k, x in p.items():
            size = np.linalg.norm(x)
            q = x - at(lr, t) * u[k] * size / np.linalg.norm(u[k])
            q = q * size / np.linalg.norm(q)
            out[k] = x - at(lr, t) * u[k] if k in plain else q
        return out

    return walk(first, grads, step)


def floored(first, grads, lr, ratio):
    def step(p, g, t):
        lift = {k: ratio * np.linalg.norm(p[k]) / np.linalg.norm(g[k]) for k in p}
        return stepped(p, {k: max(1, lift[k]) * g[k] for k in p}, at(lr, t))

    return walk(first, grads, step)


def braked(first, grads, lr, strength):
    adam = Adam()

    def step(p, g, t):
        u = adam(g)
        out = {}
        for k, x in p.items():
            step = -at(lr, t) * u[k]
            outward = max(np.sum(step * x) / np.sum(x * x), 0)
            out[k] = x + step - strength * outward * x
        return out

    return walk(first, grads, step)


def orthogonal(first, grads, lr, rescale=True):
    adam = Adam()

    def step(p, g, t):
        h = {}
        for k, x in p.items():
            h[k] = g[k] - np.sum(g[k] * x) / np.sum(x * x) * x
            if rescale:
                h[k] = h[k] * np.linalg.norm(g[k]) / np.linalg.norm(h[k])
        return stepped(p, adam(h), at(lr, t))

    return walk(first, grads, step)


def grokfast(first, grads, lr, decay=0.98, amplify=2.0):
    adam, h = Adam(), dict(grads[0])

    def step(p, g, t):
        for k in p:
            h[k] = decay * h[k] + (1 - decay) * g[k] if t else g[k]
        return stepped(p, adam({k: g[k] + amplify * h[k] for k in p}), at(lr, t))

    return walk(first, grads, step)


def before(stage, rate):
    return jopt.chain(stage, jopt.adam(rate))


def after(rate, stage):
    return jopt.chain(jopt.adam(rate), stage)


def rows(name, transcription, *pairs):
    return Rows(name, PAPER, pairs, "tree", transcription)


def ball(*args, **kwargs):
    return jopt.chain(jopt.scale_by_adam(), jopt.hyperball(*args, **kwargs))


def floor(ratio, rate):
    return jopt.chain(jopt.norm_floor(ratio), jopt.sgd(rate))


CERTIFICATES = [
    rows(
        "ema_nesterov",
        ema_nesterov,
        (jopt.ema_nesterov(jopt.adam(0.1)), {"lr": 0.1, "decay": 0.99, "beta": 0.3}),
        (
            jopt.ema_nesterov(jopt.adam(RAMP), 0.5, RAMP),
            {"lr": RATES, "decay": 0.5, "beta": RATES},
        ),
    ),
    rows(
        "outer_nesterov",
        outer,
        (
            jopt.outer_nesterov(jopt.adam(0.1), sync_period=3),
            {"lr": 0.1, "rate": 0.7, "momentum": 0.5, "every_k": 3},
        ),
        (
            jopt.outer_nesterov(jopt.adam(RAMP), 0.3, 0.77, sync_period=2),
            {"lr": RATES, "rate": 0.3, "momentum": 0.77, "every_k": 2},
        ),
    ),
    rows(
        "hyperball",
        hyperball,
        (ball(0.1), {"lr": 0.1}),
        (ball(RAMP, mask="w"), {"lr": RATES, "plain": ("b",)}),
    ),
    rows(
        "norm_floor",
        floored,
        (floor(0.35, 0.1), {"lr": 0.1, "ratio": 0.35}),
        (floor(2.0, RAMP), {"lr": RATES, "ratio": 2.0}),
    ),
    rows(
        "radial_brake",
        braked,
        (after(0.1, jopt.radial_brake()), {"lr": 0.1, "strength": 0.5}),
        (after(RAMP, jopt.radial_brake(1.0)), {"lr": RATES, "strength": 1.0}),
    ),
    rows(
        "ortho_grad",
        orthogonal,
        (before(jopt.ortho_grad(), 0.1), {"lr": 0.1}),
        (
            before(jopt.ortho_grad(rescale=False), RAMP),
            {"lr": RATES, "rescale": False},
        ),
    ),
    rows(
        "grokfast",
        grokfast,
        (before(jopt.grokfast(), 0.1), {"lr": 0.1}),
        (
            before(jopt.grokfast(0.5, 0.5), RAMP),
            {"lr": RATES, "decay": 0.5, "amplify": 0.5},
        ),
    ),
]
