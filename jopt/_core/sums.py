"""Numbers taken of a whole tree: inner products and sums, and what they need."""

from typing import Any

import jax
import jax.numpy as jnp

PyTree = Any


def number(value: Any) -> jax.Array:
    """A number of the state: in float32, or float64 where that is on."""
    return jnp.asarray(value).astype(jnp.result_type(float))


def total(numbers: PyTree) -> jax.Array:
    """The sum of one number for each leaf."""
    return sum((number(x) for x in jax.tree.leaves(numbers)), number(0.0))


def dot(a: PyTree, b: PyTree) -> jax.Array:
    """The real inner product of two trees, each leaf in the dtype of the first."""

    def leaf(a: jax.Array, b: jax.Array) -> jax.Array:
        b = b.astype(a.dtype)
        if jnp.iscomplexobj(a):
            return jnp.sum(a.real * b.real + a.imag * b.imag)
        return jnp.sum(a * b)

    return total(jax.tree.map(leaf, a, b))


def magnitudes(tree: PyTree) -> jax.Array:
    """The sum of the magnitudes of all entries."""
    return total(jax.tree.map(lambda x: jnp.sum(jnp.abs(x)), tree))


def displacement(params: PyTree, start: PyTree) -> PyTree:
    """How far parameters are from where they started, in the dtype of the start."""
    return jax.tree.map(lambda p, p0: p.astype(p0.dtype) - p0, params, start)


def needed(params: PyTree, stage: str) -> PyTree:
    """The parameters, if they were given to the update of a stage."""
    if params is None:
        raise ValueError(
            f"`{stage}` needs params: call `tx.update(grads, state, params)`."
        )
    return params


def loss(value: Any, stage: str) -> jax.Array:
    """The loss, if it was given to the update of a stage."""
    if value is None:
        raise ValueError(
            f"`{stage}` needs the loss: call "
            "`tx.update(grads, state, params, value=loss)`."
        )
    return number(value)
