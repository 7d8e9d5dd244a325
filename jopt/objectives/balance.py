"""GradNorm, DWA and uncertainty: weights of objectives that follow the training."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import numerics as nx
from jopt._core.transform import aggregator
from jopt._core.types import (
    Count,
    LearningRate,
    Mask,
    NonNegative,
    Pair,
    Positive,
    PyTree,
)
from jopt.objectives.jacobian import combined, measured, shared, weighted

__all__ = [
    "DWAState",
    "GradNormState",
    "dwa",
    "gradnorm",
    "uncertainty_weighting",
]


class GradNormState(NamedTuple):
    """State of `gradnorm`."""

    count: jax.Array  # steps taken
    weights: jax.Array  # of the objectives; their sum is their number
    first: jax.Array  # the losses of the first step


class DWAState(NamedTuple):
    """State of `dwa`."""

    count: jax.Array  # steps taken
    total: jax.Array  # the sum of the losses in the present period
    last: jax.Array  # the mean losses of the last period
    earlier: jax.Array  # and of the one before


@aggregator
def gradnorm(
    objectives: Count,
    learning_rate: LearningRate = 0.025,
    alpha: NonNegative = 1.5,
    mask: Mask = None,
) -> Pair:
    """A sum of gradients under weights that balance the rates of training.

    An objective whose loss has fallen less than that of others gets a larger gradient.
    Each step, with `L_i` the losses and `n_i = |g_i|`::

        d = sum_i w_i g_i
        r_i = (L_i / L_i(first)) / mean_j (L_j / L_j(first))
        w_i -= learning_rate * n_i * sign(w_i n_i - mean_j(w_j n_j) r_i^alpha)
        w = max(w, 0) * k / sum_i w_i

    Args:
        objectives: How many there are, at least 1.
        learning_rate: Of the weights, in units of the mean norm of the gradients.
        alpha: How strongly rates are pulled together. The paper uses 0.12 to 1.5.
        mask: Which leaves the norms are taken of; the paper uses the last layer that
            the objectives share. The weights are for all leaves. Defaults to all.

    Returns:
        A transform that takes a Jacobian, and the losses as the argument `values` of
        its update. It holds two numbers for each objective.

    Raises:
        ValueError: In `update`, if `values` is missing, or not a number for each.

    Example:
        >>> import jax.numpy as jnp, jopt
        >>> tx = jopt.gradnorm(2)
        >>> jacobian = jnp.array([[3.0, 0.0], [0.0, 1.0]])
        >>> state = tx.init(jnp.zeros(2))
        >>> d, state = tx.update(jacobian, state, values=jnp.array([1.0, 1.0]))
        >>> d, [f"{w:.3f}" for w in state.weights]
        (Array([3., 1.], dtype=float32), ['0.975', '1.025'])

    Differs from the paper in: the norms are over their mean, so that the scale of the
    losses does not change how fast the weights move; Adam is not used for them.

    Reference:
        Chen et al., "GradNorm: Gradient Normalization for Adaptive Loss Balancing in
        Deep Multitask Networks", ICML 2018, arXiv:1711.02257, Algorithm 1.
    """
    k = objectives

    def init(params: PyTree) -> GradNormState:
        del params
        dtype = jnp.result_type(float)
        count = jnp.zeros((), jnp.int32)
        return GradNormState(count, jnp.ones(k, dtype), jnp.zeros(k, dtype))

    def update(updates, state, params=None, *, values=None, gramian=None, **extra):
        del extra
        dtype = state.weights.dtype
        now = _losses(values, k, "gradnorm").astype(dtype)
        first = jnp.where(state.count == 0, now, state.first)
        count = nx.increment(state.count)
        if not jax.tree.leaves(updates):
            return updates, GradNormState(count, state.weights, first)
        keep = shared(mask, updates, params)
        gram = measured(updates, keep, gramian)
        _same_number(gram.k, k, "gradnorm")
        w = state.weights.astype(gram.sizes.dtype)
        out = combined(updates, gram, w * gram.sizes, keep, others=True)
        sizes = gram.sizes.astype(dtype)
        norm = nx.divide(sizes, jnp.mean(sizes))
        rate = nx.divide(now, first)
        rate = jnp.maximum(nx.divide(rate, jnp.mean(rate)), 0.0)
        power = jnp.where(rate > 0, rate, 1.0) ** nx.cast(alpha, dtype)
        pull = jnp.where(rate > 0, power, 0.0)
        weighted = state.weights * norm
        slope = norm * jnp.sign(weighted - jnp.mean(weighted) * pull)
        moved = jnp.maximum(state.weights - nx.cast(learning_rate, dtype) * slope, 0.0)
        total = jnp.sum(moved)
        balanced = moved * (k / jnp.where(total > 0, total, 1.0))
        weights = jnp.where(total > 0, balanced, state.weights)
        return out, GradNormState(count, weights, first)

    return Pair(init, update)


@aggregator
def dwa(objectives: Count, temperature: Positive = 2.0, period: Count = 1) -> Pair:
    """A sum of gradients under weights that follow how slowly losses fall.

    Dynamic weight average. It needs no Gramian: where a Jacobian is dear, take the
    gradient of the losses under `k * softmax(...)` yourself. In each period, with `L_i`
    the mean losses of the last one and `M_i` of the one before::

        w = k * softmax(L / M / temperature),  or 1 in the first two periods
        d = sum_i w_i g_i

    Args:
        objectives: How many there are, at least 1.
        temperature: The larger, the more alike the weights; above 0.
        period: Steps in a period. The paper takes an epoch.

    Returns:
        A transform that takes a Jacobian, and the losses as the argument `values` of
        its update. It holds three numbers for each objective.

    Raises:
        ValueError: In `update`, if `values` is missing, or not a number for each.

    Example:
        >>> import jax.numpy as jnp, jopt
        >>> tx = jopt.dwa(2)
        >>> state = tx.init(jnp.zeros(2))
        >>> for losses in ([2.0, 2.0], [2.0, 1.0], [2.0, 0.5]):
        ...     d, state = tx.update(jnp.eye(2), state, values=jnp.array(losses))
        >>> [f"{x:.3f}" for x in d]
        ['1.124', '0.876']

    Reference:
        Liu, Johns and Davison, "End-to-End Multi-Task Learning with Attention", CVPR
        2019, arXiv:1803.10704, Equation 7.
    """
    k = objectives

    def init(params: PyTree) -> DWAState:
        del params
        total, last, earlier = (jnp.zeros(k, jnp.result_type(float)) for _ in range(3))
        return DWAState(jnp.zeros((), jnp.int32), total, last, earlier)

    def update(updates, state, params=None, *, values=None, **extra):
        del params, extra
        dtype = state.total.dtype
        now = _losses(values, k, "dwa").astype(dtype)
        ratio = nx.divide(state.last, state.earlier) / nx.cast(temperature, dtype)
        w = jnp.where(state.count >= 2 * period, k * jax.nn.softmax(ratio), 1.0)

        def leaf(x: jax.Array) -> jax.Array:
            _same_number(len(x), k, "dwa")
            return weighted(x, w.astype(jnp.finfo(x.dtype).dtype))

        count = nx.increment(state.count)
        total = state.total + now
        full = jnp.remainder(count, period) == 0
        new = DWAState(
            count,
            jnp.where(full, 0.0, total),
            jnp.where(full, total / period, state.last),
            jnp.where(full, state.last, state.earlier),
        )
        return jax.tree.map(leaf, updates), new

    return Pair(init, update)


def uncertainty_weighting(losses: jax.Array, log_variances: jax.Array) -> jax.Array:
    """One loss out of several, each over a variance that is learned.

    A plain loss, of one pass back: put `log_variances` among the parameters, at 0 to
    begin with, and leave them out of weight decay::

        sum_i (exp(-s_i) L_i + s_i) / 2

    Args:
        losses: A vector of losses.
        log_variances: A vector of as many numbers, the logarithms of variances.

    Returns:
        A number.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import jopt
        >>> jopt.uncertainty_weighting(jnp.array([2.0, 4.0]), jnp.zeros(2))
        Array(3., dtype=float32)

    Reference:
        Kendall, Gal and Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses
        for Scene Geometry and Semantics", CVPR 2018, arXiv:1705.07115, Equation 7.
    """
    losses, s = jnp.asarray(losses), jnp.asarray(log_variances)
    if losses.shape != s.shape:
        raise ValueError(
            f"`losses` has shape {losses.shape} and `log_variances` {s.shape}. They "
            "must be the same."
        )
    return 0.5 * jnp.sum(jnp.exp(-s) * losses + s)


def _losses(values: Any, k: int, name: str) -> jax.Array:
    """The losses that were given to an update."""
    if values is None:
        raise ValueError(
            f"`{name}` needs the losses: call "
            "`tx.update(jacobian, state, params, values=losses)`."
        )
    values = jnp.asarray(values)
    if values.shape != (k,):
        raise ValueError(
            f"`values` of `{name}` must have shape ({k},), a loss for each objective, "
            f"got {values.shape}."
        )
    return values


def _same_number(found: int, k: int, name: str) -> None:
    if found != k:
        raise ValueError(
            f"`{name}` is of {k} objectives, but the gradients are of {found}."
        )
