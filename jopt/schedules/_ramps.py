"""What schedules are made of: the two weights of a ramp, exact at both its ends."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jopt._core.checks import LAST_STEP
from jopt._core.schedule import as_float
from jopt._core.types import Hyper

Exponent = Annotated[ArrayLike, Hyper(low=0.0, above=True)]
Factor = Annotated[ArrayLike, Hyper(low=0.0, above=True)]
Share = Annotated[ArrayLike, Hyper(low=0.0, high=1.0)]
Ratio = Annotated[ArrayLike, Hyper(low=0.0)]
Limit = Annotated[ArrayLike | None, Hyper(nullable=True)]
Interpolation = Literal["linear", "cosine"]
Cooldown = Literal[
    "linear", "cosine", "1-sqrt", "square", "mirror-cosine", "rex", "exponential"
]

Weights = tuple[jax.Array, jax.Array]


def since(step: jax.Array, begin: int) -> jax.Array:
    """Steps taken after `begin`; none before."""
    return jnp.maximum(step - min(begin, LAST_STEP), 0)


def ramp(step: jax.Array, steps: int, begin: int = 0) -> Weights:
    """The share of `steps` that is done and the share that is left.

    Each is a quotient of integers, so neither loses digits where it is small, and
    both are exactly 0 or 1 at the ends: XLA multiplies by a rounded reciprocal
    instead of dividing, and 41 * (1 / 41) is not 1.
    """
    done = since(step, begin)
    if steps > LAST_STEP:  # longer than steps are counted
        share = as_float(done) / float(steps)
        return share, 1.0 - share
    done = jnp.minimum(done, steps)
    return _share(done, steps), _share(steps - done, steps)


def _share(part: jax.Array, whole: Any) -> jax.Array:
    return jnp.where(part >= whole, 1.0, as_float(part) / as_float(whole))


def bend(weights: Weights) -> Weights:
    """A linear ramp bent to half a cosine wave: flat at both ends."""
    done, left = weights
    return _half_wave(done), _half_wave(left)


def _half_wave(share: jax.Array) -> jax.Array:
    """`(1 - cos(pi x)) / 2` for x in [0, 1], without cancellation near 0."""
    wave = jnp.square(jnp.sin(share * (math.pi / 2.0)))
    return jnp.where(share < 1.0, wave, 1.0)


def power(weights: Weights, exponent: ArrayLike) -> Weights:
    """A ramp whose remaining share is raised to a power."""
    left = jnp.power(weights[1], as_float(exponent))
    return 1.0 - left, left


def shaped(shape: str, weights: Weights) -> Weights:
    """A linear ramp bent to the shape of a cooldown."""
    done, left = weights
    if shape == "cosine":
        return bend(weights)
    if shape == "1-sqrt":
        root = jnp.sqrt(done)
        return root, left / (1.0 + root)  # 1 - sqrt(x), without cancellation near 1
    if shape == "square":
        return jnp.square(done), left * (1.0 + done)
    if shape == "mirror-cosine":
        wave = bend(weights)
        return 2.0 * done - wave[0], 2.0 * left - wave[1]
    if shape == "rex":
        return done / (1.0 + left), 2.0 * left / (1.0 + left)
    return weights


def between(
    shape: str, start: ArrayLike, end: ArrayLike, weights: Weights
) -> jax.Array:
    """From `start` to `end` along a linear ramp bent to a shape."""
    if shape == "exponential":
        return geometric(start, end, weights)
    return blend(start, end, shaped(shape, weights))


def geometric(start: ArrayLike, end: ArrayLike, weights: Weights) -> jax.Array:
    """From `start` to `end`, both above 0, by the same factor in every step."""
    done, left = weights
    tiny = float(jnp.finfo(done.dtype).tiny)
    logs = [jnp.log(jnp.maximum(as_float(x), tiny)) for x in (start, end)]
    inside = jnp.exp(logs[0] * left + logs[1] * done)
    late = jnp.where(left > 0.0, inside, as_float(end))
    return jnp.where(done > 0.0, late, as_float(start))


def blend(start: ArrayLike, end: ArrayLike, weights: Weights) -> jax.Array:
    """From `start` to `end` along a ramp; exactly them at its ends."""
    done, left = weights
    return as_float(start) * left + as_float(end) * done


def after(step: jax.Array, begin: int, early: jax.Array, late: jax.Array) -> jax.Array:
    """`early` before the step `begin`, `late` from there on."""
    return jnp.where(step < min(begin, LAST_STEP), early, late)


def warmed(
    step: jax.Array,
    init_value: ArrayLike,
    late: ArrayLike,
    warmup_steps: int,
    peak_value: ArrayLike,
) -> jax.Array:
    """`late`, with a straight line from `init_value` to `peak_value` in front."""
    late = jnp.broadcast_to(as_float(late), step.shape) if jnp.ndim(late) == 0 else late
    if warmup_steps == 0:
        return as_float(late)
    early = blend(init_value, peak_value, ramp(step, warmup_steps))
    return after(step, warmup_steps, early, as_float(late))


def through(
    step: jax.Array,
    boundaries: Sequence[int],
    values: Sequence[ArrayLike],
    kind: Literal["constant", "linear", "cosine"],
) -> jax.Array:
    """The curve through `values` at `boundaries`, level before and after them."""
    if len(values) == 1:
        return jnp.broadcast_to(as_float(values[0]), step.shape)
    bounds = np.asarray(boundaries, np.int32)
    table = jnp.stack([as_float(value) for value in values])
    column = bounds.reshape((-1,) + (1,) * step.ndim)
    passed = jnp.sum(step[None] >= column, axis=0)
    left = jnp.maximum(passed - 1, 0)
    if kind == "constant":
        return table[left]
    right = jnp.minimum(passed, len(values) - 1)
    starts = jnp.asarray(bounds)
    # level before the first boundary and after the last: a ramp that is over
    length = jnp.maximum(starts[right] - starts[left], 1)
    done = jnp.where(right == left, length, jnp.clip(step - starts[left], 0, length))
    weights = _share(done, length), _share(length - done, length)
    return blend(
        table[left], table[right], bend(weights) if kind == "cosine" else weights
    )


def cycle(step: jax.Array, steps: int) -> tuple[jax.Array, jax.Array]:
    """The number of the cycle that a step is in, and its place in it."""
    if steps > LAST_STEP:
        return jnp.zeros_like(step), step
    return step // steps, step % steps


def check_positive(shape: str, name: str, value: Any) -> None:
    """Raise for an end that a curve of constant factors cannot reach."""
    if shape != "exponential" or not isinstance(value, int | float) or value > 0.0:
        return
    raise ValueError(
        f"`{name}` must be above 0 where the shape is 'exponential', got {value!r}: "
        "no factor leads there. Take a small number such as a hundredth of the peak, "
        "or another shape."
    )


def check_room(part: str, steps: int, whole: str, total: int) -> None:
    """Raise unless a part of a schedule is shorter than the whole of it."""
    if steps >= total:
        raise ValueError(
            f"`{part}` must be less than `{whole}`, got {steps} and {total}: "
            f"`{whole}` is the length of the whole schedule, warm-up included. "
            f"Shorten `{part}` or lengthen `{whole}`."
        )


def check_share(name: str, value: Any, low: float, high: float) -> None:
    """Raise unless a static argument is a number in `[low, high]`."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(
            f"`{name}` must be a Python number, got {value!r} of type "
            f"{type(value).__name__}. It sets step counts, so it cannot be traced."
        )
    if not low <= value <= high:
        raise ValueError(f"`{name}` must lie in [{low:g}, {high:g}], got {value!r}.")
