"""Schedules given by a table of steps."""

from typing import Literal

from jopt._core.schedule import as_float, schedule
from jopt._core.types import Boundaries, Scales, Value, Values
from jopt.schedules import _ramps as ramps
from jopt.schedules._ramps import Interpolation


@schedule()
def piecewise_constant_schedule(
    init_value: Value, boundaries_and_scales: Scales = None
):
    """Multiply by a factor at each step of a table; hold the value in between.

    For values rather than factors see `interpolate_schedule`.

    Args:
        init_value: The value before the first step of the table.
        boundaries_and_scales: From step to the factor, >= 0, that applies from there
            on. The factors accumulate.

    Returns:
        A schedule.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import piecewise_constant_schedule
        >>> stairs = piecewise_constant_schedule(1.0, {10: 0.5, 20: 0.1})
        >>> stairs(jnp.array([9, 10, 20]))
        Array([1.  , 0.5 , 0.05], dtype=float32)
        >>> stairs
        piecewise_constant_schedule(init_value=1.0,
            boundaries_and_scales={10: 0.5, 20: 0.1})
    """
    scales = boundaries_and_scales or {}

    def value(step):
        values = _accumulated(init_value, scales.values())
        return ramps.through(step, (0, *scales), values, "constant")

    return value


@schedule()
def piecewise_interpolate_schedule(
    interpolate_type: Interpolation,
    init_value: Value,
    boundaries_and_scales: Scales = None,
):
    """Move from value to value along a table of steps and factors.

    The value is `init_value` at step 0, and at each step of the table the one before
    times the factor there. For values rather than factors see `interpolate_schedule`.

    Args:
        interpolate_type: `"linear"`, or `"cosine"` for half a cosine wave.
        init_value: The value at step 0.
        boundaries_and_scales: From step to the factor, >= 0, that is complete there.

    Returns:
        A schedule.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import piecewise_interpolate_schedule
        >>> line = piecewise_interpolate_schedule("linear", 1.0, {4: 0.5, 8: 0.0})
        >>> line(jnp.array([0, 2, 4, 6, 8]))
        Array([1.  , 0.75, 0.5 , 0.25, 0.  ], dtype=float32)
        >>> line
        piecewise_interpolate_schedule(interpolate_type='linear', init_value=1.0,
            boundaries_and_scales={4: 0.5, 8: 0.0})
    """
    scales = boundaries_and_scales or {}

    def value(step):
        values = _accumulated(init_value, scales.values())
        return ramps.through(step, (0, *scales), values, interpolate_type)

    return value


@schedule(affine=True)
def interpolate_schedule(
    boundaries: Boundaries,
    values: Values,
    interpolate_type: Literal["constant", "linear", "cosine"] = "linear",
):
    """The curve through given values at given steps.

    Before the first step it has the first value, after the last one the last.

    Args:
        boundaries: Steps; strictly increasing.
        values: The value at each of them.
        interpolate_type: `"linear"`, `"cosine"` for half cosine waves, or
            `"constant"` to hold each value until the next step of the table.

    Returns:
        A schedule.

    Raises:
        ValueError: If there are not as many values as boundaries.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import interpolate_schedule
        >>> curve = interpolate_schedule([0, 10, 20], [0.0, 1.0, 0.5])
        >>> curve(jnp.array([5, 10, 15, 99]))
        Array([0.5 , 1.  , 0.75, 0.5 ], dtype=float32)
        >>> curve
        interpolate_schedule(boundaries=(0, 10, 20), values=(0.0, 1.0, 0.5))
    """
    if len(boundaries) != len(values) or not boundaries:
        raise ValueError(
            f"`values` must hold one number for each of `boundaries`, at least one, "
            f"got {len(values)} for {len(boundaries)}."
        )
    return lambda step: ramps.through(step, boundaries, values, interpolate_type)


def _accumulated(init_value, scales):
    """The running product of the factors, beginning with `init_value`."""
    values = [as_float(init_value)]
    for scale in scales:
        values.append(values[-1] * as_float(scale))
    return tuple(values)
