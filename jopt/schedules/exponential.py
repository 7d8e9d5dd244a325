"""Decay by a constant factor: smoothly, in equal steps, or at chosen steps."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jopt._core.checks import LAST_STEP
from jopt._core.schedule import as_float, schedule
from jopt._core.types import Boundaries, Count, Steps, Value
from jopt.schedules import _ramps as ramps
from jopt.schedules._ramps import Factor, Limit


@schedule(horizon=lambda a: a["transition_begin"] + 5 * a["transition_steps"])
def exponential_decay(
    init_value: Value,
    transition_steps: Count,
    decay_rate: Factor,
    transition_begin: Steps = 0,
    staircase: bool = False,
    end_value: Limit = None,
):
    """Decay by a factor in every so many steps.

    At step t::

        x = max(t - transition_begin, 0) / transition_steps
        value = init_value * decay_rate^x        (floor(x) with staircase)

    Args:
        init_value: The value up to `transition_begin`.
        transition_steps: Steps in which the value is multiplied by `decay_rate` once.
        decay_rate: The factor, > 0. Above 1 the value grows, up to the largest
            finite number.
        transition_begin: Step at which the decay begins.
        staircase: Whether to move only at multiples of `transition_steps`.
        end_value: Where the decay stops. Default: nowhere.

    Returns:
        A schedule.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import exponential_decay
        >>> decay = exponential_decay(1.0, 10, 0.5)
        >>> decay(jnp.array([0, 10, 20]))
        Array([1.  , 0.5 , 0.25], dtype=float32)
        >>> decay
        exponential_decay(init_value=1.0, transition_steps=10, decay_rate=0.5)
    """

    def value(step):
        done = ramps.since(step, transition_begin)
        if staircase:
            times = as_float(done // min(transition_steps, LAST_STEP))
        else:
            times = as_float(done) / float(transition_steps)
        out = _decayed(init_value, decay_rate, times)
        if end_value is None:
            return out
        end = as_float(end_value)
        falls = (as_float(decay_rate) < 1.0) == (as_float(init_value) >= 0.0)
        return jnp.where(falls, jnp.maximum(out, end), jnp.minimum(out, end))

    return value


@schedule(horizon=lambda a: 5 * a["step_size"])
def step_decay(init_value: Value, step_size: Count, gamma: Factor = 0.1):
    """Multiply by a factor every `step_size` steps.

    PyTorch's StepLR: `value = init_value * gamma^floor(t / step_size)`.

    Args:
        init_value: The value in the first `step_size` steps.
        step_size: Steps from one drop to the next.
        gamma: The factor, > 0.

    Returns:
        A schedule.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import step_decay
        >>> decay = step_decay(1.0, step_size=30, gamma=0.5)
        >>> decay(jnp.array([29, 30, 60]))
        Array([1.  , 0.5 , 0.25], dtype=float32)
        >>> decay
        step_decay(init_value=1.0, step_size=30, gamma=0.5)
    """

    def value(step):
        drops = as_float(step // min(step_size, LAST_STEP))
        return _decayed(init_value, gamma, drops)

    return value


@schedule()
def multistep_decay(init_value: Value, milestones: Boundaries, gamma: Factor = 0.1):
    """Multiply by a factor at each of a few chosen steps.

    PyTorch's MultiStepLR: `value = init_value * gamma^(milestones reached by t)`.
    For a factor of its own at each step see `piecewise_constant_schedule`.

    Args:
        init_value: The value before the first milestone.
        milestones: Steps at which the value drops; strictly increasing.
        gamma: The factor, > 0.

    Returns:
        A schedule.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import multistep_decay
        >>> decay = multistep_decay(1.0, milestones=[30, 80], gamma=0.5)
        >>> decay(jnp.array([29, 30, 80]))
        Array([1.  , 0.5 , 0.25], dtype=float32)
        >>> decay
        multistep_decay(init_value=1.0, milestones=(30, 80), gamma=0.5)
    """

    def value(step):
        drops = jnp.zeros(step.shape, jnp.int32)
        for milestone in milestones:
            drops += (step >= milestone).astype(jnp.int32)
        return _decayed(init_value, gamma, as_float(drops))

    return value


def _decayed(init_value: ArrayLike, rate: ArrayLike, times: jax.Array) -> Any:
    """`init_value * rate^times`, held at the largest finite number."""
    largest = float(jnp.finfo(times.dtype).max)
    factor = jnp.minimum(jnp.power(as_float(rate), times), largest)
    return jnp.clip(as_float(init_value) * factor, -largest, largest)
