"""Warm-up: alone, in front of a decay, or in front of any schedule."""

from typing import Literal

from jopt._core.schedule import Schedule, schedule
from jopt._core.types import Count, InnerSchedule, Steps, Value
from jopt.schedules import _ramps as ramps
from jopt.schedules._ramps import Exponent, Factor, Limit
from jopt.schedules.exponential import exponential_decay


@schedule(affine=lambda a: a["kind"] != "exponential")
def warmup(
    inner_schedule: InnerSchedule,
    steps: Count,
    init_value: Value = 0.0,
    kind: Literal["linear", "cosine", "polynomial", "exponential"] = "linear",
    power: Exponent = 2.0,
):
    """Any schedule with a warm-up in front.

    It rises from `init_value` to the schedule's first value; from step `steps` on the
    schedule follows, counted from 0. With v that first value and x = t / `steps`::

        linear:       value = init_value + (v - init_value) * x
        cosine:       value = init_value + (v - init_value) * (1 - cos(pi x)) / 2
        polynomial:   value = init_value + (v - init_value) * x^power
        exponential:  value = init_value^(1 - x) * v^x

    Args:
        inner_schedule: The schedule, or a number.
        steps: Length of the warm-up in steps, at least 1.
        init_value: The value at step 0. For `"exponential"` above 0.
        kind: The shape of the warm-up.
        power: Exponent of the polynomial, > 0; of no effect otherwise.

    Returns:
        A schedule.

    Raises:
        ValueError: If `init_value` is not above 0 and the kind is exponential.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import warmup, step_decay
        >>> both = warmup(step_decay(1.0, step_size=10, gamma=0.5), steps=4)
        >>> both(jnp.array([0, 1, 4, 14]))
        Array([0.  , 0.25, 1.  , 0.5 ], dtype=float32)
        >>> both
        warmup(inner_schedule=step_decay(init_value=1.0, step_size=10, gamma=0.5),
            steps=4)
    """
    ramps.check_positive(kind, "init_value", init_value)

    def value(step):
        # in the warm-up no step of the schedule has passed: this is its first value
        late = inner_schedule(ramps.since(step, steps))
        done, left = ramps.ramp(step, steps)
        if kind == "polynomial":
            left, done = ramps.power((left, done), power)
        return ramps.between(kind, init_value, late, (done, left))

    return value


@schedule(affine=True)
def warmup_constant_schedule(init_value: Value, peak_value: Value, warmup_steps: Steps):
    """A linear warm-up to a value that stays.

    Args:
        init_value: The value at step 0.
        peak_value: The value from step `warmup_steps` on.
        warmup_steps: Length of the warm-up in steps. With 0 the value is
            `peak_value` from the first step; in optax it is `init_value` for ever.

    Returns:
        A schedule.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import warmup_constant_schedule
        >>> ramp = warmup_constant_schedule(0.0, 1.0, warmup_steps=4)
        >>> ramp(jnp.array([0, 1, 4, 9]))
        Array([0.  , 0.25, 1.  , 1.  ], dtype=float32)
        >>> ramp
        warmup_constant_schedule(init_value=0.0, peak_value=1.0, warmup_steps=4)
    """

    def value(step):
        return ramps.warmed(step, init_value, peak_value, warmup_steps, peak_value)

    return value


@schedule(affine=True)
def warmup_cosine_decay_schedule(
    init_value: Value,
    peak_value: Value,
    warmup_steps: Steps,
    decay_steps: Count,
    end_value: Value = 0.0,
    exponent: Exponent = 1.0,
):
    """A linear warm-up, then decay along half a cosine wave.

    With w = `warmup_steps` and T = `decay_steps`, at step t::

        t < w:  value = init_value + (peak_value - init_value) * t / w
        else:   x = min((t - w) / (T - w), 1)
                value = end_value
                    + (peak_value - end_value) * ((1 + cos(pi x)) / 2)^exponent

    Args:
        init_value: The value at step 0.
        peak_value: The value at step `warmup_steps`.
        warmup_steps: Length of the warm-up in steps; 0 is none.
        decay_steps: Length of the whole schedule in steps, warm-up included.
        end_value: The value from step `decay_steps` on.
        exponent: Exponent of the wave, > 0.

    Returns:
        A schedule.

    Raises:
        ValueError: If `warmup_steps` is not less than `decay_steps`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import warmup_cosine_decay_schedule
        >>> rate = warmup_cosine_decay_schedule(0.0, 1.0, 10, decay_steps=110)
        >>> rate(jnp.array([0, 5, 10, 60, 110])).round(4)
        Array([0. , 0.5, 1. , 0.5, 0. ], dtype=float32)
        >>> rate
        warmup_cosine_decay_schedule(init_value=0.0, peak_value=1.0, warmup_steps=10,
            decay_steps=110)

    Reference:
        Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
        ICLR 2017, arXiv:1608.03983, equation 5.
    """
    ramps.check_room("warmup_steps", warmup_steps, "decay_steps", decay_steps)

    def value(step):
        wave = ramps.bend(ramps.ramp(step, decay_steps - warmup_steps, warmup_steps))
        late = ramps.blend(peak_value, end_value, ramps.power(wave, exponent))
        return ramps.warmed(step, init_value, late, warmup_steps, peak_value)

    return value


@schedule(
    horizon=lambda a: (
        a["warmup_steps"] + a["transition_begin"] + 5 * a["transition_steps"]
    )
)
def warmup_exponential_decay_schedule(
    init_value: Value,
    peak_value: Value,
    warmup_steps: Steps,
    transition_steps: Count,
    decay_rate: Factor,
    transition_begin: Steps = 0,
    staircase: bool = False,
    end_value: Limit = None,
):
    """A linear warm-up, then exponential decay: see `exponential_decay`.

    Args:
        init_value: The value at step 0.
        peak_value: The value at step `warmup_steps`.
        warmup_steps: Length of the warm-up in steps; 0 is none.
        transition_steps: Steps in which the value is multiplied by `decay_rate` once.
        decay_rate: The factor, > 0.
        transition_begin: Steps from the end of the warm-up to the start of the decay.
        staircase: Whether to move only at multiples of `transition_steps`.
        end_value: Where the decay stops. Default: nowhere.

    Returns:
        A schedule.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import warmup_exponential_decay_schedule
        >>> rate = warmup_exponential_decay_schedule(0.0, 1.0, 4, 10, 0.5)
        >>> rate(jnp.array([0, 4, 14]))
        Array([0. , 1. , 0.5], dtype=float32)
        >>> rate
        warmup_exponential_decay_schedule(init_value=0.0, peak_value=1.0,
            warmup_steps=4, transition_steps=10, decay_rate=0.5)
    """
    decay: Schedule = exponential_decay(
        peak_value, transition_steps, decay_rate, transition_begin, staircase, end_value
    )

    def value(step):
        late = decay(ramps.since(step, warmup_steps))
        return ramps.warmed(step, init_value, late, warmup_steps, peak_value)

    return value
