"""Aligned-MTL: gradients made orthogonal, and of one length."""

from typing import Literal

import jax
import jax.numpy as jnp

from jopt._core import numerics as nx
from jopt._core.transform import aggregator
from jopt._core.types import Mask, Pair, Preference
from jopt.objectives.jacobian import Gram, weighing
from jopt.objectives.quadratic import preferences, spread

__all__ = ["aligned_mtl"]


@aggregator
def aligned_mtl(
    preference: Preference = (),
    mask: Mask = None,
    *,
    scale_mode: Literal["min", "median", "rmse"] = "min",
) -> Pair:
    """The mean of the gradients, once they are made orthogonal and of one length.

    The Jacobian is replaced by the nearest one of condition number 1. Where gradients
    are nearly dependent, the step is as short as the smallest singular value. Each
    step, with `K = V diag(l) V'` the Gramian, zeros of `l` left out::

        w = scale^(1/2) V diag(l)^(-1/2) V' preference
        d = sum_i w_i g_i

    Args:
        preference: The weight of each objective, at least 0. Defaults to `1 / k`.
        mask: Which leaves the objectives share. All others get the sum of their
            gradients. Defaults to all.
        scale_mode: Which of `l` sets the scale: the least as in the paper, the
            lower median, or the mean.

    Returns:
        A transform without state that takes a Jacobian.

    Raises:
        ValueError: If there is no such mode; in `update`, if there is not one
            preference for each objective.

    Example:
        >>> import jax.numpy as jnp, jopt
        >>> jacobian = jnp.array([[4.0, 0.0], [0.0, 1.0]])
        >>> jopt.aggregate(jopt.aligned_mtl(), jacobian)
        Array([0.5, 0.5], dtype=float32)

    Reference:
        Senushkin et al., "Independent Component Alignment for Multi-Task Learning",
        CVPR 2023, arXiv:2305.19000, Algorithm 1.
    """

    def rule(gram: Gram) -> jax.Array:
        p = preferences(preference, gram.k, gram.sizes.dtype, "aligned_mtl")
        values, vectors = jnp.linalg.eigh(spread(gram.cosines, gram.sizes))
        eps = jnp.finfo(values.dtype).eps
        real = values > values[-1] * gram.k * eps
        root = jnp.where(real, nx.sqrt(jnp.where(real, values, 1.0)), 1.0)
        scale = nx.sqrt(_scale(values, real, scale_mode))
        over = jnp.where(real, 1.0 / root, 0.0)
        w = scale * (vectors @ (over * (vectors.T @ p)))
        return w * gram.sizes

    return weighing(rule, mask)


def _scale(values: jax.Array, real: jax.Array, mode: str) -> jax.Array:
    """One of the eigenvalues that are real, or their mean."""
    count = jnp.sum(real, dtype=jnp.int32)
    first = len(values) - count
    if mode == "rmse":
        total = jnp.sum(jnp.where(real, values, 0.0))
        return total / jnp.maximum(count, 1).astype(values.dtype)
    at = first if mode == "min" else first + jnp.maximum(count - 1, 0) // 2
    return jnp.maximum(values[jnp.minimum(at, len(values) - 1)], 0.0)
