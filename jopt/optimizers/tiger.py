"""Tiger: the sign of an averaged gradient, with weight decay."""

from jax.typing import DTypeLike

from jopt._core.transform import chain, optimizer, Transform
from jopt._core.types import DecayRate, LearningRate, Mask, Switch
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.momentum import ema
from jopt.transforms.scale import scale_by_learning_rate, scale_by_sign


@optimizer(rates=(1e-5, 1e-2), tags=("sign", "momentum"))
def tiger(
    learning_rate: LearningRate,
    beta: DecayRate = 0.965,
    weight_decay: Switch = 0.01,
    mask: Mask = None,
    *,
    mu_dtype: DTypeLike | None = None,
) -> Transform:
    """Tiger: Lion with one decay rate, a "tight-fisted" optimizer.

    Half the memory of AdamW, and one number to tune less than Lion. It is `signum`
    with weight decay. Each step::

        m = beta * m + (1 - beta) * g
        params -= learning_rate * (sign(m) + weight_decay * params)

    Args:
        learning_rate: The size of each step in each coordinate.
        beta: Decay rate of the momentum, in [0, 1). The author advises 0.945 for
            vision and 0.965 for language.
        weight_decay: Decoupled decay, multiplied by the learning rate.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        mu_dtype: Dtype of the momentum. Defaults to float32 or wider.

    Returns:
        A transform with one slot per parameter. Its `update` needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import tiger
        >>> tx, p = tiger(0.5, weight_decay=0.5), jnp.array([1.0, -2.0])
        >>> tx.update(jnp.array([4.0, -1.0]), tx.init(p), p)[0].round(4)
        Array([-0.75,  1.  ], dtype=float32)
        >>> tx
        tiger(learning_rate=0.5, weight_decay=0.5)

    Reference:
        Su, "Tiger: A Tight-fisted Optimizer", 2023,
        github.com/bojone/tiger. Chen et al., "Symbolic Discovery of
        Optimization Algorithms", NeurIPS 2023, arXiv:2302.06675, with one beta.
    """
    return chain(
        ema(beta, debias=False, accumulator_dtype=mu_dtype),
        scale_by_sign(),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
