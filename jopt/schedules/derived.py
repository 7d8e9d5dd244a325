"""Schedules made of others: by epochs, of whole numbers, as running products."""

import jax.numpy as jnp

from jopt._core import display
from jopt._core.checks import LAST_STEP
from jopt._core.schedule import as_float, schedule
from jopt._core.types import Count, InnerSchedule, Value
from jopt.schedules._ramps import Share

_LONGEST = 2**24


@schedule(
    affine=True,
    horizon=lambda a: a["steps_per_epoch"] * display.length(a["inner_schedule"].spec),
)
def epoch_schedule(inner_schedule: InnerSchedule, steps_per_epoch: Count):
    """A schedule of the epoch: it moves once in so many steps.

    `value = inner_schedule(t // steps_per_epoch)`, as if a scheduler of PyTorch were
    stepped after each epoch.

    Args:
        inner_schedule: A schedule that counts epochs.
        steps_per_epoch: Steps in which it moves once, at least 1.

    Returns:
        A schedule.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import epoch_schedule, linear_schedule
        >>> rate = epoch_schedule(linear_schedule(1.0, 0.0, 4), steps_per_epoch=100)
        >>> rate(jnp.array([0, 99, 100, 400]))
        Array([1.  , 1.  , 0.75, 0.  ], dtype=float32)
        >>> rate
        epoch_schedule(inner_schedule=linear_schedule(init_value=1.0, end_value=0.0,
            transition_steps=4), steps_per_epoch=100)
    """
    return lambda step: inner_schedule(step // min(steps_per_epoch, LAST_STEP))


@schedule(horizon=lambda a: display.length(a["inner_schedule"].spec))
def round_schedule(inner_schedule: InnerSchedule, multiple: Count = 1):
    """A schedule rounded to multiples of a whole number, such as a batch size.

    Take `int(value)` on the host: a batch size sets shapes. Below 2**24 the values are
    exact. One halfway between two multiples is rounded to the even one.

    Args:
        inner_schedule: The schedule.
        multiple: What the values are multiples of, at least 1.

    Returns:
        A schedule.

    Example:
        >>> from jopt import linear_schedule, round_schedule
        >>> batch_size = round_schedule(linear_schedule(32, 288, 1000), multiple=32)
        >>> [int(batch_size(step)) for step in (0, 100, 250, 1000)]
        [32, 64, 96, 288]
        >>> batch_size
        round_schedule(inner_schedule=linear_schedule(init_value=32.0,
            end_value=288.0, transition_steps=1000), multiple=32)
    """
    unit = float(multiple)
    return lambda step: jnp.round(inner_schedule(step) / unit) * unit


@schedule(horizon=lambda a: a["total_steps"])
def cumulative_schedule(init_value: Value, factors: InnerSchedule, total_steps: Count):
    """The running product of factors: each value is the last one times a factor.

    `value(0) = init_value` and `value(t) = value(t - 1) * factors(t)`: PyTorch's
    MultiplicativeLR. A product has no formula, so each call multiplies all
    `total_steps` factors; where the product is known, use that:
    `exponential_decay` for a constant factor, `piecewise_constant_schedule` for a few.

    Args:
        init_value: The value at step 0.
        factors: A schedule or a function of the step; it is asked from step 1 on.
        total_steps: Length in steps, at least 1, at most 2**24. The value is level
            afterwards.

    Returns:
        A schedule.

    Raises:
        ValueError: If `total_steps` is more than 2**24.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import cumulative_schedule
        >>> rate = cumulative_schedule(1.0, lambda t: jnp.where(t % 2, 0.5, 1.0), 100)
        >>> rate(jnp.array([0, 1, 3]))
        Array([1.  , 0.5 , 0.25], dtype=float32)
    """
    if total_steps > _LONGEST:
        raise ValueError(
            f"`total_steps` must be at most {_LONGEST}, got {total_steps}: every call "
            "multiplies that many factors. Write the product as a formula and use "
            "`jopt.from_callable`."
        )

    def value(step):
        each = factors(jnp.arange(1, total_steps + 1, dtype=jnp.int32))
        products = jnp.cumprod(as_float(each))
        at = jnp.clip(step - 1, 0, total_steps - 1)
        product = jnp.where(step > 0, products[at], 1.0)
        return as_float(init_value) * product

    return value


@schedule(horizon=lambda a: 1000)
def ema_decay_schedule(decay: Share, delay: Count = 10):
    """The decay rate of a moving average that is short at first.

    `value = min(decay, (1 + t) / (delay + t))`, so that early on the average forgets
    the first parameters.

    Args:
        decay: The decay rate that is reached, in [0, 1].
        delay: How slowly it is reached; 1 is at once.

    Returns:
        A schedule.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import ema_decay_schedule
        >>> decay = ema_decay_schedule(0.999)
        >>> decay(jnp.array([0, 8, 10_000]))
        Array([0.1  , 0.5  , 0.999], dtype=float32)
        >>> decay
        ema_decay_schedule(decay=0.999)
    """

    def value(step):
        early = (1.0 + as_float(step)) / (float(delay) + as_float(step))
        return jnp.minimum(as_float(decay), early)

    return value
