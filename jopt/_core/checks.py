"""Argument checks and normal forms, applied when a user calls a factory."""

import functools as ft
import inspect
import math
import operator
import typing
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jax.extend.core import Literal
from jax.tree_util import Partial

from jopt._core import trees
from jopt._core.decay import Decay
from jopt._core.types import Bounds, Child, Each, Hyper, Increasing

if TYPE_CHECKING:
    from jopt._core.spec import Factory

LAST_STEP = 2**31 - 1  # where 32-bit step counts stop


def normalise(factory: "Factory", name: str, value: Any) -> Any:
    """Check one argument of `factory` against its annotation; return its normal form.

    Numbers are checked for range. Arrays are checked where they are concrete; tracers
    pass. Callables become schedules, foreign transforms and sequences become ours.
    """
    mark = factory.marks[name]
    if isinstance(mark, Hyper):
        return _hyperparameter(name, value, mark)
    if isinstance(mark, Child):
        if mark.of == "transforms":
            _nesting(factory, name, value)
        return _children(name, value, mark.of)
    if isinstance(mark, Bounds):
        none = value is None and mark.optional
        return None if none else _integer(name, value, mark.low)
    if isinstance(mark, Each):
        return _each(name, value, mark)
    if isinstance(mark, Increasing):
        return _increasing(name, value)
    if name.endswith("dtype") and value is not None:
        return _dtype(name, value)
    if name == "mask" or name.endswith("_mask"):
        _mask(name, value)
    if name in factory.choices and value not in factory.choices[name]:
        from jopt._core.spec import did_you_mean

        raise ValueError(
            f"`{name}` must be one of {', '.join(map(repr, factory.choices[name]))}, "
            f"got {value!r}."
            + did_you_mean(str(value), map(str, factory.choices[name]))
        )
    return value


def _hyperparameter(name: str, value: Any, mark: Hyper) -> Any:
    if value is None and (mark.off or mark.nullable):
        return None
    if callable(value):
        schedule = _schedule(name, value)
        _values_in_range(name, schedule, mark)
        return Decay.of(schedule) if mark.complement else schedule
    if isinstance(value, Decay):
        _in_range(name, value.value, mark)
        return value
    if isinstance(value, str):
        raise TypeError(
            f"`{name}` must be a number, got the string {value!r}. In a YAML file "
            "write 1.0e-3, not 1e-3."
        )
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.number | np.ndarray | jax.Array
    ):
        raise TypeError(
            f"`{name}` must be a number, an array or a schedule, got {value!r} of "
            f"type {type(value).__name__}."
        )
    _in_range(name, value, mark)
    if mark.complement:
        return Decay.of(value)
    # 1, 1.0 and NumPy's numbers are one leaf: they must trace alike
    return float(value) if isinstance(value, int | float | np.number) else value


def _in_range(name: str, value: Any, mark: Hyper) -> None:
    if isinstance(value, Tracer) or callable(value):
        return
    numbers = np.asarray(value, np.float64)
    if not all(mark.contains(number) for number in numbers.ravel().tolist()):
        raise ValueError(f"`{name}` must lie in {mark}, got {value!r}.{mark.cure}")


def _values_in_range(name: str, schedule: Any, mark: Hyper) -> None:
    """Raise if a schedule is known to reach a number out of range.

    A bound that the number itself may not have may be one of the schedule's ends.
    """
    for part, value in attained(schedule):
        inside = math.isfinite(value) and mark.low <= value <= mark.high
        if not inside and not (mark.nan and math.isnan(value)):
            raise ValueError(
                f"`{name}` must lie in {mark}, but its schedule {schedule!r} takes the "
                f"value {value:g}{part}.{mark.cure}"
            )


def attained(schedule: Any) -> Iterator[tuple[str, float]]:
    """Values that a schedule is known to take or to approach, each with its source.

    Those of an affine schedule lie between these; of others nothing may be known.
    """
    factory = schedule.spec.factory
    if factory.name == "from_callable":
        yield from _constant(schedule.spec.arguments["function"])
    if not schedule.spec.is_affine:
        return
    for name, mark in factory.marks.items():
        value = schedule.spec.arguments[name]
        if isinstance(mark, Hyper) and mark.affine and not mark.nan:
            yield from ((f" (`{name}`)", x) for x in _numbers(value))
        elif isinstance(mark, Each) and mark.of.affine:
            yield from (
                (f" (in `{name}`)", x) for part in value for x in _numbers(part)
            )
        elif isinstance(mark, Child):
            for part in value if isinstance(value, tuple) else (value,):
                yield from attained(part)


def _numbers(value: Any) -> Iterator[float]:
    """A number as a Python float; nothing of an array, which may be a device's."""
    if isinstance(value, int | float):
        yield float(value)


def _constant(function: Any) -> Iterator[tuple[str, float]]:
    """The value of a plain function that does not depend on the step."""
    traced = jax.make_jaxpr(function)(jax.ShapeDtypeStruct((), jnp.int32))
    for out in traced.jaxpr.outvars:
        if isinstance(out, Literal):
            yield " at every step", float(out.val)


def greatest(rate: Any) -> float | None:
    """The greatest value of a rate, where it is known."""
    if callable(rate):
        affine = rate.spec.is_affine
        return max((x for _, x in attained(rate)), default=None) if affine else None
    if isinstance(rate, Tracer) or rate is None:
        return None
    known = np.asarray(rate) if getattr(rate, "is_fully_addressable", True) else None
    return None if known is None or known.ndim else float(known)


def _schedule(name: str, value: Any) -> Any:
    from jopt._core.schedule import from_callable, Schedule

    if isinstance(value, Schedule):
        return value
    if hasattr(value, "factory"):
        raise TypeError(
            f"`{name}` got the function `{value.factory.name}` itself. Call it first: "
            f"`{value.factory.name}(...)`."
        )
    return from_callable(value)


def _children(name: str, value: Any, of: str) -> Any:
    """Transforms or schedules, alone or in sequences and mappings, made ours."""
    from jopt._core.schedule import constant_schedule, Schedule
    from jopt._core.transform import foreign, Transform

    wanted = Transform if of == "transforms" else Schedule
    if isinstance(value, wanted):
        return value
    if of == "transforms" and hasattr(value, "init") and hasattr(value, "update"):
        return foreign(value)
    if isinstance(value, Mapping):
        ordered = OrderedDict if isinstance(value, OrderedDict) else dict
        return ordered(
            (str(k), _children(f"{name}[{k!r}]", v, of)) for k, v in value.items()
        )
    if isinstance(value, list | tuple):
        if value and all(_is_named(item) for item in value):
            return _named(name, value, of)
        return tuple(_children(f"{name}[{i}]", v, of) for i, v in enumerate(value))
    if hasattr(value, "factory") or (callable(value) and of == "schedules"):
        return _schedule(name, value)
    if of == "schedules" and isinstance(value, int | float | np.number | jax.Array):
        return constant_schedule(value)
    raise TypeError(
        f"`{name}` must be made of {of}, got {value!r} of type {type(value).__name__}."
    )


@ft.cache
def _holders(factory: "Factory") -> dict[str, Any]:
    """What each argument made of transforms may be: a mapping, pairs, or one."""
    hints = typing.get_type_hints(factory.function)
    single = {optax.GradientTransformation: "one"}
    return {
        name: single.get(hint, typing.get_origin(hint)) for name, hint in hints.items()
    }


def _nesting(factory: "Factory", name: str, value: Any) -> None:
    """Raise where several transforms stand in the place of one, or the reverse."""
    holder = _holders(factory)[name]
    several = (
        factory.signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
    )
    if holder is Mapping and not isinstance(value, Mapping):
        raise TypeError(
            f"`{name}` must be a dict from label to transform, got "
            f"{type(value).__name__}."
        )
    if holder != "one":
        return
    items = enumerate(value) if several else [(None, value)]
    for i, item in items:
        where = name if i is None else f"{name}[{i}]"
        if _is_several(item):
            raise TypeError(
                f"`{where}` of `{factory.name}` must be one transform, got a "
                f"{type(item).__name__}.{_unpacking(factory, item, several)}"
            )


def _is_several(item: Any) -> bool:
    """Whether it holds transforms but is none; optax's are tuples too."""
    return isinstance(item, list | tuple | Mapping) and not hasattr(item, "init")


def _unpacking(factory: "Factory", item: Any, several: bool) -> str:
    if isinstance(item, Mapping):
        return " Use `jopt.named_chain(*stages.items())`."
    if several and _is_named(item):
        return " For stages with names use `jopt.named_chain`."
    whole = f"`{factory.name}(*stages)`" if several else "`jopt.chain(*stages)`"
    return f" Unpack it: {whole}."


def _is_named(item: Any) -> bool:
    return type(item) is tuple and len(item) == 2 and isinstance(item[0], str)


def _named(name: str, pairs: Any, of: str) -> OrderedDict[str, Any]:
    """Pairs `(name, transform)` as an ordered dict: its pytree keeps their order."""
    out: OrderedDict[str, Any] = OrderedDict()
    for label, child in pairs:
        if label in out:
            raise ValueError(
                f"`{name}` has two stages named {label!r}. Each name must be unique."
            )
        out[label] = _children(f"{name}[{label!r}]", child, of)
    return out


def _dtype(name: str, value: Any) -> np.dtype:
    try:
        dtype = jnp.dtype(value)
    except TypeError:
        raise TypeError(
            f"`{name}` must be a dtype such as 'bfloat16', got {value!r}."
        ) from None
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(
            f"`{name}` must be a real dtype of floats such as 'bfloat16', got {dtype}."
        )
    return dtype


def _mask(name: str, value: Any) -> None:
    """Raise for a tree that has anything else than bools as leaves."""
    if value is None or isinstance(value, str | Partial):
        return
    for leaf, inner in zip(jax.tree.leaves(value), trees.names(value), strict=True):
        if leaf is value and callable(value):
            return
        concrete = isinstance(leaf, np.ndarray | jax.Array)
        dtype = leaf.dtype if concrete and leaf.shape == () else None
        if isinstance(leaf, bool | np.bool_) or dtype == np.bool_:
            continue
        at = f" at `{inner}`" if inner else ""
        raise TypeError(
            f"`{name}`{at} must be True or False, got {leaf!r} of type "
            f"{type(leaf).__name__}. A mask is a pattern of names, `jopt.where(...)`, "
            "a function `(name, leaf) -> bool`, or a tree of bools."
        )


def _integer(name: str, value: Any, low: int) -> int:
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"`{name}` must be an integer, got {value!r}.")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(
            f"`{name}` must be an integer, got {value!r} of type "
            f"{type(value).__name__}."
        ) from None
    if number < low:
        raise ValueError(f"`{name}` must be at least {low}, got {number}.")
    return number


def _increasing(name: str, value: Any) -> tuple[int, ...]:
    """Steps as a tuple of integers."""
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise TypeError(f"`{name}` must be a sequence of integers, got {value!r}.")
    steps = tuple(value)
    try:
        if any(isinstance(step, bool | np.bool_) for step in steps):
            raise TypeError
        steps = tuple(map(operator.index, steps))
    except TypeError:
        raise TypeError(f"`{name}` must be integers, got {value!r}.") from None
    if list(steps) != sorted(set(steps)) or any(step < 0 for step in steps):
        raise ValueError(
            f"`{name}` must be non-negative and strictly increasing, got {value!r}."
        )
    if steps and steps[-1] > LAST_STEP:
        raise ValueError(
            f"`{name}` must be at most {LAST_STEP}, where step counts stop, got "
            f"{value!r}."
        )
    return steps


def _each(name: str, value: Any, mark: Each) -> Any:
    """Numbers in a sequence, or by step: a tuple, or a dict sorted by step."""
    if not mark.mapping:
        many = isinstance(value, Iterable) and getattr(value, "ndim", 1) == 1
        if not many or isinstance(value, str | Mapping):
            raise TypeError(f"`{name}` must be a sequence of numbers, got {value!r}.")
        return tuple(
            _hyperparameter(f"{name}[{i}]", v, mark.of) for i, v in enumerate(value)
        )
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise TypeError(
            f"`{name}` must be a mapping from steps to numbers, such as {{1000: 0.1}}, "
            f"got {value!r}."
        )
    numbers = {_step_key(key): number for key, number in value.items()}
    return {
        step: _hyperparameter(f"{name}[{step}]", numbers[step], mark.of)
        for step in _increasing(f"{name}", sorted(numbers))
    }


def _step_key(key: Any) -> Any:
    """A step as JSON has it, where keys are strings, made an integer."""
    return int(key) if isinstance(key, str) and key.isdecimal() else key
