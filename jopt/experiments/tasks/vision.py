"""Tasks on images."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from jopt.experiments import data, models
from jopt.experiments.task import Recipe, Rows, Task


def digits(folder: pathlib.Path | None = None, model: str = "mlp", **options: Any):
    """Scikit-learn's 1797 images of handwritten digits, 8x8 pixels, 10 classes.

    Args:
        folder: Not read: the images come with scikit-learn.
        model: `"mlp"` or `"convnet"`.
        options: Options of the model.
    """
    return classification(data.digits(folder), model, RECIPES["digits"], options)


RECIPES = {"digits": Recipe("adamw(3e-3)", steps=300, batch_size=64)}


def classification(
    loaded: data.Dataset, model: str, recipe: Recipe, options: Mapping[str, Any]
) -> Task:
    """A task of images and labels: cross entropy is minimised, accuracy judged."""
    make = models.MODELS[model]
    parts = {
        name: {"x": pair[0], "y": pair[1]}
        for name in ("train", "valid", "test")
        for pair in [getattr(loaded, name)]
    }
    return Task(
        name=loaded.name,
        parts=parts,
        make=lambda rngs: make(loaded.shape, loaded.classes, rngs=rngs, **options),
        outputs=lambda model, rows: model(rows["x"]),
        loss=lambda logits, rows: models.cross_entropy(logits, rows["y"]),
        judge=accuracy,
        metric="accuracy",
        higher_is_better=True,
        recipe=recipe,
    )


def accuracy(logits: np.ndarray, rows: Rows) -> float:
    """The share of rows whose label has the largest logit."""
    return float((logits.argmax(-1) == rows["y"]).mean())
