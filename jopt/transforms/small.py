"""Small stages: NaNs to zero, parameters kept nonnegative, norms as scales."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import extras, norms, numerics as nx, trees
from jopt._core.numerics import times
from jopt._core.transform import transform
from jopt._core.types import (
    Count,
    Epsilon,
    no_state,
    NonNegative,
    Pair,
    Positive,
    PyTree,
)
from jopt.transforms import average


class ZeroNansState(NamedTuple):
    """State of `zero_nans`."""

    found_nan: PyTree  # whether each leaf had one in the latest update


@transform
def zero_nans() -> Pair:
    """Replace each NaN in the updates by zero, and tell which leaves had one.

    It hides a defect rather than curing it: to skip such steps and count them, use
    `apply_if_finite`.

    Returns:
        A stage with a flag per leaf.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import zero_nans
        >>> tx, g = zero_nans(), jnp.array([jnp.nan, 1.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> u, state.found_nan
        (Array([0., 1.], dtype=float32), Array(True, dtype=bool))
    """

    def init(params):
        return ZeroNansState(jax.tree.map(lambda p: jnp.zeros((), bool), params))

    def update(updates, state, params=None, **extra):
        del state, params, extra
        found = jax.tree.map(lambda u: jnp.any(jnp.isnan(u)), updates)
        out = jax.tree.map(
            lambda u: jnp.where(jnp.isnan(u), jnp.zeros_like(u), u), updates
        )
        return out, ZeroNansState(found)

    return Pair(init, update)


@transform
def keep_params_nonnegative() -> Pair:
    """Cut updates so that no parameter falls below zero.

    Last in a chain: a parameter that a step would make negative becomes 0. It is meant
    for parameters that start at 0 or above; wrap it in `masked` to choose them.

    Returns:
        A stage without state. Its `update` needs `params`.

    Raises:
        TypeError: In `update`, for a complex leaf.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import chain, keep_params_nonnegative, sgd
        >>> tx, p = chain(sgd(1.0), keep_params_nonnegative()), jnp.array([1.0, 3.0])
        >>> p + tx.update(jnp.array([2.0, 2.0]), tx.init(p), p)[0]
        Array([0., 1.], dtype=float32)
    """

    def leaf(u: jax.Array, p: jax.Array) -> jax.Array:
        if jnp.iscomplexobj(p):
            raise TypeError(
                "`keep_params_nonnegative` got a complex leaf, which has no sign. "
                "Leave it out by `masked`."
            )
        below = average.applied(p, u) < 0
        return jnp.where(below, -p.astype(u.dtype), u)

    def update(updates, state, params=None, **extra):
        del extra
        extras.need_params(params, "keep_params_nonnegative")
        return jax.tree.map(leaf, updates, params), state

    return Pair(no_state, update)


@transform
def normalize_by_update_norm(scale_factor: Positive = 1.0, eps: Epsilon = 1e-6) -> Pair:
    """Divide all updates by their common norm.

    With the norm taken over all leaves::

        u = scale_factor * g / (norm(g) + eps)

    Args:
        scale_factor: The norm that the updates get.
        eps: Added to the norm. Updates that are all zero stay zero.

    Returns:
        A stage without state.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import normalize_by_update_norm
        >>> tx, g = normalize_by_update_norm(10.0, eps=0.0), jnp.array([3.0, 4.0])
        >>> tx.update(g, tx.init(g))[0]
        Array([6., 8.], dtype=float32)
    """

    def update(updates, state, params=None, **extra):
        del params, extra
        root, scale = norms.scaled_global_norm(updates)
        below = root + nx.cast(eps, root.dtype) * scale
        factor = nx.divide(nx.cast(scale_factor, root.dtype) * scale, below)
        return jax.tree.map(lambda g: times(g, factor), updates), state

    return Pair(no_state, update)


@transform
def scale_by_param_block_norm(min_scale: NonNegative = 1e-3) -> Pair:
    """Multiply the updates of each leaf by the norm of its parameter.

    Args:
        min_scale: The least norm that a parameter counts with, so that those which
            start at zero can move.

    Returns:
        A stage without state. Its `update` needs `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import scale_by_param_block_norm
        >>> tx, p = scale_by_param_block_norm(), jnp.array([3.0, 4.0])
        >>> tx.update(jnp.ones(2), tx.init(p), p)[0]
        Array([5., 5.], dtype=float32)
    """

    def leaf(u: jax.Array, p: jax.Array) -> jax.Array:
        size = norms.norm(p.astype(u.dtype))
        return times(u, jnp.maximum(size, nx.cast(min_scale, size.dtype)))

    def update(updates, state, params=None, **extra):
        del extra
        extras.need_params(params, "scale_by_param_block_norm")
        return jax.tree.map(leaf, updates, params), state

    return Pair(no_state, update)


class ApplyEveryState(NamedTuple):
    """State of `apply_every`."""

    count: jax.Array
    grad_acc: PyTree


@transform
def apply_every(k: Count = 1) -> Pair:
    """Add updates up, and let their sum through in every k-th call.

    The last stage of a chain: the stages before it still run in each call. To
    accumulate gradients use `accumulate`, which steps the whole optimizer once, on the
    mean.

    Args:
        k: Calls to a step.

    Returns:
        A stage with one slot per parameter.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import apply_every, chain, sgd
        >>> tx, g = chain(sgd(1.0), apply_every(2)), jnp.array([1.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> u, tx.update(g, state)[0]
        (Array([0.], dtype=float32), Array([-2.], dtype=float32))
    """

    def init(params):
        return ApplyEveryState(jnp.zeros((), jnp.int32), trees.zeros_like(params))

    def update(updates, state, params=None, **extra):
        del params, extra
        first, last = state.count == 0, state.count >= k - 1
        total = jax.tree.map(
            lambda s, u: jnp.where(first, 0, s) + u.astype(s.dtype),
            state.grad_acc,
            updates,
        )
        out = jax.tree.map(
            lambda s, u: jnp.where(last, s, jnp.zeros_like(s)).astype(u.dtype),
            total,
            updates,
        )
        count = jnp.where(last, 0, state.count + 1)
        return out, ApplyEveryState(count, total)

    return Pair(init, update)
