"""One-cycle policies: up from a low value, down to a much lower one."""

import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jopt._core.checks import LAST_STEP
from jopt._core.schedule import as_float, schedule
from jopt._core.types import Count, Value
from jopt.schedules import _ramps as ramps
from jopt.schedules._ramps import Factor, Interpolation


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
    total_steps - 1`, and the last value at `total_steps - 1`; that is
    `onecycle_schedule`.

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


@schedule(affine=True)
def onecycle_schedule(
    init_value: Value,
    peak_value: Value,
    end_value: Value,
    total_steps: Count,
    pct_start: float = 0.3,
    anneal: Interpolation = "cosine",
    three_phase: bool = False,
):
    """Rise to a peak, then fall to an end: PyTorch's OneCycleLR to the letter.

    The peak lies at step p = `pct_start * total_steps - 1`, which need not be whole,
    and the end at step `total_steps - 1`. With `three_phase` the value falls to
    `init_value` up to step 2 p, and then to the end.

    A rate of PyTorch begins at `max_lr / 25` and ends at 1e-4 of that. Its cycle of
    the momentum is a second schedule: `onecycle_schedule(0.95, 0.85, 0.95, ...)`.

    Args:
        init_value: The value at step 0.
        peak_value: The value at the peak, which may be the lowest.
        end_value: The value from step `total_steps - 1` on.
        total_steps: Length of the cycle in steps, at least 1.
        pct_start: Share of the steps that lead to the peak.
        anneal: `"cosine"` for half cosine waves, `"linear"` for straight lines.
        three_phase: Whether the value passes `init_value` on its way down.

    Returns:
        A schedule.

    Raises:
        ValueError: If a stretch is left without a step: where `pct_start *
            total_steps` is not above 1, or `pct_start` is 1, or above about 0.5 in
            three phases.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import onecycle_schedule
        >>> momentum = onecycle_schedule(0.9, 0.8, 0.9, total_steps=100)
        >>> momentum(jnp.array([0, 29, 99]))
        Array([0.9, 0.8, 0.9], dtype=float32)
        >>> momentum
        onecycle_schedule(init_value=0.9, peak_value=0.8, end_value=0.9,
            total_steps=100)

    Reference:
        Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks
        Using Large Learning Rates", 2017, arXiv:1708.07120.
    """
    ramps.check_share("pct_start", pct_start, 0.0, 1.0)
    top, last = pct_start * total_steps - 1.0, total_steps - 1.0
    corners = (0.0, top, 2.0 * top, last) if three_phase else (0.0, top, last)
    if any(end <= begin for begin, end in itertools.pairwise(corners)):
        raise ValueError(
            f"`pct_start` {pct_start!r} of `total_steps` {total_steps} puts the peak "
            f"at step {top:g}: it must lie between step 0 and "
            f"{'half of ' if three_phase else ''}the last step, {last:g}."
        )
    shape = "cosine" if anneal == "cosine" else "linear"

    def value(step):
        first, peak, end = map(as_float, (init_value, peak_value, end_value))
        values = (first, peak, first, end) if three_phase else (first, peak, end)
        out = jnp.broadcast_to(first, step.shape)
        for i, (begin, finish) in enumerate(itertools.pairwise(corners)):
            weights = _between_fractions(step, begin, finish)
            late = ramps.between(shape, values[i], values[i + 1], weights)
            out = jnp.where(step > math.floor(begin), late, out)
        return out

    return value


def _between_fractions(step: jax.Array, begin: float, end: float) -> ramps.Weights:
    """A ramp between two steps that need not be whole."""
    first, last = math.floor(begin), math.ceil(end)
    if last > LAST_STEP:
        done, left = as_float(step) - begin, end - as_float(step)
    else:
        done = as_float(step - first) - (begin - first)
        left = as_float(last - step) - (last - end)
    share = jnp.clip(done / (end - begin), 0.0, 1.0)
    rest = jnp.clip(left / (end - begin), 0.0, 1.0)
    return jnp.where(left <= 0.0, 1.0, share), jnp.where(done <= 0.0, 1.0, rest)


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
