"""Walking a transform: its hyperparameters by path, its stages beside their states."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import optax

from jopt._core import display
from jopt._core.schedule import Schedule
from jopt._core.spec import did_you_mean, labels, UnknownNameError
from jopt._core.transform import ScheduledState, Transform
from jopt._core.types import Child

PyTree = Any
Path = tuple[str, ...]


def hyperparameters(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every hyperparameter, outermost first, with its path.

    A scheduled one is given as the schedule, followed by the schedule's own numbers.
    """
    for name, shown in value.spec.hyper():
        yield (*path, name), shown
        if isinstance(shown, Schedule):
            yield from hyperparameters(shown, (*path, name))
    for label, child in value.spec.children():
        yield from hyperparameters(child, _below(path, label))


def _below(path: Path, label: str) -> Path:
    """The path of a child. A wrapper's only child adds nothing to it."""
    return path if label == "inner" else (*path, label)


def owner(value: Any, path: Path) -> Any:
    """The transform or schedule whose call holds the hyperparameter at `path`."""
    if len(path) == 1 and path[0] in dict(value.spec.hyper()):
        return value
    for name, shown in value.spec.hyper():
        if name == path[0] and isinstance(shown, Schedule):
            return owner(shown, path[1:])
    for label, child in value.spec.children():
        below = _below((), label)
        rest = path[len(below) :]
        if path[: len(below)] == below and _has(child, rest):
            return owner(child, rest)
    raise UnknownNameError(f"`{value.spec.name}` has nothing at {'.'.join(path)}.")


def _has(value: Any, path: Path) -> bool:
    return any(path == known for known, _ in hyperparameters(value))


def find(value: Any, dotted: str) -> Path:
    """The path that `dotted` names in full, or by an unambiguous ending.

    Raises:
        KeyError: If there is none, with the closest name.
        ValueError: If several paths end so, with all of them.
    """
    paths = [path for path, _ in hyperparameters(value)]
    wanted = tuple(dotted.split("."))
    if wanted in paths:
        return wanted
    ending = [path for path in paths if path[-len(wanted) :] == wanted]
    if len(ending) == 1:
        return ending[0]
    if ending:
        raise ValueError(
            f"`{dotted}` is ambiguous: it may be "
            f"{' or '.join('.'.join(path) for path in ending)}. Write more of the path."
        )
    known = [".".join(path) for path in paths]
    known += [path[-1] for path in paths]
    raise UnknownNameError(
        f"No hyperparameter `{dotted}`.{did_you_mean(dotted, known)}"
    )


def set_at(value: Any, path: Path, new: Any) -> Any:
    """The same transform or schedule with what stands at `path` swapped, checked."""
    first, *rest = path
    spec = value.spec
    if not rest and first in spec.arguments:
        return spec.rebuilt(**{first: new})
    for name, shown in spec.hyper():
        if name == first and isinstance(shown, Schedule):
            return spec.rebuilt(**{name: set_at(shown, tuple(rest), new)})
    for name, argument in spec.arguments.items():
        changed = _set_in(name, argument, path, new)
        if changed is not None:
            return spec.rebuilt(**{name: changed})
    raise UnknownNameError(f"`{spec.name}` has nothing named `{first}`.")


def _set_in(name: str, argument: Any, path: Path, new: Any) -> Any:
    """`argument` with what stands at `path` inside it swapped, if it is there."""
    first, rest = path[0], path[1:]
    if isinstance(argument, Transform | Schedule):
        if name == first and rest:
            return set_at(argument, rest, new)
        inside = name == "inner" and any(
            path == p for p, _ in hyperparameters(argument)
        )
        return set_at(argument, path, new) if inside else None
    if isinstance(argument, dict) and first in argument:
        child = argument[first]
        if hasattr(child, "spec"):
            return argument | {first: set_at(child, rest, new)}
    if isinstance(argument, tuple) and argument and hasattr(argument[0], "spec"):
        names = labels(argument)
        if first in names:
            children = list(argument)
            at = names.index(first)
            children[at] = set_at(children[at], rest, new)
            return tuple(children)
    return None


def swap(tx: Transform, old: Transform, new: Transform) -> Transform:
    """`tx` with `new` in the place of the stage `old` inside it."""
    if tx is old:
        return new

    def swapped(argument: Any) -> Any:
        return jax.tree.map(
            lambda child: swap(child, old, new),
            argument,
            is_leaf=lambda node: isinstance(node, Transform),
        )

    spec = tx.spec
    children = (n for n, m in spec.factory.marks.items() if m == Child("transforms"))
    changes = {name: swapped(spec.arguments[name]) for name in children}
    return Transform(spec.replace(**changes)) if changes else tx


class Stage(NamedTuple):
    """A stage of a transform beside its part of the state."""

    path: Path  # labels from the outside in
    transform: Transform
    state: PyTree  # without what a wrapper's inner stages hold
    scheduled: ScheduledState | None  # present where a schedule sets its arguments
    group: str = ""  # the label or the mask that it stands under


def stages(
    tx: Transform, state: PyTree, path: Path = (), group: str = ""
) -> Iterator[Stage]:
    """Every stage with its state, wrappers before the stages they wrap."""
    spec = tx.spec
    if spec.factory.kind == "optimizer":
        yield from stages(spec.built, state, path, group)
        return
    scheduled = None
    if isinstance(state, ScheduledState) and tx.runner.schedules:
        scheduled, state = state, state.inner_state
    children = list(spec.children())
    if spec.name not in ("chain", "named_chain"):
        yield Stage(path or (spec.name,), tx, state, scheduled, group)
    for i, (label, child) in enumerate(children):
        part = state[i] if spec.name == "chain" else _inner(state, label)
        inside = label if spec.name == "partition" else _mask(spec) or group
        below = _below(path, label)
        if below and below == path and child.spec.factory.kind != "optimizer":
            below = (*path, child.spec.name)  # else it would show as its wrapper
        yield from stages(child, part, below, inside)


def _mask(spec: Any) -> str:
    mask = spec.arguments.get("mask")
    return "" if mask is None else display.show(mask)


def _inner(state: PyTree, label: str) -> PyTree:
    """What a wrapper's state holds for one of the transforms it wraps."""
    if type(state) is dict:
        return state[label]
    if hasattr(state, "inner_states"):
        state = state.inner_states[label]
        return state.inner_state if isinstance(state, optax.MaskedState) else state
    elif hasattr(state, "inner_state"):
        state = state.inner_state
    return state


def own(stage: Stage) -> PyTree:
    """A stage's state without what it holds for the stages it wraps."""
    state = stage.state
    held = [f for f in ("inner_state", "inner_states") if hasattr(state, f)]
    if held and list(stage.transform.spec.children()):
        return state._replace(**dict.fromkeys(held, ()))
    return state
