"""Laws S: schedules, from the first step to the last that a counter can hold."""

import functools as ft
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jopt
from jopt.testing.compare import close, finite, host, same_bits
from jopt.testing.law import Broken, law, NotApplicable

LAST = 2**31 - 1
STEPS = np.array(
    [*range(13), 20, 31, 100, 255, 256, 2**24 - 1, 2**24, 2**24 + 1, LAST - 1, LAST],
    np.int32,
)

traces = [0]


class Timetable:
    """A schedule under test: a function from step to number."""

    def __init__(self, schedule: Any, tags: frozenset[str] | None = None):
        self.schedule = schedule
        self.tags = tags

    @property
    def ours(self) -> bool:
        """Whether it is a schedule of jopt: a value and a pytree."""
        return isinstance(self.schedule, jopt.Schedule)

    def values(self, schedule: Any = None) -> np.ndarray:
        """The values at all steps, compiled."""
        schedule = self.schedule if schedule is None else schedule
        if self.ours:
            return np.asarray(_mapped(schedule, STEPS))
        return np.asarray(jax.jit(jax.vmap(schedule))(STEPS))


@jax.jit
def _mapped(schedule: Any, steps: jax.Array) -> jax.Array:
    traces[0] += 1
    return jax.vmap(schedule)(steps)


def _times(factor: float, leaf: Any) -> Any:
    return factor * leaf if isinstance(leaf, float) else leaf


@law(
    "S1",
    "a schedule is finite at every step up to 2^31 - 1",
    why="A segment of length 0 or a product of steps gives NaN in the middle of a run.",
    cure="Divide by at least one step; count in integers, compute in floats.",
    kind="schedule",
)
def _always_finite(s: Timetable) -> None:
    values = s.values()
    for step, value in zip(STEPS, values, strict=True):
        if not np.isfinite(value):
            raise Broken(f"step {step}: {value}")


@law(
    "S2",
    "its value is one strong number of the default float dtype",
    why="A weak or integer value changes the dtype of the update, and recompiles.",
    cure="Return `jnp.asarray(value, jnp.result_type(float))`.",
    kind="schedule",
)
def _strong_number(s: Timetable) -> None:
    for x64, dtype in ((False, jnp.float32), (True, jnp.float64)):
        with jax.enable_x64(x64):
            out = jax.eval_shape(s.schedule, jax.ShapeDtypeStruct((), jnp.int32))
            if (out.shape, out.dtype, out.weak_type) != ((), dtype, False):
                weak = "weak " if out.weak_type else ""
                raise Broken(f"a {weak}{out.dtype}{list(out.shape)}, not {dtype.dtype}")


@law(
    "S3",
    "compiled, uncompiled and mapped over steps it is the same",
    why="It is drawn on the host and used inside the step.",
    cure="Choose by `jnp.where`, not by `if`.",
    kind="schedule",
)
def _compiled_is_eager(s: Timetable) -> None:
    few = [0, 1, 7, 100, LAST]
    at = [int(np.flatnonzero(step == STEPS)[0]) for step in few]
    eager = np.stack([np.asarray(s.schedule(step)) for step in few])
    close(s.values()[at], eager, "compiled and not", 1e-6)


@law(
    "S4",
    "new numbers in it do not compile again",
    why="A sweep of schedules would recompile the step for each.",
    cure="Annotate its numbers `jopt.Value` or `jopt.Scalar`.",
    kind="schedule",
)
def _compiles_once(s: Timetable) -> None:
    if not s.ours:
        raise NotApplicable("it is no value: its numbers cannot be replaced")
    s.values()
    before = traces[0]
    for k in range(1, 4):
        factor = 1 - 0.01 * k
        s.values(jax.tree.map(ft.partial(_times, factor), s.schedule))
    if traces[0] > before:
        raise Broken(f"{traces[0] - before} more compilations for 3 values")


@law(
    "S5",
    "float32 follows float64 to 1e-6 of its largest value",
    why="Steps beyond 2^24 have no float32 of their own.",
    cure="Subtract steps as integers before they become floats.",
    kind="schedule",
)
def _follows_float64(s: Timetable) -> None:
    ours = s.values()
    with jax.enable_x64(True):
        theirs = s.values()
    close(ours, theirs, "values", 1e-6)


@law(
    "S6",
    "as a learning rate it gives the rate of each step",
    why="A step that is off by one shifts the warm-up, and skips the last value.",
    cure="Evaluate at the count before the step: 0 at the first.",
    kind="schedule",
)
def _as_learning_rate(s: Timetable) -> None:
    g = jnp.ones(2)
    stages = jopt.scale_by_schedule(s.schedule), optax.scale_by_schedule(s.schedule)
    for tx in stages:
        state = tx.init(g)
        for step in range(4):
            u, state = tx.update(g, state)
            expected = jnp.full_like(g, s.schedule(step))
            same_bits(u, expected, f"step {step}")


@law(
    "S7",
    "it is a value: equal, hashable, printed and rebuilt from its config",
    why="A schedule that compares by identity recompiles the step at each new cell.",
    cure="Make it by a function marked `jopt.schedule`.",
    kind="schedule",
)
def _is_value(s: Timetable) -> None:
    _ = hash(s.schedule), repr(s.schedule)
    if not s.ours:
        raise NotApplicable("it is a function")
    leaves, structure = jax.tree.flatten(s.schedule)
    if jax.tree.unflatten(structure, leaves) != s.schedule:
        raise Broken("taken apart and put together it is another")
    try:
        config = jopt.to_dict(s.schedule)
    except TypeError as reason:
        raise NotApplicable(str(reason)[:100]) from None
    if jopt.from_dict(config) != s.schedule:
        raise Broken("rebuilt from its config it is another")


@law(
    "S8",
    "its derivatives with respect to its numbers are finite",
    why="Hypergradients tune schedules too.",
    cure="Put `jnp.where` around the arguments of powers and logarithms as well.",
    kind="schedule",
)
def _differentiable(s: Timetable) -> None:
    if not s.ours or not jax.tree.leaves(s.schedule):
        raise NotApplicable("it has no numbers that could be varied")
    few = jnp.array([0, 1, 7, 20, LAST], jnp.int32)
    total = lambda schedule: jnp.sum(jax.vmap(schedule)(few))  # noqa: E731
    slopes = jax.grad(total, allow_int=True)(s.schedule)
    leaves = [x for x in map(host, jax.tree.leaves(slopes)) if x.dtype.kind == "f"]
    finite(leaves, "slopes")


@law(
    "S9",
    "a step before 0 counts as 0",
    why="A shifted schedule is asked for steps before its start.",
    cure="Clip the step.",
    kind="schedule",
)
def _before_the_start(s: Timetable) -> None:
    if not s.ours:
        raise NotApplicable("only schedules of jopt promise it")
    for step, same in itertools.product((-1, -100), (0,)):
        close(s.schedule(step), s.schedule(same), f"step {step}", 0.0)
