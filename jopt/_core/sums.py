"""Numbers taken of a whole tree: inner products and sums, and what they need."""

from typing import Any

import jax
import jax.numpy as jnp

from jopt._core import norms

PyTree = Any


def number(value: Any) -> jax.Array:
    """A number beside the leaves: in float32, or float64 where that is on.

    It may be a hyperparameter, a count or a slot of one number; `None` is 0.
    """
    return jnp.asarray(0.0 if value is None else value).astype(jnp.result_type(float))


def total(numbers: PyTree) -> jax.Array:
    """The sum of one number for each leaf."""
    return sum((number(x) for x in jax.tree.leaves(numbers)), number(0.0))


def reals(tree: PyTree) -> int:
    """How many real numbers a tree holds; a complex one counts as two."""
    sizes = (x.size * (1 + jnp.iscomplexobj(x)) for x in jax.tree.leaves(tree))
    return sum(sizes)


def dot(a: PyTree, b: PyTree) -> jax.Array:
    """The real inner product of two trees, each leaf in the dtype of the first."""
    return total(jax.tree.map(lambda a, b: norms.dot(a, b.astype(a.dtype)), a, b))


def magnitudes(tree: PyTree) -> jax.Array:
    """The sum of the magnitudes of all entries."""
    return total(jax.tree.map(lambda x: jnp.sum(jnp.abs(x)), tree))


def displacement(params: PyTree, start: PyTree) -> PyTree:
    """How far parameters are from where they started, in the dtype of the start."""
    return jax.tree.map(lambda p, p0: p.astype(p0.dtype) - p0, params, start)


def loss(value: Any, stage: str) -> jax.Array:
    """The loss, if it was given to the update of a stage."""
    if value is None:
        raise ValueError(
            f"`{stage}` needs the loss: call "
            "`tx.update(grads, state, params, value=loss)`."
        )
    return number(value)
