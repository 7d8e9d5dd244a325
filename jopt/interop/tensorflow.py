"""The decay functions of `tf.compat.v1.train`, by their names and arguments.

Without `global_step`: what they return is a schedule, a function of the step.
"""

from collections.abc import Sequence

import jopt
from jopt.interop import keras


def exponential_decay(
    learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False
) -> jopt.Schedule:
    """`learning_rate * decay_rate^(step / decay_steps)`.

    Example:
        >>> from jopt.interop import tensorflow as tf
        >>> tf.exponential_decay(0.1, 1000, 0.96, staircase=True)
        exponential_decay(init_value=0.1, transition_steps=1000, decay_rate=0.96,
            staircase=True)
    """
    return keras.ExponentialDecay(learning_rate, decay_steps, decay_rate, staircase)


def natural_exp_decay(
    learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False
) -> jopt.Schedule:
    """`learning_rate * exp(-decay_rate * step / decay_steps)`."""
    return jopt.natural_exp_decay(
        learning_rate, decay_steps, decay_rate, staircase=staircase
    )


def inverse_time_decay(
    learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False
) -> jopt.Schedule:
    """`learning_rate / (1 + decay_rate * step / decay_steps)`."""
    return keras.InverseTimeDecay(learning_rate, decay_steps, decay_rate, staircase)


def polynomial_decay(
    learning_rate: float,
    decay_steps: int,
    end_learning_rate: float = 1e-4,
    power: float = 1.0,
    cycle: bool = False,
) -> jopt.Schedule:
    """From the first to the last rate along a power of the steps that are left."""
    return keras.PolynomialDecay(
        learning_rate, decay_steps, end_learning_rate, power, cycle
    )


def piecewise_constant(
    boundaries: Sequence[int], values: Sequence[float]
) -> jopt.Schedule:
    """One value after the other; at a boundary there is still the earlier one."""
    return keras.PiecewiseConstantDecay(boundaries, values)


def cosine_decay(
    learning_rate: float, decay_steps: int, alpha: float = 0.0
) -> jopt.Schedule:
    """Half a cosine wave, down to `alpha * learning_rate`."""
    return keras.CosineDecay(learning_rate, decay_steps, alpha)


def cosine_decay_restarts(
    learning_rate: float,
    first_decay_steps: int,
    t_mul: float = 2.0,
    m_mul: float = 1.0,
    alpha: float = 0.0,
) -> jopt.Schedule:
    """Half cosine waves, each `t_mul` times as long and `m_mul` times as high."""
    return keras.CosineDecayRestarts(
        learning_rate, first_decay_steps, t_mul, m_mul, alpha
    )


def linear_cosine_decay(
    learning_rate: float,
    decay_steps: int,
    num_periods: float = 0.5,
    alpha: float = 0.0,
    beta: float = 0.001,
) -> jopt.Schedule:
    """A cosine wave under a line that falls to 0."""
    return jopt.linear_cosine_decay(
        learning_rate, decay_steps, num_periods, alpha, beta
    )


def noisy_linear_cosine_decay(
    learning_rate: float,
    decay_steps: int,
    initial_variance: float = 1.0,
    variance_decay: float = 0.55,
    num_periods: float = 0.5,
    alpha: float = 0.0,
    beta: float = 0.001,
    *,
    seed: int = 0,
) -> jopt.Schedule:
    """The same with noise that fades; the draw is of `seed`, not TensorFlow's."""
    return jopt.noisy_linear_cosine_decay(
        learning_rate,
        decay_steps,
        seed,
        initial_variance,
        variance_decay,
        num_periods,
        alpha,
        beta,
    )


piecewise_constant_decay = piecewise_constant
