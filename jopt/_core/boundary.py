"""What every update passes on its way in and out: checks, dtypes, integer leaves."""

import functools as ft
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jopt._core import extras, mismatch, trees, warn
from jopt._core.decay import Decay
from jopt._core.types import Hyper

PyTree = Any


def guarded_init(runner: Any, params: PyTree) -> PyTree:
    """`init`, with integer leaves hidden from the stages."""
    if type(params) is int:
        raise TypeError(
            f"`params` is the integer {params}, and integers do not train. Write "
            f"{params}.0."
        )
    params = jax.tree.map(_as_array, params)
    _arrays("params", params)
    keep = jax.tree.map(trees.is_inexact, params)
    if not all(jax.tree.leaves(keep)):
        params = trees.hide(params, keep)
    with warn.outermost() as outermost:
        state = runner.raw.init(params)
        if outermost:
            warn.of_init(runner, params)
            mismatch.check_schedules(runner, state)
    return state


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
    _arrays("updates", updates)
    single = _without_objectives(spec.name, updates) if runner.stacked else updates
    if params is not None:
        params = jax.tree.map(_as_array, params)
        _arrays("params", params)
        _same_tree(spec.name, single, state, params)
    target = single if params is None else params
    keep = jax.tree.map(trees.is_inexact, target)
    hidden = not all(jax.tree.leaves(keep))
    shown, shown_params = updates, params
    if hidden:
        shown = trees.hide(updates, keep)
        shown_params = params if params is None else trees.hide(params, keep)
    if params is not None or not runner.has_foreign:
        shown = jax.tree.map(_widen, shown)
    outline = shown_params
    if runner.stacked and params is None:
        outline = trees.hide(single, keep) if hidden else single
    mismatch.check_state(runner, state, shown, outline)
    extra = extras.narrowed(extra, params, keep)
    try:
        out, state = runner.raw.update(shown, state, shown_params, **extra)
    except Exception as error:
        mismatch.explain(runner, state, shown, outline, error)
        raise
    if hidden:
        out = trees.restore(out, jax.tree.map(_still, target))
    return jax.tree.map(_cast, out, target), state


def _as_array(leaf: Any) -> Any:
    """Python and NumPy numbers become arrays; everything else stays."""
    if isinstance(leaf, bool | int | float | complex | np.ndarray | np.generic):
        dtype = getattr(leaf, "dtype", None)
        if dtype == jax.dtypes.float0 or (dtype is not None and dtype.kind in "OSU"):
            return leaf
        return jnp.asarray(leaf)
    return leaf


def _arrays(argument: str, tree: PyTree) -> None:
    """Raise unless all leaves are arrays of numbers, or of keys."""
    for i, leaf in enumerate(jax.tree.leaves(tree)):
        dtype = getattr(leaf, "dtype", None)
        if dtype is None or getattr(dtype, "kind", "") in ("O", "S", "U"):
            name = trees.names(tree)[i]
            at = f" at `{name}`" if name else ""
            shown = repr(leaf) if len(repr(leaf)) < 60 else repr(leaf)[:57] + "..."
            raise TypeError(
                f"`{argument}`{at} must be an array, got {shown} of type "
                f"{type(leaf).__name__}. Keep what does not train out of the tree, or "
                "put `None` in its place; of an Equinox model take "
                "`eqx.filter(model, eqx.is_inexact_array)`."
            )


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
    """Raise if a hyperparameter, here or in a stage, is an array of several."""
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
    for _, child in spec.children():
        _scalar_hyperparameters(child.spec)


def _without_objectives(name: str, updates: PyTree) -> PyTree:
    """The shapes of stacked gradients less the axis in front, that of objectives.

    Raises:
        ValueError: If a leaf has no such axis, or another length of it.
    """
    cure = (
        "Give a Jacobian, as `jopt.value_and_jacobian` or `jax.jacrev` makes it of a "
        "function that returns the losses in one vector; or the gradients of single "
        "examples, as `jax.vmap(jax.grad(loss), (None, 0))` makes them."
    )
    lengths = {}
    for leaf, path in zip(jax.tree.leaves(updates), trees.names(updates), strict=True):
        if not leaf.shape:
            raise ValueError(
                f"`{name}` takes gradients with an axis of objectives, or of "
                f"examples, in front, but that of `{path}` is a number. {cure}"
            )
        lengths.setdefault(leaf.shape[0], path)
    if len(lengths) > 1 or 0 in lengths:
        found = ", ".join(f"{k} (`{path}`)" for k, path in lengths.items())
        raise ValueError(
            f"`{name}` takes gradients with an axis of objectives, or of examples, in "
            f"front, as long in every leaf, got lengths {found}. {cure}"
        )
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), updates
    )


def _same_tree(name: str, updates: PyTree, state: PyTree, params: PyTree) -> None:
    """Raise unless gradients and parameters have the same leaves, shapes and kinds."""
    if jax.tree.structure(updates) != jax.tree.structure(params):
        raise ValueError(mismatch.of_trees(name, updates, state, params))
    both = zip(jax.tree.leaves(updates), jax.tree.leaves(params), strict=True)
    for i, (g, p) in enumerate(both):
        if g.shape != p.shape:
            raise ValueError(
                f"The gradient of `{trees.names(params)[i]}` has shape {g.shape}, "
                f"but the parameter has shape {p.shape}. They must be the same."
            )
        if g.dtype != p.dtype and (wrong := _misfit(g.dtype, p.dtype)):
            raise TypeError(f"The gradient of `{trees.names(params)[i]}` {wrong}")


@ft.cache
def _misfit(gradient: Any, param: Any) -> str:
    """What is wrong with a gradient of one dtype for a parameter of another."""
    if not jnp.issubdtype(param, jnp.inexact):
        if not jnp.issubdtype(gradient, jnp.inexact):
            return ""
        return (
            f"is {gradient}, but the parameter is {param}, and integers do not train. "
            "Make it a float, or leave it out of `updates` and `params`."
        )
    if not jnp.issubdtype(gradient, jnp.inexact):
        kind = "float0" if gradient == jax.dtypes.float0 else gradient
        return (
            f"is {kind}, but the parameter is {param}. Cast it: "
            f"`g.astype({jnp.dtype(param).name!r})`; to hold the leaf fixed, use "
            "`jopt.freeze`."
        )
    real = [not jnp.issubdtype(d, jnp.complexfloating) for d in (gradient, param)]
    if real == [False, True]:
        return "is complex, but the parameter is real. Take its real part."
    if real == [True, False]:
        return (
            "is real, but the parameter is complex. Cast it: "
            f"`g.astype({jnp.dtype(param).name!r})`."
        )
    return ""
