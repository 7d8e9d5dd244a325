"""Certificates of schedules: values at steps 0, 1, 2 ..., here and in the source."""

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

import jopt
from jopt._core import registry
from tests import records
from tests.certificates import schedule_table
from tests.certificates.schedule_table import Curve

STEPS = 1001
TABLE = records.collected("SCHEDULE_CERTIFICATES", schedule_table.TABLE)


class ScheduleCertificate(NamedTuple):
    """One schedule at one setting, here and in its source."""

    id: str
    schedule: str
    made: jopt.Schedule
    arguments: tuple[Any, ...]
    source: (
        str  # "torch.<class>", "keras.<class>", "pytorch_optimizer.<function>", or told
    )
    settings: dict[str, Any]
    curve: Curve | None = None

    @property
    def steps(self) -> int:
        """How many steps are compared; a OneCycleLR cannot go on after its last."""
        return self.settings.get("steps", self.settings.get("total_steps", STEPS))

    @property
    def kept(self) -> np.ndarray:
        """The steps whose values are stored: every 37th, and all edges."""
        edges = {step + near for step in _edges(self.arguments) for near in (-1, 0, 1)}
        chosen = {0, 1, 2, self.steps - 1, *range(0, self.steps, 37), *edges}
        return np.array(sorted(step for step in chosen if 0 <= step < self.steps))

    def transcribed(self) -> np.ndarray:
        """The values of the transcription."""
        assert self.curve is not None
        return self.curve(np.arange(STEPS, dtype=np.float64))

    def values(self, function: Callable[[Any], Any] | None = None) -> np.ndarray:
        """The values here, or of another function of the step, in float64."""
        with jax.enable_x64(True):
            return np.asarray(jax.jit(function or self.made)(np.arange(STEPS)))


def _edges(value: Any) -> Iterator[int]:
    """The integers in the arguments of a schedule: steps at which it may bend."""
    if isinstance(value, jopt.Schedule):
        yield from _edges(value.spec.arguments)
    elif isinstance(value, dict):
        yield from _edges(list(value.items()))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _edges(part)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield value


def schedule_error(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The greatest difference, over the greatest value; `theirs` may be shorter."""
    worst = float(np.max(np.abs(ours[: len(theirs)] - theirs)))
    return worst / max(float(np.max(np.abs(theirs))), np.finfo(np.float64).tiny)


def _built(name: str) -> Callable[..., jopt.Schedule]:
    public = getattr(jopt, name, None)
    return public if public is not None else registry.get(name)


def _all() -> Iterator[ScheduleCertificate]:
    count: Counter[str] = Counter()
    for name, rows in TABLE.items():
        for arguments, source, given in rows:
            key = f"{name}-{count[name]}"
            count[name] += 1
            with jax.enable_x64(True):
                made = _built(name)(*arguments)
            settings, curve = ({}, given) if callable(given) else (given, None)
            yield ScheduleCertificate(
                key, name, made, arguments, source, settings, curve
            )


SCHEDULES = list(_all())
PACKAGED = [c for c in SCHEDULES if c.curve is None]


def optax_values(certificate: ScheduleCertificate) -> np.ndarray | None:
    """The values of optax's schedule; `None` where it has none, or not the option."""
    make = getattr(optax, certificate.schedule, None)
    takes = inspect.signature(make).parameters if make else ()
    if make is None or len(takes) < len(certificate.arguments):
        return None
    with (
        jax.enable_x64(True),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
    ):
        theirs = jax.vmap(make(*_for_optax(certificate.arguments)))
        return certificate.values(theirs)


def _for_optax(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Numbers in the place of schedules are constants."""
    return tuple(
        [optax.constant_schedule(x) if isinstance(x, float) else x for x in a]
        if isinstance(a, list) and not any(isinstance(x, int | dict) for x in a)
        else a
        for a in arguments
    )
