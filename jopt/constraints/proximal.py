"""Proximal steps: penalties that have no gradient where they matter."""

from typing import Any, Literal

import jax
import jax.numpy as jnp

from jopt._core import norms, numerics as nx, select
from jopt._core.transform import transform
from jopt._core.types import LearningRate, Mask, NonNegative, Pair
from jopt.constraints.projected import after_step

__all__ = ["proximal"]

Penalty = Literal["l1", "group_lasso", "rows", "squared_l2"]


@transform
def proximal(
    learning_rate: LearningRate,
    penalty: Penalty,
    strength: NonNegative,
    mask: Mask = None,
) -> Pair:
    """Multiply by the learning rate, then take the proximal step of a penalty.

    Stands last in a chain, in the place of `scale_by_learning_rate`, whose rate it has
    to know. It gives exact zeros, which the gradient of a penalty never does. Alone it
    is ISTA, behind `ema` ProxSGD. Behind `trace(m)` the penalty counts for less, by the
    factor `1 - m` by which that lengthens gradients; behind an adaptive method it acts
    in the plain metric, as decoupled weight decay does. Each step::

        x = params - learning_rate * u
        params = argmin_y |y - x|^2 / 2 + learning_rate * strength * penalty(y)

    Args:
        learning_rate: The size of the step, and with `strength` the threshold.
        penalty: `"l1"`, the sum of magnitudes; `"group_lasso"`, the norm of each leaf;
            `"rows"`, the norms of the rows, along the last axis, of each leaf;
            `"squared_l2"`, half the sum of squares.
        strength: The factor of the penalty, at least 0.
        mask: Which leaves are penalized; all others take the plain step. Defaults to
            all.

    Returns:
        A transform without state. It needs `params`.

    Raises:
        ValueError: If there is no such penalty; in `update`, if `params` is missing.

    Example:
        >>> import jax.numpy as jnp, jopt
        >>> tx = jopt.proximal(0.1, "l1", strength=1.0)
        >>> params = jnp.array([0.05, 2.0])
        >>> updates, _ = tx.update(jnp.zeros(2), tx.init(params), params)
        >>> params + updates
        Array([0. , 1.9], dtype=float32)

    Reference:
        Parikh and Boyd, "Proximal Algorithms", Foundations and Trends in Optimization
        2014, sections 4.2 and 6.5; Yang, Yuan and Chatzimichailidis, "ProxSGD: Training
        Structured Neural Networks under Regularization and Constraints", ICLR 2020.
    """
    select.check(mask)

    def shrink(x: jax.Array) -> jax.Array:
        dtype = jnp.finfo(x.dtype).dtype
        rate = jnp.asarray(nx.cast(learning_rate, dtype), dtype)
        threshold = rate * jnp.asarray(nx.cast(strength, dtype), dtype)
        return _shrunk(x, threshold, penalty)

    after = after_step(shrink, mask, "proximal")

    def update(updates, state, params=None, **extra):
        steps = jax.tree.map(lambda u: -nx.times(u, learning_rate), updates)
        return after.update(steps, state, params, **extra)

    return Pair(after.init, update)


def _shrunk(x: jax.Array, threshold: jax.Array, penalty: Penalty) -> jax.Array:
    """The proximal point of a penalty times `threshold`."""
    if penalty == "squared_l2":
        return nx.times(x, 1.0 / (1.0 + threshold))
    if penalty == "l1" or not x.ndim:
        return nx.times(x, _left(jnp.abs(x), threshold))
    axes: Any = tuple(range(x.ndim)) if penalty == "group_lasso" else (-1,)
    return nx.times(x, _left(norms.norm(x, axes), threshold))


def _left(size: jax.Array, threshold: jax.Array) -> jax.Array:
    """What is left of a length, as a factor."""
    above = size > threshold
    safe = jnp.where(above, size, jnp.ones_like(size))
    return jnp.where(above, 1.0 - threshold / safe, jnp.zeros_like(size))
