"""Cyclic learning rates: up and down a triangle, again and again."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jopt._core.checks import LAST_STEP
from jopt._core.schedule import as_float, schedule
from jopt._core.types import Bounds, Count, Hyper, Value
from jopt.schedules import _ramps as ramps

_Shrink = Annotated[ArrayLike, Hyper(low=0.0, high=1.0, above=True)]
_Down = Annotated[int | None, Bounds(1, optional=True)]


def _three(arguments: Mapping[str, Any]) -> int:
    up, down = arguments["up_steps"], arguments["down_steps"]
    return 3 * (up + (down or up))


@schedule(affine=True, horizon=_three)
def cyclic_schedule(
    init_value: Value,
    peak_value: Value,
    up_steps: Count = 2000,
    down_steps: _Down = None,
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
    gamma: _Shrink = 1.0,
):
    """Rise to a peak and fall back along straight lines, again and again.

    With x the height in the triangle, from 0 to 1, in cycle i (from 0) at step t::

        triangular:   value = init_value + (peak_value - init_value) * x
        triangular2:  value = init_value + (peak_value - init_value) * x / 2^i
        exp_range:    value = init_value + (peak_value - init_value) * x * gamma^t

    PyTorch's CyclicLR. Its cycle of the momentum is a second schedule, which begins
    high: `cyclic_schedule(0.9, 0.8, ...)`. For another scale of the cycles multiply:
    `init + (peak - init) * cyclic_schedule(0.0, 1.0, ...) * scale`.

    Args:
        init_value: The value at the ends of each cycle.
        peak_value: The value at the tip of the first cycle. It may be the lower one.
        up_steps: Steps from the start of a cycle to its tip, at least 1.
        down_steps: Steps from there to the end. Default: `up_steps`.
        mode: Whether the tips stay, are halved in each cycle, or shrink in each step.
        gamma: What they shrink by in each step in the mode `"exp_range"`, in (0, 1].

    Returns:
        A schedule.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import cyclic_schedule
        >>> cycles = cyclic_schedule(0.0, 1.0, 4, 2, mode="triangular2")
        >>> cycles(jnp.array([0, 2, 4, 5, 6, 10]))
        Array([0. , 0.5, 1. , 0.5, 0. , 0.5], dtype=float32)
        >>> cycles
        cyclic_schedule(init_value=0.0, peak_value=1.0, up_steps=4, down_steps=2,
            mode='triangular2')

    Reference:
        Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017,
        arXiv:1506.01186.
    """
    down = up_steps if down_steps is None else down_steps

    def value(step):
        cycle, height = _height(step, up_steps, down)
        if mode == "triangular2":
            height = height * jnp.exp2(-as_float(cycle))
        elif mode == "exp_range":
            height = height * jnp.power(as_float(gamma), as_float(step))
        return ramps.blend(init_value, peak_value, (height, 1.0 - height))

    return value


def _height(step: jax.Array, up: int, down: int) -> tuple[jax.Array, jax.Array]:
    """The number of the cycle, and the height in its triangle."""
    cycle, at = ramps.cycle(step, up + down)
    rising, _ = ramps.ramp(at, up)
    _, falling = ramps.ramp(at, down, up)
    return cycle, jnp.where(at < min(up, LAST_STEP), rising, falling)
