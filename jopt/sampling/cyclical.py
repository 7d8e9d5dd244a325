"""The temperature of cyclical samplers: none while they explore."""

import jax.numpy as jnp

from jopt._core.schedule import as_float, schedule
from jopt._core.types import Count, Value
from jopt.schedules import _ramps as ramps
from jopt.schedules._ramps import Share


@schedule(horizon=lambda a: 3 * a["cycle_steps"])
def cyclical_temperature_schedule(
    cycle_steps: Count, exploration: Share, temperature: Value = 1.0
):
    """No noise in the first part of each cycle, then that of a sampler.

    The other half of cyclical stochastic gradient MCMC: the rate is that of
    `cosine_restarts_schedule(rate, cycle_steps)`. High rates without noise find a new
    mode, low ones with noise sample it: take the steps where it is not 0 as samples.
    In each cycle, x of the way through it::

        value = 0 if x < exploration else temperature

    Args:
        cycle_steps: Length of each cycle in steps, at least 1.
        exploration: Share of the cycle that is without noise, in [0, 1]. The authors'
            code has 0.9.
        temperature: The value in the rest of it.

    Returns:
        A schedule, for the `temperature` of a sampler.

    Example:
        >>> from jopt import cosine_restarts_schedule, cyclical_temperature_schedule
        >>> heat = cyclical_temperature_schedule(4, exploration=0.5)
        >>> heat(jnp.arange(6))
        Array([0., 0., 1., 1., 0., 0.], dtype=float32)
        >>> from jopt import sgld
        >>> tx = sgld(cosine_restarts_schedule(1e-3, 4), heat)

    Reference:
        Zhang et al., "Cyclical Stochastic Gradient MCMC for Bayesian Deep Learning",
        ICLR 2020, arXiv:1902.03932, Algorithm 1.
    """

    def value(step):
        _, at = ramps.cycle(step, cycle_steps)
        share = as_float(at) / float(cycle_steps)
        return jnp.where(share < as_float(exploration), 0.0, as_float(temperature))

    return value
