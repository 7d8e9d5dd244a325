"""From one value to another along a line or a power of it."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jopt._core.checks import LAST_STEP
from jopt._core.schedule import as_float, schedule
from jopt._core.types import Count, Steps, Value
from jopt.schedules import _ramps as ramps
from jopt.schedules._ramps import Exponent


def _end(arguments: Mapping[str, Any]) -> int:
    return arguments["transition_begin"] + arguments["transition_steps"]


@schedule(affine=True, horizon=_end)
def linear_schedule(
    init_value: Value,
    end_value: Value,
    transition_steps: Count,
    transition_begin: Steps = 0,
):
    """From one value to another along a straight line.

    At step t::

        x = clip((t - transition_begin) / transition_steps, 0, 1)
        value = (1 - x) * init_value + x * end_value

    Args:
        init_value: The value up to `transition_begin`.
        end_value: The value from `transition_begin + transition_steps` on.
        transition_steps: Length of the line in steps, at least 1.
        transition_begin: Step at which it begins.

    Returns:
        A schedule.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import linear_schedule
        >>> ramp = linear_schedule(1.0, 0.0, transition_steps=4)
        >>> ramp(jnp.array([0, 1, 4, 9]))
        Array([1.  , 0.75, 0.  , 0.  ], dtype=float32)
        >>> ramp
        linear_schedule(init_value=1.0, end_value=0.0, transition_steps=4)
    """

    def value(step):
        weights = ramps.ramp(step, transition_steps, transition_begin)
        return ramps.blend(init_value, end_value, weights)

    return value


def _drawn(arguments: Mapping[str, Any]) -> int:
    cycles = 3 if arguments["cycle"] else 1
    return arguments["transition_begin"] + cycles * arguments["transition_steps"]


@schedule(affine=True, horizon=_drawn)
def polynomial_schedule(
    init_value: Value,
    end_value: Value,
    power: Exponent,
    transition_steps: Count,
    transition_begin: Steps = 0,
    cycle: bool = False,
):
    """From one value to another along a power of a straight line.

    At step t::

        x = clip((t - transition_begin) / transition_steps, 0, 1)
        value = end_value + (init_value - end_value) * (1 - x)^power

    With `cycle` the curve starts again whenever it is over, each time lower, because
    it then leads from step 0 to the next multiple of `transition_steps`::

        s = max(t - transition_begin, 0)
        x = s / (transition_steps * max(ceil(s / transition_steps), 1))

    Args:
        init_value: The value up to `transition_begin`.
        end_value: The value from `transition_begin + transition_steps` on.
        power: Exponent, > 0. Above 1 it falls fast at first, below 1 at last.
        transition_steps: Length of the curve in steps, at least 1.
        transition_begin: Step at which it begins.
        cycle: Whether it starts again, as in Keras and TensorFlow.

    Returns:
        A schedule.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import polynomial_schedule
        >>> curve = polynomial_schedule(1.0, 0.0, power=2, transition_steps=4)
        >>> curve(jnp.array([0, 2, 4]))
        Array([1.  , 0.25, 0.  ], dtype=float32)
        >>> curve
        polynomial_schedule(init_value=1.0, end_value=0.0, power=2.0,
            transition_steps=4)
    """

    def value(step):
        weights = ramps.ramp(step, transition_steps, transition_begin)
        if cycle:
            weights = _again(ramps.since(step, transition_begin), transition_steps)
        return ramps.blend(init_value, end_value, ramps.power(weights, power))

    return value


def _again(done: jax.Array, steps: int) -> ramps.Weights:
    """The shares of the way to the next multiple of `steps`, done and left."""
    if steps > LAST_STEP:
        return ramps.ramp(done, steps)
    # the multiple may be past the last integer, so it is never formed as one
    _, after = ramps.cycle(jnp.maximum(done - 1, 0), steps)
    left = as_float(jnp.where(done == 0, steps, steps - 1 - after))
    whole = as_float(done) + left
    return as_float(done) / whole, left / whole
