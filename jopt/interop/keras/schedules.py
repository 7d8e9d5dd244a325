"""The schedules of `keras.optimizers.schedules`, by Keras's names and arguments."""

from collections.abc import Callable, Sequence
from typing import Any

import jopt


def ExponentialDecay(
    initial_learning_rate: float,
    decay_steps: int,
    decay_rate: float,
    staircase: bool = False,
) -> jopt.Schedule:
    """`initial_learning_rate * decay_rate^(step / decay_steps)`.

    Example:
        >>> from jopt.interop import keras
        >>> keras.Adam(keras.ExponentialDecay(1e-3, 1000, 0.9))
        chain(scale_by_adam(eps=1e-07, eps_hat=True),
              scale_by_learning_rate(learning_rate=exponential_decay(init_value=0.001,
                  transition_steps=1000, decay_rate=0.9)))
    """
    return jopt.exponential_decay(
        initial_learning_rate, decay_steps, decay_rate, staircase=staircase
    )


def PiecewiseConstantDecay(
    boundaries: Sequence[int], values: Sequence[float]
) -> jopt.Schedule:
    """One value after the other; at a boundary Keras has still the earlier one.

    Example:
        >>> from jopt.interop import keras
        >>> rate = keras.PiecewiseConstantDecay([2], [1.0, 0.5])
        >>> float(rate(2)), float(rate(3))
        (1.0, 0.5)
    """
    parts = [jopt.constant_schedule(value) for value in values]
    return jopt.join_schedules(parts, [step + 1 for step in boundaries])


def PolynomialDecay(
    initial_learning_rate: float,
    decay_steps: int,
    end_learning_rate: float = 1e-4,
    power: float = 1.0,
    cycle: bool = False,
) -> jopt.Schedule:
    """From the first to the last rate along a power of the steps that are left."""
    return jopt.polynomial_schedule(
        initial_learning_rate, end_learning_rate, power, decay_steps, cycle=cycle
    )


def InverseTimeDecay(
    initial_learning_rate: float,
    decay_steps: int,
    decay_rate: float,
    staircase: bool = False,
) -> jopt.Schedule:
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)`."""
    return jopt.inverse_time_decay(
        initial_learning_rate, decay_steps, decay_rate, staircase=staircase
    )


def CosineDecay(
    initial_learning_rate: float,
    decay_steps: int,
    alpha: float = 0.0,
    warmup_target: float | None = None,
    warmup_steps: int = 0,
) -> jopt.Schedule:
    """Half a cosine wave, after a warm-up to `warmup_target` where one is given.

    As in Keras `decay_steps` come on top of `warmup_steps`, and `alpha` is a share of
    the rate at which the wave begins.
    """
    if warmup_target is None:
        return jopt.cosine_decay_schedule(initial_learning_rate, decay_steps, alpha)
    wave = jopt.cosine_decay_schedule(warmup_target, decay_steps, alpha)
    if warmup_steps == 0:
        return wave
    line = jopt.linear_schedule(initial_learning_rate, warmup_target, warmup_steps)
    return jopt.join_schedules([line, wave], [warmup_steps])


def CosineDecayRestarts(
    initial_learning_rate: float,
    first_decay_steps: int,
    t_mul: float = 2.0,
    m_mul: float = 1.0,
    alpha: float = 0.0,
) -> jopt.Schedule:
    """Half cosine waves, each `t_mul` times as long and `m_mul` times as high."""
    return jopt.cosine_restarts_schedule(
        initial_learning_rate, first_decay_steps, t_mul, m_mul, alpha
    )


def LearningRateScheduler(
    schedule: Callable[[Any], Any], steps_per_epoch: int
) -> jopt.Schedule:
    """A rate by epoch; `schedule` is called with the traced number of the epoch."""
    return jopt.epoch_schedule(jopt.from_callable(schedule), steps_per_epoch)
