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
from jopt.experiments.tasks.vision import digits

TASKS: dict[str, Callable[..., Task]] = {
    "digits": digits,
    "names": language.names,
    "polarity": polarity.polarity,
    "shakespeare": language.shakespeare,
    "tagging": tagging.tagging,
    "translation": translation.translation,
}


def load(
    name: str, folder: str | os.PathLike[str] | None = None, **options: Any
) -> Task:
    """Load a task.

    Args:
        name: One of `TASKS`.
        folder: The data folder; by default what the variable `JOPT_DATA` names.
        options: Options of the task: its model and the options of that.

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
