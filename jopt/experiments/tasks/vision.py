"""Tasks on images."""

import pathlib
from typing import Any

import numpy as np

from jopt.experiments import data
from jopt.experiments.task import Recipe, Rows, Task
from jopt.experiments.tasks import kinds

SHIFT = 4  # pixels, at most

RECIPES = {
    "digits": Recipe(
        "adamw(cosine_decay_schedule(3e-3, 600))",
        steps=600,
        batch_size=64,
        score=0.9833,
        minutes=0.03,
        published="none on this split",
    ),
    "tinyimagenet10": Recipe(
        "adamw(cosine_decay_schedule(2e-3, 600), weight_decay=0.05)",
        steps=600,
        batch_size=64,
        published="none on these ten classes",
    ),
    "images": Recipe(
        "adamw(cosine_decay_schedule(1e-3, 500), weight_decay=0.05)",
        steps=500,
        batch_size=32,
        published="your own images",
    ),
}


def digits(
    folder: pathlib.Path | None = None,
    model: str = "mlp",
    quick: bool = False,
    **options: Any,
) -> Task:
    """Scikit-learn's 1797 images of handwritten digits, 8x8 pixels, 10 classes.

    Args:
        folder: Not read: the images come with scikit-learn.
        model: `"mlp"`, `"convnet"` or `"resnet"`.
        quick: Fewer rows and steps.
        options: Options of the model.
    """
    return _images(data.digits(folder), model, options, quick, augmented=False)


def tinyimagenet10(
    folder: pathlib.Path | None = None,
    model: str = "convnet",
    quick: bool = False,
    augmented: bool = True,
    **options: Any,
) -> Task:
    """Ten classes of Tiny ImageNet: photographs, halved to 32x32 pixels in colour.

    Args:
        folder: The data folder; it holds `vision/tinyimagenet10.tar.gz`.
        model: `"mlp"`, `"convnet"` or `"resnet"`.
        quick: Fewer rows and steps.
        augmented: Whether images are shifted and flipped.
        options: Options of the model.
    """
    return _images(data.tinyimagenet10(folder), model, options, quick, augmented)


def images(
    folder: pathlib.Path | None = None,
    model: str = "convnet",
    quick: bool = False,
    augmented: bool = True,
    **options: Any,
) -> Task:
    """Your own images: a sub-folder for each class; see `jopt.experiments.data.images`.

    Args:
        folder: The folder of images.
        model: `"mlp"`, `"convnet"` or `"resnet"`.
        quick: Fewer rows and steps.
        augmented: Whether images are shifted and flipped.
        options: Options of the model.
    """
    return _images(data.images(folder), model, options, quick, augmented)


def _images(
    loaded: data.Dataset,
    model: str,
    options: dict[str, Any],
    quick: bool,
    augmented: bool,
) -> Task:
    parts = {
        part: {"x": pair[0], "y": pair[1]}
        for part in ("train", "valid", "test")
        for pair in [getattr(loaded, part)]
    }
    task = kinds.classification(
        loaded.name,
        parts,
        loaded.classes,
        RECIPES[loaded.name],
        model,
        options,
        shifted_and_flipped if augmented else None,
    )
    return kinds.quickened(task, quick)


def shifted_and_flipped(rows: Rows, random: np.random.Generator) -> Rows:
    """Images shifted by up to 4 pixels each way, half of them mirrored.

    Args:
        rows: Rows with images `x`: what comes from outside is 0, the mean colour.
        random: Where chance comes from.

    Returns:
        The rows, of the same shapes.

    Example:
        >>> rows = {"x": np.ones((2, 8, 8, 1), np.float32), "y": np.array([0, 1])}
        >>> shifted_and_flipped(rows, np.random.default_rng(0))["x"].shape
        (2, 8, 8, 1)
    """
    x = rows["x"]
    count, height, width, _ = x.shape
    wide = np.pad(x, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)))
    tops, lefts = random.integers(0, 2 * SHIFT + 1, (2, count))
    out = np.empty_like(x)
    for i, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        out[i] = wide[i, top : top + height, left : left + width]
    mirrored = random.random(count) < 0.5
    out[mirrored] = out[mirrored, :, ::-1]
    return {**rows, "x": out}
