"""The `Schedule`: a function of the step that is a value and a pytree."""

import functools as ft
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jopt._core import checks, display, registry
from jopt._core.spec import Factory, rebuild, Spec, Structure
from jopt._core.types import Boundaries, Child, Each, Hyper, InnerSchedule, Value

P = ParamSpec("P")


class Schedule:
    """A function from the step count to a number, that is a value and a pytree.

    Use it wherever optax takes a schedule. Its leaves are its numbers. Schedules
    compose: `a + b`, `a - b`, `a * b`, `a / 2`, `-a`, `a.shift(steps)`,
    `a.then(b, at=step)`. In a notebook it draws itself.

    Args to the call: `step`, an integer, an array of integers, or a tracer. A negative
    step counts as 0, one past 2**31 - 1, where counters stop, as that.

    Example:
        >>> import jopt
        >>> ramp = jopt.linear_schedule(0.0, 1.0, transition_steps=10)
        >>> ramp(5)
        Array(0.5, dtype=float32)
        >>> (2.0 * ramp).then(jopt.constant_schedule(0.1), at=10)(10)
        Array(0.1, dtype=float32)
    """

    def __init__(self, spec: Spec):
        self.spec = spec

    def __call__(self, step: ArrayLike) -> jax.Array:
        return as_float(self.spec.built(_as_step(step)))

    def replace(self, **changes: Any) -> "Schedule":
        """The same call with some arguments changed, checked as a new call is."""
        return self.spec.rebuilt(**changes)

    def then(self, other: "Schedule | float", *, at: int) -> "Schedule":
        """This schedule up to step `at`, from there `other`, counted from 0."""
        return join_schedules([self, other], [at])

    def shift(self, steps: int) -> "Schedule":
        """This schedule `steps` later; before, it keeps its value at 0."""
        return shift_schedule(self, steps)

    def complement(self) -> "Schedule":
        """The schedule of one minus the values, formed exactly where it can be."""
        if not self.spec.is_affine:
            return sum_schedules(constant_schedule(1.0), -self)
        changes: dict[str, Any] = {}
        for name, mark in self.spec.factory.marks.items():
            value = self.spec.arguments[name]
            if isinstance(mark, Hyper) and mark.affine:
                changes[name] = 1.0 - value
            elif isinstance(mark, Each) and mark.of.affine:
                changes[name] = tuple(1.0 - part for part in value)
            elif isinstance(mark, Child) and isinstance(value, tuple):
                changes[name] = tuple(part.complement() for part in value)
            elif isinstance(mark, Child):
                changes[name] = value.complement()
        return Schedule(self.spec.replace(**changes))

    def plot(self, steps: int | None = None, ax: Any = None) -> Any:
        """Draw the schedule with matplotlib; returns the axes."""
        return display.plot(self, steps, ax)

    def _repr_svg_(self) -> str | None:
        return display.svg(self)

    def __mul__(self, other: "Schedule | ArrayLike") -> "Schedule":
        return multiply_schedules(self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: float) -> "Schedule":
        return multiply_schedules(self, 1.0 / other)

    def __add__(self, other: "Schedule | ArrayLike") -> "Schedule":
        return sum_schedules(self, other)

    __radd__ = __add__

    def __sub__(self, other: "Schedule | ArrayLike") -> "Schedule":
        return sum_schedules(self, -1.0 * other)  # pyright: ignore

    def __rsub__(self, other: ArrayLike) -> "Schedule":
        return sum_schedules(other, -self)

    def __neg__(self) -> "Schedule":
        return multiply_schedules(-1.0, self)

    def __repr__(self) -> str:
        return display.call(self.spec)

    def __treescope_repr__(self, path: str | None, subtree_renderer: Any) -> Any:
        return display.treescope(self.spec, path, subtree_renderer)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schedule) and self.spec.key() == other.spec.key()

    def __hash__(self) -> int:
        return hash(self.spec.key())

    def __reduce__(self):
        return rebuild, (self.spec.factory, self.spec.arguments)


def schedule(
    *, affine: bool | Callable[[Mapping[str, Any]], bool] = False, **facts: Any
) -> Callable[[Callable[P, Callable[[jax.Array], Any]]], Callable[P, Schedule]]:
    """Make a schedule factory of a function that returns `step -> value`.

    Annotations say which arguments are leaves (`jopt.Scalar` ...). The step arrives
    as an integer array; compute in floating point, for all steps at once.

    Args:
        affine: Whether mapping each value argument `v` to `a * v + b` maps the
            schedule's values alike. Then one minus a decay rate's schedule is exact.
            Where it depends on the other arguments, a function of them all.
        **facts: Anything else worth knowing, kept in `factory.facts`.

    Returns:
        A decorator.
    """

    def decorate(function: Callable[P, Callable[[jax.Array], Any]]):
        factory = Factory(function, "schedule", affine=affine, **facts)

        @ft.wraps(function)
        def build(*args: P.args, **kwargs: P.kwargs) -> Schedule:
            made = Schedule(Spec.of(factory, args, kwargs))
            _refuse_nested(made.spec)
            _ = made.spec.built  # so that the factory's own checks run now
            return made

        build.factory = factory  # pyright: ignore
        factory.build = build
        registry.add(factory)
        return build

    return decorate


@schedule(affine=True)
def constant_schedule(value: Value) -> Callable[[jax.Array], jax.Array]:
    """The same value at every step.

    Args:
        value: The value.

    Returns:
        A schedule.

    Example:
        >>> constant_schedule(0.5)(100)
        Array(0.5, dtype=float32)
    """
    return lambda step: jnp.broadcast_to(as_float(value), step.shape)


@schedule()
def from_callable(function: Callable[[ArrayLike], ArrayLike]):
    """A schedule of a plain function `step -> value`, such as one of optax's.

    It is compared by the function's identity. Any hyperparameter that is given a
    function applies this by itself.

    Args:
        function: Takes the step count, returns a scalar.

    Returns:
        A schedule.

    Raises:
        TypeError: If the function cannot be called with a step count.
        ValueError: If it does not return one number.
    """
    name = getattr(function, "__qualname__", repr(function))
    try:
        out = jax.eval_shape(function, jax.ShapeDtypeStruct((), jnp.int32))
    except Exception as error:
        raise TypeError(
            f"A schedule is a function of the step count; {name} failed on one: {error}"
        ) from error
    if getattr(out, "shape", None) != ():
        raise ValueError(
            f"A schedule returns one number a step; {name} returned {out}."
        )
    return function


@schedule(infix="*")
def multiply_schedules(first_schedule: InnerSchedule, second_schedule: InnerSchedule):
    """The product of two schedules; either may be a number.

    Args:
        first_schedule: A schedule or a number.
        second_schedule: A schedule or a number.

    Returns:
        A schedule.
    """
    return lambda step: first_schedule(step) * second_schedule(step)


@schedule(infix="+")
def sum_schedules(first_schedule: InnerSchedule, second_schedule: InnerSchedule):
    """The sum of two schedules; either may be a number.

    Args:
        first_schedule: A schedule or a number.
        second_schedule: A schedule or a number.

    Returns:
        A schedule.
    """
    return lambda step: first_schedule(step) + second_schedule(step)


@schedule(affine=True)
def shift_schedule(inner_schedule: InnerSchedule, steps: int):
    """A schedule some steps later; before, it keeps its value at 0.

    Args:
        inner_schedule: The schedule.
        steps: How much later; a negative number is earlier.

    Returns:
        A schedule.
    """
    return lambda step: inner_schedule(jnp.maximum(step - steps, 0))


@schedule(affine=True)
def join_schedules(schedules: InnerSchedule, boundaries: Boundaries):
    """Schedules one after the other, each counting from 0 at its start.

    Args:
        schedules: Schedules or numbers, one more than boundaries.
        boundaries: The step at which each schedule after the first starts; strictly
            increasing.

    Returns:
        A schedule.

    Raises:
        ValueError: If the numbers do not fit or the boundaries do not increase.
    """
    if not isinstance(schedules, tuple):
        raise TypeError(
            f"`schedules` must be a sequence of schedules, got {schedules!r}."
        )
    if len(schedules) != len(boundaries) + 1:
        raise ValueError(
            f"`boundaries` must be one fewer than `schedules`, got {len(boundaries)} "
            f"for {len(schedules)}."
        )

    def value(step: jax.Array) -> jax.Array:
        out = schedules[0](step)
        for start, part in zip(boundaries, schedules[1:], strict=True):
            out = jnp.where(step < start, out, part(jnp.maximum(step - start, 0)))
        return out

    return value


def _as_step(step: ArrayLike) -> jax.Array:
    """A step count, or an array of them, as int32 in [0, 2**31 - 1]."""
    if not isinstance(step, jax.Array):
        step = np.asarray(step)
        if step.dtype.kind in "iu":
            return jnp.asarray(np.clip(step, 0, checks.LAST_STEP).astype(np.int32))
    if not jnp.issubdtype(step.dtype, jnp.integer):
        raise TypeError(
            "A schedule takes an integer step count, or an array of them, got "
            f"{'an array of ' if step.ndim else ''}{step.dtype}. Count steps, not "
            "epochs; `round` a fraction."
        )
    if step.dtype == jnp.int32:
        return jnp.maximum(step, 0)
    # the widest dtypes alone can hold more than int32
    widest = jnp.iinfo(step.dtype).max
    return jnp.clip(step, 0, min(widest, checks.LAST_STEP)).astype(jnp.int32)


def _refuse_nested(spec: Spec) -> None:
    """Raise for a schedule in the place of one of a schedule's own numbers."""
    for name, value in spec.hyper():
        if isinstance(value, Schedule):
            raise TypeError(
                f"`{name}` of `{spec.name}` must be a number, got the schedule "
                f"{value!r}. Combine schedules by `a.then(b, at=step)`, `a * b` or "
                "`jopt.join_schedules`."
            )


def as_float(value: Any) -> jax.Array:
    """A number in the default float dtype: float32, or float64 under x64."""
    return jnp.asarray(value, jnp.result_type(float))


def _flatten_with_keys(made: Schedule):
    children, structure = made.spec.flatten()
    keys = map(jax.tree_util.GetAttrKey, structure.dynamic)
    return tuple(zip(keys, children, strict=True)), structure


def _unflatten(structure: Structure, children: Any) -> Schedule:
    return Schedule(Spec.unflatten(structure, children))


jax.tree_util.register_pytree_with_keys(
    Schedule, _flatten_with_keys, _unflatten, lambda made: made.spec.flatten()
)
