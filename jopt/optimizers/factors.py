"""Second moments of matrices, kept as the means of their rows and columns."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jopt._core import numerics as nx, trees


def divided(x: jax.Array, row: jax.Array, col: jax.Array) -> jax.Array:
    """`x / sqrt(row col / mean(row))`, and 0 where that root is.

    By two factors, because the product of two small moments underflows, and of roots,
    because the square of a small mean does in the derivative.
    """
    middle = jnp.broadcast_to(mean(row, -1, keepdims=True), row.shape)
    r = nx.divide(nx.sqrt(middle), nx.sqrt(row)).astype(x.dtype)
    c = nx.divide(jnp.ones_like(col), nx.sqrt(col)).astype(x.dtype)
    return x * r[..., None] * c[..., None, :]


def mean(square: jax.Array, axis: int, keepdims: bool = False) -> jax.Array:
    """The mean along an axis, held at the largest finite number."""
    found = jnp.mean(square, axis=axis, keepdims=keepdims)
    return jnp.minimum(found, np.asarray(jnp.finfo(found.dtype).max, found.dtype))


def slot(p: Any, factored: bool, drop: int | None) -> jax.Array:
    """Zeros for one parameter: without one axis, or empty where nothing is kept."""
    dtype = jnp.finfo(trees.accumulation_dtype(p.dtype)).dtype
    if factored == (drop is None):
        return jnp.zeros((0,), dtype)
    if drop is None:
        return trees.real_zeros_like(p)
    return jnp.squeeze(trees.resized(p, drop, 1, dtype), drop)
