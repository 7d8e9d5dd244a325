"""What every update passes on its way in and out: checks, dtypes, integer leaves."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jopt._core import trees
from jopt._core.decay import Decay
from jopt._core.types import Hyper

PyTree = Any


def guarded_init(runner: Any, params: PyTree) -> PyTree:
    """`init`, with integer leaves hidden from the stages."""
    params = jax.tree.map(_as_array, params)
    keep = jax.tree.map(trees.is_inexact, params)
    if not all(jax.tree.leaves(keep)):
        params = trees.hide(params, keep)
    return runner.raw.init(params)


def guarded_update(
    runner: Any, updates: PyTree, state: PyTree, params: PyTree, extra: dict[str, Any]
) -> tuple[PyTree, PyTree]:
    """`update`, in float32 or wider, with integer leaves hidden from the stages.

    The updates leave in the dtype of the parameters, or of the gradients where no
    parameters are given.
    """
    spec = runner.spec
    _scalar_hyperparameters(spec)
    updates = jax.tree.map(_as_array, updates)
    if params is not None:
        params = jax.tree.map(_as_array, params)
        _same_tree(spec.name, updates, state, params)
    target = updates if params is None else params
    keep = jax.tree.map(trees.is_inexact, target)
    hidden = not all(jax.tree.leaves(keep))
    shown, shown_params = updates, params
    if hidden:
        shown = trees.hide(updates, keep)
        shown_params = params if params is None else trees.hide(params, keep)
    if params is not None or not runner.has_foreign:
        shown = jax.tree.map(_widen, shown)
    try:
        out, state = runner.raw.update(shown, state, shown_params, **extra)
    except Exception as error:
        _explain(runner, state, shown if params is None else shown_params, error)
        raise
    if hidden:
        out = trees.restore(out, jax.tree.map(_still, target))
    return jax.tree.map(_cast, out, target), state


def _as_array(leaf: Any) -> Any:
    """Python and NumPy numbers become arrays; everything else stays."""
    if isinstance(leaf, bool | int | float | complex | np.ndarray | np.generic):
        if getattr(leaf, "dtype", None) == jax.dtypes.float0:
            return leaf
        return jnp.asarray(leaf)
    return leaf


def _widen(leaf: Any) -> Any:
    dtype = trees.accumulation_dtype(leaf.dtype)
    return leaf if leaf.dtype == dtype else leaf.astype(dtype)


def _cast(update: Any, target: Any) -> Any:
    dtype = getattr(target, "dtype", None)
    if dtype is None or update.dtype == dtype or dtype == jax.dtypes.float0:
        return update
    return update.astype(dtype)


def _still(leaf: Any) -> Any:
    """The update of an integer leaf: zero. A `float0` gradient is passed on."""
    if leaf.dtype == jax.dtypes.float0:
        return leaf
    return jnp.zeros(leaf.shape, leaf.dtype)


def _scalar_hyperparameters(spec: Any) -> None:
    for name, mark in spec.factory.marks.items():
        if not isinstance(mark, Hyper):
            continue
        value = spec.arguments[name]
        value = value.complement if isinstance(value, Decay) else value
        if getattr(value, "ndim", 0):
            raise ValueError(
                f"`{name}` of `{spec.name}` has shape {value.shape}, but one update "
                "takes one value. To train a population, `jax.vmap` over the transform."
            )


def _same_tree(name: str, updates: PyTree, state: PyTree, params: PyTree) -> None:
    """Raise unless gradients and parameters have the same leaves and shapes."""
    if jax.tree.structure(updates) != jax.tree.structure(params):
        ours, theirs = trees.names(updates), trees.names(params)
        if ours != theirs:
            raise ValueError(_tree_difference(name, ours, theirs, updates, state))
    both = zip(jax.tree.leaves(updates), jax.tree.leaves(params), strict=True)
    for i, (g, p) in enumerate(both):
        shapes = getattr(g, "shape", None), getattr(p, "shape", None)
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"The gradient of `{trees.names(params)[i]}` has shape {shapes[0]}, "
                f"but the parameter has shape {shapes[1]}. They must be the same."
            )
        if jnp.iscomplexobj(g) and not jnp.iscomplexobj(p):
            raise TypeError(
                f"The gradient of `{trees.names(params)[i]}` is complex, but the "
                "parameter is real. Take its real part."
            )


def _tree_difference(
    name: str, ours: list[str], theirs: list[str], updates: PyTree, state: PyTree
) -> str:
    missing = sorted(set(theirs) - set(ours))
    surplus = sorted(set(ours) - set(theirs))
    if not missing and not surplus:
        return (
            f"`{name}`: `updates` and `params` name the same leaves in different "
            f"containers: {type(updates).__name__} has another structure than the "
            "parameters."
        )
    parts = []
    if missing:
        parts.append(f"`updates` lacks {missing[:5]}")
    if surplus:
        parts.append(f"`params` lacks {surplus[:5]}")
    swapped = set(ours) == set(trees.names(state)) and ours != theirs
    hint = (
        " Call it as `update(updates, state, params)`."
        if swapped
        else " To hold leaves fixed, use `jopt.freeze`."
    )
    return f"`{name}`: {' and '.join(parts)}.{hint}"


def _explain(runner: Any, state: PyTree, target: PyTree, error: Exception) -> None:
    """Raise a clear error instead, if the state is not one of this transform."""
    try:
        expected = jax.eval_shape(runner.raw.init, target)
    except Exception:  # `init` has a problem of its own: leave the first error alone
        return
    difference = _state_difference(expected, state)
    if difference:
        raise ValueError(
            f"The state given to `{runner.spec.name}` is not one of its own: "
            f"{difference} Call `state = tx.init(params)` and "
            "`updates, state = tx.update(grads, state, params)`; to carry a state over "
            "from another optimizer use `jopt.migrate`."
        ) from error


def _state_difference(expected: PyTree, state: PyTree) -> str:
    if jax.tree.structure(expected) != jax.tree.structure(state):
        return (
            f"expected {_outline(expected)} with {len(jax.tree.leaves(expected))} "
            f"arrays, got {_outline(state)} with {len(jax.tree.leaves(state))}."
        )
    pairs = zip(jax.tree.leaves(expected), jax.tree.leaves(state), strict=True)
    for i, (e, s) in enumerate(pairs):
        if e.shape != jnp.shape(s):
            return (
                f"`{trees.names(expected)[i]}` must have shape {e.shape}, "
                f"got {jnp.shape(s)}."
            )
    return ""


def _outline(state: PyTree) -> str:
    if type(state) is tuple:
        return f"({', '.join(_outline(s) for s in state)})"
    return type(state).__name__
