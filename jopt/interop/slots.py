"""Filling the state of a transform from named arrays, and reading it back."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jopt._core import trees

PyTree = Any
Entries = dict[str, dict[str, np.ndarray]]
"""Arrays by leaf of the parameters, then by their name in the other framework."""
Fields = Mapping[str, tuple[str, ...]]
"""For each field of our states, its possible names in the other framework."""


def fill(
    template: PyTree, entries: Entries, fields: Fields, numbers: Mapping[str, Any]
) -> PyTree:
    """The state of a template's kind, with the arrays of another framework.

    Args:
        template: The state after `tx.init(params)`.
        entries: The arrays, in the layout of the parameters.
        fields: Which array is which slot.
        numbers: Values of fields that are one number, such as `count`.

    Raises:
        ValueError: If a slot has no array, an array no slot, or a shape is wrong.
    """
    used: set[tuple[str, str]] = set()

    def slot(field: str, path: str, old: Any) -> jax.Array:
        name = _leaf_of(path, entries)
        key = next((k for k in fields[field] if k in entries[name]), None)
        if key is None and not old.size:
            return old  # a slot that this leaf does not use
        if key is None:
            raise ValueError(
                f"`{name}` has no {_either(fields[field])} for the slot `{field}`; it "
                f"has {_list(entries[name])}. Is the optimizer of the same kind?"
            )
        used.add((name, key))
        new = np.asarray(entries[name][key])
        if new.shape != old.shape:
            new = _squeezed(new, old.shape)
        if new is None:
            raise ValueError(
                f"`{key}` of `{name}` has shape {entries[name][key].shape}, the slot "
                f"`{field}` has {old.shape}. Give `layout` to turn one into the other."
            )
        return jnp.asarray(new, old.dtype)

    def node(value: PyTree) -> PyTree:
        if not _is_state(value):
            return _map_children(node, value)
        return type(value)(**{f: part(f, getattr(value, f)) for f in value._fields})

    def part(field: str, value: PyTree) -> PyTree:
        if field in fields:
            return _map_named(lambda path, old: slot(field, path, old), value)
        if field in numbers and hasattr(value, "dtype"):
            if numbers[field] is None:
                raise ValueError(f"`{field}` is not among the arrays: give `step`.")
            return jnp.asarray(numbers[field], value.dtype)
        return node(value)

    filled = node(template)
    left = {(name, key) for name, own in entries.items() for key in own} - used
    if left:
        names, keys = (sorted(set(column)) for column in zip(*left, strict=True))
        raise ValueError(
            f"no slot for {_list(keys)} of {_list(names)}. Is the optimizer of the "
            "same kind, with the same options?"
        )
    return filled


def read(state: PyTree, keys: Mapping[str, str], numbers: Mapping[str, str]) -> Any:
    """Slots of a state as entries, and its numbers, under their other names."""
    entries: Entries = {}
    found: dict[str, Any] = {}
    for field, value in _fields(state):
        if field in keys:
            for path, leaf in _named(value):
                entries.setdefault(path, {})[keys[field]] = np.asarray(leaf)
        elif field in numbers and hasattr(value, "dtype"):
            found.setdefault(numbers[field], np.asarray(value))
    return entries, found


def _is_state(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def _map_children(fn: Callable[[Any], Any], value: PyTree) -> PyTree:
    if isinstance(value, tuple):
        return tuple(map(fn, value))
    if isinstance(value, dict):
        return {key: fn(child) for key, child in value.items()}
    return value


def _fields(value: PyTree) -> Iterator[tuple[str, Any]]:
    if _is_state(value):
        for name in value._fields:
            child = getattr(value, name)
            yield name, child
            yield from _fields(child)
    elif isinstance(value, tuple):
        for child in value:
            yield from _fields(child)
    elif isinstance(value, dict):
        for child in value.values():
            yield from _fields(child)


def _map_named(fn: Callable[[str, Any], Any], tree: PyTree) -> PyTree:
    return jax.tree.map(fn, trees.map_with_names(lambda name, _: name, tree), tree)


def _named(tree: PyTree) -> Iterator[tuple[str, Any]]:
    yield from zip(trees.names(tree), jax.tree.leaves(tree), strict=True)


def _leaf_of(path: str, entries: Entries) -> str:
    if path not in entries:
        raise ValueError(
            f"nothing was given for the leaf `{path}`. There is "
            f"{_list(sorted(entries))}."
        )
    return path


def _squeezed(new: np.ndarray, shape: tuple[int, ...]) -> Any:
    """Without the axes of length 1 that others keep in a mean."""
    return new.reshape(shape) if new.size == np.prod(shape) and 1 in new.shape else None


def _either(names: tuple[str, ...]) -> str:
    return " or ".join(f"`{name}`" for name in names)


def _list(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names) or "nothing"
