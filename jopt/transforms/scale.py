"""Scale updates: by a number, a schedule, the sign, or a trust ratio."""

from typing import Any

import jax
import jax.numpy as jnp

from jopt._core import extras, norms, numerics as nx
from jopt._core.numerics import times
from jopt._core.spec import is_off
from jopt._core.transform import transform
from jopt._core.types import Epsilon, LearningRate, no_state, NonNegative, Pair, Scalar


@transform
def scale(step_size: Scalar) -> Pair:
    """Multiply updates by a number.

    Args:
        step_size: The number, or a schedule of it. A negative one descends.

    Returns:
        A stage without state.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import scale
        >>> tx = scale(-0.5)
        >>> tx.update(jnp.array([2.0, 4.0]), tx.init(jnp.zeros(2)))[0]
        Array([-1., -2.], dtype=float32)
        >>> tx
        scale(step_size=-0.5)
    """

    def update(updates, state, params=None, **extra):
        del params, extra
        return jax.tree.map(lambda u: times(u, step_size), updates), state

    return Pair(no_state, update)


@transform
def scale_by_learning_rate(
    learning_rate: LearningRate, *, flip_sign: bool = True
) -> Pair:
    """Multiply updates by minus the learning rate: the last stage of an optimizer.

    Args:
        learning_rate: A number >= 0, or a schedule of it.
        flip_sign: Whether to multiply by minus the rate, which descends. With `False`
            the sign is kept.

    Returns:
        A stage without state, or with a step count for a schedule.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import scale_by_learning_rate
        >>> tx = scale_by_learning_rate(0.5)
        >>> tx.update(jnp.array([2.0, 4.0]), tx.init(jnp.zeros(2)))[0]
        Array([-1., -2.], dtype=float32)
        >>> tx
        scale_by_learning_rate(learning_rate=0.5)
    """

    def update(updates, state, params=None, **extra):
        del params, extra
        step: Any = learning_rate
        step = -step if flip_sign else step
        return jax.tree.map(lambda u: times(u, step), updates), state

    return Pair(no_state, update)


@transform
def scale_by_schedule(step_size_fn: Scalar) -> Pair:
    """Multiply updates by the value of a schedule at the step count.

    Every hyperparameter takes a schedule, so that `scale(schedule)` does the same;
    this is its name in optax.

    Args:
        step_size_fn: A function from the step count to a number, or a number. It
            keeps its sign: `scale_by_learning_rate` flips it.

    Returns:
        A stage that counts steps.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import constant_schedule, scale_by_schedule
        >>> drop = constant_schedule(-1.0).then(constant_schedule(-0.25), at=1)
        >>> tx = scale_by_schedule(drop)
        >>> u, state = tx.update(jnp.array([2.0]), tx.init(jnp.zeros(1)))
        >>> tx.update(jnp.array([2.0]), state)[0]
        Array([-0.5], dtype=float32)
    """

    def update(updates, state, params=None, **extra):
        del params, extra
        return jax.tree.map(lambda u: times(u, step_size_fn), updates), state

    return Pair(no_state, update)


@transform
def scale_by_sign() -> Pair:
    """Replace each entry of the updates by its sign: -1, 0 or 1.

    A complex entry keeps its direction and gets magnitude 1.

    Returns:
        A stage without state.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import scale_by_sign
        >>> tx = scale_by_sign()
        >>> tx.update(jnp.array([-3.0, 0.0, 0.1]), tx.init(jnp.zeros(3)))[0]
        Array([-1.,  0.,  1.], dtype=float32)
    """

    def update(updates, state, params=None, **extra):
        del params, extra
        return jax.tree.map(jnp.sign, updates), state

    return Pair(no_state, update)


@transform
def scale_by_trust_ratio(
    min_norm: NonNegative = 0.0,
    trust_coefficient: NonNegative = 1.0,
    eps: Epsilon = 0.0,
) -> Pair:
    """Multiply each leaf by the ratio of the parameter's norm to the update's.

    The stage of `lamb` and `lars` that sets the step of each leaf::

        u = trust_coefficient * |p| / (|u| + eps) * u

    A leaf whose parameter or update is zero is left as it is.

    Args:
        min_norm: Least value of both norms.
        trust_coefficient: The factor in front.
        eps: Added to the denominator. A literal 0 adds nothing.

    Returns:
        A stage without state. Its `update` needs `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import scale_by_trust_ratio
        >>> tx, p = scale_by_trust_ratio(), jnp.array([3.0, 4.0])
        >>> tx.update(jnp.array([0.0, 0.5]), tx.init(p), p)[0]
        Array([0., 5.], dtype=float32)
    """

    def leaf(u, p):
        p_norm, u_norm = norms.norm(p.astype(u.dtype)), norms.norm(u)
        dtype = u_norm.dtype
        least = nx.cast(min_norm, dtype)
        p_norm, u_norm = jnp.maximum(p_norm, least), jnp.maximum(u_norm, least)
        still = (p_norm == 0) | (u_norm == 0)
        below = jnp.where(still, jnp.ones_like(u_norm), u_norm)
        if not is_off(eps):
            below = below + nx.cast(eps, dtype)
        ratio = nx.cast(trust_coefficient, dtype) * (p_norm / below)
        return times(u, jnp.where(still, jnp.ones_like(ratio), ratio))

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "scale_by_trust_ratio")
        return jax.tree.map(leaf, updates, params), state

    return Pair(no_state, update)
