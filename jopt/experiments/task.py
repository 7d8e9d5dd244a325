"""A task: data, a model, the loss it is trained on and the score it is judged by."""

import dataclasses
import functools as ft
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import numpy as np
from flax import nnx

from jopt.experiments.training import Batches, minibatches

PyTree = Any
Rows = Mapping[str, Any]  # arrays by name, with a common first axis
Part = Literal["train", "valid", "test"]

EVAL_ROWS = 256


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a task is trained to its reference score.

    Attributes:
        optimizer: What `jopt.parse` makes an optimizer of.
        steps: Steps of training.
        batch_size: Rows of a minibatch.
        score: The score on the test part, the mean of the seeds that `docs/tasks.md`
            tells.
        minutes: CPU minutes of a run.
        published: What others report on the same data, with its source; or why there
            is nothing to compare with.
    """

    optimizer: str
    steps: int
    batch_size: int
    score: float = math.nan
    minutes: float = math.nan
    published: str = ""


@dataclasses.dataclass(frozen=True)
class Task:
    """Data, a model, a loss and a score.

    Attributes:
        name: The task's name.
        parts: The rows of `train`, `valid` and `test`: arrays by name, with a common
            first axis.
        make: `make(rngs)`: the model, a Flax NNX module.
        outputs: `outputs(model, rows)`: what the model says of rows.
        loss: `loss(outputs, rows)`: what is minimised, a mean over the rows.
        judge: `judge(outputs, rows)`: the score of a whole part, in NumPy; so it may be
            what is no mean over rows, such as BLEU.
        metric: What the score is called.
        higher_is_better: Whether a higher score is the better one.
        augment: `augment(rows, random)`: rows of a minibatch, changed by chance.
        answer: `answer(model, rows)`: what `predict` returns and `judge` gets, where
            that is not `outputs`: a translation, which is written word by word.
        recipe: How the reference score is reached.

    Example:
        >>> from jopt.experiments.tasks import load
        >>> task = load("digits")
        >>> params, rest = task.init(jax.random.key(0))
        >>> 0.0 < task.score(params, rest, "valid") < 0.4
        True
    """

    name: str
    parts: Mapping[str, Rows]
    make: Callable[[nnx.Rngs], nnx.Module]
    outputs: Callable[[Any, Rows], Any]
    loss: Callable[[Any, Rows], jax.Array]
    judge: Callable[[Any, Rows], float]
    metric: str
    higher_is_better: bool
    recipe: Recipe
    augment: Callable[[Rows, np.random.Generator], Rows] | None = None
    answer: Callable[[Any, Rows], Any] | None = None

    def init(self, key: jax.Array) -> tuple[PyTree, PyTree]:
        """The first parameters, and the rest of the model's state.

        The rest is what changes with a step and has no gradient: the averages of batch
        normalisation, and the keys of dropout.
        """
        return self._compiled_init(key)

    def batches(self, batch_size: int, seed: int = 0) -> Batches:
        """The minibatch of each step."""
        plain = minibatches(dict(self.parts["train"]), batch_size, seed)
        if self.augment is None:
            return plain
        augment = self.augment

        def batch(step: int) -> PyTree:
            return augment(plain(step), np.random.default_rng((seed, 1, step)))

        return batch

    def train_loss(
        self, params: PyTree, rest: PyTree, batch: Rows
    ) -> tuple[jax.Array, PyTree]:
        """The loss of a minibatch in training, and the rest of the state after it."""
        model = self._model(params, rest, training=True)
        value = self.loss(self.outputs(model, batch), batch)
        return value, _rest(model)

    def score(self, params: PyTree, rest: PyTree, part: Part = "valid") -> float:
        """The score of a part."""
        rows = self.parts[part]
        return self.judge(self.predict(params, rest, rows), rows)

    def predict(self, params: PyTree, rest: PyTree, rows: Rows) -> Any:
        """What the model says of rows, when it is not in training."""
        count = len(next(iter(rows.values())))
        found = []
        for at in range(0, count, EVAL_ROWS):
            block = {name: x[at : at + EVAL_ROWS] for name, x in rows.items()}
            size = len(next(iter(block.values())))
            padded = {name: _padded(x, EVAL_ROWS) for name, x in block.items()}
            said = self._compiled_outputs(params, rest, padded)
            found.append(jax.tree.map(lambda x, n=size: np.asarray(x)[:n], said))
        return jax.tree.map(lambda *blocks: np.concatenate(blocks), *found)

    def forward(self, params: PyTree, rest: PyTree, rows: Rows) -> Any:
        """What the model says of rows, when it is not in training; it may be traced."""
        answer = self.answer or self.outputs
        return answer(self._model(params, rest, training=False), rows)

    def _model(self, params: PyTree, rest: PyTree, training: bool) -> nnx.Module:
        graph, *abstract = self._structure[training]
        states = [
            jax.tree.unflatten(jax.tree.structure(shape), jax.tree.leaves(tree))
            for shape, tree in zip(abstract, (params, rest), strict=True)
        ]
        return nnx.merge(graph, *states)

    @ft.cached_property
    def _structure(self) -> dict[bool, Any]:
        """The model without its arrays, in training and not."""
        model = nnx.eval_shape(lambda: self.make(nnx.Rngs(0)))
        made = {}
        for training in (True, False):
            model.train() if training else model.eval()
            made[training] = nnx.split(model, nnx.Param, ...)
        return made

    @ft.cached_property
    def _compiled_init(self) -> Callable[[jax.Array], tuple[PyTree, PyTree]]:
        def init(key: jax.Array) -> tuple[PyTree, PyTree]:
            model = self.make(nnx.Rngs(key))
            model.train()
            return nnx.to_pure_dict(nnx.state(model, nnx.Param)), _rest(model)

        return jax.jit(init)

    @ft.cached_property
    def _compiled_outputs(self) -> Callable[[PyTree, PyTree, Rows], Any]:
        return jax.jit(self.forward)


def _rest(model: nnx.Module) -> PyTree:
    return nnx.to_pure_dict(nnx.state(model, nnx.Not(nnx.Param)))


def _padded(x: np.ndarray, rows: int) -> np.ndarray:
    """So that the last block, too, has the shape that is compiled."""
    return np.pad(x, [(0, rows - len(x))] + [(0, 0)] * (x.ndim - 1))
