"""Signum and sign SGD: the sign of the momentum, or of the gradient."""

from jax.typing import DTypeLike

from jopt._core.transform import chain, optimizer, Transform
from jopt._core.types import DecayRate, LearningRate
from jopt.transforms.momentum import ema
from jopt.transforms.scale import scale_by_learning_rate, scale_by_sign


@optimizer(rates=(1e-5, 1e-2), tags=("sign", "momentum"))
def signum(
    learning_rate: LearningRate,
    beta: DecayRate = 0.9,
    accumulator_dtype: DTypeLike | None = None,
) -> Transform:
    """The sign of a moving average of the gradients.

    `lion` with `b1 = b2` and no decay: every coordinate moves by the learning rate.
    Each step::

        m = beta * m + (1 - beta) * g
        params -= learning_rate * sign(m)

    Args:
        learning_rate: The size of each step in each coordinate.
        beta: Decay of the momentum, in [0, 1).
        accumulator_dtype: Dtype of the momentum. Defaults to float32 or wider.

    Returns:
        A transform with one buffer per parameter. It does not read `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import signum
        >>> tx = signum(0.01)
        >>> params = jnp.array([1.0, -2.0])
        >>> tx.update(jnp.array([0.5, -3.0]), tx.init(params), params)[0]
        Array([-0.01,  0.01], dtype=float32)
        >>> tx
        signum(learning_rate=0.01)

    Reference:
        Bernstein et al., "signSGD: Compressed Optimisation for Non-Convex Problems",
        ICML 2018, arXiv:1802.04434, Algorithm 2.
    """
    return chain(
        ema(beta, debias=False, accumulator_dtype=accumulator_dtype),
        scale_by_sign(),
        scale_by_learning_rate(learning_rate),
    )


@optimizer(rates=(1e-5, 1e-2), tags=("sign",))
def sign_sgd(learning_rate: LearningRate) -> Transform:
    """The sign of the gradient, with no state at all.

    Every coordinate moves by the learning rate, whatever its gradient. Each step::

        params -= learning_rate * sign(g)

    Args:
        learning_rate: The size of each step in each coordinate.

    Returns:
        A transform without state. It does not read `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import sign_sgd
        >>> tx = sign_sgd(0.01)
        >>> tx.update(jnp.array([0.5, -3.0]), tx.init(jnp.ones(2)))[0]
        Array([-0.01,  0.01], dtype=float32)
        >>> tx
        sign_sgd(learning_rate=0.01)

    Reference:
        Bernstein et al., "signSGD: Compressed Optimisation for Non-Convex Problems",
        ICML 2018, arXiv:1802.04434, Algorithm 1.
    """
    return chain(scale_by_sign(), scale_by_learning_rate(learning_rate))
