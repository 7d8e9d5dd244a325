"""SGNHT: a thermostat finds the friction that the noise of the gradients asks for."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import norms, numerics as nx, trees
from jopt._core.sums import number, reals
from jopt._core.transform import transform
from jopt._core.types import Fraction, LearningRate, NonNegative, Pair, PyTree
from jopt.optimizers import moments
from jopt.sampling import heat
from jopt.transforms.noise import check_key, drawn, own_key


class SGNHTState(NamedTuple):
    """State of `sgnht`."""

    rng_key: jax.Array
    friction: jax.Array  # of the next step
    velocity: PyTree  # the latest step


@transform
def sgnht(
    learning_rate: LearningRate,
    friction: Fraction = 0.1,
    temperature: NonNegative = 1.0,
    key: jax.Array | int = 0,
) -> Pair:
    """Nose-Hoover thermostat: `sghmc` that finds its friction by itself.

    For minibatches, whose gradients heat the chain by an amount that is not known: the
    friction grows while velocities are larger than the temperature allows, and falls
    while they are smaller. That is right for noise of one size in all directions. It
    takes gradients of the potential, as `sgld`, and stands last in a chain. With `n`
    entries in all, and `a` of the state, which starts at `friction`, each step::

        variance = 2 * friction * learning_rate * temperature
        v = (1 - a) * v - learning_rate * g + sqrt(variance) * normal
        params += v
        a = min(a + |v|^2 / n - learning_rate * temperature, 1)

    Args:
        learning_rate: The step size: the square of what the paper calls h.
        friction: What the friction starts from, and the size of the noise, in [0, 1]: A
            times h in the paper.
        temperature: 1 for the posterior, less for one that is sharper.
        key: A key of `jax.random.key`, or an integer seed. It moves into the state.

    Returns:
        A transform with one slot per parameter, a number and a key. It does not read
        `params`. The velocity starts at 0.

    Raises:
        TypeError: If `key` is no key.
        ValueError: If `key` is more than one key.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import get, sgnht
        >>> tx, g = sgnht(0.1, friction=0.5, temperature=0.0), jnp.array([2.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> print(u, f"{get(state, 'friction'):.2f}")    # 0.5 plus the square of 0.2
        [-0.2] 0.54

    Differs from the paper in: momenta are in units of the step, h p. The friction is
    held at 1, where all velocity is forgotten: beyond it momentum would turn round. The
    velocity starts at 0, and there is a temperature.

    Reference:
        Ding et al., "Bayesian Sampling Using Stochastic Gradient Thermostats", NeurIPS
        2014, Algorithm 1.
    """
    check_key(key)

    def init(params):
        start = jnp.array(number(friction), copy=True)
        return SGNHTState(own_key(key), start, trees.zeros_like(params))

    def update(updates, state, params=None, **extra):
        del params, extra
        following, noise = drawn(state.rng_key, updates)
        size = heat.deviation(learning_rate, temperature, friction)
        kept = 1.0 - number(state.friction)

        v = heat.moved(state.velocity, updates, noise, kept, learning_rate, size)
        excess = _energy(v) - number(learning_rate) * number(temperature)
        a = jnp.minimum(number(state.friction) + excess, 1.0)
        a = a.astype(state.friction.dtype)
        return v, SGNHTState(following, a, moments.like(v, state.velocity))

    return Pair(init, update)


def _energy(velocity: PyTree) -> Any:
    """The mean square of the entries; a complex one counts as two."""
    square = nx.square(number(norms.global_norm(velocity)))
    return square / max(reals(velocity), 1)
