"""Reading and changing hyperparameters: in a transform, or in its state."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jopt._core import trees
from jopt._core.decay import Decay
from jopt._core.schedule import as_float, Schedule, schedule
from jopt._core.spec import did_you_mean, is_off, UnknownNameError
from jopt._core.transform import hands_on, Transform
from jopt._core.types import Hyper, Inner, InnerSchedule, Pair
from jopt.values import walk

PyTree = Any


def hyperparams(tx: Transform, state: PyTree = None) -> dict[str, Any]:
    """Every hyperparameter by its dotted path.

    Args:
        tx: A transform.
        state: Its state. If given, schedules are evaluated at the coming step, and
            exposed values are read from it; else a schedule is given as such.

    Returns:
        A flat dict. A stage of a chain is named by its factory, with `_2` and so on
        when repeated.

    Example:
        >>> from jopt import adam, chain, clip, linear_schedule, hyperparams
        >>> hyperparams(chain(clip(1.0), adam(linear_schedule(0.1, 0.0, 10))))[
        ...     "adam.b1"
        ... ]
        0.9
    """
    if state is not None:
        tx, counts = _live(tx, state)
    shown: dict[str, Any] = {}
    schedules: list[walk.Path] = []
    for path, value in walk.hyperparameters(tx):
        if any(path[: len(s)] == s for s in schedules):
            continue  # a schedule's own number
        if isinstance(value, Schedule):
            schedules.append(path)
            if state is not None:
                value = value(_count(counts, value))
        shown[".".join(path)] = value
    return shown


def set_hyperparams(target: Any, values: Mapping[str, Any]) -> Any:
    """A transform, or a state, with some hyperparameters changed.

    Args:
        target: A transform; or a state in which `expose` keeps hyperparameters.
        values: New values by dotted path; an unambiguous ending suffices. In a state,
            `None` hands an overridden hyperparameter back to its schedule.

    Returns:
        A new transform or state; the structure stays unless a stage is turned on or
        off, so nothing recompiles.

    Raises:
        KeyError: If there is no such hyperparameter; the message has the closest.
        ValueError: If a value is out of range, or a path is ambiguous.

    Example:
        >>> from jopt import chain, clip, adam, set_hyperparams
        >>> set_hyperparams(chain(clip(1.0), adam(0.1)), {"b2": 0.95})
        chain(clip(max_delta=1.0), adam(learning_rate=0.1, b2=0.95))
    """
    if isinstance(target, Transform):
        for dotted, new in values.items():
            target = walk.set_at(target, walk.find(target, dotted), new)
        return target
    return _set_in_state(target, values)


def in_axes(tx: Transform) -> Transform:
    """The axes over which `jax.vmap` maps a transform with some array leaves.

    Args:
        tx: A transform some of whose hyperparameters are arrays with a leading
            population axis.

    Returns:
        A tree like `tx` of 0 for those and `None` for all others.

    Example:
        >>> import jax, jax.numpy as jnp, jopt
        >>> txs = jopt.sgd(jnp.array([0.1, 0.2]))
        >>> params = jnp.ones(3)
        >>> def step(tx):
        ...     updates, _ = tx.update(params, tx.init(params), params)
        ...     return params + updates
        >>> jax.vmap(step, in_axes=(jopt.in_axes(txs),))(txs)[:, 0]
        Array([0.9, 0.8], dtype=float32)
    """
    return jax.tree.map(lambda leaf: 0 if np.ndim(leaf) else None, tx)


def stack(*transforms: Transform) -> Transform:
    """One transform whose leaves are those of several of equal structure, stacked.

    Args:
        *transforms: Transforms that differ in the values of hyperparameters only.

    Returns:
        A transform to be mapped over by `jax.vmap`.

    Raises:
        ValueError: If their structures differ.

    Example:
        >>> from jopt import sgd, stack
        >>> stack(sgd(0.1), sgd(0.2))
        sgd(learning_rate=Array([0.1, 0.2], dtype=float32))
    """
    structures = [jax.tree.structure(tx) for tx in transforms]
    for tx, structure in zip(transforms, structures, strict=True):
        if structure != structures[0]:
            raise ValueError(
                "Transforms that are stacked may differ in the values of their "
                f"hyperparameters only, got {transforms[0]!r} and {tx!r}."
            )
    return jax.tree.map(
        lambda *leaves: jnp.stack(list(map(as_float, leaves))), *transforms
    )


# -- hyperparameters in the state ---------------------------------------------------

_Override = Annotated[ArrayLike, Hyper(nan=True, affine=True)]


@schedule(affine=True)
def override_schedule(inner_schedule: InnerSchedule, value: _Override = float("nan")):
    """A schedule that a number replaces; NaN leaves the schedule in force.

    Args:
        inner_schedule: The schedule.
        value: The number, or NaN.

    Returns:
        A schedule.
    """

    def at(step: jax.Array) -> jax.Array:
        number = as_float(value)
        return jnp.where(jnp.isnan(number), inner_schedule(step), number)

    return at


class ExposedState(NamedTuple):
    """State of `expose`."""

    hyperparams: dict[str, Any]  # in float32, decay rates as `Decay`
    inner_state: PyTree


@hands_on
def expose(inner: Inner, *names: str) -> Pair:
    """Keep some hyperparameters in the state, where they can be read and set.

    For what must change while a compiled loop runs with the optimizer fixed. Of a
    scheduled hyperparameter each number of the schedule is kept, and `<name>.override`,
    NaN while the schedule is in force. Read the values in force with
    `jopt.hyperparams(tx, state)`; set with `jopt.set_hyperparams(state, ...)`.

    Args:
        inner: A transform of jopt, with hyperparameters at any depth.
        *names: Dotted paths, or unambiguous endings. Without any, all but those whose
            literal 0 turns something off.

    Returns:
        A transform that does what `inner` does.

    Raises:
        KeyError: If there is no such hyperparameter.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import expose, set_hyperparams, sgd
        >>> tx = expose(sgd(0.1), "learning_rate")
        >>> state = tx.init(jnp.ones(2))
        >>> state.hyperparams
        {'learning_rate': Array(0.1, dtype=float32)}
        >>> state = set_hyperparams(state, {"learning_rate": 0.5})
        >>> tx.update(jnp.ones(2), state)[0]
        Array([-0.5, -0.5], dtype=float32)
    """
    tx, slots = _slots(inner, names)

    def init(params):
        values = {key: _exposed(tx, path) for key, path in slots.items()}
        return ExposedState(values, tx.raw.init(params))

    def update(updates, state, params=None, **extra):
        live = _with_slots(tx, slots, state.hyperparams)
        updates, inner_state = live.raw.update(
            updates, state.inner_state, params, **extra
        )
        return updates, ExposedState(state.hyperparams, inner_state)

    return Pair(init, update)


def _is_off(inner: Any, path: walk.Path, value: Any) -> bool:
    """Whether a hyperparameter turns something off: a number there is another thing."""
    mark = walk.owner(inner, path).spec.factory.marks[path[-1]]
    return value is None or (mark.off and is_off(value))


def _slots(inner: Any, names: tuple[str, ...]) -> tuple[Any, dict[str, walk.Path]]:
    """The transform with overridable schedules, and the path of each exposed value."""
    everything = dict(walk.hyperparameters(inner))
    top = [p for p in everything if not any(p[:i] in everything for i in range(len(p)))]
    chosen = [walk.find(inner, n) for n in names] or [
        path for path in top if not _is_off(inner, path, everything[path])
    ]
    slots: dict[str, walk.Path] = {}
    for path in chosen:
        value, key = everything[path], ".".join(path)
        if not isinstance(value, Schedule):
            slots[key] = path
            continue
        inner = walk.set_at(inner, path, override_schedule(value))
        slots[f"{key}.override"] = (*path, "value")
        for deeper in everything:
            if deeper[: len(path)] == path and deeper != path:
                rest = deeper[len(path) :]
                if not isinstance(everything[deeper], Schedule):
                    slots[".".join(deeper)] = (*path, "inner_schedule", *rest)
    return inner, slots


def _exposed(tx: Any, path: walk.Path) -> Any:
    """A hyperparameter as it is kept in the state: a decay rate as its complement."""
    owner = walk.owner(tx, path)
    raw = owner.spec.arguments[path[-1]]
    return Decay(as_float(raw.complement)) if isinstance(raw, Decay) else as_float(raw)


def _with_slots(tx: Any, slots: dict[str, walk.Path], values: Mapping[str, Any]) -> Any:
    for key, path in slots.items():
        tx = walk.set_at(tx, path, values[key])
    return tx


def _set_in_state(state: PyTree, values: Mapping[str, Any]) -> PyTree:
    is_exposed = lambda node: isinstance(node, ExposedState)  # noqa: E731
    nodes = [n for n in jax.tree.leaves(state, is_leaf=is_exposed) if is_exposed(n)]
    if not nodes:
        raise UnknownNameError(
            "This state keeps no hyperparameters. Build the optimizer as "
            "`jopt.expose(tx, 'learning_rate')`."
        )
    keys = [key for node in nodes for key in node.hyperparams]
    changes = {_key(keys, dotted): new for dotted, new in values.items()}

    def changed(node: Any) -> Any:
        if not is_exposed(node):
            return node
        old = node.hyperparams
        return node._replace(
            hyperparams={
                k: _like(k, changes[k], v) if k in changes else v
                for k, v in old.items()
            }
        )

    return jax.tree.map(changed, state, is_leaf=is_exposed)


def _key(keys: list[str], dotted: str) -> str:
    names = dotted, f"{dotted}.override"
    matches = [k for k in keys if k in names] or [
        k for k in keys if k.endswith(tuple(f".{name}" for name in names))
    ]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ValueError(f"`{dotted}` is ambiguous: {', '.join(matches)}.")
    raise UnknownNameError(f"`{dotted}` is not exposed.{did_you_mean(dotted, keys)}")


def _like(key: str, new: Any, old: Any) -> Any:
    if trees.is_variable(old):  # of Flax NNX: it stays one
        return old.replace(_like(key, new, trees.without_variables(old)))
    if new is None:
        new = float("nan")
    if isinstance(new, str | bool):
        raise TypeError(f"`{key}` must be a number, got {new!r}.")
    if isinstance(old, Decay):
        return Decay(_like(key, Decay.of(new).complement, old.complement))
    return jnp.asarray(new, old.dtype)


# -- values at a step ----------------------------------------------------------------


def _live(tx: Transform, state: PyTree) -> tuple[Transform, dict[int, Any]]:
    """The transform with exposed values read from the state, and schedules' counts."""
    state = trees.without_variables(state)
    counts: dict[int, Any] = {}
    live = tx
    for stage in walk.stages(tx, state):
        if stage.scheduled is not None:
            counts.setdefault(0, stage.scheduled.count)
            for value in stage.transform.spec.arguments.values():
                counts[id(value)] = stage.scheduled.count
        if isinstance(stage.state, ExposedState):
            inner, slots = _slots(**stage.transform.spec.arguments)
            inner = _with_slots(inner, slots, stage.state.hyperparams)
            live = walk.swap(live, stage.transform, inner)
    return live, counts


def _count(counts: dict[int, Any], schedule: Schedule) -> Any:
    while schedule.spec.name == "override_schedule":
        schedule = schedule.spec.arguments["inner_schedule"]
    if 0 in counts:
        return counts.get(id(schedule), counts[0])
    raise ValueError(
        f"The state holds no step count for {schedule!r}: it is not a state of this "
        "transform."
    )
