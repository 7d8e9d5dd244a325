"""SGDW: momentum SGD whose weight decay stays out of the momentum."""

from jax.typing import DTypeLike

from jopt._core.transform import chain, optimizer, Transform
from jopt._core.types import LearningRate, Mask, Momentum, Switch
from jopt.optimizers.sgd import momentum_stage
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-3, 1.0), tags=("momentum",))
def sgdw(
    learning_rate: LearningRate,
    momentum: Momentum = 0.9,
    nesterov: bool = False,
    accumulator_dtype: DTypeLike | None = None,
    weight_decay: Switch = 1e-4,
    mask: Mask = None,
    *,
    dampening: Momentum = None,
) -> Transform:
    """SGD with momentum and decoupled weight decay.

    Unlike the L2 penalty of `sgd`, the decay does not pass through the momentum, so
    that its strength does not depend on `momentum`. Each step::

        m = momentum * m + (1 - dampening) * g      # the first time m = g
        u = g + momentum * m  if nesterov else  m
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        momentum: Weight of the past, in [0, 1). 0 or `None` turns it off.
        nesterov: Whether to look one step of momentum ahead.
        accumulator_dtype: Dtype of the momentum. Defaults to that of the parameter,
            float32 or wider.
        weight_decay: Strength of the decay, multiplied by the learning rate; 0 turns
            it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        dampening: How much less than 1 a new gradient counts, except for the first,
            in [0, 1). Not together with `nesterov`.

    Returns:
        A transform with one slot per parameter, none without momentum. It needs
        `params` unless `weight_decay` is 0.

    Raises:
        ValueError: If `nesterov` or `dampening` is given without `momentum`, or both
            are given.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import sgdw
        >>> tx, p = sgdw(0.5, weight_decay=0.5), jnp.array([1.0, -2.0])
        >>> tx.update(jnp.array([4.0, -1.0]), tx.init(p), p)[0]
        Array([-2.25,  1.  ], dtype=float32)
        >>> tx
        sgdw(learning_rate=0.5, weight_decay=0.5)

    Reference:
        Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019,
        arXiv:1711.05101, Algorithm 1; the learning rate multiplies the momentum, as
        in PyTorch, rather than each gradient that enters it.
    """
    return chain(
        momentum_stage(momentum, nesterov, accumulator_dtype, dampening),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
