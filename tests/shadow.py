"""A training run in NumPy and float64, to hold beside one of jopt.

AdamW behind a clip by the global norm, on means of `every` micro-batches, with bad
micro-batches left out. Written from the papers; nothing here comes from jopt.
"""

import numpy as np

Tree = dict[str, np.ndarray]


class Shadow:
    """The parameters and all that a run keeps.

    Attributes:
        params: The parameters.
        way: The sum of the sizes of all steps: what roundings grow with.
        steps: Optimizer steps taken.
        waiting: Micro-batches that have come in since the latest step.
        skipped: Micro-batches that were left out.
    """

    def __init__(
        self,
        params: Tree,
        every: int,
        *,
        learning_rate: float,
        b1: float,
        b2: float,
        eps: float,
        weight_decay: float,
        max_norm: float,
    ):
        self.params = {k: np.asarray(p, np.float64) for k, p in params.items()}
        self.every = every
        self.learning_rate = learning_rate
        self.b1, self.b2, self.eps = b1, b2, eps
        self.weight_decay, self.max_norm = weight_decay, max_norm
        self.m = {k: np.zeros_like(p) for k, p in self.params.items()}
        self.v = {k: np.zeros_like(p) for k, p in self.params.items()}
        self.sums = {k: np.zeros_like(p) for k, p in self.params.items()}
        self.steps = self.waiting = self.skipped = 0
        self.way = 0.0

    def feed(self, gradient: Tree) -> None:
        """Take one micro-batch; step if it is the last of its group."""
        if not all(np.isfinite(g).all() for g in gradient.values()):
            self.skipped += 1
            return
        self.sums = {k: s + gradient[k] for k, s in self.sums.items()}
        self.waiting += 1
        if self.waiting == self.every:
            self._step({k: s / self.every for k, s in self.sums.items()})
            self.sums = {k: np.zeros_like(s) for k, s in self.sums.items()}
            self.waiting = 0

    def _step(self, gradient: Tree) -> None:
        norm = np.sqrt(sum((g**2).sum() for g in gradient.values()))
        if norm > self.max_norm:
            gradient = {k: g * (self.max_norm / norm) for k, g in gradient.items()}
        self.steps += 1
        first, second = 1 - self.b1**self.steps, 1 - self.b2**self.steps
        for k, g in gradient.items():
            self.m[k] = self.b1 * self.m[k] + (1 - self.b1) * g
            self.v[k] = self.b2 * self.v[k] + (1 - self.b2) * g**2
            u = self.m[k] / first / (np.sqrt(self.v[k] / second) + self.eps)
            step = self.learning_rate * (u + self.weight_decay * self.params[k])
            self.params[k] = self.params[k] - step
            self.way += float(np.abs(step).max())
