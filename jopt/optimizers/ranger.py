"""Ranger: centred gradients, rectified Adam and Lookahead."""

from jopt._core.transform import chain, optimizer, Transform
from jopt._core.types import (
    Count,
    DecayRate,
    Epsilon,
    Fraction,
    LearningRate,
    Mask,
    Scalar,
    Switch,
)
from jopt.optimizers.radam import scale_by_radam
from jopt.transforms.average import lookahead
from jopt.transforms.basic import centralize
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive", "averaging"))
def ranger(
    learning_rate: LearningRate,
    b1: DecayRate = 0.95,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-5,
    threshold: Scalar = 5.0,
    *,
    sync_period: Count = 6,
    slow_step_size: Fraction = 0.5,
    centralized: bool = True,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """Ranger: RAdam inside Lookahead, with gradient centralization.

    Needs no warm-up; popular for image classification with a flat rate and a cooldown.
    It is this chain of parts, which may be varied::

        lookahead(
            chain(
                centralize(),
                scale_by_radam(b1, b2, eps, threshold=threshold),
                add_decayed_weights(weight_decay, mask),
                scale_by_learning_rate(learning_rate),
            ),
            sync_period, slow_step_size,
        )

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment.
        threshold: The length of the average above which it counts, at least 4.
        sync_period: Steps between two synchronisations of Lookahead.
        slow_step_size: How far the slow weights go towards the fast ones, in [0, 1].
        centralized: Whether gradients of arrays with two axes or more are centred per
            output unit, the last axis.
        weight_decay: Decoupled decay, multiplied by the learning rate.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with three slots per parameter. Its `update` needs `params`.
        `averaged_params(state, params)` gives the slow weights. Nothing may change the
        update after it: place it last in a chain.

    Raises:
        ValueError: If `threshold` is less than 4; in `update`, if `params` is not
            given.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import ranger
        >>> tx, p = ranger(0.5, sync_period=1), jnp.zeros(2)
        >>> tx.update(jnp.array([4.0, -1.0]), tx.init(p), p)[0].round(4)
        Array([-1.  ,  0.25], dtype=float32)
        >>> tx
        ranger(learning_rate=0.5, sync_period=1)

    Reference:
        Wright, "Ranger", 2019, github.com/lessw2020/Ranger-Deep-Learning-Optimizer.
        Its parts: arXiv:1908.03265, arXiv:1907.08610 and arXiv:2004.01461.
    """
    rescaled = scale_by_radam(b1, b2, eps, threshold=threshold)
    decay = add_decayed_weights(weight_decay, mask)
    stages = [rescaled, decay, scale_by_learning_rate(learning_rate)]
    if centralized:
        stages.insert(0, centralize())
    return lookahead(chain(*stages), sync_period, slow_step_size)
