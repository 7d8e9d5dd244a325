"""FTRL-Proximal: follow the regularized leader, with exact zeros from L1."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import extras, numerics as nx, trees
from jopt._core.numerics import times
from jopt._core.sums import number
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import LearningRate, NonNegative, Pair, PyTree, Scalar
from jopt.optimizers import moments


class ScaleByFtrlState(NamedTuple):
    """State of `scale_by_ftrl`."""

    accumulator: PyTree  # sum of squared gradients
    linear: PyTree  # sum of gradients, less what the proximal terms pull


@optimizer(rates=(1e-3, 1.0), tags=("sparse", "online"))
def ftrl(
    learning_rate: LearningRate,
    learning_rate_power: Scalar = -0.5,
    initial_accumulator_value: NonNegative = 0.1,
    l1_regularization_strength: NonNegative = 0.0,
    l2_regularization_strength: NonNegative = 0.0,
    l2_shrinkage_regularization_strength: NonNegative = 0.0,
    beta: NonNegative = 0.0,
) -> Transform:
    """FTRL-Proximal, for linear models of sparse features; semantics of TensorFlow.

    Its L1 penalty makes parameters exactly 0. Each step, with `q = learning_rate_power`
    and `l2 = l2_regularization_strength + beta / (2 * learning_rate)`::

        n_old = n;  n = n + g^2
        z = z + g + 2 * l2_shrinkage * params
        z = z - (n^-q - n_old^-q) / learning_rate * params
        params = (clip(z, -l1, l1) - z) / (n^-q / learning_rate + 2 * l2)

    The parameters are made anew from the sums, and the sums start at 0: start from
    parameters of 0. Others are mostly forgotten at the first step.

    Args:
        learning_rate: A number > 0, or a schedule from step count to number.
        learning_rate_power: How the rate falls with the sum of squares, at most 0.
            With 0 it is constant.
        initial_accumulator_value: What the sums of squares start from.
        l1_regularization_strength: Threshold below which a parameter is 0.
        l2_regularization_strength: Quadratic penalty of the leader's problem.
        l2_shrinkage_regularization_strength: Penalty added to the gradients of the
            linear term alone.
        beta: The smoothing of the learning rate in the paper.

    Returns:
        A transform with two slots per parameter. Its `update` needs `params`. Nothing
        may change the update after it: place it last in a chain.

    Raises:
        ValueError: If `learning_rate_power` is greater than 0; in `update`, if `params`
            is not given.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import ftrl
        >>> tx, p = ftrl(0.5, l1_regularization_strength=1.0), jnp.zeros(2)
        >>> tx.update(jnp.array([3.0, 0.5]), tx.init(p), p)[0].round(4)
        Array([-0.3315, -0.    ], dtype=float32)
        >>> tx
        ftrl(learning_rate=0.5, l1_regularization_strength=1.0)

    Reference:
        McMahan et al., "Ad Click Prediction: a View from the Trenches", KDD 2013,
        Algorithm 1.
    """
    return chain(
        scale_by_ftrl(
            learning_rate,
            learning_rate_power,
            initial_accumulator_value,
            l1_regularization_strength,
            l2_regularization_strength,
            l2_shrinkage_regularization_strength,
            beta,
        )
    )


@transform
def scale_by_ftrl(
    learning_rate: LearningRate,
    learning_rate_power: Scalar = -0.5,
    initial_accumulator_value: NonNegative = 0.1,
    l1_regularization_strength: NonNegative = 0.0,
    l2_regularization_strength: NonNegative = 0.0,
    l2_shrinkage_regularization_strength: NonNegative = 0.0,
    beta: NonNegative = 0.0,
) -> Pair:
    """Move to the solution of the leader's problem.

    All of `ftrl`, with the sign; see there for the rule.

    Args:
        learning_rate: A number > 0, or a schedule of it.
        learning_rate_power: How the rate falls with the sum of squares, at most 0.
        initial_accumulator_value: What the sums of squares start from.
        l1_regularization_strength: Threshold below which a parameter is 0.
        l2_regularization_strength: Quadratic penalty of the leader's problem.
        l2_shrinkage_regularization_strength: Penalty added to the gradients of the
            linear term alone.
        beta: The smoothing of the learning rate in the paper.

    Returns:
        A transform with two slots per parameter. It needs `params`.

    Raises:
        ValueError: If `learning_rate_power` is greater than 0.
    """
    if isinstance(learning_rate_power, int | float) and learning_rate_power > 0:
        raise ValueError(
            f"`learning_rate_power` must be at most 0, got {learning_rate_power!r}: "
            "the rate would grow. Set -0.5."
        )

    def init(params):
        return ScaleByFtrlState(
            accumulator=moments.real_full_like(params, initial_accumulator_value),
            linear=trees.zeros_like(params),
        )

    def power(n: jax.Array) -> jax.Array:
        """`n^-q`, with derivative 0 at 0."""
        q = nx.cast(learning_rate_power, n.dtype)
        safe = jnp.where(n > 0, n, jnp.ones_like(n))
        return jnp.where(n > 0, jnp.exp(-q * jnp.log(safe)), jnp.zeros_like(n))

    def summed(n: jax.Array, g: jax.Array) -> jax.Array:
        largest = jnp.asarray(jnp.finfo(n.dtype).max, n.dtype)
        return jnp.minimum(n + nx.square(g).astype(n.dtype), largest)

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "scale_by_ftrl")
        on = number(learning_rate) > 0  # at a rate of 0 nothing is learnt
        rate = jnp.where(on, number(learning_rate), 1.0)
        l1 = number(l1_regularization_strength)
        # the problem is multiplied by the rate
        l2 = 2.0 * rate * number(l2_regularization_strength) + number(beta)
        shrinkage = 2.0 * number(l2_shrinkage_regularization_strength)

        def fresh(z, g, p):
            return z + g.astype(z.dtype) + times(p.astype(z.dtype), shrinkage)

        def pulled(z, p, n, old):
            pull = (power(n) - power(old)) / rate.astype(n.dtype)
            return z - times(p.astype(z.dtype), pull)

        def move(z, summed, p, n, old):
            p, held = p.astype(z.dtype), _held(z, l1)
            bottom = power(n) + l2.astype(n.dtype)
            # without the terms in `n`, which cancel
            top = times(summed - held, rate) + times(p, power(old) + l2.astype(n.dtype))
            u = jnp.where(held == z, -p, -moments.quotient(top, bottom, True))
            return jnp.where(on, u, jnp.zeros_like(z))

        old = state.accumulator
        n = jax.tree.map(summed, old, updates)
        sums = jax.tree.map(fresh, state.linear, updates, params)
        z = jax.tree.map(pulled, sums, params, n, old)
        new = ScaleByFtrlState(n, z)
        kept = jax.tree.map(lambda x, y: jnp.where(on, x, y), new, state)
        return jax.tree.map(move, z, sums, params, n, old), kept

    return Pair(init, update)


def _held(z: jax.Array, threshold: jax.Array) -> jax.Array:
    """What the soft threshold takes away; a complex number keeps its direction."""
    limit = nx.cast(threshold, z.dtype)
    if not jnp.iscomplexobj(z):
        return jnp.clip(z, -limit, limit)
    size = nx.sqrt(nx.square(z))
    within = size <= limit
    share = limit / jnp.where(within, 1.0, size)
    return jnp.where(within, z, times(z, share))
