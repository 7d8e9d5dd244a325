"""SGD-SaI: momentum SGD with a learning rate per tensor, set at the first step."""

import math
from typing import Any, cast, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import numerics as nx, trees
from jopt._core.norms import norm
from jopt._core.numerics import times
from jopt._core.spec import is_off
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    Epsilon,
    Fraction,
    LearningRate,
    Mask,
    Momentum,
    Pair,
    PyTree,
    Switch,
)
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.momentum import trace
from jopt.transforms.scale import scale_by_learning_rate


class ScaleByGsnrState(NamedTuple):
    """State of `scale_by_gsnr`."""

    gsnr: PyTree  # a number per tensor; 0 until its first gradient other than 0


@optimizer(rates=(1e-4, 1e-1), tags=("momentum", "memory"))
def sgd_sai(
    learning_rate: LearningRate,
    momentum: Momentum = 0.9,
    eps: Epsilon = 1e-8,
    weight_decay: Switch = 0.01,
    mask: Mask = None,
) -> Transform:
    """SGD with learning rate scaling at initialization.

    In the place of AdamW for transformers at the memory of momentum SGD, by the
    authors: the ratio of each tensor's first gradient to its spread sets the size of
    its steps for good. Train with a warm-up, from a usual initialization. Each step,
    per tensor::

        r = norm(g) / (std(g) + eps)       # of the first gradient
        m = momentum * m + (1 - momentum) * g         # the first time m = g
        params -= learning_rate * (r * m + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        momentum: Weight of the past, in [0, 1). 0 keeps no momentum.
        eps: Added to the standard deviation.
        weight_decay: Decoupled decay, multiplied by the learning rate.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with one slot per parameter and one number per tensor. Its `update`
        needs `params` unless `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import sgd_sai
        >>> tx, g = sgd_sai(0.5, weight_decay=0.0), jnp.array([3.0, -4.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-1.5152,  2.0203], dtype=float32)
        >>> tx
        sgd_sai(learning_rate=0.5, weight_decay=0.0)

    Differs from the authors' code in: a tensor whose first gradient has no spread, such
    as a scalar, has a ratio of 1 rather than `norm(g) / eps`; and where a first
    gradient is zero, the next one counts.

    Reference:
        Xu et al., "No More Adam: Learning Rate Scaling at Initialization is All You
        Need", 2024, arXiv:2412.11768, Algorithm 1.
    """
    stages = [scale_by_gsnr(eps)]
    if not is_off(momentum):
        stages.append(trace(cast(Fraction, momentum), dampening=momentum))
    decay = add_decayed_weights(weight_decay, mask)
    return chain(*stages, decay, scale_by_learning_rate(learning_rate))


@transform
def scale_by_gsnr(eps: Epsilon = 1e-8) -> Pair:
    """Multiply each tensor by the signal-to-noise ratio of its first gradient.

    The stage of `sgd_sai` that sets the steps; see there for the rule.

    Args:
        eps: Added to the standard deviation.

    Returns:
        A transform with one number per tensor. It does not read `params`.
    """

    def init(params):
        def single(p: Any) -> jax.Array:
            return jnp.zeros((), jnp.finfo(trees.accumulation_dtype(p.dtype)).dtype)

        return ScaleByGsnrState(jax.tree.map(single, params))

    def ratio(g: jax.Array, known: jax.Array) -> jax.Array:
        if g.size < 2:
            return jnp.ones_like(known)
        spread = norm(g - jnp.mean(g)) / math.sqrt(g.size - 1)
        below = spread if is_off(eps) else spread + nx.cast(eps, spread.dtype)
        some = spread > 0
        new = norm(g) / jnp.where(some, below, 1.0)
        new = jnp.where(some, new, jnp.where(norm(g) > 0, 1.0, 0.0))
        return jnp.where(known > 0, known, new.astype(known.dtype))

    def update(updates, state, params=None, **extra):
        del params, extra
        gsnr = jax.tree.map(ratio, updates, state.gsnr)
        return jax.tree.map(times, updates, gsnr), ScaleByGsnrState(gsnr)

    return Pair(init, update)
