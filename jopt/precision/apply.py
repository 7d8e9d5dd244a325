"""Adding updates to parameters: strict, and rounded at random if asked."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jopt._core import trees
from jopt.precision import rounding

__all__ = ["apply_updates"]

PyTree = Any


def apply_updates(
    params: PyTree, updates: PyTree, *, key: jax.Array | None = None
) -> PyTree:
    """Add updates to parameters, leaf by leaf.

    The sum is formed in float32 or wider and has the parameter's dtype and shape. It
    does what `optax.apply_updates` does, but never broadcasts, and never turns a float
    into an integer. An update that is `None`, `optax.MaskedNode()` or `float0` keeps
    its parameter; `None` may stand for a whole subtree, as in Equinox.

    With a key, 16-bit parameters are rounded at random, so that steps too small for
    them count on average: see `stochastic_round`.

    Args:
        params: The parameters.
        updates: Their updates, as `tx.update` returns them.
        key: A new key for each step, such as `jax.random.fold_in(key, step)`. It is
            folded for each leaf; replicas that share it stay equal.

    Returns:
        The new parameters.

    Raises:
        TypeError: If an update has the wrong kind of dtype for its parameter.
        ValueError: If an update has another shape, or the trees differ.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jopt import apply_updates
        >>> params = {"w": jnp.ones(2, jnp.bfloat16), "steps": jnp.array(3)}
        >>> updates = {"w": jnp.array([0.5, 1e-3]), "steps": None}
        >>> apply_updates(params, updates)
        {'steps': Array(3, dtype=int32, weak_type=True),
         'w': Array([1.5, 1], dtype=bfloat16)}
        >>> w = jnp.ones(10_000, jnp.bfloat16)
        >>> w = apply_updates(w, jnp.full(10_000, 1e-3), key=jax.random.key(0))
        >>> print(f"{w.astype(float).mean():.4f}")
        1.0010
    """
    if key is not None:
        rounding.check_key(key)
    leaves, tree = jax.tree.flatten(updates, is_leaf=_absent)
    try:
        old = tree.flatten_up_to(params)
    except ValueError as error:
        raise ValueError(
            f"`updates` and `params` are different trees: {error} A leaf to keep is "
            "`None` in `updates`."
        ) from None
    new = []
    for i, (p, u) in enumerate(zip(old, leaves, strict=True)):
        if _absent(u) or getattr(u, "dtype", None) == jax.dtypes.float0:
            new.append(p)
            continue
        u = jnp.asarray(u)
        p = _checked(p, u, tree, i)
        new.append(_sum(p, u, None if key is None else jax.random.fold_in(key, i)))
    return jax.tree.unflatten(tree, new)


def _absent(node: Any) -> bool:
    return node is None or isinstance(node, optax.MaskedNode)


def _sum(p: jax.Array, u: jax.Array, key: jax.Array | None) -> jax.Array:
    if p.dtype == bool:
        return p
    if not trees.is_inexact(p):
        return p + u.astype(p.dtype)
    kind = trees.accumulation_dtype(p.dtype)
    if trees.is_inexact(u):
        kind = np.promote_types(kind, trees.accumulation_dtype(u.dtype))
    total = p.astype(kind) + u.astype(kind)
    if key is not None and rounding.is_half(p):
        return rounding.stochastic_round(total, p.dtype, key)
    return total.astype(p.dtype)


def _checked(p: Any, u: jax.Array, tree: Any, i: int) -> jax.Array:
    """The parameter as an array, if the update fits it."""
    if _absent(p) or not jax.tree_util.all_leaves([p]):
        raise ValueError(
            f"`{_name(tree, i)}` is an array in `updates`, but in `params` it is "
            f"{'nothing' if _absent(p) else f'a {type(p).__name__}'}. The trees must "
            "be alike."
        )
    p = p if isinstance(p, jax.Array) else jnp.asarray(p)
    if p.shape != u.shape:
        raise ValueError(
            f"The update of `{_name(tree, i)}` has shape {u.shape}, but the parameter "
            f"has shape {p.shape}. They must be the same."
        )
    cure = _misfit(p, u)
    if cure:
        raise TypeError(
            f"The update of `{_name(tree, i)}` is {u.dtype}, but the parameter is "
            f"{p.dtype}. {cure}"
        )
    return p


def _misfit(p: jax.Array, u: jax.Array) -> str:
    """What to do about an update whose dtype does not fit its parameter's."""
    if trees.is_inexact(p):
        wrong = jnp.iscomplexobj(u) and not jnp.iscomplexobj(p)
        return "Take its real part." if wrong else ""
    if jnp.issubdtype(p.dtype, jnp.integer) and jnp.issubdtype(u.dtype, jnp.integer):
        return ""
    if p.dtype == bool and u.dtype == bool:
        return ""
    return "To keep the parameter, give `None`; to train it, make it a float."


def _name(tree: Any, i: int) -> str:
    marks = jax.tree.unflatten(tree, list(range(tree.num_leaves)))
    return trees.names(marks)[i]
