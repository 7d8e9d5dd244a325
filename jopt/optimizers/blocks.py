"""Blocks of parameters that share one number: the indices of one axis, or a leaf."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

BlockAxis = int | Callable[[str, jax.Array], int | None] | None


def others(name: str, p: Any, block_axis: Any) -> tuple[int, ...]:
    """The axes that are averaged over."""
    ndim: int = len(p.shape)
    axis: Any
    if callable(block_axis):
        axis = block_axis(name, p)
    else:
        axis = block_axis if ndim > 1 else None
    if axis is None:
        return tuple(range(ndim))
    if not -ndim <= axis < ndim:
        raise ValueError(
            f"`block_axis` must be an axis of each leaf, got {axis} for `{name}` of "
            f"shape {tuple(p.shape)}. Give a function `(name, leaf) -> axis or None`."
        )
    return tuple(i for i in range(ndim) if i != axis % ndim)


def means(square: jax.Array, others: tuple[int, ...]) -> jax.Array:
    """The mean of each block, with axes of length 1; finite where squares are."""
    if not square.size:
        shape = [1 if i in others else n for i, n in enumerate(square.shape)]
        return jnp.zeros(shape, square.dtype)
    count = math.prod(square.shape[i] for i in others)
    return jnp.sum(square / count, axis=others, keepdims=True)


def means_like(square: jax.Array, slot: jax.Array) -> jax.Array:
    """The means of the blocks for which `slot` has a number each."""
    sizes = zip(square.shape, slot.shape, strict=True)
    return means(square, tuple(i for i, (n, kept) in enumerate(sizes) if n != kept))
