"""The newer optimizers in NumPy, as their papers have them.

Each takes the first parameters and the gradients of all steps, as dicts of arrays, and
returns the parameters after each step. Nothing here comes from jopt.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Tree = dict[str, np.ndarray]


def each(rule):
    """Make a rule for one array into one for a dict of arrays."""

    def run(p: Tree, grads: list[Tree], **settings: Any) -> list[Tree]:
        paths = {k: rule(p[k], [g[k] for g in grads], **settings) for k in p}
        return [{k: paths[k][i] for k in p} for i in range(len(grads))]

    return run


@each
def lion(p, grads, lr, b1=0.9, b2=0.99, weight_decay=1e-3):
    path, m = [], np.zeros_like(p)
    for g in grads:
        c = b1 * m + (1 - b1) * g
        m = b2 * m + (1 - b2) * g
        p = p - lr * (np.sign(c) + weight_decay * p)
        path.append(p)
    return path


@each
def signum(p, grads, lr, beta):
    path, m = [], np.zeros_like(p)
    for g in grads:
        m = beta * m + (1 - beta) * g
        p = p - lr * np.sign(m)
        path.append(p)
    return path


def lamb(p, grads, lr, b1=0.9, b2=0.999, eps=1e-6, weight_decay=0.0, plain=()):
    out = [{} for _ in grads]
    for k in p:
        x, m, v = p[k], 0.0, 0.0
        for t, tree in enumerate(grads, 1):
            g = tree[k]
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * g**2
            u = (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
            u = u + (0.0 if k in plain else weight_decay) * x
            top, bottom = np.linalg.norm(x), np.linalg.norm(u)
            ratio = top / bottom if top and bottom and k not in plain else 1.0
            x = x - lr * ratio * u
            out[t - 1][k] = x
    return out


def lars(
    p,
    grads,
    lr,
    momentum=0.9,
    trust=0.001,
    weight_decay=0.0,
    joint=False,
    nesterov=False,
    plain=(),
):
    out = [{} for _ in grads]
    for k in p:
        x, m = p[k], 0.0
        for t, tree in enumerate(grads):
            g, decay = tree[k], 0.0 if k in plain else weight_decay
            rate = lr[t] if np.ndim(lr) else lr
            size = np.linalg.norm(x)
            bottom = np.linalg.norm(g) + decay * size
            if joint:
                bottom = np.linalg.norm(g + decay * x)
            ratio = 1.0 if k in plain or not size else trust * size / bottom
            u = rate * ratio * (g + decay * x)
            m = momentum * m + u
            x = x - (u + momentum * m if nesterov else m)
            out[t][k] = x
    return out


@each
def adafactor(
    p,
    grads,
    rate,
    least=128,
    exponent=0.8,
    eps1=1e-30,
    eps2=1e-3,
    clip=1.0,
    scale=True,
    momentum=None,
    decay=0.0,
):
    """The paper's rule; `rate` is a function of the step, from 1."""
    path, r, c, v, m = [], 0.0, 0.0, 0.0, 0.0
    for t, g in enumerate(grads, 1):
        b, square = 1 - t**-exponent, g**2 + eps1
        if p.ndim > 1 and min(p.shape[-2:]) >= least:
            r = b * r + (1 - b) * square.mean(-1, keepdims=True)
            c = b * c + (1 - b) * square.mean(-2, keepdims=True)
            second = r * c / r.mean(-2, keepdims=True)
        else:
            second = v = b * v + (1 - b) * square
        u = g / np.sqrt(second)
        if clip:
            u = u / max(1.0, np.sqrt(np.mean(u**2)) / clip)
        u = u * rate(t) * (max(eps2, np.sqrt(np.mean(p**2))) if scale else 1.0)
        if momentum is not None:
            u = m = momentum * m + (1 - momentum) * u
        p = p - u - decay * p
        path.append(p)
    return path


def schedule_free(
    p,
    grads,
    lr,
    b1=0.9,
    b2=None,
    eps=1e-8,
    weight_decay=0.0,
    warmup=0,
    power=2.0,
    r=0.0,
):
    """The three sequences of the paper. Returns `y` and `x` after each step."""
    ys, xs = [{} for _ in grads], [{} for _ in grads]
    for k in p:
        z = x = y = p[k]
        v = total = top = 0.0
        for t, tree in enumerate(grads, 1):
            u, rate = tree[k], lr * min(1.0, t / warmup) if warmup else lr
            if b2 is not None:
                v = b2 * v + (1 - b2) * u**2
                u = u / (np.sqrt(v / (1 - b2**t)) + eps)
            z = z - rate * (u + weight_decay * y)
            top = max(top, rate)
            w = t**r * top**power
            total += w
            x = x + w / total * (z - x)
            y = (1 - b1) * z + b1 * x
            ys[t - 1][k], xs[t - 1][k] = y, x
    return ys, xs


SIMPLE = (3.4445, -4.7750, 2.0315)
STABLE = (2.0, -1.5, 0.5)


def newton_schulz(u, triples, eps=1e-8):
    """Of one matrix, `(in, out)`, by the literal formula."""
    x = u / max(np.linalg.norm(u), eps)
    for a, b, c in triples:
        gram = x @ x.T
        x = a * x + b * gram @ x + c * gram @ gram @ x
    return x


@each
def muon(
    p,
    grads,
    lr,
    triples=(SIMPLE,) * 5,
    beta=0.95,
    nesterov=True,
    scale="original",
    weight_decay=0.0,
    eps=1e-8,
):
    """Of matrices only, in JAX's layout; leading axes are a stack."""
    path, m = [], np.zeros_like(p)
    rows, cols = p.shape[-2:]
    factor = {
        "original": math.sqrt(max(1.0, cols / rows)),
        "match_rms": 0.2 * math.sqrt(max(rows, cols)),
        "spectral": math.sqrt(cols / rows),
    }[scale]
    for g in grads:
        m = beta * m + (1 - beta) * g
        u = beta * m + (1 - beta) * g if nesterov else m
        stack = u.reshape(-1, rows, cols)
        o = np.stack([newton_schulz(x, triples, eps) for x in stack]).reshape(p.shape)
        p = p - lr * (factor * o + weight_decay * p)
        path.append(p)
    return path


class Case(NamedTuple):
    """A setting of jopt and of the transcription here."""

    optimizer: str
    arguments: dict[str, Any]
    reference: Callable[..., list[Tree]]
    settings: dict[str, Any]
    problem: str = "tree"

    def __str__(self) -> str:
        shown = ",".join(map(str, self.arguments.values()))
        return f"{self.optimizer}-{shown}"[:60]


def _cases(name: str, reference: Any, pairs: list[tuple[Any, Any]]) -> list[Case]:
    return [Case(name, {"learning_rate": 0.1} | a, reference, s) for a, s in pairs]


CASES = [
    *_cases(
        "lion",
        lion,
        [
            ({}, {"lr": 0.1}),
            (
                {"b1": 0.5, "b2": 0.5, "weight_decay": 0.2},
                {"lr": 0.1, "b1": 0.5, "b2": 0.5, "weight_decay": 0.2},
            ),
        ],
    ),
    *_cases(
        "signum",
        signum,
        [
            ({}, {"lr": 0.1, "beta": 0.9}),
            ({"beta": 0.0}, {"lr": 0.1, "beta": 0.0}),
            ({"beta": 0.99}, {"lr": 0.1, "beta": 0.99}),
        ],
    ),
    *_cases("sign_sgd", signum, [({}, {"lr": 0.1, "beta": 0.0})]),
    *_cases(
        "lamb",
        lamb,
        [
            ({}, {"lr": 0.1}),
            (
                {"b1": 0.5, "b2": 0.8, "eps": 0.1, "weight_decay": 0.3},
                {"lr": 0.1, "b1": 0.5, "b2": 0.8, "eps": 0.1, "weight_decay": 0.3},
            ),
            (
                {"weight_decay": 0.3, "mask": "^w$", "trust_ratio_mask": "^w$"},
                {"lr": 0.1, "weight_decay": 0.3, "plain": ("b",)},
            ),
        ],
    ),
    *_cases(
        "lars",
        lars,
        [
            ({"learning_rate": 10.0}, {"lr": 10.0}),
            (
                {"weight_decay": 0.3, "trust_coefficient": 0.1, "nesterov": True},
                {"lr": 0.1, "weight_decay": 0.3, "trust": 0.1, "nesterov": True},
            ),
            (
                {"weight_decay": 0.3, "momentum": 0.0, "decay_norm": "joint"},
                {"lr": 0.1, "weight_decay": 0.3, "momentum": 0.0, "joint": True},
            ),
            (
                {
                    "weight_decay": 0.3,
                    "weight_decay_mask": "^w$",
                    "trust_ratio_mask": "^w$",
                },
                {"lr": 0.1, "weight_decay": 0.3, "plain": ("b",)},
            ),
        ],
    ),
    *_cases(
        "adafactor",
        adafactor,
        [
            ({}, {"rate": lambda t: 0.1}),
            (
                {
                    "learning_rate": None,
                    "min_dim_size_to_factor": 3,
                    "decay_rate": 0.5,
                    "eps": 0.1,
                    "clipping_threshold": 0.5,
                    "multiply_by_parameter_scale": False,
                    "momentum": 0.5,
                    "weight_decay_rate": 0.1,
                },
                {
                    "rate": lambda t: 1.0,
                    "least": 3,
                    "exponent": 0.5,
                    "eps1": 0.1,
                    "clip": 0.5,
                    "scale": False,
                    "momentum": 0.5,
                    "decay": 0.1,
                },
            ),
            (
                {
                    "learning_rate": 0.4,
                    "min_dim_size_to_factor": 2,
                    "relative_step": True,
                    "clipping_threshold": None,
                },
                {"rate": lambda t: min(0.4, t**-0.5), "least": 2, "clip": None},
            ),
        ],
    ),
]

MUON = [
    Case(
        "muon",
        {"learning_rate": 0.1, "matrices": True} | arguments,
        muon,
        {"lr": 0.1} | settings,
        "shapes",
    )
    for arguments, settings in [
        ({}, {}),
        (
            {"ns_coeffs": "quintic5", "scale": "match_rms", "weight_decay": 0.3},
            {"triples": "quintic5", "scale": "match_rms", "weight_decay": 0.3},
        ),
        (
            {"ns_coeffs": "polar_express", "scale": "spectral", "nesterov": False},
            {"triples": "polar_express", "scale": "spectral", "nesterov": False},
        ),
        (
            {"ns_coeffs": "deepseek_v4", "beta": 0.5},
            {"triples": "deepseek_v4", "beta": 0.5},
        ),
        (
            {"ns_coeffs": STABLE, "ns_steps": 3, "eps": 5.0},
            {"triples": (STABLE,) * 3, "eps": 5.0},
        ),
    ]
]
