"""PyTorch's search for the strong Wolfe conditions, try by try."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jopt._core.types import PyTree

FALL = 1e-4  # the share of the slope by which the loss must fall
LEFT = 0.9  # the share of the slope that may be left
WIDTH = 1e-9  # the bracket's width, in the entry that moves most, at which to stop


class Point(NamedTuple):
    """A step along the direction, the loss there and its slope."""

    step: jax.Array
    value: jax.Array
    slope: jax.Array


class _Search(NamedTuple):
    low: Point  # the best end; before there is a bracket, the latest try
    grad: PyTree  # there
    high: Point  # the other end
    older: jax.Array  # whether `low` stands before `high`: so ties are broken
    bracketed: jax.Array
    slow: jax.Array  # whether the latest try lay close to an end
    next: jax.Array  # what to try next
    tried: jax.Array
    done: jax.Array


def searched(
    probe: Callable[[jax.Array], tuple[Point, PyTree]],
    first: jax.Array,
    start: Point,
    grad: PyTree,
    longest: jax.Array,
    most: jax.Array,
    off: jax.Array,
) -> tuple[Point, PyTree, jax.Array]:
    """The step found, the gradient there, and the number of tries.

    Args:
        probe: The loss along the direction.
        first: The first step to try.
        start: Where the search begins.
        grad: The gradient there.
        longest: The largest entry of the direction.
        most: Tries after the first one.
        off: Whether not to search at all.
    """

    def tries(s: _Search) -> _Search:
        new, g = probe(s.next)
        return _judged(s, _finite(new), g, start, grad, longest, most)

    yes, none = jnp.ones((), bool), jnp.zeros((), jnp.int32)
    begun = _Search(start, grad, start, yes, ~yes, ~yes, first, none, off)
    s = lax.while_loop(lambda s: ~s.done, tries, begun)
    return s.low, s.grad, s.tried


def _judged(
    s: _Search,
    new: Point,
    grad: PyTree,
    start: Point,
    start_grad: PyTree,
    longest: jax.Array,
    most: jax.Array,
) -> _Search:
    """The search after a try: which ends it replaces, and what follows."""
    spent = s.tried >= most
    lost = spent & ~s.bracketed  # no bracket: the better of the start and the last
    old = _choose(lost, start, s.low)
    old_grad = _choose(lost, start_grad, s.grad)
    worse, met = _conditions(s, new, start)
    worse = worse | lost
    earlier = jnp.where(s.older, ~(old.value <= new.value), new.value <= old.value)
    better = ~worse | earlier
    width = s.high.step - old.step
    turns = s.bracketed & ~worse & (new.slope * width >= 0)
    low, low_grad = _choose(better, (new, grad), (old, old_grad))
    high = _choose((worse & better) | turns, old, _choose(worse, new, s.high))
    bracketed = s.bracketed | worse
    narrow = jnp.abs(high.step - low.step) * longest < WIDTH
    done = lost | (met & ~worse) | (bracketed & (spent | narrow))
    following, slow = _next(bracketed, low, _choose(bracketed, high, old), s.slow)
    older = s.older ^ (worse & better)
    tried = s.tried + 1
    return _Search(low, low_grad, high, older, bracketed, slow, following, tried, done)


def _conditions(s: _Search, new: Point, start: Point) -> tuple[jax.Array, jax.Array]:
    """Whether a try ends the bracket on its far side, and whether it is flat."""
    flat = jnp.abs(new.slope) <= -LEFT * start.slope
    high = new.value > start.value + FALL * new.step * start.slope
    rises = new.value >= s.low.value
    before = high | ((s.tried > 1) & rises) | (~flat & (new.slope >= 0))
    return jnp.where(s.bracketed, high | rises, before), flat


def _next(
    bracketed: jax.Array, low: Point, other: Point, slow: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """What to try next, and whether it lies close to an end of the bracket.

    Without a bracket `low` is the latest try and `other` the one before.
    """
    ends = jnp.minimum(low.step, other.step), jnp.maximum(low.step, other.step)
    least = low.step + 0.01 * (low.step - other.step)
    left = jnp.where(bracketed, ends[0], least)
    right = jnp.where(bracketed, ends[1], 10.0 * low.step)
    t = _cubic(low, other, left, right)
    margin = 0.1 * (right - left)
    close = bracketed & (jnp.minimum(right - t, t - left) < margin)
    pushed = close & (slow | (t >= right) | (t <= left))
    right_is_nearer = jnp.abs(t - right) < jnp.abs(t - left)
    inside = jnp.where(right_is_nearer, right - margin, left + margin)
    return jnp.where(pushed, inside, t), close & ~pushed


def _cubic(a: Point, b: Point, least: jax.Array, most: jax.Array) -> jax.Array:
    """Where the cubic through two points is least, within bounds; else their mean."""
    p, q = _choose(a.step <= b.step, (a, b), (b, a))
    mean = p.slope + q.slope - 3.0 * (p.value - q.value) / (p.step - q.step)
    square = mean * mean - p.slope * q.slope
    root = jnp.sqrt(jnp.where(square >= 0, square, 0.0))
    share = (q.slope + root - mean) / (q.slope - p.slope + 2.0 * root)
    best = jnp.minimum(jnp.maximum(q.step - (q.step - p.step) * share, least), most)
    sound = (square >= 0) & ~jnp.isnan(best)
    return jnp.where(sound, best, (least + most) / 2.0)


def _finite(new: Point) -> Point:
    """A place where something is not finite is as high as can be."""
    fine = jnp.isfinite(new.value) & jnp.isfinite(new.slope)
    value = jnp.where(fine, new.value, jnp.inf)
    return Point(new.step, value, jnp.where(fine, new.slope, 0.0))


def _choose(first: jax.Array, a: Any, b: Any) -> Any:
    return jax.tree.map(lambda x, y: jnp.where(first, x, y), a, b)
