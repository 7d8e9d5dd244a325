"""Several ways to train, each tuned over the same number of settings."""

from collections.abc import Mapping

import numpy as np

from jopt.experiments.studies.statistics import difference, Interval, interval
from jopt.experiments.studies.study import Check, Table
from jopt.experiments.studies.sweep import Population

Arms = Mapping[str, Population]


def gain(arms: Arms, name: str, other: str) -> Interval:
    """By how much the score of one is better than that of another, seed by seed."""
    sign = 1.0 if arms[name].higher else -1.0
    return difference(sign * arms[name].score, sign * arms[other].score)


def better(
    arms: Arms, name: str, other: str, statement: str, unit: str, margin: float = 0.0
) -> Check:
    """The statement that one ends better than another."""
    return Check(statement, gain(arms, name, other), margin, unit)


def table(arms: Arms, title: str, metric: str, setting: str = "learning rate") -> Table:
    """A row for each: its best setting, and what it scored there.

    A setting at the end of the range that was tried is marked with a star.
    """
    columns = (
        "",
        f"best {setting}",
        "training loss",
        f"validation {metric}",
        f"test {metric}",
    )
    rows = [
        (
            name,
            f"{one.setting:.3g}{' *' if one.edge else ''}",
            interval(one.loss[one.best, :, -1]),
            interval(one.valid[one.best, :, -1]),
            interval(one.score),
        )
        for name, one in arms.items()
    ]
    return Table(title, columns, tuple(rows))


def scores(arms: Arms) -> list[Interval]:
    """The test score of each at its best setting."""
    return [interval(one.score) for one in arms.values()]


def curve(one: Population, what: str = "test") -> np.ndarray:
    """The curve of the best setting: (seeds, points)."""
    return getattr(one, what)[one.best]
