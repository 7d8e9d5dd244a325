"""A task whose one class is rare."""

import pathlib
from typing import Any

import jax
import numpy as np

from jopt.experiments import data, models
from jopt.experiments.models.layers import named
from jopt.experiments.task import Recipe, Rows, Task
from jopt.experiments.tasks import kinds, scores
from jopt.objectives.losses import softmax_focal_loss

RARE = 8
KEPT = 12  # images of the rare digit to train on, beside about a thousand others
RECIPE = Recipe(
    "adamw(cosine_decay_schedule(3e-3, 300))",
    steps=300,
    batch_size=64,
    score=0.9065,
    minutes=0.02,
    published="none on this split",
)
LOSSES = {
    "cross_entropy": lambda logits, labels: models.cross_entropy(logits, labels),
    "focal": lambda logits, labels: softmax_focal_loss(logits, labels).mean(),
}


def rare_digit(
    folder: pathlib.Path | None = None,
    model: str = "mlp",
    quick: bool = False,
    loss: str = "focal",
    **options: Any,
) -> Task:
    """Whether a digit is an 8, where all but 12 of the 8s are left out of training.

    Args:
        folder: Not read: the images come with scikit-learn.
        model: `"mlp"`, `"convnet"` or `"resnet"`.
        quick: Fewer steps.
        loss: `"focal"` or `"cross_entropy"`.
        options: Options of the model.

    Returns:
        The task: the score is the average precision, on parts in which a tenth of the
        digits are 8s.
    """
    make = named("model", model, models.MODELS)
    chosen = named("loss", loss, LOSSES)
    loaded = data.digits(folder)
    parts = {
        part: _rows(*getattr(loaded, part), every=part != "train")
        for part in ("train", "valid", "test")
    }

    def loss_of(logits: jax.Array, rows: Rows) -> jax.Array:
        return chosen(logits, rows["y"])

    task = Task(
        name="rare_digit",
        parts=parts,
        make=lambda rngs: make(loaded.shape, 2, rngs=rngs, **options),
        outputs=lambda model, rows: model(rows["x"]),
        loss=loss_of,
        judge=_average_precision,
        metric="average precision",
        higher_is_better=True,
        recipe=RECIPE,
    )
    return kinds.quickened(task, quick, rows=2000)


def _rows(x: np.ndarray, y: np.ndarray, every: bool) -> Rows:
    """The images, and whether each is of the rare digit, of which some are kept."""
    rare = y == RARE
    kept = np.ones(len(y), bool)
    if not every:
        kept[np.flatnonzero(rare)[KEPT:]] = False
    return {"x": x[kept], "y": rare[kept].astype(np.int32)}


def _average_precision(logits: np.ndarray, rows: Rows) -> float:
    return scores.average_precision(logits[:, 1] - logits[:, 0], rows["y"] == 1)
