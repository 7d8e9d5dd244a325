"""Records of SPAM and Stable-SPAM."""

import numpy as np

import jopt
from tests.case import DECAY, FADING, FREE, RATE, record, STEP, Vary
from tests.certificates.record import PAPER, RAMP, RATES, Rows
from tests.references.walk import at, stepped, walk

LEAFWISE = "odd translation_invariant still complex scale_invariant"

CASES = {
    "scale_by_spam": record(
        jopt.scale_by_spam(),
        jopt.scale_by_spam(threshold=4.0, reset_every=3, grace_steps=0),
        tags=f"{FREE} scale_invariant",
        memory=2,
    ),
    "scale_by_stable_spam": record(
        jopt.scale_by_stable_spam(),
        jopt.scale_by_stable_spam(0.5, 0.9, theta=0.5, reset_every=3),
        tags=LEAFWISE,
        memory=2,
    ),
    "spam": record(
        jopt.spam(RATE),
        jopt.spam(RATE, b1=0.5, reset_every=2, grace_steps=1),
        jopt.spam(RATE, threshold=2.0, grace_steps=0),
        Vary(jopt.spam(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.spam(FADING, eps=1e-8, warmup_steps=2, reset_every=3),
        tags=f"{STEP} scale_invariant",
        memory=2,
    ),
    "stable_spam": record(
        jopt.stable_spam(RATE),
        jopt.stable_spam(RATE, b1=0.5, reset_every=2),
        jopt.stable_spam(RATE, theta=0.5, gamma1=0.5),
        Vary(jopt.stable_spam(RATE, weight_decay=0.1), DECAY, needs="params"),
        jopt.stable_spam(FADING, gamma2=0.5),
        tags=f"{LEAFWISE} descends",
        memory=2,
    ),
}


def spam(
    first,
    grads,
    lr,
    b1=0.9,
    b2=0.999,
    eps=1e-6,
    threshold=5000.0,
    every=500,
    weight_decay=0.0,
    warmup=50,
    grace=20,
):
    m = {k: 0.0 * x for k, x in first.items()}
    v = dict(m)

    def step(p, g, t):
        t, u = t + 1, {}
        since = t % every
        for k in p:
            if since == 0:
                m[k], v[k] = 0.0 * p[k], 0.0 * p[k]
            x = g[k]
            if since >= grace:
                spike = (x**2 > threshold * v[k]) & (v[k] > 0)
                x = np.where(spike, np.sign(x) * np.sqrt(threshold * v[k]), x)
            m[k] = b1 * m[k] + (1 - b1) * x
            v[k] = b2 * v[k] + (1 - b2) * x**2
            w = 1.0
            if t >= every and since < warmup:
                w = 1 - 0.99 * (1 + np.cos(np.pi * (since + 1) / (warmup + 1))) / 2
            w = w * np.sqrt(1 - b2**t) / (1 - b1**t)
            u[k] = w * m[k] / (np.sqrt(v[k]) + eps)
        return stepped(p, u, at(lr, t - 1), weight_decay)

    return walk(first, grads, step)


def stable_spam(
    first,
    grads,
    lr,
    b1=0.9,
    b2=0.999,
    eps=1e-8,
    gamma1=0.7,
    gamma2=0.9,
    theta=0.999,
    every=1000,
    weight_decay=0.0,
):
    m = {k: 0.0 * x for k, x in first.items()}
    v, a, n, q = dict(m), dict.fromkeys(m, 0.0), dict.fromkeys(m, 0.0), {}
    q, seen = dict.fromkeys(m, 0.0), [0]

    def step(p, g, t):
        t, u = t + 1, {}
        seen[0] = seen[0] + 1 if t % every else 1
        for k in p:
            if t % every == 0:
                m[k], v[k] = 0.0 * p[k], 0.0 * p[k]
            x, top = g[k], np.max(np.abs(g[k]))
            a[k] = theta * a[k] + (1 - theta) * top
            bound = a[k] / (1 - theta**t)
            x = np.where(np.abs(x) > bound, x / top * bound, x)
            size = np.linalg.norm(x)
            n[k] = gamma1 * n[k] + (1 - gamma1) * size
            q[k] = gamma2 * q[k] + (1 - gamma2) * size**2
            c = n[k] / (1 - gamma1**t) / (np.sqrt(q[k] / (1 - gamma2**t)) + eps)
            x = x / size * c
            m[k] = b1 * m[k] + (1 - b1) * x
            v[k] = b2 * v[k] + (1 - b2) * x**2
            below = np.sqrt(v[k] / (1 - b2 ** seen[0])) + eps
            u[k] = m[k] / (1 - b1 ** seen[0]) / below
        return stepped(p, u, at(lr, t - 1), weight_decay)

    return walk(first, grads, step)


CERTIFICATES = [
    Rows(
        "spam",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": 0.1, "reset_every": 4, "weight_decay": 0.1}
                | {"warmup_steps": 2, "grace_steps": 1, "threshold": 2.0},
                {"lr": 0.1, "every": 4, "weight_decay": 0.1}
                | {"warmup": 2, "grace": 1, "threshold": 2.0},
            ),
            (
                {"learning_rate": RAMP, "b1": 0.5, "grace_steps": 2, "threshold": 1.0},
                {"lr": RATES, "b1": 0.5, "grace": 2, "threshold": 1.0},
            ),
        ],
        "tree",
        spam,
    ),
    Rows(
        "stable_spam",
        PAPER,
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": 0.1, "reset_every": 4, "weight_decay": 0.1},
                {"lr": 0.1, "every": 4, "weight_decay": 0.1},
            ),
            (
                {"learning_rate": RAMP, "b1": 0.5, "theta": 0.5, "gamma1": 0.2},
                {"lr": RATES, "b1": 0.5, "theta": 0.5, "gamma1": 0.2},
            ),
        ],
        "tree",
        stable_spam,
    ),
]
