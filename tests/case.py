"""What a record of the catalogue is, and the words that records share."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp

import jopt
from jopt.testing import check_transform, Report
from jopt.testing.law import chosen

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Case:
    """A transform, and what the laws are to find of it."""

    tx: Any
    tags: frozenset[str]
    needs: frozenset[str] = frozenset()
    memory: float = 0.0  # numbers in the state per parameter
    skips: Mapping[str, str] = dataclasses.field(default_factory=dict)
    like: PyTree = None


@dataclasses.dataclass(frozen=True)
class Vary:
    """A configuration that differs from its record in more than arguments."""

    tx: Any
    tags: str = ""  # such as "+odd -still"
    memory: float | None = None
    needs: str | None = None
    skips: Mapping[str, str] | None = None
    like: PyTree = None


def record(
    *configs: Any,
    tags: str = "",
    needs: str = "",
    memory: float = 0.0,
    skips: Mapping[str, str] | None = None,
    like: PyTree = None,
) -> list[Case]:
    """The cases of one registered name; the first is the everyday one."""
    out = []
    for config in configs:
        v = config if isinstance(config, Vary) else Vary(config)
        own = set(tags.split())
        for word in v.tags.split():
            (own.add if word[0] == "+" else own.discard)(word[1:])
        needed = needs if v.needs is None else v.needs
        out.append(
            Case(
                v.tx,
                frozenset(own),
                frozenset(needed.split()),
                memory if v.memory is None else v.memory,
                v.skips if v.skips is not None else (skips or {}),
                v.like if v.like is not None else like,
            )
        )
    return out


RATE = 0.1
SLOW = 1e-3  # steps that bfloat16 loses
FADING = jopt.linear_schedule(0.1, 0.05, 10)

FREE = "elementwise odd translation_invariant still complex"
STEP = f"{FREE} descends"
DECAYED = "elementwise odd complex descends"
DECAY = "-translation_invariant -still"  # what weight decay takes away
PLAIN = "+translation_invariant +still"  # and what comes back without it


def is_matrix(name: str, leaf: Any) -> bool:
    return leaf.ndim == 2


def is_vector(name: str, leaf: Any) -> bool:
    return leaf.ndim != 2


MATRICES = {
    "v": jax.ShapeDtypeStruct((3, 4), jnp.float32),
    "w": jax.ShapeDtypeStruct((4, 3), jnp.float32),
}


def check(
    case: Case, *, full: bool = False, laws: Collection[str] | None = None
) -> Report:
    """The verdicts of all laws, or of some, but those that the record skips.

    Those of devices are tried in `tests/test_laws_devices.py`.
    """
    wanted = [law.id for law in chosen(laws) if law.id[0] != "D"]
    return check_transform(
        case.tx,
        needs=case.needs,
        tags=case.tags,
        params=case.like,
        state_multiple=case.memory,
        full=full,
        laws=[law for law in wanted if law not in case.skips],
    )
