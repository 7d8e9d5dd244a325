"""Small quadratic programs with a fixed cost, solved exactly: a few objectives."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jopt._core import numerics as nx

__all__ = []


class _Search(NamedTuple):
    """Where the search for the active set stands."""

    free: jax.Array  # which variables are not held at 0
    x: jax.Array
    steps: jax.Array
    done: jax.Array


def nonnegative(q: jax.Array, c: jax.Array) -> jax.Array:
    """The `x >= 0` that minimizes `x'Qx / 2 - c'x`, for `Q` of a diagonal near 1.

    The active-set method of Lawson and Hanson: finite, one k by k system in each round.
    `Q` may be singular. The slopes of what it holds at 0 are at least -30 k eps times
    the largest of `c`. NaN in, anything out; it always ends. It is differentiable: the
    last system is solved with the set found.

    Args:
        q: A positive semi-definite matrix, k by k.
        c: A vector of k.
    """
    found = _free(lax.stop_gradient(q), lax.stop_gradient(c))
    return jnp.where(found, _solved(q, c, found), 0.0)


def _free(q: jax.Array, c: jax.Array) -> jax.Array:
    """The variables that are not at 0 in the solution."""
    k = len(c)
    eps = jnp.finfo(c.dtype).eps
    least = 30 * k * eps * jnp.max(jnp.abs(c))

    def proceed(s: _Search) -> jax.Array:
        return ~s.done & (s.steps < 10 * k + 20)

    def step(s: _Search) -> _Search:
        solved = jnp.where(s.free, _solved(q, c, s.free), 0.0)
        beyond = s.free & (solved <= 0)
        feasible = ~jnp.any(beyond)
        # along the way to the solution, up to where the first variable vanishes
        way = jnp.where(beyond, s.x / jnp.where(beyond, s.x - solved, 1.0), 1.0)
        x = jnp.where(feasible, solved, s.x + jnp.min(way) * (solved - s.x))
        kept = s.free & ~(beyond & (way <= jnp.min(way)))
        # or free the variable along which the objective falls most
        slope = jnp.where(s.free, -jnp.inf, c - q @ x)
        best = jnp.argmax(slope)
        done = feasible & ~(slope[best] > least)
        wider = s.free | ((jnp.arange(k) == best) & ~done)
        free = jnp.where(feasible, wider, kept)
        return _Search(free, jnp.where(free, x, 0.0), s.steps + 1, done)

    first = _Search(
        jnp.zeros(k, bool),
        jnp.zeros_like(c),
        jnp.zeros((), jnp.int32),
        jnp.array(False),
    )
    return lax.while_loop(proceed, step, first).free


def _solved(q: jax.Array, c: jax.Array, free: jax.Array) -> jax.Array:
    """The solution of the equations of the free variables."""
    k = len(c)
    ridge = 4 * k * jnp.finfo(c.dtype).eps  # parallel rows do not make it singular
    inside = free[:, None] & free[None, :]
    bare = jnp.where(inside, q, 0.0) + jnp.diag(jnp.where(free, 0.0, 1.0))
    system = bare + ridge * jnp.diag(free.astype(c.dtype))
    c = jnp.where(free, c, 0.0)
    x = jnp.linalg.solve(system, c)
    return x + jnp.linalg.solve(system, c - bare @ x)  # what the ridge took


def least_norm(cosines: jax.Array, sizes: jax.Array) -> jax.Array:
    """The point of least norm in the convex hull of vectors, as weights on them.

    Args:
        cosines: The inner products of the vectors, each over its norm.
        sizes: Their norms. Where one is 0, it is the point.

    Returns:
        Weights on the *unit* vectors, over the least norm; see `Gram`.
    """
    # With y = w / size, the conditions of optimality are those of y >= 0 for the
    # matrix C + b b', and the scale of y is free.
    zero = sizes == 0
    least = jnp.min(jnp.where(zero, jnp.inf, sizes))
    b = jnp.where(zero, 1.0, least / jnp.where(zero, 1.0, sizes))
    y = nonnegative(cosines + b[:, None] * b[None, :], b)
    total = jnp.sum(jnp.where(zero, 0.0, y * b))
    y = y / jnp.where(total > 0, total, 1.0)
    return jnp.where(jnp.any(zero), jnp.zeros_like(y), y * least)


def spread(cosines: jax.Array, sizes: jax.Array) -> jax.Array:
    """The Gramian of cosines and norms."""
    return cosines * sizes[:, None] * sizes[None, :]


def length(cosines: jax.Array, weights: jax.Array) -> jax.Array:
    """The norm of a sum of unit vectors under weights."""
    return nx.sqrt(jnp.maximum(weights @ cosines @ weights, 0.0))


def preferences(given: Any, k: int, dtype: Any, name: str) -> jax.Array:
    """How much each of k objectives matters: `1 / k` unless given.

    Raises:
        ValueError: If there are not k of them.
    """
    if not given:
        return jnp.full(k, 1 / k, dtype)
    if len(given) != k:
        raise ValueError(
            f"`preference` of `{name}` has {len(given)} numbers, but the gradients are "
            f"of {k} objectives. Give one for each."
        )
    return jnp.stack([jnp.asarray(value).astype(dtype) for value in given])
