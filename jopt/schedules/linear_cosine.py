"""Linear decay times cosine waves, without and with noise."""

import jax
import jax.numpy as jnp
import numpy as np

from jopt._core.schedule import as_float, schedule
from jopt._core.types import Count, Steps, Value
from jopt.schedules import _ramps as ramps
from jopt.schedules._ramps import Ratio


@schedule(horizon=lambda a: a["decay_steps"])
def linear_cosine_decay(
    init_value: Value,
    decay_steps: Count,
    num_periods: Ratio = 0.5,
    alpha: Ratio = 0.0,
    beta: Ratio = 0.001,
):
    """A straight line to 0 times cosine waves.

    At step t::

        x = min(t / decay_steps, 1)
        wave = (1 + cos(2 pi num_periods x)) / 2
        value = init_value * ((alpha + 1 - x) * wave + beta)

    Args:
        init_value: The value at step 0, up to the small `alpha` and `beta`.
        decay_steps: Length of the decay in steps, at least 1. The value is level
            afterwards.
        num_periods: Waves in the decay, >= 0.
        alpha: What is added to the line, >= 0.
        beta: What is added to the whole, >= 0.

    Returns:
        A schedule.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import linear_cosine_decay
        >>> decay = linear_cosine_decay(1.0, decay_steps=100, beta=0.0)
        >>> decay(jnp.array([0, 50, 100])).round(4)
        Array([1.  , 0.25, 0.  ], dtype=float32)
        >>> decay
        linear_cosine_decay(init_value=1.0, decay_steps=100, beta=0.0)

    Reference:
        Bello et al., "Neural Optimizer Search with Reinforcement Learning", ICML 2017,
        arXiv:1709.07417.
    """

    def value(step):
        weights = ramps.ramp(step, decay_steps)
        return as_float(init_value) * _wavy(weights, 0.0, num_periods, alpha, beta)

    return value


@schedule(horizon=lambda a: a["decay_steps"])
def noisy_linear_cosine_decay(
    init_value: Value,
    decay_steps: Count,
    seed: Steps,
    initial_variance: Ratio = 1.0,
    variance_decay: Ratio = 0.55,
    num_periods: Ratio = 0.5,
    alpha: Ratio = 0.0,
    beta: Ratio = 0.001,
):
    """A straight line to 0, with noise that fades, times cosine waves.

    At step t::

        s = min(t, decay_steps),  x = s / decay_steps
        noise = normal(0, variance = initial_variance / (1 + s)^variance_decay)
        wave = (1 + cos(2 pi num_periods x)) / 2
        value = init_value * ((alpha + 1 - x + noise) * wave + beta)

    The noise of a step is a function of the seed and the step, so a run resumed draws
    what the whole run draws. The value is negative where the noise is below the line:
    take an `initial_variance` well below 1 for a learning rate.

    Args:
        init_value: The value that the line begins at.
        decay_steps: Length of the decay in steps, at least 1.
        seed: Seed of the noise, an integer >= 0.
        initial_variance: Variance of the noise at step 0, >= 0.
        variance_decay: Exponent of its decay, >= 0.
        num_periods: Waves in the decay, >= 0.
        alpha: What is added to the line, >= 0.
        beta: What is added to the whole, >= 0.

    Returns:
        A schedule.

    Example:
        >>> from jopt import noisy_linear_cosine_decay
        >>> decay = noisy_linear_cosine_decay(1.0, 100, seed=0, initial_variance=0.01)
        >>> decay(10) == decay(10)
        Array(True, dtype=bool)
        >>> decay
        noisy_linear_cosine_decay(init_value=1.0, decay_steps=100, seed=0,
            initial_variance=0.01)

    Reference:
        Bello et al., "Neural Optimizer Search with Reinforcement Learning", ICML 2017,
        arXiv:1709.07417.
    """

    def value(step):
        weights = ramps.ramp(step, decay_steps)
        done = 1.0 + weights[0] * float(decay_steps)
        variance = as_float(initial_variance) * done ** -as_float(variance_decay)
        noise = _deviation(variance) * _normal(seed, step)
        return as_float(init_value) * _wavy(weights, noise, num_periods, alpha, beta)

    return value


def _wavy(
    weights: ramps.Weights, noise: Ratio, num_periods: Ratio, alpha: Ratio, beta: Ratio
) -> jax.Array:
    done, left = weights
    wave = jnp.square(jnp.cos(np.pi * as_float(num_periods) * done))
    return (as_float(alpha) + left + noise) * wave + as_float(beta)


def _deviation(variance: jax.Array) -> jax.Array:
    """The square root, with a finite derivative at 0."""
    some = jnp.where(variance > 0.0, variance, 1.0)
    return jnp.where(variance > 0.0, jnp.sqrt(some), 0.0)


def _normal(seed: int, step: jax.Array) -> jax.Array:
    """A standard normal number of each step, the same in every precision."""
    key = jax.random.key(seed)

    def draw(one: jax.Array) -> jax.Array:
        return jax.random.normal(jax.random.fold_in(key, one), (), jnp.float32)

    flat = jnp.ravel(step)
    drawn = jax.vmap(draw)(flat) if flat.size else jnp.zeros((0,), jnp.float32)
    return as_float(drawn.reshape(step.shape))
