"""The settings of a race, checked before anything is computed or written."""

import dataclasses
import math
import operator
from collections.abc import Sequence
from typing import Any

from jopt._core.parse import unknown
from jopt.experiments.data import TASKS

MODELS = ("mlp", "convnet")


@dataclasses.dataclass(frozen=True)
class Config:
    """What decides the numbers of a race.

    Attributes:
        task: A task of `jopt.experiments.data`, or `"own"`.
        model: A model of `jopt.experiments.models`, or `"own"`.
        rates: How many learning rates, or the rates.
        seeds: How many seeds: initial weights and orders of the data.
        steps: Steps of training.
        batch_size: Rows of a minibatch.
        batch: Members of the population trained at the same time; `None` lets the
            model decide.
        seed: The first seed.
        points: How often the validation score is taken.
        target: The validation score to be reached; `None` takes 95% of the way from
            the untrained score to the best.
    """

    task: str = "digits"
    model: str = "mlp"
    rates: int | tuple[float, ...] = 8
    seeds: int = 3
    steps: int = 300
    batch_size: int = 64
    batch: int | None = None
    seed: int = 0
    points: int = 30
    target: float | None = None

    def checked(self, own: bool = False) -> "Config":
        """The same settings in normal form.

        Args:
            own: Whether the problem is a user's own, so that no task is named.

        Raises:
            TypeError: If a setting is of the wrong kind.
            ValueError: If it is out of range, or names nothing.
        """
        if not own and self.task not in TASKS:
            raise ValueError(f"`task`: {unknown(str(self.task), list(TASKS))}")
        if not own and self.model not in MODELS:
            raise ValueError(f"`model`: {unknown(str(self.model), list(MODELS))}")
        least = {"seeds": 1, "steps": 1, "batch_size": 1, "seed": 0, "points": 1}
        whole = {k: _whole(k, getattr(self, k), low) for k, low in least.items()}
        batch = None if self.batch is None else _whole("batch", self.batch, 1)
        if self.target is not None and not math.isfinite(self.target):
            raise ValueError(f"`target` must be finite, got {self.target}.")
        changes: dict[str, Any] = {"rates": _rates(self.rates), "batch": batch, **whole}
        return dataclasses.replace(self, **changes)

    def schedule(self) -> list[int]:
        """The steps after which the validation score is taken; the last is the end."""
        points = min(self.points, self.steps)
        return [round(self.steps * (i + 1) / points) for i in range(points)]

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON has them."""
        rates = self.rates if isinstance(self.rates, int) else list(self.rates)
        return dataclasses.asdict(self) | {"rates": rates}


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The settings that differ, each as `name: old, now new`.

    `batch` and `target` do not count: they change no curve.
    """
    names = [n for n in (old | new) if n not in ("batch", "target")]
    return [
        f"{name} was {old.get(name)}, now {new.get(name)}"
        for name in names
        if old.get(name) != new.get(name)
    ]


def _whole(name: str, value: Any, low: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"`{name}` must be a whole number, got {value!r}.")
    if number < low:
        raise ValueError(f"`{name}` must be at least {low}, got {number}.")
    return number


def _rates(value: Any) -> int | tuple[float, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return _whole("rates", value, 1)
    rates = tuple(float(rate) for rate in value)
    if not rates:
        raise ValueError("`rates` is empty; give a number of rates, or the rates.")
    for rate in rates:
        if not (rate > 0.0 and math.isfinite(rate)):
            raise ValueError(f"`rates` must be positive and finite, got {rate:g}.")
    if len(set(rates)) < len(rates):
        raise ValueError("`rates` holds a rate twice; give each once.")
    return tuple(sorted(rates))
