"""One-cycle policies: up from a low value, down to a much lower one."""

from collections.abc import Callable

import jax

from jopt._core.schedule import as_float, schedule
from jopt._core.types import Count, Value
from jopt.schedules import _ramps as ramps
from jopt.schedules._ramps import Factor


@schedule()
def cosine_onecycle_schedule(
    transition_steps: Count,
    peak_value: Value,
    pct_start: float = 0.3,
    div_factor: Factor = 25.0,
    final_div_factor: Factor = 1e4,
):
    """Rise to a peak, then fall far below the start, along half cosine waves.

    The value is `peak_value / div_factor` at step 0, `peak_value` at step
    `int(pct_start * transition_steps)`, and `peak_value / div_factor /
    final_div_factor` from step `transition_steps` on.

    Differs from PyTorch's OneCycleLR in: there the peak is at `pct_start *
    total_steps - 1`, and the last value at `total_steps - 1`.

    Args:
        transition_steps: Length of the cycle in steps, at least 1.
        peak_value: The greatest value.
        pct_start: Share of the steps that rise, in [0, 1).
        div_factor: The peak divided by the first value.
        final_div_factor: The first value divided by the last.

    Returns:
        A schedule.

    Raises:
        ValueError: If `pct_start` is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import cosine_onecycle_schedule
        >>> cycle = cosine_onecycle_schedule(100, peak_value=1.0)
        >>> cycle(jnp.array([0, 30, 65])).round(4)
        Array([0.04, 1.  , 0.5 ], dtype=float32)
        >>> cycle
        cosine_onecycle_schedule(transition_steps=100, peak_value=1.0)

    Reference:
        Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks
        Using Large Learning Rates", 2017, arXiv:1708.07120.
    """
    ramps.check_share("pct_start", pct_start, 0.0, 1.0)
    top = int(pct_start * transition_steps)
    if top == transition_steps:
        raise ValueError(
            f"`pct_start` must be less than 1, got {pct_start!r}: no step is left of "
            f"`transition_steps` ({transition_steps}) to fall in."
        )

    def value(step):
        peak = as_float(peak_value)
        first = peak / as_float(div_factor)
        last = first / as_float(final_div_factor)
        return _curve(step, (0, top, transition_steps), (first, peak, last), ramps.bend)

    return value


@schedule()
def linear_onecycle_schedule(
    transition_steps: Count,
    peak_value: Value,
    pct_start: float = 0.3,
    pct_final: float = 0.85,
    div_factor: Factor = 25.0,
    final_div_factor: Factor = 1e4,
):
    """Rise to a peak, fall to the start, then far below it, along straight lines.

    The value is `peak_value / div_factor` at step 0, `peak_value` at step
    `int(pct_start * transition_steps)`, the first value again at step
    `int(pct_final * transition_steps)`, and `peak_value / div_factor /
    final_div_factor` from step `transition_steps` on.

    Args:
        transition_steps: Length of the cycle in steps, at least 1.
        peak_value: The greatest value.
        pct_start: Share of the steps that rise, in [0, 1].
        pct_final: Share of the steps after which the start is reached again, from
            `pct_start` to 1.
        div_factor: The peak divided by the first value.
        final_div_factor: The first value divided by the last.

    Returns:
        A schedule.

    Raises:
        ValueError: If `pct_start` or `pct_final` is out of range, or their order is
            wrong.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import linear_onecycle_schedule
        >>> cycle = linear_onecycle_schedule(100, peak_value=1.0)
        >>> cycle(jnp.array([0, 30, 85]))
        Array([0.04, 1.  , 0.04], dtype=float32)
        >>> cycle
        linear_onecycle_schedule(transition_steps=100, peak_value=1.0)

    Reference:
        Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks
        Using Large Learning Rates", 2017, arXiv:1708.07120.
    """
    ramps.check_share("pct_start", pct_start, 0.0, 1.0)
    ramps.check_share("pct_final", pct_final, 0.0, 1.0)
    if pct_start > pct_final:
        raise ValueError(
            "`pct_start` must be at most `pct_final`, got "
            f"{pct_start!r} and {pct_final!r}."
        )
    top, low = int(pct_start * transition_steps), int(pct_final * transition_steps)

    def value(step):
        peak = as_float(peak_value)
        first = peak / as_float(div_factor)
        last = first / as_float(final_div_factor)
        corners = (0, top, low, transition_steps)
        return _curve(step, corners, (first, peak, first, last), lambda x: x)

    return value


def _curve(
    step: jax.Array,
    corners: tuple[int, ...],
    values: tuple[jax.Array, ...],
    shape: Callable[[ramps.Weights], ramps.Weights],
) -> jax.Array:
    """From value to value; a stretch of no steps is skipped."""
    out = values[0]
    for i in range(1, len(corners)):
        begin, end = corners[i - 1], corners[i]
        late = values[i]
        if end > begin:
            weights = ramps.ramp(step, end - begin, begin)
            late = ramps.blend(values[i - 1], values[i], shape(weights))
        out = ramps.after(step, begin, out, late)
    return out
