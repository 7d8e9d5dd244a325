"""Decay with a power of the data seen, for runs whose length is not known."""

import jax.numpy as jnp

from jopt._core.schedule import as_float, schedule
from jopt._core.types import Count, Value
from jopt.schedules import _ramps as ramps
from jopt.schedules._ramps import Exponent, Factor


@schedule(horizon=lambda a: 1000)
def power_schedule(
    peak_value: Value,
    scale: Factor,
    tokens_per_step: Count = 1,
    exponent: Exponent = 0.51,
):
    """A peak, then decay with a power of the tokens (or examples) seen.

    At step t::

        value = min(peak_value, scale * (t * tokens_per_step)^-exponent)

    The paper's `min(lr_max, B a n^b)`: its scale is the batch size times a, its
    exponent is -b, and n counts tokens. Put a warm-up in front by `warmup`, a last
    decay behind by `cooldown`.

    Args:
        peak_value: The greatest value.
        scale: The value after one token, > 0, were it not for the peak.
        tokens_per_step: Tokens in a batch; 1 counts steps.
        exponent: The exponent, > 0.

    Returns:
        A schedule.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import power_schedule
        >>> rate = power_schedule(1.0, scale=10.0, exponent=0.5)
        >>> rate(jnp.array([0, 100, 400]))
        Array([1. , 1. , 0.5], dtype=float32)
        >>> rate
        power_schedule(peak_value=1.0, scale=10.0, exponent=0.5)

    Reference:
        Shen et al., "Power Scheduler: A Batch Size and Token Number Agnostic Learning
        Rate Scheduler", 2024, arXiv:2408.13359.
    """

    def value(step):
        tokens = as_float(jnp.maximum(step, 1)) * float(tokens_per_step)
        late = as_float(scale) * jnp.power(tokens, -as_float(exponent))
        peak = as_float(peak_value)
        return ramps.after(step, 1, peak, jnp.minimum(peak, late))

    return value
