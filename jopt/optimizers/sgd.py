"""Stochastic gradient descent, with momentum, Nesterov's look-ahead or dampening."""

from typing import Any

from jax.typing import DTypeLike

from jopt._core.spec import is_off
from jopt._core.transform import chain, optimizer, Transform
from jopt._core.types import LearningRate, Mask, Momentum, Switch
from jopt.transforms.basic import identity
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.momentum import trace
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-3, 1.0), tags=("momentum",))
def sgd(
    learning_rate: LearningRate,
    momentum: Momentum = None,
    nesterov: bool = False,
    accumulator_dtype: DTypeLike | None = None,
    *,
    dampening: Momentum = None,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """Stochastic gradient descent, plain or with momentum.

    One slot per parameter with momentum, none without. Against AdamW it wants its
    learning rate tuned more closely, and suits convolutional nets. Each step::

        g = g + weight_decay * params
        m = momentum * m + (1 - dampening) * g      # the first time m = g
        u = g + momentum * m  if nesterov else  m
        params -= learning_rate * u

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        momentum: Weight of the past, in [0, 1). 0 or `None` turns it off.
        nesterov: Whether to look one step of momentum ahead: Nesterov's accelerated
            gradient.
        accumulator_dtype: Dtype of the momentum. Defaults to that of the parameter,
            float32 or wider.
        dampening: How much less than 1 a new gradient counts, except for the first,
            in [0, 1). Needs `momentum`, without `nesterov`.
        weight_decay: Strength of the L2 penalty, added to the gradient as in PyTorch.
            0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform. Its `update` needs `params` unless `weight_decay` is 0.

    Raises:
        ValueError: If `nesterov` or `dampening` is given without `momentum`, or both
            are given.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import sgd
        >>> tx, g = sgd(0.5, momentum=0.5), jnp.array([1.0, -2.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> tx.update(g, state)[0]
        Array([-0.75,  1.5 ], dtype=float32)
        >>> tx
        sgd(learning_rate=0.5, momentum=0.5)

    Reference:
        Sutskever et al., "On the importance of initialization and momentum in deep
        learning", ICML 2013, Section 2.
    """
    return chain(
        add_decayed_weights(weight_decay, mask),
        momentum_stage(momentum, nesterov, accumulator_dtype, dampening),
        scale_by_learning_rate(learning_rate),
    )


def momentum_stage(
    momentum: Any,
    nesterov: bool,
    accumulator_dtype: DTypeLike | None,
    dampening: Any,
) -> Transform:
    """The momentum of `sgd`, or no stage where it is off."""
    if is_off(momentum) and (nesterov or not is_off(dampening)):
        given = "nesterov=True" if nesterov else f"dampening={dampening!r}"
        raise ValueError(
            f"`{given}` needs `momentum` in (0, 1), got {momentum!r}. Set "
            "`momentum=0.9`, or leave it out."
        )
    if is_off(momentum):
        return identity()
    return trace(
        momentum, nesterov, dampening=dampening, accumulator_dtype=accumulator_dtype
    )
