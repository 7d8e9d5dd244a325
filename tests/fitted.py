"""Losses made to fit the gradients of the laws, so that they may try second order."""

from typing import Any, cast

import jax
import jax.numpy as jnp

import jopt
from jopt._core.numerics import times
from tests.stacked import bumped

PyTree = Any


@jopt.transform
def fitted(inner: jopt.Inner) -> jopt.Pair:
    """Give an inner transform a loss whose gradient is the one at hand.

    A parabola in each entry, with a curvature `h` between 1 and 2 of its own: with `d`
    the way from the present parameters it is half the square of the residual
    `(h d + g) / sqrt(h)`.
    """
    pair = cast(jopt.Transform, inner).raw

    def update(updates, state, params=None, **extra):
        bends = jax.tree.map(_curvature, updates)

        def grad_fn(q: PyTree) -> PyTree:
            return jax.tree.map(_slope, updates, bends, q, params)

        def residual_fn(q: PyTree) -> PyTree:
            both = jax.tree.map(
                lambda r, h: times(r, 1 / jnp.sqrt(h)), grad_fn(q), bends
            )
            return [x for z in jax.tree.leaves(both) for x in (z.real, z.imag)]

        def value_fn(q: PyTree) -> jax.Array:
            squares = (jnp.sum(jnp.square(r)) for r in residual_fn(q))
            return sum((s.astype(float) for s in squares), jnp.zeros(())) / 2.0

        functions = {f.__name__: f for f in (residual_fn, value_fn, grad_fn)}
        return pair.update(updates, state, params, **extra | functions)

    return jopt.Pair(pair.init, update)


def _curvature(g: jax.Array) -> jax.Array:
    return 1.0 + jnp.clip(jnp.nan_to_num(bumped(g)[1]), 0.0, 1.0)


def _slope(g: jax.Array, h: jax.Array, q: jax.Array, p: jax.Array) -> jax.Array:
    return times(q.astype(g.dtype) - p.astype(g.dtype), h) + g
