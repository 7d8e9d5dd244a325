"""LARS: momentum SGD whose step on each tensor has the size of the tensor."""

from typing import cast, Literal

import jax
import jax.numpy as jnp
import optax

from jopt._core import extras, numerics as nx, select
from jopt._core.norms import norm
from jopt._core.spec import is_off
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    Epsilon,
    Fraction,
    LearningRate,
    Mask,
    Momentum,
    NonNegative,
    Pair,
    PyTree,
    Switch,
)
from jopt.transforms.momentum import trace
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-2, 100.0), tags=("momentum", "large batch"))
def lars(
    learning_rate: LearningRate,
    weight_decay: Switch = 0.0,
    weight_decay_mask: Mask = True,
    trust_coefficient: NonNegative = 0.001,
    eps: Epsilon = 0.0,
    trust_ratio_mask: Mask = True,
    momentum: Momentum = 0.9,
    nesterov: bool = False,
    *,
    decay_norm: Literal["separate", "joint"] = "separate",
) -> Transform:
    """LARS: momentum SGD with layer-wise steps, for very large batches.

    Each tensor moves by a fraction of its own norm, whatever the size of its
    gradient; a tensor that is zero, or whose gradient is, is not scaled. Biases and
    normalisation scales are best left out of decay and trust ratio by the masks.
    Each step, per tensor `p`::

        ratio = trust_coefficient * norm(p) / (norm(g) + weight_decay * norm(p))
        m = momentum * m + learning_rate * ratio * (g + weight_decay * p)
        p -= m

    Args:
        learning_rate: Multiplies every step; of order 1 to 30.
        weight_decay: L2 decay, added to the gradient.
        weight_decay_mask: Which leaves decay.
        trust_coefficient: The relative change of a tensor per step.
        eps: Added to the denominator of the ratio.
        trust_ratio_mask: Which leaves are scaled by the ratio.
        momentum: Weight of the past steps, in [0, 1). 0 keeps no buffer.
        nesterov: Whether to look ahead, as `trace` does.
        decay_norm: `"separate"` has the two norms of the rule above in the
            denominator, `"joint"` has `norm(g + weight_decay * p)`.

    Returns:
        A transform with one buffer per parameter. It needs `params`.

    Differs from optax in:
        The denominator is the paper's sum of two norms; optax's is `"joint"`.

    Example:
        >>> from jopt import lars
        >>> tx = lars(10.0)
        >>> params = jnp.array([3.0, -4.0])
        >>> tx.update(jnp.array([0.6, -0.8]), tx.init(params), params)[0]
        Array([-0.03,  0.04], dtype=float32)
        >>> tx
        lars(learning_rate=10.0)

    Reference:
        You et al., "Large Batch Training of Convolutional Networks", 2017,
        arXiv:1708.03888, Algorithm 1.
    """
    ratio = scale_by_lars(
        weight_decay,
        weight_decay_mask,
        trust_coefficient,
        eps,
        trust_ratio_mask,
        decay_norm=decay_norm,
    )
    step = scale_by_learning_rate(learning_rate)
    if is_off(momentum):
        return chain(ratio, step)
    return chain(ratio, step, trace(cast(Fraction, momentum), nesterov))


@transform
def scale_by_lars(
    weight_decay: Switch = 0.0,
    weight_decay_mask: Mask = True,
    trust_coefficient: NonNegative = 0.001,
    eps: Epsilon = 0.0,
    trust_ratio_mask: Mask = True,
    *,
    decay_norm: Literal["separate", "joint"] = "separate",
) -> Pair:
    """Add weight decay and scale each tensor to the size of its parameter.

    The layer-wise part of `lars`; see there for the rule.

    Args:
        weight_decay: L2 decay, added to the gradient.
        weight_decay_mask: Which leaves decay.
        trust_coefficient: The relative change of a tensor per step.
        eps: Added to the denominator of the ratio.
        trust_ratio_mask: Which leaves are scaled by the ratio.
        decay_norm: Whether the norms of gradient and decay are added, or the norm of
            their sum is taken.

    Returns:
        A transform without state. It needs `params`.

    Reference:
        You et al., "Large Batch Training of Convolutional Networks", 2017,
        arXiv:1708.03888, Algorithm 1.
    """
    select.check(weight_decay_mask, "weight_decay_mask")
    select.check(trust_ratio_mask, "trust_ratio_mask")

    def init(params: PyTree) -> optax.EmptyState:
        select.resolve(weight_decay_mask, params, "weight_decay_mask")
        select.resolve(trust_ratio_mask, params, "trust_ratio_mask")
        return optax.EmptyState()

    def scaled(g: jax.Array, p: jax.Array, decays: bool, scales: bool) -> jax.Array:
        p = p.astype(g.dtype)
        wd = nx.cast(weight_decay, g.dtype) if decays else 0.0
        u = g + wd * p if decays else g
        if not scales:
            return u
        size = norm(p)
        bottom = norm(u) if decay_norm == "joint" else norm(g) + wd * size
        if not is_off(eps):
            bottom = bottom + nx.cast(eps, bottom.dtype)
        ratio = nx.divide(nx.cast(trust_coefficient, size.dtype) * size, bottom)
        still = (size == 0) | (norm(u if decay_norm == "joint" else g) == 0)
        return u * jnp.where(still, jnp.ones_like(ratio), ratio).astype(u.dtype)

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "scale_by_lars")
        decays = select.resolve(
            False if is_off(weight_decay) else weight_decay_mask, params
        )
        scales = select.resolve(trust_ratio_mask, params)
        return jax.tree.map(scaled, updates, params, decays, scales), state

    return Pair(init, update)
