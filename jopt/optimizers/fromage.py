"""Fromage: relative steps on each tensor, held back from growing."""

import jax

from jopt._core import extras, numerics as nx
from jopt._core.numerics import times
from jopt._core.sums import number
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import LearningRate, no_state, NonNegative, Pair
from jopt.transforms.scale import scale_by_trust_ratio


@optimizer(rates=(1e-3, 1e-1), tags=("trust ratio",))
def fromage(learning_rate: LearningRate, min_norm: NonNegative = 0.0) -> Transform:
    """Fromage: each tensor moves by a fixed fraction of its own norm.

    One setting of the learning rate, 0.01 by the authors, for many networks, and no
    state. The last factor undoes the growth of the norm that a step at a right angle
    brings. Each step, per tensor::

        params -= learning_rate * g * norm(params) / norm(g)
        params /= sqrt(1 + learning_rate^2)

    Args:
        learning_rate: The relative size of a step, a number >= 0 or a schedule.
        min_norm: Least value of both norms. Without it a tensor that is zero takes
            plain gradient steps, as in the authors' code.

    Returns:
        A transform without state. Its `update` needs `params`. It shrinks parameters
        whose gradient is zero.

    Raises:
        ValueError: In `update`, if `params` is not given.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import fromage
        >>> tx, p = fromage(0.75), jnp.array([5.0, 0.0])
        >>> tx.update(jnp.array([0.0, 0.1]), tx.init(p), p)[0].round(4)
        Array([-1., -3.], dtype=float32)
        >>> tx
        fromage(learning_rate=0.75)

    Differs from optax in: the default of `min_norm`, there 1e-6, with which biases
    that start at zero hardly move at first.

    Reference:
        Bernstein et al., "On the distance between two neural networks and the
        stability of learning", NeurIPS 2020, arXiv:2002.03432, Algorithm 1.
    """
    return chain(scale_by_trust_ratio(min_norm), scale_by_fromage(learning_rate))


@transform
def scale_by_fromage(learning_rate: LearningRate) -> Pair:
    """Step by the learning rate, then divide the parameters by `sqrt(1 + rate^2)`.

    The last stage of `fromage`, with the sign; see there for the rule.

    Args:
        learning_rate: The relative size of a step.

    Returns:
        A transform without state. It needs `params`.
    """

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "scale_by_fromage")
        rate = number(learning_rate)
        growth = nx.sqrt(1.0 + rate * rate)
        shrink = -rate * rate / (growth * (1.0 + growth))  # 1 / growth - 1

        def step(u: jax.Array, p: jax.Array) -> jax.Array:
            return times(p.astype(u.dtype), shrink) - times(u, rate / growth)

        return jax.tree.map(step, updates, params), state

    return Pair(no_state, update)
