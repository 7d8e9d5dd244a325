"""Papers in NumPy whose rule is a direction, with a decoupled decay beside it."""

from collections.abc import Callable
from typing import Any

import numpy as np

Tree = dict[str, np.ndarray]


class Slots:
    """What a rule remembers of an array: 0 until it is set."""

    def __getattr__(self, name: str) -> float:
        return 0.0


def stepwise(rule: Callable[..., Any]) -> Callable[..., list[Tree]]:
    """Make `rule(slots, g, t, p, **settings)`, a direction, into a run over a tree.

    The learning rate `lr` is a number, or a tuple with one for each step; `decay` is
    the weight of the parameter itself in the direction.
    """

    def run(
        first: Tree, grads: list[Tree], lr: Any = 0.1, decay: float = 0.0, **settings
    ) -> list[Tree]:
        path, slots = [first], {k: Slots() for k in first}
        rates = lr if isinstance(lr, tuple) else (lr,) * len(grads)
        for t, (g, rate) in enumerate(zip(grads, rates, strict=False), 1):
            old, new = path[-1], {}
            for k, p in old.items():
                u = rule(slots[k], g[k], t, p, **settings)
                new[k] = p - rate * (u + decay * p)
            path.append(new)
        return path[1:]

    return run
