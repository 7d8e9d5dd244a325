"""Proximal steps: penalties that have no gradient where they matter."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jopt._core import norms, numerics as nx, select
from jopt._core.transform import transform
from jopt._core.types import LearningRate, Mask, NonNegative, Pair
from jopt.constraints import nuclear_norm, total_variation
from jopt.constraints.projected import after_step, check_choice

__all__ = ["proximal"]

Operator = Callable[[jax.Array, jax.Array], jax.Array]


@transform
def proximal(
    learning_rate: LearningRate,
    penalty: str | Operator,
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
            `"squared_l2"`, half the sum of squares; `"nuclear_norm"`, the singular
            values of the last two axes; `"total_variation"`, the distances of
            neighbours along the last axis. Or a function from array and threshold,
            `learning_rate * strength`, to the proximal point.
        strength: The factor of the penalty, at least 0.
        mask: Which leaves are penalized; all others take the plain step. Defaults to
            all.

    Returns:
        A transform without state. It needs `params`.

    Raises:
        TypeError: If `penalty` is neither a name nor a function.
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
        Structured Neural Networks under Regularization and Constraints", ICLR 2020;
        Cai, Candes and Shen, "A Singular Value Thresholding Algorithm for Matrix
        Completion", SIAM J. Optim. 2010; Johnson, "A Dynamic Programming Algorithm for
        the Fused Lasso and L0-Segmentation", JCGS 2013.
    """
    select.check(mask)
    check_choice("penalty", penalty, _NAMED)
    operator = _NAMED[penalty] if isinstance(penalty, str) else penalty

    def shrink(x: jax.Array) -> jax.Array:
        dtype = jnp.finfo(x.dtype).dtype
        rate = jnp.asarray(nx.cast(learning_rate, dtype), dtype)
        threshold = rate * jnp.asarray(nx.cast(strength, dtype), dtype)
        return operator(x, threshold)

    after = after_step(shrink, mask, "proximal")

    def update(updates, state, params=None, **extra):
        steps = jax.tree.map(lambda u: -nx.times(u, learning_rate), updates)
        return after.update(steps, state, params, **extra)

    return Pair(after.init, update)


def _shorter(x: jax.Array, threshold: jax.Array, axes: Any) -> jax.Array:
    """The array with the norms along some axes less by `threshold`; entries if none."""
    size = norms.norm(x, axes) if axes and x.ndim else jnp.abs(x)
    return nx.times(x, _left(size, threshold))


def _left(size: jax.Array, threshold: jax.Array) -> jax.Array:
    """What is left of a length, as a factor."""
    above = size > threshold
    safe = jnp.where(above, size, jnp.ones_like(size))
    return jnp.where(above, 1.0 - threshold / safe, jnp.zeros_like(size))


_NAMED: dict[str, Operator] = {
    "l1": lambda x, t: _shorter(x, t, None),
    "group_lasso": lambda x, t: _shorter(x, t, tuple(range(x.ndim))),
    "rows": lambda x, t: _shorter(x, t, (-1,)),
    "squared_l2": lambda x, t: nx.times(x, 1.0 / (1.0 + t)),
    "nuclear_norm": nuclear_norm.shrunk,
    "total_variation": total_variation.flattened,
}
