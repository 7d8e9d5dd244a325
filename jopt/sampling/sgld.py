"""SGLD: gradient descent with the noise that makes it a sampler."""

from typing import NamedTuple

import jax

from jopt._core.numerics import times
from jopt._core.transform import transform
from jopt._core.types import LearningRate, NonNegative, Pair
from jopt.sampling import heat
from jopt.transforms.noise import check_key, drawn, own_key


class SGLDState(NamedTuple):
    """State of `sgld`."""

    rng_key: jax.Array


@transform
def sgld(
    learning_rate: LearningRate,
    temperature: NonNegative = 1.0,
    key: jax.Array | int = 0,
) -> Pair:
    """Stochastic gradient Langevin dynamics: each step is a sample.

    Give it gradients of the potential `U = -log posterior`, which is the *sum* over all
    data plus the prior, not a mean: `chain(scale(N), add_gaussian_prior(1.0), sgld(h))`
    behind a mean loss over N data. Then parameters wander so that their distribution
    nears `exp(-U / temperature)`, as the learning rate falls; at a constant rate it is
    off by an amount of the order of the rate. It stands last in a chain. Each step::

        params -= learning_rate * g + sqrt(2 * learning_rate * temperature) * normal

    Args:
        learning_rate: The step size. Half of what the paper calls epsilon.
        temperature: 1 for the posterior, less for one that is sharper; at 0 it is
            `sgd(learning_rate)`.
        key: A key of `jax.random.key`, or an integer seed. It moves into the state.

    Returns:
        A transform that holds a key. It does not read `params`.

    Raises:
        TypeError: If `key` is no key.
        ValueError: If `key` is more than one key. For several chains build one sampler
            for each within `jax.vmap`: see `docs/sampling.md`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import sgld
        >>> tx, x = sgld(0.02, key=1), jnp.zeros(10_000)
        >>> u, state = tx.update(x, tx.init(x))
        >>> bool(abs(u.std() - 0.2) < 0.01)    # the root of 2 times 0.02
        True
        >>> tx
        sgld(learning_rate=0.02, key=1)

    Differs from the paper in: the learning rate is half of epsilon, so that without
    noise it is that of gradient descent; and there is a temperature.

    Reference:
        Welling and Teh, "Bayesian Learning via Stochastic Gradient Langevin Dynamics",
        ICML 2011, equation 4.
    """
    check_key(key)

    def init(params):
        del params
        return SGLDState(own_key(key))

    def update(updates, state, params=None, **extra):
        del params, extra
        following, noise = drawn(state.rng_key, updates)
        size = heat.deviation(learning_rate, temperature)

        def leaf(g: jax.Array, n: jax.Array) -> jax.Array:
            return times(n, size) - times(g, learning_rate)

        return jax.tree.map(leaf, updates, noise), SGLDState(following)

    return Pair(init, update)
