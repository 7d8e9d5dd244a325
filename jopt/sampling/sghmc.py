"""SGHMC: momentum with friction, and the noise that makes up for it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import trees
from jopt._core.sums import number
from jopt._core.transform import transform
from jopt._core.types import Fraction, LearningRate, NonNegative, Pair, PyTree
from jopt.optimizers import moments
from jopt.sampling import heat
from jopt.transforms.noise import check_key, drawn, own_key


class SGHMCState(NamedTuple):
    """State of `sghmc`."""

    rng_key: jax.Array
    velocity: PyTree  # the latest step


@transform
def sghmc(
    learning_rate: LearningRate,
    friction: Fraction = 0.1,
    temperature: NonNegative = 1.0,
    key: jax.Array | int = 0,
    *,
    noise_estimate: NonNegative = 0.0,
) -> Pair:
    """Stochastic gradient Hamiltonian Monte Carlo: momentum that samples.

    Goes on in one direction for about `1 / friction` steps, where `sgld` turns at every
    one, and so crosses a posterior in fewer steps. It takes gradients of the potential,
    as `sgld`, and stands last in a chain. Each step::

        variance = 2 * (friction - noise_estimate) * learning_rate * temperature
        v = (1 - friction) * v - learning_rate * g + sqrt(variance) * normal
        params += v

    Args:
        learning_rate: The step size: eta in the paper.
        friction: One minus the momentum, in [0, 1]: alpha in the paper. At 1 it is
            `sgld(learning_rate)`.
        temperature: 1 for the posterior, less for one that is sharper; at 0 it is
            gradient descent with momentum `1 - friction`.
        key: A key of `jax.random.key`, or an integer seed. It moves into the state.
        noise_estimate: What the noise of the gradients contributes, beta in the paper:
            half the learning rate times their variance in each entry. Where it exceeds
            the friction no noise is added.

    Returns:
        A transform with one slot per parameter, and a key. It does not read `params`.
        The velocity starts at 0.

    Raises:
        TypeError: If `key` is no key.
        ValueError: If `key` is more than one key.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import sghmc
        >>> tx, g = sghmc(0.1, friction=0.5, temperature=0.0), jnp.array([2.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> f"{tx.update(g, state)[0][0]:.2f}"    # half of the last step, and a new one
        '-0.30'

    Differs from the paper in: the velocity is not drawn anew now and then, and there is
    a temperature.

    Reference:
        Chen, Fox and Guestrin, "Stochastic Gradient Hamiltonian Monte Carlo", ICML
        2014, arXiv:1402.4102, equation 15.
    """
    check_key(key)

    def init(params):
        return SGHMCState(own_key(key), trees.zeros_like(params))

    def update(updates, state, params=None, **extra):
        del params, extra
        following, noise = drawn(state.rng_key, updates)
        left = jnp.maximum(number(friction) - number(noise_estimate), 0.0)
        size = heat.deviation(learning_rate, temperature, left)
        kept = 1.0 - number(friction)

        v = heat.moved(state.velocity, updates, noise, kept, learning_rate, size)
        return v, SGHMCState(following, moments.like(v, state.velocity))

    return Pair(init, update)
