"""Kinds of tasks, and what their data share: parts, scaling, a quick look."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jopt.experiments import data, models
from jopt.experiments.models.layers import named
from jopt.experiments.task import Recipe, Rows, Task
from jopt.experiments.tasks import scores

Parts = dict[str, Rows]


def classification(
    name: str,
    parts: Mapping[str, Rows],
    classes: int,
    recipe: Recipe,
    model: str,
    options: Mapping[str, Any],
    augment: Callable[[Rows, np.random.Generator], Rows] | None = None,
) -> Task:
    """A task of rows and labels: cross entropy is minimised, accuracy judged.

    Args:
        name: The task's name.
        parts: The rows: `x`, and labels `y`.
        classes: The number of labels.
        recipe: How it is trained.
        model: One of `jopt.experiments.models.MODELS`.
        options: Options of the model.
        augment: Changes rows by chance.

    Returns:
        The task.
    """
    make = named("model", model, models.MODELS)
    shape = parts["train"]["x"].shape[1:]
    return Task(
        name=name,
        parts=parts,
        make=lambda rngs: make(shape, classes, rngs=rngs, **options),
        outputs=lambda model, rows: model(rows["x"]),
        loss=lambda logits, rows: models.cross_entropy(logits, rows["y"]),
        judge=lambda logits, rows: scores.accuracy(logits, rows["y"]),
        metric="accuracy",
        higher_is_better=True,
        recipe=recipe,
        augment=augment,
    )


def regression(
    name: str,
    rows: Mapping[str, tuple[np.ndarray, np.ndarray]],
    recipe: Recipe,
    model: str,
    options: Mapping[str, Any],
) -> Task:
    """A task of rows and numbers: the squared error is minimised, its root judged.

    Inputs and target are scaled to mean 0 and spread 1 of the training part; the score
    is in the target's own unit.

    Args:
        name: The task's name.
        rows: Inputs and target of each part.
        recipe: How it is trained.
        model: One of `jopt.experiments.models.MODELS`.
        options: Options of the model.

    Returns:
        The task.
    """
    make = named("model", model, models.MODELS)
    x_scale, y_scale = (Scale.of(part) for part in rows["train"])
    parts = {
        part: {"x": x_scale(x), "y": y_scale(y), "target": y.astype(np.float32)}
        for part, (x, y) in rows.items()
    }
    shape = parts["train"]["x"].shape[1:]

    def judge(outputs: np.ndarray, rows: Rows) -> float:
        return scores.rmse(y_scale.back(outputs), rows["target"])

    return Task(
        name=name,
        parts=parts,
        make=lambda rngs: make(shape, 1, rngs=rngs, **options),
        outputs=lambda model, rows: model(rows["x"])[:, 0],
        loss=lambda outputs, rows: jnp.mean((outputs - rows["y"]) ** 2),
        judge=judge,
        metric="RMSE",
        higher_is_better=False,
        recipe=recipe,
    )


@dataclasses.dataclass(frozen=True)
class Scale:
    """To mean 0 and spread 1, and back; a constant column becomes 0.

    Example:
        >>> scale = Scale.of(np.array([[1.0], [3.0]]))
        >>> scale(np.array([[5.0]]))
        array([[3.]], dtype=float32)
    """

    mean: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> "Scale":
        """The scale of rows, by column."""
        spread = rows.std(0, dtype=np.float64)
        return cls(rows.mean(0, dtype=np.float64), np.where(spread > 0, spread, 1.0))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        return ((rows - self.mean) / self.spread).astype(np.float32)

    def back(self, rows: np.ndarray) -> np.ndarray:
        """What was scaled."""
        return rows * self.spread + self.mean


def shares(
    task: str, rows: Mapping[str, np.ndarray], valid: int, test: int
) -> dict[str, dict[str, np.ndarray]]:
    """Shuffle rows, always alike, and share them out to three parts.

    Args:
        task: What an error names.
        rows: Arrays by name.
        valid: How many rows are for validation.
        test: How many rows are for the test.

    Returns:
        The parts `train`, `valid` and `test`.

    Raises:
        MissingData: If nothing is left to train on.
    """
    count = len(next(iter(rows.values())))
    left = count - valid - test
    if left < 1:
        raise data.MissingData(f"The task `{task}`: {count} rows are too few.")
    order = np.random.default_rng(0).permutation(count)
    ends = np.cumsum((0, left, valid, test)).tolist()
    names = ("train", "valid", "test")
    return {
        part: {name: x[order[a:b]] for name, x in rows.items()}
        for part, (a, b) in zip(names, itertools.pairwise(ends), strict=True)
    }


def quickened(task: Task, quick: bool, rows: int = 512, steps: int = 60) -> Task:
    """The task with fewer rows and steps, for a look at it and for tests.

    Args:
        task: The task.
        quick: Without it the task stays as it is.
        rows: The most rows of a part.
        steps: The most steps of the recipe.

    Returns:
        The task.
    """
    if not quick:
        return task
    parts = {
        part: {name: x[:rows] for name, x in held.items()}
        for part, held in task.parts.items()
    }
    recipe = dataclasses.replace(task.recipe, steps=min(steps, task.recipe.steps))
    return dataclasses.replace(task, parts=parts, recipe=recipe)
