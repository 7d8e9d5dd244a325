"""Values of one function with the slopes of another."""

from typing import Any

import jax
import jax.numpy as jnp

from jopt._core import trees

__all__ = ["straight_through"]

PyTree = Any


def straight_through(value: PyTree, slope: PyTree) -> PyTree:
    """The numbers of `value` with the derivatives of `slope`.

    For choices, roundings and counts, whose own slope is 0: take the slope of a smooth
    stand-in. It is a biased slope of the expected loss, as a rule a useful one.

    Args:
        value: What counts: an array or a tree, of any dtype.
        slope: What is differentiated: alike in structure and shapes, real or complex.

    Returns:
        A tree in the dtypes of `slope`.

    Raises:
        ValueError: If structures or shapes differ.

    Example:
        >>> import jax, jax.numpy as jnp, jopt
        >>> def chosen(logit):
        ...     return jopt.straight_through(logit > 0.0, jax.nn.sigmoid(logit))
        >>> "{:.1f} {:.3f}".format(*jax.value_and_grad(chosen)(1.0))
        '1.0 0.197'

    Reference:
        Bengio, Leonard and Courville, "Estimating or Propagating Gradients Through
        Stochastic Neurons for Conditional Computation", 2013, arXiv:1308.3432.
    """
    if jax.tree.structure(value) != jax.tree.structure(slope):
        raise ValueError(
            f"`value` has the leaves {trees.names(value)}, but `slope` "
            f"{trees.names(slope)}. Give each value the slope of one stand-in."
        )
    return jax.tree.map(_leaf, value, slope)


def _leaf(value: Any, slope: Any) -> jax.Array:
    slope = jnp.asarray(slope)
    if jnp.shape(value) != slope.shape:
        raise ValueError(
            f"`value` has shape {jnp.shape(value)}, but `slope` {slope.shape}."
        )
    return _exchanged(slope, jnp.asarray(value).astype(slope.dtype))


@jax.custom_jvp
def _exchanged(slope: jax.Array, value: jax.Array) -> jax.Array:
    del slope
    return value


@_exchanged.defjvp
def _(primals: Any, tangents: Any) -> Any:
    return primals[1], tangents[0]
