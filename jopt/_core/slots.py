"""Walking a state: every slot of it with its path, whatever the containers."""

import dataclasses
import functools as ft
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import optax

from jopt._core import trees
from jopt._core.decay import Decay
from jopt._core.spec import did_you_mean

PyTree = Any


class Part(NamedTuple):
    """One element of a path: as shown, and all names that it answers to."""

    shown: str
    names: frozenset[str]


class Slot(NamedTuple):
    """A node of a state."""

    path: tuple[Part, ...]
    read: Callable[[], Any]  # a property is computed only when it is asked for

    @property
    def shown(self) -> str:
        """The path as text; `find` understands it."""
        return ".".join(part.shown for part in self.path)

    def matches(self, wanted: list[str]) -> bool:
        """Whether the path ends with the last name and has the others in order."""
        if not self.path or wanted[-1] not in self.path[-1].names:
            return False
        parts = iter(self.path[:-1])
        return all(any(name in part.names for part in parts) for name in wanted[:-1])


def slots(state: PyTree, *, deep: bool = False) -> Iterator[Slot]:
    """Every node of a state, outer ones first.

    Args:
        state: A state of jopt, optax or `nnx.Optimizer`, the optimizer itself or a
            train state.
        deep: Whether to descend into the trees of parameters that slots hold.
    """
    if not _is_namedtuple(state):
        state = getattr(state, "opt_state", state)
    yield Slot((), lambda: state)
    yield from _walk(state, (), deep, root=True)


def find(state: PyTree, name: str) -> list[Slot]:
    """The slots that a name or a dotted path means: several if it is ambiguous.

    State fields come first; only if none fits, leaves of the trees in them.
    """
    wanted = name.split(".")
    for deep in (False, True):
        hits = [s for s in slots(state, deep=deep) if s.path]
        exact = [s for s in hits if s.shown == name]
        hits = exact or [s for s in hits if s.matches(wanted)]
        if hits:
            return hits
    return []


def suggestion(state: PyTree, name: str) -> str:
    """The closest name that the state has."""
    known = {n: None for s in slots(state) if s.path for n in s.path[-1].names}
    return did_you_mean(name.split(".")[-1], [n for n in known if not n.isdigit()])


def one_of(hits: list[Slot], name: str, many: str) -> Any:
    """The value of the only hit.

    Raises:
        ValueError: If there are several, with their paths.
    """
    if len(hits) > 1:
        paths = ", ".join(f"`{hit.shown}`" for hit in hits[:8])
        raise ValueError(f"{name} is ambiguous: it may be {paths}. {many}")
    return unwrap(hits[0].read())


def unwrap(value: Any) -> Any:
    """The array in a Flax NNX variable, the rate of a `Decay`; else the value."""
    if isinstance(value, Decay):
        return value.value
    if trees.is_variable(value):
        leaves = jax.tree.leaves(value)
        return leaves[0] if len(leaves) == 1 else value
    return value


def _walk(node: Any, path: tuple[Part, ...], deep: bool, root: bool = False):
    children = list(_children(node))
    descend = deep or root or _is_structure(node, path)
    if not descend:
        return
    kinds = [_kind(value) for _, value in children]
    for (key, value), kind in zip(children, kinds, strict=True):
        ending = key.rpartition(".")[2]  # `adam.b1` among exposed hyperparameters
        names = frozenset(filter(None, (key, kind, ending)))
        plain = isinstance(node, list | tuple) and not _is_namedtuple(node)
        unique = kinds.count(kind) == 1
        shown = kind if kind is not None and plain and unique else key
        here = (*path, Part(shown, names))
        yield Slot(here, lambda value=value: value)
        yield from _walk(value, here, deep)
    for key in _properties(node):
        yield Slot((*path, Part(key, frozenset([key]))), ft.partial(getattr, node, key))


def _children(node: Any) -> Iterator[tuple[str, Any]]:
    if _is_namedtuple(node):
        yield from zip(node._fields, node, strict=True)
    elif isinstance(node, Mapping):
        yield from ((str(key), value) for key, value in node.items())
    elif isinstance(node, list | tuple):
        yield from ((str(i), value) for i, value in enumerate(node))
    elif dataclasses.is_dataclass(node) and not isinstance(node, type):
        for field in dataclasses.fields(node):
            yield field.name, getattr(node, field.name, None)


def _is_structure(node: Any, path: tuple[Part, ...]) -> bool:
    """Whether a node is part of the state's make-up, not a tree of parameters."""
    if _is_namedtuple(node) or isinstance(node, list | tuple):
        return True
    if path and path[-1].shown == "hyperparams":
        return True
    return isinstance(node, Mapping) and _holds_state(node)


def _holds_state(node: Any) -> bool:
    if _is_namedtuple(node):
        return not isinstance(node, optax.MaskedNode)
    return any(_holds_state(value) for _, value in _children(node))


def _is_namedtuple(node: Any) -> bool:
    return isinstance(node, tuple) and hasattr(node, "_fields")


def _kind(node: Any) -> str | None:
    """The stage that a state is of: `ScaleByAdamState` is of `scale_by_adam`."""
    if not _is_namedtuple(node) or isinstance(node, optax.MaskedNode):
        return None
    name = type(node).__name__.removesuffix("State")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower() or None


def _properties(node: Any) -> list[str]:
    if not _is_namedtuple(node):
        return []
    found = (pair for base in type(node).__mro__ for pair in vars(base).items())
    names = (name for name, value in found if isinstance(value, property))
    return [name for name in dict.fromkeys(names) if not name.startswith("_")]
