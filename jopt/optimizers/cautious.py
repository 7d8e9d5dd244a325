"""Cautious AdamW and Lion: they move only where update and gradient agree."""

from typing import Literal

from jax.typing import DTypeLike

from jopt._core.transform import chain, optimizer, Transform
from jopt._core.types import DecayRate, Epsilon, LearningRate, Mask, Switch
from jopt.optimizers.adam import scale_by_adam
from jopt.optimizers.lion import scale_by_lion
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate
from jopt.wrappers.cautious import cautious


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive", "cautious"))
def cadamw(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 1e-4,
    mask: Mask = None,
    *,
    rescale: Literal["mean", "count", "none"] = "mean",
) -> Transform:
    """Cautious AdamW: entries whose momentum opposes the gradient stand still.

    AdamW with one more line, at no cost in memory; AdamW's learning rate and decay are
    where to start. At step t, with `n` entries in a leaf::

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        u = m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)
        u = u * (m * g > 0) / max(mean(m * g > 0), 0.001)
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.
        mu_dtype: Dtype in which the first moment is kept. Defaults to that of the
            parameter, float32 or wider.
        weight_decay: Strength of the decay, multiplied by the learning rate; 0 turns
            it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        rescale: How the entries that move are scaled: see `cautious`.

    Returns:
        A transform with two slots per parameter. Its `update` needs `params` unless
        `weight_decay` is 0.

    Differs from the authors' code in: there the decay follows the step, so that it
    shrinks the new parameters; here it is AdamW's.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import cadamw
        >>> tx, p = cadamw(0.5, weight_decay=0.0), jnp.zeros(2)
        >>> _, state = tx.update(jnp.array([4.0, 1.0]), tx.init(p), p)
        >>> tx.update(jnp.array([-1.0, 1.0]), state, p)[0].round(4)
        Array([-0., -1.], dtype=float32)
        >>> tx
        cadamw(learning_rate=0.5, weight_decay=0.0)

    Reference:
        Liang et al., "Cautious Optimizers: Improving Training with One Line of Code",
        2024, arXiv:2411.16085, Algorithm 1.
    """
    direction = scale_by_adam(b1, b2, eps, eps_root, mu_dtype)
    return chain(
        cautious(direction, rescale, flip_sign=False),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@optimizer(rates=(1e-5, 1e-2), tags=("sign", "momentum", "cautious"))
def clion(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.99,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 1e-3,
    mask: Mask = None,
    *,
    rescale: Literal["mean", "count", "none"] = "mean",
) -> Transform:
    """Cautious Lion: entries whose momentum opposes the gradient stand still.

    Lion with one more line. Each step, with `n` entries in a leaf::

        c = b1 * m + (1 - b1) * g
        m = b2 * m + (1 - b2) * g
        u = sign(c) * (c * g > 0) / max(mean(c * g > 0), 0.001)
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: The size of each step in each coordinate, before the scale.
        b1: Weight of the momentum in the update, in [0, 1).
        b2: Decay of the momentum, in [0, 1).
        mu_dtype: Dtype of the momentum. Defaults to float32 or wider.
        weight_decay: Decoupled decay, multiplied by the learning rate.
        mask: Which leaves decay. Defaults to all.
        rescale: How the entries that move are scaled: see `cautious`.

    Returns:
        A transform with one slot per parameter. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import clion
        >>> tx, p = clion(0.01, weight_decay=0.0), jnp.zeros(2)
        >>> _, state = tx.update(jnp.array([4.0, 1.0]), tx.init(p), p)
        >>> tx.update(jnp.array([-0.1, 1.0]), state, p)[0]
        Array([-0.  , -0.02], dtype=float32)

    Reference:
        Liang et al., "Cautious Optimizers: Improving Training with One Line of Code",
        2024, arXiv:2411.16085, Algorithm 1.
    """
    return chain(
        cautious(scale_by_lion(b1, b2, mu_dtype), rescale, flip_sign=False),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
