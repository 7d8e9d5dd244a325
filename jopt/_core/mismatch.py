"""Telling what is wrong with trees and states that do not belong together."""

import functools as ft
import weakref
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jopt._core import trees, warn

PyTree = Any

CALL = "Call it as `update(updates, state, params)`."

_outlines: weakref.WeakKeyDictionary[Any, PyTree]
_outlines = weakref.WeakKeyDictionary()
_seen: weakref.WeakKeyDictionary[Any, set[Any]]
_seen = weakref.WeakKeyDictionary()


# -- gradients and parameters ------------------------------------------------------


def of_trees(name: str, updates: PyTree, state: PyTree, params: PyTree) -> str:
    """What to say of gradients that are another tree than the parameters."""
    ours, theirs = trees.names(updates), trees.names(params)
    if ours == theirs:
        return f"`{name}`: {_containers(updates, params)}"
    missing = sorted(set(theirs) - set(ours))
    surplus = sorted(set(ours) - set(theirs))
    third = set(trees.names(state))
    if third == set(ours) or third == set(theirs):
        return (
            f"`{name}`: are the arguments swapped? `updates` and `params` have "
            f"different leaves: {_sample(ours)} and {_sample(theirs)}. {CALL}"
        )
    parts, hint = [], ""
    if missing:
        hint = " To hold leaves fixed, use `jopt.freeze`."
        none = _none(updates, missing)
        parts.append(f"`updates` {'is None at' if none else 'lacks'} {missing[:5]}")
        if none:
            hint = (
                " Did you mean `jopt.freeze`? With it their gradient may be anything, "
                "such as zeros."
            )
    if surplus:
        none = _none(params, surplus)
        parts.append(f"`params` {'is None at' if none else 'lacks'} {surplus[:5]}")
        hint = hint or " Give `updates` and `params` the same leaves."
    return f"`{name}`: {' and '.join(parts)}.{hint}"


def _sample(names: list[str]) -> str:
    return f"{names[:3]}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _none(tree: PyTree, lost: list[str]) -> bool:
    """Whether all the lost leaves are `None` in the tree, or below one."""
    marked = jax.tree.map(lambda leaf: leaf is None, tree, is_leaf=_is_none)
    pairs = zip(trees.names(marked), jax.tree.leaves(marked), strict=True)
    none = [name for name, is_none in pairs if is_none]
    return bool(none) and all(
        any(not n or name == n or name.startswith(f"{n}/") for n in none)
        for name in lost
    )


def _is_none(node: Any) -> bool:
    return node is None


def _containers(updates: PyTree, params: PyTree) -> str:
    """Where two trees of the same names use different containers."""
    found = _first_difference(updates, params, "")
    if found is None:
        return (
            "`updates` and `params` have the same leaves, but their containers differ "
            "in a static field. Make the gradients by `jax.grad` of these parameters."
        )
    path, ours, theirs = found
    at = f" at `{path}`" if path else ""
    return (
        f"`updates`{at} is a {ours}, but `params` is a {theirs}. Make both the same "
        "type of container."
    )


def _first_difference(
    updates: PyTree, params: PyTree, path: str
) -> tuple[str, str, str] | None:
    if type(updates) is not type(params) and not _is_leaf(updates):
        return path, type(updates).__name__, type(params).__name__
    ours, theirs = _children(updates), _children(params)
    for (key, child), (_, other) in zip(ours, theirs, strict=False):
        below = f"{path}/{trees.part(key)}" if path else trees.part(key)
        if (found := _first_difference(child, other, below)) is not None:
            return found
    return None


def _is_leaf(node: Any) -> bool:
    return jax.tree_util.all_leaves([node])


def _children(node: PyTree) -> list[tuple[Any, PyTree]]:
    """The nodes one level below, each with its key."""
    if _is_leaf(node):
        return []
    flat, _ = jax.tree_util.tree_flatten_with_path(node, lambda n: n is not node)
    return [(path[0], child) for path, child in flat if path]


# -- states ------------------------------------------------------------------------


def check_state(runner: Any, state: PyTree, updates: PyTree, params: PyTree) -> None:
    """Raise unless the state is one of this transform, for these parameters.

    Only its outline is compared, which is cheap. What `init` would make is worked out
    where that gives cause for doubt, so an unusual state costs time, never an error.
    """
    _raise_if_deleted(runner, "state", state)
    target = updates if params is None else params
    outline = _outline_of(runner)
    if outline is None:
        return
    leaves = jax.tree.leaves(target)
    kinds = [(p.shape, jnp.issubdtype(p.dtype, jnp.complexfloating)) for p in leaves]
    if _fits(outline, state, kinds):
        return
    key = _key(state, leaves)
    if key in _seen.setdefault(runner, set()):
        return
    message = _misfit(runner, state, target, params is None)
    if message:
        raise ValueError(message)
    _seen[runner].add(key)


def explain(
    runner: Any, state: PyTree, updates: PyTree, params: PyTree, error: Exception
) -> None:
    """Raise a clear error instead of `error`, if the arguments are the cause."""
    _raise_if_deleted(runner, "updates", updates, error)
    _raise_if_deleted(runner, "params", params, error)
    message = _misfit(
        runner, state, updates if params is None else params, params is None
    )
    if message:
        raise ValueError(message) from error


def _raise_if_deleted(
    runner: Any, argument: str, tree: PyTree, error: Exception | None = None
) -> None:
    for i, leaf in enumerate(jax.tree.leaves(tree)):
        if isinstance(leaf, Tracer) or not isinstance(leaf, jax.Array):
            continue
        if leaf.is_deleted():
            raise ValueError(
                f"`{trees.names(tree)[i]}` of `{argument}`, given to "
                f"`{runner.spec.name}`, has been deleted: it was donated to a jitted "
                "function. Go on with what that function returned, or leave the "
                "argument out of `donate_argnums`."
            ) from error


def _outline_of(runner: Any) -> PyTree:
    """The state for parameters without leaves; `None` where that cannot be told."""
    if runner not in _outlines:
        outline = None
        if not runner.has_foreign:
            with warn.muted():
                try:
                    outline = jax.eval_shape(lambda: runner.raw.init({}))
                except Exception:  # a transform that needs leaves: nothing is known
                    outline = None
        _outlines[runner] = outline
    return _outlines[runner]


def _fits(outline: PyTree, given: PyTree, kinds: list[Any]) -> bool:
    """Whether a state looks like the outline, and its slots like the parameters."""
    if type(outline) is dict and not outline:  # here stands a tree like the parameters
        return _slots_fit(given, kinds)
    if isinstance(outline, jax.ShapeDtypeStruct):
        return getattr(given, "shape", outline.shape) == outline.shape
    if type(outline) is not type(given):
        return False
    if isinstance(outline, Mapping):
        return outline.keys() == given.keys() and all(
            _fits(outline[name], given[name], kinds) for name in outline
        )
    if isinstance(outline, list | tuple):
        return len(outline) == len(given) and all(
            map(ft.partial(_fits, kinds=kinds), outline, given)
        )
    return jax.tree.structure(outline) == jax.tree.structure(given)


def _slots_fit(given: PyTree, kinds: list[Any]) -> bool:
    """Whether slots, one for each parameter, have shapes that cannot be mistaken."""
    slots = jax.tree.leaves(given)
    if len(slots) != len(kinds):
        return False  # not one for each: compare in full
    for slot, (shape, is_complex) in zip(slots, kinds, strict=True):
        own = getattr(slot, "shape", None)
        if own != shape and own is not None and 0 not in own:
            if len(own) == len(shape) or _broadcast(own, shape):
                return False
        elif is_complex != jnp.iscomplexobj(slot):
            return False
    return True


def _broadcast(own: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    pairs = zip(reversed(own), reversed(shape), strict=False)
    return all(a == b or 1 in (a, b) for a, b in pairs)


def _key(state: PyTree, leaves: list[Any]) -> Any:
    shapes = tuple(jnp.shape(leaf) for leaf in jax.tree.leaves(state))
    return jax.tree.structure(state), shapes, tuple((p.shape, p.dtype) for p in leaves)


def _misfit(runner: Any, state: PyTree, target: PyTree, bare: bool) -> str:
    """What is wrong with a state, compared in full with what `init` would make."""
    try:
        with warn.muted():
            expected = jax.eval_shape(runner.raw.init, target)
    except Exception:  # `init` has a problem of its own: leave the first error alone
        return ""
    difference = _state_difference(expected, state)
    if not difference:
        return ""
    whom = " or not for these gradients" if bare else ""
    return (
        f"The state given to `{runner.spec.name}` is not one of its own{whom}: "
        f"{difference} Call `state = tx.init(params)` and "
        "`updates, state = tx.update(grads, state, params)`; to carry a state over "
        "from another optimizer use `jopt.migrate`."
    )


def _state_difference(expected: PyTree, state: PyTree) -> str:
    names = trees.names(expected)
    if jax.tree.structure(expected) != jax.tree.structure(state):
        ours, theirs = _outline(expected), _outline(state)
        missing = sorted(set(names) - set(trees.names(state)))
        surplus = sorted(set(trees.names(state)) - set(names))
        if ours == theirs and (missing or surplus):
            lacks = [f"lacks {_sample(missing)}"] if missing else []
            has = [f"has {_sample(surplus)} besides"] if surplus else []
            return f"it {' and '.join(lacks + has)}."
        return (
            f"expected {ours} with {len(names)} arrays, got {theirs} with "
            f"{len(jax.tree.leaves(state))}."
        )
    pairs = zip(jax.tree.leaves(expected), jax.tree.leaves(state), strict=True)
    for i, (e, s) in enumerate(pairs):
        if e.shape != jnp.shape(s):
            return f"`{names[i]}` must have shape {e.shape}, got {jnp.shape(s)}."
        if jnp.iscomplexobj(e) != jnp.iscomplexobj(s):
            return f"`{names[i]}` must be {e.dtype}, got {s.dtype}."
    return ""


def _outline(state: PyTree) -> str:
    if type(state) is tuple:
        return f"({', '.join(_outline(s) for s in state)})"
    return type(state).__name__


def check_schedules(runner: Any, state: PyTree) -> None:
    """Raise if a schedule's value at step 0, which `init` has stored, is not finite."""
    for node in jax.tree.leaves(state, is_leaf=_is_scheduled):
        if not _is_scheduled(node):
            continue
        for name, value in node.hyperparams.items():
            if isinstance(value, Tracer) or not hasattr(value, "is_fully_addressable"):
                continue
            if value.is_fully_addressable and not np.isfinite(np.asarray(value)).all():
                raise ValueError(
                    f"`{runner.spec.name}`: the schedule of `{name}` is "
                    f"{np.asarray(value)} at step 0. A schedule counts from 0: divide "
                    "by, or take a root or logarithm of, `step + 1`."
                )
        check_schedules(runner, node.inner_state)


def _is_scheduled(node: Any) -> bool:
    return type(node).__name__ == "ScheduledState" and hasattr(node, "hyperparams")
