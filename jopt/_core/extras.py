"""Functions among the extra arguments of an update, such as `grad_fn`.

They take the user's whole parameters. A stage that sees some of the leaves, or sees
them in another dtype, gets them wrapped, so that it may call them with what it has.
"""

from collections.abc import Callable
from typing import Any

import jax

from jopt._core import trees

PyTree = Any


def of_loss(
    value: Any, grad: PyTree, value_fn: Callable[[PyTree], Any]
) -> dict[str, Any]:
    """The extra arguments that a loss of the parameters alone gives an update.

    The functions cost nothing unless an optimizer calls them.
    """
    grad_fn = jax.grad(value_fn)
    return {"value": value, "grad": grad, "value_fn": value_fn, "grad_fn": grad_fn}


def narrowed(extra: dict[str, Any], params: PyTree, keep: PyTree) -> dict[str, Any]:
    """The extra arguments with functions of the leaves to keep; the rest stays put.

    Args:
        extra: The extra arguments.
        params: All parameters; without them the functions stay as they are.
        keep: A tree of bools: which leaves the new functions take, and return.
    """
    if params is None:
        return extra
    out = dict(extra)
    for name in ("value_fn", "grad_fn", "residual_fn"):
        if name in extra:
            out[name] = _narrowed(extra[name], params, keep, name == "grad_fn")
    return out


def _narrowed(
    function: Callable[[PyTree], PyTree], params: PyTree, keep: PyTree, gradient: bool
) -> Callable[[PyTree], PyTree]:
    def call(some: PyTree) -> PyTree:
        full = trees.restore(some, params)
        full = jax.tree.map(lambda x, p: x.astype(p.dtype), full, params)
        out = function(full)
        return trees.hide(out, keep) if gradient else out

    return call


def gradient_at(
    extra: dict[str, Any], params: PyTree, updates: PyTree, name: str
) -> PyTree:
    """The gradient at other parameters, in the dtypes of `updates`.

    Args:
        extra: The extra arguments of the update.
        params: Where to take it.
        updates: The gradient at the present parameters.
        name: Who asks: for the error.

    Raises:
        ValueError: If there is no `grad_fn`.
    """
    need(extra, "grad_fn", name)
    g = extra["grad_fn"](params)
    return jax.tree.map(lambda g, u: g.astype(u.dtype), g, updates)


def need(extra: dict[str, Any], argument: str, name: str) -> None:
    """Raise if an extra argument is missing."""
    if argument not in extra:
        call = f"tx.update(grads, state, params, {argument}=...)"
        raise ValueError(
            f"`{name}` needs {argument}: call `{call}`, or use `jopt.make_step`, which "
            "passes it."
        )


def need_params(params: PyTree | None, name: str) -> PyTree:
    """The parameters, if they were given to the update of a stage.

    Raises:
        ValueError: If they were not.
    """
    if params is None:
        raise ValueError(
            f"`{name}` needs params: call `tx.update(grads, state, params)`."
        )
    return params
