"""Linear conjugate gradients on trees, and models of a loss that they minimise."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jopt._core import norms, numerics as nx
from jopt._core.numerics import times
from jopt._core.sums import number
from jopt._core.types import PyTree

Product = Callable[[PyTree], PyTree]


class Solved(NamedTuple):
    """A step `z` for the model `<b, z> + <z, B z> / 2`.

    Attributes:
        step: The step.
        residual: `b + B z`, which is 0 at the minimum.
        value: The model there; that of no step is 0.
        steps: How many products were taken.
        bounded: Whether the step ends at the radius.
    """

    step: PyTree
    residual: PyTree
    value: jax.Array
    steps: jax.Array
    bounded: jax.Array


class _State(NamedTuple):
    solved: Solved
    direction: PyTree
    square: jax.Array  # of the residual
    values: jax.Array  # of the model, after each step
    done: jax.Array


def solve(
    product: Product,
    b: PyTree,
    max_steps: int,
    *,
    radius: jax.Array | None = None,
    start: PyTree | None = None,
    progress: float | None = None,
    forcing: float = 0.5,
) -> Solved:
    """Minimise `<b, z> + <z, B z> / 2`, until the gradient of it is small.

    That is below `min(forcing, sqrt(|b|)) |b|`. Along a direction whose curvature is
    not positive the step goes to the radius, and without one it ends.

    Args:
        product: `z -> B z`.
        b: The gradient at 0.
        max_steps: The most products to take.
        radius: The greatest length of `z`, which then starts at 0.
        start: Where to start. Defaults to 0.
        progress: Stop too where a tenth of the steps, or ten, gain no more than so
            much each, relative to all that was gained.
        forcing: See above.
    """
    size = norms.global_norm(b)
    least = nx.square(jnp.minimum(forcing, jnp.sqrt(size)) * size)
    first = _started(product, b, start)
    square = norms.inner_product(first.residual, first.residual)
    ahead = jax.tree.map(jnp.negative, first.residual)
    values = jnp.zeros(max_steps + 1, square.dtype).at[0].set(first.value)
    idle = ~(square > least)
    begun = _State(first, ahead, square, values, idle)

    def step(s: _State) -> _State:
        bend = product(s.direction)
        curve = norms.inner_product(s.direction, bend)
        bad = ~(curve > 0)
        length = jnp.where(bad, 0.0, s.square / jnp.where(bad, 1.0, curve))
        bounded = jnp.zeros((), bool)
        if radius is not None:
            z = _ahead(s.solved.step, length, s.direction)
            bounded = bad | (norms.global_norm(z) >= radius)
            edge = _to_edge(s.solved.step, s.direction, radius)
            length = jnp.where(bounded, edge, length)
        z = _ahead(s.solved.step, length, s.direction)
        r = _ahead(s.solved.residual, length, bend)
        value, count = _model(b, z, r), s.solved.steps + 1
        values = s.values.at[count].set(value)
        square = norms.inner_product(r, r)
        grown = square / s.square
        ahead = jax.tree.map(lambda d, r: times(d, grown) - r, s.direction, r)
        done = bounded | bad | ~(square > least) | (count >= max_steps)
        if progress is not None:
            done = done | _slow(values, count, progress)
        return _State(Solved(z, r, value, count, bounded), ahead, square, values, done)

    return lax.while_loop(lambda s: ~s.done, step, begun).solved


def _started(product: Product, b: PyTree, start: PyTree | None) -> Solved:
    none, no = jnp.zeros((), jnp.int32), jnp.zeros((), bool)
    if start is None:
        zero = jax.tree.map(jnp.zeros_like, b)
        return Solved(zero, b, jnp.zeros((), norms.norm_dtype(b)), none, no)
    r = jax.tree.map(jnp.add, b, product(start))
    return Solved(start, r, _model(b, start, r), none, no)


def _model(b: PyTree, z: PyTree, r: PyTree) -> jax.Array:
    return 0.5 * norms.inner_product(z, jax.tree.map(jnp.add, b, r))


def _ahead(z: PyTree, length: jax.Array, d: PyTree) -> PyTree:
    return jax.tree.map(lambda z, d: z + times(d, length), z, d)


def _to_edge(z: PyTree, d: PyTree, radius: jax.Array) -> jax.Array:
    """How far along `d` the step has the length of the radius."""
    zz, zd, dd = (norms.inner_product(*p) for p in ((z, z), (z, d), (d, d)))
    rest = jnp.maximum(nx.square(radius.astype(zz.dtype)) - zz, 0.0)
    root = nx.sqrt(zd * zd + dd * rest)
    # the form without cancellation: `z` and `d` point the same way
    return nx.divide(rest, zd + root)


def _slow(values: jax.Array, count: jax.Array, progress: float) -> jax.Array:
    back = jnp.maximum(10, count // 10)
    now, then = values[count], values[jnp.maximum(count - back, 0)]
    gained = now - then > progress * back.astype(now.dtype) * now
    return (count > back) & (now < 0) & gained


class Trial(NamedTuple):
    """A step that was tried.

    Attributes:
        ratio: How much the loss fell, over how much the model says.
        good: Whether to take it.
    """

    ratio: jax.Array
    good: jax.Array


def tried(
    before: Any, after: Any, predicted: jax.Array, least: float | jax.Array
) -> Trial:
    """Judge a step by the loss before and after, and the fall that a model predicts.

    Falls that are rounding, beside the loss, count as the model says.
    """
    before, after = number(before), number(after)
    rounding = 10.0 * jnp.finfo(after.dtype).eps * jnp.abs(before)
    ratio = (before - after + rounding) / (predicted.astype(after.dtype) + rounding)
    ratio = jnp.where(jnp.isfinite(ratio), ratio, -1.0)
    return Trial(ratio, ratio > least)


def taken(step: PyTree, good: jax.Array) -> PyTree:
    """The step, or none."""
    return jax.tree.map(lambda u: jnp.where(good, u, jnp.zeros_like(u)), step)
