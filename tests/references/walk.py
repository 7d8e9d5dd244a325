"""What transcriptions of wrappers share: steps over dicts, and plain directions."""

from collections.abc import Callable
from typing import Any

import numpy as np

Tree = dict[str, np.ndarray]


def walk(first: Tree, grads: list[Tree], step: Callable[..., Tree]) -> list[Tree]:
    """The parameters after each `step(params, gradient, t)`, with t from 0."""
    p, path = first, []
    for t, g in enumerate(grads):
        p = step(p, g, t)
        path.append(p)
    return path


def at(value: Any, t: int) -> Any:
    """A number, or that of step t where there is one for each step."""
    return value[t] if np.ndim(value) else value


def total(tree: Tree) -> float:
    """The norm of all leaves together."""
    return float(np.sqrt(sum(np.sum(np.abs(x) ** 2) for x in tree.values())))


class Adam:
    """The direction of Adam, leaf by leaf."""

    def __init__(self, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8):
        self.b1, self.b2, self.eps = b1, b2, eps
        self.m: dict[str, Any] = {}
        self.v: dict[str, Any] = {}
        self.t = 0

    def __call__(self, grads: Tree) -> Tree:
        self.t += 1
        out = {}
        for k, g in grads.items():
            self.m[k] = self.b1 * self.m.get(k, 0.0) + (1 - self.b1) * g
            self.v[k] = self.b2 * self.v.get(k, 0.0) + (1 - self.b2) * g**2
            m = self.m[k] / (1 - self.b1**self.t)
            out[k] = m / (np.sqrt(self.v[k] / (1 - self.b2**self.t)) + self.eps)
        return out


def stepped(p: Tree, u: Tree, rate: float, weight_decay: float = 0.0) -> Tree:
    """The parameters after a step against `u`, with decoupled weight decay."""
    return {k: p[k] - rate * (u[k] + weight_decay * p[k]) for k in p}
