"""Decay by a factor, smoothly or at some steps, or with one over the step."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jopt._core.checks import LAST_STEP
from jopt._core.schedule import as_float, schedule
from jopt._core.types import Boundaries, Count, Steps, Value
from jopt.schedules import _ramps as ramps
from jopt.schedules._ramps import Factor, Limit, Ratio


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
        times = _times(step, transition_steps, transition_begin, staircase)
        out = _decayed(init_value, decay_rate, times)
        if end_value is None:
            return out
        end = as_float(end_value)
        falls = (as_float(decay_rate) < 1.0) == (as_float(init_value) >= 0.0)
        return jnp.where(falls, jnp.maximum(out, end), jnp.minimum(out, end))

    return value


@schedule(horizon=lambda a: a["transition_begin"] + 5 * a["transition_steps"])
def natural_exp_decay(
    init_value: Value,
    transition_steps: Count,
    decay_rate: Ratio,
    transition_begin: Steps = 0,
    staircase: bool = False,
):
    """Decay by a power of e: `exponential_decay` with the factor exp(-decay_rate).

    At step t::

        x = max(t - transition_begin, 0) / transition_steps
        value = init_value * exp(-decay_rate * x)        (floor(x) with staircase)

    Args:
        init_value: The value up to `transition_begin`.
        transition_steps: The unit that steps are counted in.
        decay_rate: The rate, >= 0.
        transition_begin: Step at which the decay begins.
        staircase: Whether to move only at multiples of `transition_steps`.

    Returns:
        A schedule.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import natural_exp_decay
        >>> decay = natural_exp_decay(1.0, 10, decay_rate=0.7)
        >>> bool(jnp.allclose(decay(20), jnp.exp(-1.4)))
        True
        >>> decay
        natural_exp_decay(init_value=1.0, transition_steps=10, decay_rate=0.7)
    """

    def value(step):
        times = _times(step, transition_steps, transition_begin, staircase)
        return as_float(init_value) * jnp.exp(-as_float(decay_rate) * times)

    return value


@schedule(horizon=lambda a: a["transition_begin"] + 5 * a["transition_steps"])
def inverse_time_decay(
    init_value: Value,
    transition_steps: Count,
    decay_rate: Ratio,
    transition_begin: Steps = 0,
    staircase: bool = False,
):
    """Decay with one over the step.

    At step t::

        x = max(t - transition_begin, 0) / transition_steps
        value = init_value / (1 + decay_rate * x)        (floor(x) with staircase)

    Args:
        init_value: The value up to `transition_begin`.
        transition_steps: The unit that steps are counted in.
        decay_rate: The rate, >= 0: with 1 the value is halved after one unit.
        transition_begin: Step at which the decay begins.
        staircase: Whether to move only at multiples of `transition_steps`.

    Returns:
        A schedule.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import inverse_time_decay
        >>> decay = inverse_time_decay(1.0, 10, decay_rate=1.0)
        >>> decay(jnp.array([0, 10, 30]))
        Array([1.  , 0.5 , 0.25], dtype=float32)
        >>> decay
        inverse_time_decay(init_value=1.0, transition_steps=10, decay_rate=1.0)

    Reference:
        Robbins and Monro, "A Stochastic Approximation Method", Annals of Mathematical
        Statistics 1951.
    """

    def value(step):
        times = _times(step, transition_steps, transition_begin, staircase)
        return as_float(init_value) / (1.0 + as_float(decay_rate) * times)

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


def _times(step: jax.Array, unit: int, begin: int, staircase: bool) -> jax.Array:
    """Steps since `begin` in units, whole ones only with `staircase`."""
    done = ramps.since(step, begin)
    if staircase:
        return as_float(done // min(unit, LAST_STEP))
    return as_float(done) / float(unit)
