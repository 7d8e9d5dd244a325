"""REX: a decay that stays high, then falls fast."""

from jopt._core.schedule import schedule
from jopt._core.types import Count, Steps, Value
from jopt.schedules import _ramps as ramps


@schedule(affine=True, horizon=lambda a: a["transition_begin"] + a["transition_steps"])
def rex_schedule(
    init_value: Value,
    end_value: Value,
    transition_steps: Count,
    transition_begin: Steps = 0,
):
    """From one value to another along a hyperbola: slowly at first, fast at last.

    At step t::

        x = clip((t - transition_begin) / transition_steps, 0, 1)
        value = end_value + (init_value - end_value) * (1 - x) / (1 - x / 2)

    The authors report it to be ahead of linear decay where the budget is small and
    level with it where it is large.

    Args:
        init_value: The value up to `transition_begin`.
        end_value: The value from `transition_begin + transition_steps` on.
        transition_steps: Length of the curve in steps, at least 1.
        transition_begin: Step at which it begins.

    Returns:
        A schedule.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import rex_schedule
        >>> decay = rex_schedule(3.0, 0.0, transition_steps=10)
        >>> decay(jnp.array([0, 5, 10]))
        Array([3., 2., 0.], dtype=float32)
        >>> decay
        rex_schedule(init_value=3.0, end_value=0.0, transition_steps=10)

    Reference:
        Chen, Wolfe and Kyrillidis, "REX: Revisiting Budgeted Training with an Improved
        Schedule", MLSys 2022, arXiv:2107.04197.
    """

    def value(step):
        weights = ramps.ramp(step, transition_steps, transition_begin)
        return ramps.between("rex", init_value, end_value, weights)

    return value
