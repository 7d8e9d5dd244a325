"""Studies: claims of the textbooks on optimization, tested."""

import importlib

from jopt._core.parse import unknown
from jopt.experiments.studies.study import (
    Check as Check,
    Findings as Findings,
    Study as Study,
    Table as Table,
)

NAMES = (
    "learning_rate",
    "schedules",
    "batch_size",
    "momentum",
    "sparse",
    "overfitting",
    "activations",
    "outliers",
    "averaging",
    "imbalance",
    "data_size",
    "memory",
    "clipping",
    "transport",
    "calibration",
    "constrained",
)


def load(name: str) -> Study:
    """The study of a name.

    Args:
        name: One of `NAMES`.

    Returns:
        The study.

    Raises:
        ValueError: If there is none of that name.

    Example:
        >>> load("learning_rate").claim[:30]
        'Too small a learning rate trai'
    """
    if name not in NAMES:
        raise ValueError(unknown(name, list(NAMES)))
    return importlib.import_module(f"{__name__}.{name}").STUDY
