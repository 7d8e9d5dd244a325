"""Warmup-stable-decay, and a cooldown of any schedule."""

import jax.numpy as jnp

from jopt._core.checks import LAST_STEP
from jopt._core.schedule import schedule
from jopt._core.types import Count, InnerSchedule, Steps, Value
from jopt.schedules import _ramps as ramps
from jopt.schedules._ramps import Cooldown


@schedule(affine=lambda a: a["cooldown"] != "exponential")
def wsd_schedule(
    init_value: Value,
    peak_value: Value,
    warmup_steps: Steps,
    total_steps: Count,
    cooldown_steps: Steps,
    end_value: Value = 0.0,
    cooldown: Cooldown = "linear",
):
    """Warm-up, a level stretch, and a cooldown (warmup-stable-decay, trapezoidal).

    In the level stretch a run can be lengthened, or branched by several cooldowns.
    The cooldown takes the last `cooldown_steps`; x of the way through it the value is
    `end_value + (peak_value - end_value) * f(x)`, with f::

        linear:         1 - x
        cosine:         (1 + cos(pi x)) / 2
        1-sqrt:         1 - sqrt(x)
        square:         1 - x^2
        mirror-cosine:  2 (1 - x) - (1 + cos(pi x)) / 2
        rex:            (1 - x) / (1 - x / 2)
        exponential:    no f; value = peak_value^(1 - x) * end_value^x

    With `cooldown_steps = total_steps - warmup_steps` it is a warm-up and a decay to
    the end without a level stretch; linear and to 0, D2Z. For a cooldown of another
    schedule, or of a run that was meant to go on, see `cooldown`.

    Args:
        init_value: The value at step 0.
        peak_value: The value of the level stretch.
        warmup_steps: Length of the warm-up in steps; 0 is none.
        total_steps: Length of the whole schedule in steps.
        cooldown_steps: Length of the cooldown in steps, 10 to 70% of the total; with
            0 the level stretch never ends.
        end_value: The value from step `total_steps` on. For `"exponential"` above 0.
        cooldown: The shape of the cooldown.

    Returns:
        A schedule.

    Raises:
        ValueError: If `warmup_steps` and `cooldown_steps` together are more than
            `total_steps`, or the warm-up alone fills it; or if `end_value` is not
            above 0 and the cooldown exponential.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import wsd_schedule
        >>> rate = wsd_schedule(0.0, 1.0, 10, total_steps=100, cooldown_steps=40)
        >>> rate(jnp.array([0, 10, 60, 80, 100]))
        Array([0. , 1. , 1. , 0.5, 0. ], dtype=float32)
        >>> rate
        wsd_schedule(init_value=0.0, peak_value=1.0, warmup_steps=10,
            total_steps=100, cooldown_steps=40)

    Reference:
        Hu et al., "MiniCPM: Unveiling the Potential of Small Language Models with
        Scalable Training Strategies", 2024, arXiv:2404.06395, section 4.

        Hagele et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed Training
        Durations", NeurIPS 2024, arXiv:2405.18392, equation 1 and appendix.

        Bergsma et al., "Straight to Zero: Why Linearly Decaying the Learning Rate to
        Zero Works Best for LLMs", ICLR 2025, arXiv:2502.15938.
    """
    ramps.check_room("warmup_steps", warmup_steps, "total_steps", total_steps)
    if warmup_steps + cooldown_steps > total_steps:
        raise ValueError(
            "`warmup_steps` and `cooldown_steps` must fit in `total_steps`, got "
            f"{warmup_steps} + {cooldown_steps} > {total_steps}. Shorten one of them "
            "or lengthen `total_steps`."
        )

    if cooldown_steps:
        ramps.check_positive(cooldown, "end_value", end_value)

    def value(step):
        late = peak_value
        if cooldown_steps:
            weights = ramps.ramp(step, cooldown_steps, total_steps - cooldown_steps)
            late = ramps.between(cooldown, peak_value, end_value, weights)
        return ramps.warmed(step, init_value, late, warmup_steps, peak_value)

    return value


@schedule(
    affine=lambda a: a["shape"] != "exponential",
    horizon=lambda a: a["at"] + a["steps"],
)
def cooldown(
    inner_schedule: InnerSchedule,
    at: Steps,
    steps: Count,
    end_value: Value = 0.0,
    shape: Cooldown = "linear",
):
    """Any schedule up to a step, and from there a cooldown of what it has reached.

    So a run that was meant to go on is ended, or several cooldowns are branched from
    its checkpoints: rebuild the optimizer with the schedule cooled down and go on from
    the saved state. The counters go on, and `at` counts from the start of the run.

    Args:
        inner_schedule: The schedule, or a number.
        at: The last step of the schedule itself.
        steps: Length of the cooldown in steps, at least 1.
        end_value: The value from step `at + steps` on.
        shape: The shape of the cooldown: see `wsd_schedule`. `"exponential"` takes a
            schedule and an end that are above 0.

    Returns:
        A schedule.

    Raises:
        ValueError: If `end_value` is not above 0 and the shape is exponential.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import cooldown, inverse_sqrt_schedule
        >>> run = inverse_sqrt_schedule(0.0, 1.0, warmup_steps=100)
        >>> ended = cooldown(run, at=400, steps=50)
        >>> ended(jnp.array([100, 400, 425, 450]))
        Array([1.  , 0.5 , 0.25, 0.  ], dtype=float32)
        >>> ended
        cooldown(inner_schedule=inverse_sqrt_schedule(init_value=0.0, peak_value=1.0,
            warmup_steps=100), at=400, steps=50)

    Reference:
        Hagele et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed Training
        Durations", NeurIPS 2024, arXiv:2405.18392, section 4.
    """
    ramps.check_positive(shape, "end_value", end_value)

    def value(step):
        reached = inner_schedule(jnp.minimum(step, min(at, LAST_STEP)))
        return ramps.between(shape, reached, end_value, ramps.ramp(step, steps, at))

    return value
