"""Warmup-stable-decay: a level rate that a cooldown ends."""

from typing import Literal

import jax.numpy as jnp

from jopt._core.schedule import schedule
from jopt._core.types import Count, Steps, Value
from jopt.schedules import _ramps as ramps


@schedule(affine=True)
def wsd_schedule(
    init_value: Value,
    peak_value: Value,
    warmup_steps: Steps,
    total_steps: Count,
    cooldown_steps: Steps,
    end_value: Value = 0.0,
    cooldown: Literal["linear", "cosine", "1-sqrt"] = "linear",
):
    """Warm-up, a level stretch, and a cooldown (warmup-stable-decay, trapezoidal).

    In the level stretch a run can be lengthened, or branched by several cooldowns.
    The cooldown takes the last `cooldown_steps`; x of the way through it::

        linear:  value = end_value + (peak_value - end_value) * (1 - x)
        cosine:  value = end_value + (peak_value - end_value) * (1 + cos(pi x)) / 2
        1-sqrt:  value = end_value + (peak_value - end_value) * (1 - sqrt(x))

    Args:
        init_value: The value at step 0.
        peak_value: The value of the level stretch.
        warmup_steps: Length of the warm-up in steps; 0 is none.
        total_steps: Length of the whole schedule in steps.
        cooldown_steps: Length of the cooldown in steps, 10 to 70% of the total; with
            0 the level stretch never ends.
        end_value: The value from step `total_steps` on.
        cooldown: The shape of the cooldown.

    Returns:
        A schedule.

    Raises:
        ValueError: If `warmup_steps` and `cooldown_steps` together are more than
            `total_steps`, or the warm-up alone fills it.

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
        Durations", NeurIPS 2024, arXiv:2405.18392, equation 1.
    """
    ramps.check_room("warmup_steps", warmup_steps, "total_steps", total_steps)
    if warmup_steps + cooldown_steps > total_steps:
        raise ValueError(
            "`warmup_steps` and `cooldown_steps` must fit in `total_steps`, got "
            f"{warmup_steps} + {cooldown_steps} > {total_steps}. Shorten one of them "
            "or lengthen `total_steps`."
        )

    def value(step):
        late = peak_value
        if cooldown_steps:
            begin = total_steps - cooldown_steps
            weights = _shaped(cooldown, ramps.ramp(step, cooldown_steps, begin))
            late = ramps.blend(peak_value, end_value, weights)
        return ramps.warmed(step, init_value, late, warmup_steps, peak_value)

    return value


def _shaped(cooldown: str, weights: ramps.Weights) -> ramps.Weights:
    done, left = weights
    if cooldown == "cosine":
        return ramps.bend(weights)
    if cooldown == "1-sqrt":
        root = jnp.sqrt(done)
        return root, left / (1.0 + root)  # 1 - sqrt(x), without cancellation near 1
    return weights
