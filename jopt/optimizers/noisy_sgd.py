"""Noisy SGD: gradient descent with Gaussian noise that fades."""

import jax

from jopt._core.transform import chain, optimizer, Transform
from jopt._core.types import LearningRate, NonNegative
from jopt.transforms.noise import add_noise
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-3, 1.0), tags=("stochastic",))
def noisy_sgd(
    learning_rate: LearningRate,
    eta: NonNegative = 0.01,
    gamma: NonNegative = 0.55,
    key: jax.Array | int = 0,
) -> Transform:
    """SGD with gradient noise of annealed variance.

    For deep networks that are hard to train from a poor start, by the authors. Any
    optimizer takes the same noise: `chain(add_noise(0.01, 0.55, key=0), adam(1e-3))`.
    With `t` counting steps from 0::

        g = g + normal(0, variance = eta / (1 + t)^gamma)
        params -= learning_rate * g

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        eta: Variance of the noise at the first step.
        gamma: How fast the variance falls.
        key: A key of `jax.random.key`, or an integer seed. It moves into the state.

    Returns:
        A transform that holds a step count and a key. It does not read `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import noisy_sgd
        >>> tx, g = noisy_sgd(0.1, eta=0.04, key=1), jnp.ones(10_000)
        >>> u, state = tx.update(g, tx.init(g))
        >>> bool(abs(u.std() - 0.02) < 0.001)    # 0.1 times the root of 0.04
        True
        >>> tx
        noisy_sgd(learning_rate=0.1, eta=0.04, key=1)

    Differs from optax in: the numbers drawn; `key` has a default, and takes the place
    of `seed`.

    Reference:
        Neelakantan et al., "Adding Gradient Noise Improves Learning for Very Deep
        Networks", 2015, arXiv:1511.06807, Equation 1.
    """
    return chain(add_noise(eta, gamma, key), scale_by_learning_rate(learning_rate))
