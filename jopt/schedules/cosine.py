"""Cosine decay, alone and with warm restarts."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jopt._core.checks import LAST_STEP
from jopt._core.schedule import as_float, join_schedules, Schedule, schedule
from jopt._core.types import Count, Value
from jopt.schedules import _ramps as ramps
from jopt.schedules._ramps import Exponent, Ratio, Share
from jopt.schedules.warmups import warmup_cosine_decay_schedule

__all__ = [
    "cosine_decay_schedule",
    "cosine_restarts_schedule",
    "sgdr_schedule",
]


@schedule(horizon=lambda a: a["decay_steps"] * (3 if a["rises"] else 1))
def cosine_decay_schedule(
    init_value: Value,
    decay_steps: Count,
    alpha: Ratio = 0.0,
    exponent: Exponent = 1.0,
    rises: bool = False,
):
    """Decay along half a cosine wave.

    At step t::

        x = min(t / decay_steps, 1)
        value = init_value * (alpha + (1 - alpha) * ((1 + cos(pi x)) / 2)^exponent)

    Args:
        init_value: The value at step 0.
        decay_steps: Length of the decay in steps, at least 1. The value is level
            afterwards, as in optax and Keras.
        alpha: The last value as a share of `init_value`, >= 0.
        exponent: Exponent of the wave, > 0.
        rises: Whether the wave goes on after `decay_steps`: up to `init_value`, down,
            and so on, as in PyTorch's CosineAnnealingLR.

    Returns:
        A schedule.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import cosine_decay_schedule
        >>> decay = cosine_decay_schedule(1.0, decay_steps=100)
        >>> decay(jnp.array([0, 50, 100])).round(4)
        Array([1. , 0.5, 0. ], dtype=float32)
        >>> decay
        cosine_decay_schedule(init_value=1.0, decay_steps=100)

    Reference:
        Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
        ICLR 2017, arXiv:1608.03983, equation 5.
    """

    def value(step):
        if rises and decay_steps <= LAST_STEP:
            _, step = ramps.cycle(step, 2 * decay_steps)
            step = decay_steps - jnp.abs(decay_steps - step)
        wave = ramps.bend(ramps.ramp(step, decay_steps))
        return as_float(init_value) * ramps.blend(
            1.0, alpha, ramps.power(wave, exponent)
        )

    return value


def sgdr_schedule(cosine_kwargs: Iterable[Mapping[str, Any]]) -> Schedule:
    """Cosine decays one after the other, each with a warm-up of its own.

    For cycles by a rule see `cosine_restarts_schedule`.

    Args:
        cosine_kwargs: For each cycle the arguments of
            `warmup_cosine_decay_schedule`, by name.

    Returns:
        A schedule.

    Raises:
        TypeError: If a cycle is not a mapping of that function's arguments.
        ValueError: If there is no cycle.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import sgdr_schedule
        >>> cycle = {"init_value": 0.0, "warmup_steps": 2, "decay_steps": 10}
        >>> cycles = sgdr_schedule([cycle | {"peak_value": p} for p in (1.0, 0.5)])
        >>> cycles(jnp.array([2, 10, 12]))
        Array([1. , 0. , 0.5], dtype=float32)

    Reference:
        Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
        ICLR 2017, arXiv:1608.03983, section 3.
    """
    cycles = list(cosine_kwargs)
    if not all(isinstance(cycle, Mapping) for cycle in cycles):
        raise TypeError(
            "`cosine_kwargs` must be mappings of the arguments of "
            f"`warmup_cosine_decay_schedule`, one a cycle, got {cosine_kwargs!r}."
        )
    if not cycles:
        raise ValueError("`cosine_kwargs` must hold at least one cycle, got none.")
    ends = np.cumsum([cycle.get("decay_steps", 0) for cycle in cycles])
    parts = [warmup_cosine_decay_schedule(**cycle) for cycle in cycles]
    return join_schedules(parts, [int(end) for end in ends[:-1]])


def _drawn(arguments: Mapping[str, Any]) -> int:
    growth = arguments["t_mul"]
    cycles = 4 if growth == 1 else 1 + growth + growth**2
    return math.ceil(arguments["first_decay_steps"] * cycles)


@schedule(horizon=_drawn)
def cosine_restarts_schedule(
    init_value: Value,
    first_decay_steps: Count,
    t_mul: float = 1,
    m_mul: Share = 1.0,
    alpha: Ratio = 0.0,
):
    """Cosine decay that starts again and again.

    In cycle i (from 0), x of the way through it::

        value = init_value * (alpha + (1 - alpha) * m_mul^i * (1 + cos(pi x)) / 2)

    PyTorch's CosineAnnealingWarmRestarts, with `alpha = eta_min / init_value`.

    Args:
        init_value: The value at step 0.
        first_decay_steps: Length of the first cycle in steps, at least 1.
        t_mul: How many times longer each cycle is than the one before: 1, or at least
            1.01. Cycles need not be whole numbers of steps.
        m_mul: How much lower each cycle starts than the one before, in [0, 1].
        alpha: The least value as a share of `init_value`, >= 0. It is not reached:
            the step after the last of a cycle is the first of the next.

    Returns:
        A schedule.

    Raises:
        TypeError: If `t_mul` is not a Python number.
        ValueError: If `t_mul` is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import cosine_restarts_schedule
        >>> cycles = cosine_restarts_schedule(1.0, 10, t_mul=2, m_mul=0.5)
        >>> cycles(jnp.array([0, 5, 10, 20, 30])).round(4)
        Array([1.  , 0.5 , 0.5 , 0.25, 0.25], dtype=float32)
        >>> cycles
        cosine_restarts_schedule(init_value=1.0, first_decay_steps=10, t_mul=2,
            m_mul=0.5)

    Reference:
        Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
        ICLR 2017, arXiv:1608.03983, section 3.
    """
    if t_mul != 1:
        ramps.check_share("t_mul", t_mul, 1.01, float(LAST_STEP))

    def value(step):
        cycle, left = _cycle(step, min(first_decay_steps, LAST_STEP), t_mul)
        # alpha may exceed the height of a late cycle: the weights need not sum to 1
        height = jnp.power(as_float(m_mul), as_float(cycle)) * left
        return as_float(init_value) * ramps.blend(1.0, alpha, (1.0 - height, height))

    return value


def _cycle(step: jax.Array, first: int, growth: float) -> tuple[jax.Array, jax.Array]:
    """The number of the cycle, and the height of the wave in it."""
    if growth == 1:
        cycle, at = ramps.cycle(step, first)
        at, length = as_float(at), as_float(first)
    else:
        starts, lengths = _restarts(first, growth)
        whole = np.ceil(starts).astype(np.int32)  # the first step of each cycle
        column = whole.reshape((-1,) + (1,) * step.ndim)
        cycle = jnp.sum(step[None] >= column, axis=0) - 1
        at = as_float(step - jnp.asarray(whole)[cycle])
        at = at + as_float(whole - starts)[cycle]
        length = as_float(lengths)[cycle]
    share = at / length
    return cycle, jnp.square(jnp.cos(share * (np.pi / 2.0)))


def _restarts(first: int, growth: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the cycles begin, and their lengths, up to the last step there is."""
    starts, lengths = [0.0], [float(first)]
    while starts[-1] + lengths[-1] <= LAST_STEP:
        starts.append(starts[-1] + lengths[-1])
        lengths.append(lengths[-1] * growth)
    return np.array(starts, np.float64), np.array(lengths, np.float64)
