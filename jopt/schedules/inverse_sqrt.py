"""Inverse square root decay: for runs whose length is not known."""

import jax.numpy as jnp

from jopt._core.schedule import as_float, schedule
from jopt._core.types import Steps, Value
from jopt.schedules import _ramps as ramps


@schedule(
    horizon=lambda a: a["warmup_steps"] + 9 * (a["timescale"] or a["warmup_steps"])
)
def inverse_sqrt_schedule(
    init_value: Value, peak_value: Value, warmup_steps: Steps, timescale: Steps = 0
):
    """A linear warm-up, then decay with one over the square root of the step.

    With w = `warmup_steps` and s = `timescale`, at step t::

        t < w:  value = init_value + (peak_value - init_value) * t / w
        else:   value = peak_value * sqrt(s / (t - w + s))

    With s = w this is `peak_value * sqrt(w / t)`, the Transformer's schedule. It has
    no last step: stop it at any point, or end it by `.then(linear_schedule(...))`.

    Args:
        init_value: The value at step 0.
        peak_value: The value at step `warmup_steps`.
        warmup_steps: Length of the warm-up in steps; 0 is none.
        timescale: Steps after the peak in which the value falls to 0.71 of it. With 0
            it is `warmup_steps`.

    Returns:
        A schedule.

    Raises:
        ValueError: If `warmup_steps` and `timescale` are both 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import inverse_sqrt_schedule
        >>> rate = inverse_sqrt_schedule(0.0, 1.0, warmup_steps=100)
        >>> rate(jnp.array([50, 100, 400]))
        Array([0.5, 1. , 0.5], dtype=float32)
        >>> rate
        inverse_sqrt_schedule(init_value=0.0, peak_value=1.0, warmup_steps=100)

    Reference:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762,
        equation 3.
    """
    scale = timescale or warmup_steps
    if scale == 0:
        raise ValueError(
            "`timescale` must be at least 1 where `warmup_steps` is 0, got 0 for both. "
            "It is the number of steps after which the value has fallen to 0.71 of "
            "the peak."
        )

    def value(step):
        periods = as_float(ramps.since(step, warmup_steps)) / float(scale)
        late = as_float(peak_value) / jnp.sqrt(1.0 + periods)
        return ramps.warmed(step, init_value, late, warmup_steps, peak_value)

    return value
