"""Real tasks, each with data, a model, a loss and a score.

`load(name)` makes a `jopt.experiments.task.Task`. What runs without a data folder is
said in `TASKS`; the others read the folder that `JOPT_DATA` names.
"""

import os
import pathlib
from collections.abc import Callable
from typing import Any

from jopt._core.parse import unknown
from jopt.experiments.task import Task
from jopt.experiments.tasks import language, polarity, tagging, translation
from jopt.experiments.tasks.detection import bccd, tinyimagenet10_boxes
from jopt.experiments.tasks.imbalanced import rare_digit
from jopt.experiments.tasks.ratings import movielens100k
from jopt.experiments.tasks.segmentation import membranes
from jopt.experiments.tasks.series import etth1, ridership
from jopt.experiments.tasks.tabular import (
    breast_cancer,
    california_housing,
    diabetes,
    UCI_TASKS,
    wine,
)
from jopt.experiments.tasks.vision import digits, images, tinyimagenet10

TASKS: dict[str, Callable[..., Task]] = {
    "bccd": bccd,
    "breast_cancer": breast_cancer,
    "california_housing": california_housing,
    "diabetes": diabetes,
    "digits": digits,
    "etth1": etth1,
    "images": images,
    "membranes": membranes,
    "movielens100k": movielens100k,
    "names": language.names,
    "polarity": polarity.polarity,
    "rare_digit": rare_digit,
    "ridership": ridership,
    "shakespeare": language.shakespeare,
    "tagging": tagging.tagging,
    "tinyimagenet10": tinyimagenet10,
    "tinyimagenet10_boxes": tinyimagenet10_boxes,
    "translation": translation.translation,
    **UCI_TASKS,
    "wine": wine,
}


def load(
    name: str, folder: str | os.PathLike[str] | None = None, **options: Any
) -> Task:
    """Load a task.

    Args:
        name: One of `TASKS`.
        folder: The data folder; by default what the variable `JOPT_DATA` names.
        options: Options of the task: its model and the options of that; with
            `quick=True` most have fewer rows and steps, for a first look.

    Returns:
        The task.

    Raises:
        MissingData: If data are not there, or not what they should be.
        ValueError: If there is no such task, or an option is out of range.

    Example:
        >>> task = load("digits")
        >>> task.metric, len(task.parts["train"]["y"])
        ('accuracy', 1077)
    """
    if name not in TASKS:
        raise ValueError(f"`task`: {unknown(name, list(TASKS))}")
    folder = folder or os.environ.get("JOPT_DATA") or None
    return TASKS[name](None if folder is None else pathlib.Path(folder), **options)
