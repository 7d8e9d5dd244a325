"""LARC: momentum SGD whose rate on each tensor is capped by that of LARS."""

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from jopt._core import extras, numerics as nx, select
from jopt._core.norms import norm
from jopt._core.spec import is_off
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    Epsilon,
    LearningRate,
    Mask,
    Momentum,
    NonNegative,
    Pair,
    Switch,
)
from jopt.optimizers.sgd import momentum_stage
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-2, 10.0), tags=("momentum", "large batch"))
def larc(
    learning_rate: LearningRate,
    momentum: Momentum = 0.9,
    nesterov: bool = False,
    trust_coefficient: NonNegative = 0.02,
    eps: Epsilon = 1e-8,
    accumulator_dtype: DTypeLike | None = None,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """LARC: SGD with momentum, held back where it would move a tensor too far.

    LARS without its warmup: the rate of a tensor is LARS's where that is below
    `learning_rate`. A tensor that is zero, or whose gradient is, has the full rate
    and no decay. Each step, with norms per leaf::

        local = trust_coefficient * norm(p) / (norm(g) + weight_decay * norm(p) + eps)
        u = min(local / learning_rate, 1) * (g + weight_decay * p)
        m = momentum * m + u
        p -= learning_rate * m

    Args:
        learning_rate: The largest rate: a number >= 0, or a schedule from step count
            to number.
        momentum: Weight of the past, in [0, 1). 0 or `None` turns it off.
        nesterov: Whether to look one step of momentum ahead.
        trust_coefficient: The largest relative change of a tensor by a gradient.
        eps: Added to the denominator of the local rate.
        accumulator_dtype: Dtype of the momentum. Defaults to that of the parameter,
            float32 or wider.
        weight_decay: Strength of the L2 penalty, added to the gradient.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with one slot per parameter, none without momentum. It needs
        `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import larc
        >>> tx, p = larc(1.0), jnp.array([3.0, -4.0])
        >>> tx.update(jnp.array([0.6, -0.8]), tx.init(p), p)[0].round(4)
        Array([-0.06,  0.08], dtype=float32)
        >>> tx.update(jnp.array([0.006, -0.008]), tx.init(p), p)[0].round(4)
        Array([-0.006,  0.008], dtype=float32)
        >>> tx
        larc(learning_rate=1.0)

    Reference:
        You, Gitman and Ginsburg, "Large Batch Training of Convolutional Networks",
        2017, arXiv:1708.03888, with the cap of NVIDIA's apex (`LARC(clip=True)`).
    """
    return chain(
        scale_by_larc(learning_rate, trust_coefficient, eps, weight_decay, mask),
        momentum_stage(momentum, nesterov, accumulator_dtype, None),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_larc(
    learning_rate: LearningRate,
    trust_coefficient: NonNegative = 0.02,
    eps: Epsilon = 1e-8,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Pair:
    """Add weight decay and cap the rate of each tensor relative to its norm.

    The layer-wise part of `larc`; see there for the rule. The learning rate that it
    caps is multiplied later in the chain.

    Args:
        learning_rate: The rate that is capped, the same as at the end of the chain.
        trust_coefficient: The largest relative change of a tensor by a gradient.
        eps: Added to the denominator of the local rate.
        weight_decay: Strength of the L2 penalty, added to the gradient.
        mask: Which leaves decay. Defaults to all.

    Returns:
        A transform without state. It needs `params`.
    """
    select.check(mask)

    def init(params):
        select.resolve(mask, params)
        return optax.EmptyState()

    def leaf(decays: bool, g: jax.Array, p: jax.Array) -> jax.Array:
        p = p.astype(g.dtype)
        size, slope = norm(p), norm(g)
        idle = (size == 0) | (slope == 0)
        below, u = slope, g
        if decays:
            below = below + nx.times(size, weight_decay)
            u = jnp.where(idle, g, g + nx.times(p, weight_decay))
        if not is_off(eps):
            below = below + nx.cast(eps, below.dtype)
        local = nx.divide(nx.times(size, trust_coefficient), below)
        rate = jnp.asarray(learning_rate).astype(size.dtype)
        free = idle | (local >= rate)
        one = jnp.ones_like(rate)
        return nx.times(u, jnp.where(free, one, local / jnp.where(free, one, rate)))

    def update(updates, state, params=None, **extra):
        del extra
        extras.need_params(params, "scale_by_larc")
        decays = select.resolve(False if is_off(weight_decay) else mask, params)
        return jax.tree.map(leaf, decays, updates, params), state

    return Pair(init, update)
