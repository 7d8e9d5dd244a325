"""Gradient sampling: the gradients all around tell the way along a kink."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jopt._core import extras, norms, numerics as nx
from jopt._core.numerics import times
from jopt._core.sums import number, reals
from jopt._core.transform import transform
from jopt._core.types import Count, Fraction, NonNegative, Pair, Positive, PyTree
from jopt.objectives import jacobian
from jopt.objectives.quadratic import least_norm
from jopt.transforms.average import stored
from jopt.transforms.noise import check_key, drawn, own_key


class GradientSamplingState(NamedTuple):
    """State of `gradient_sampling`."""

    rng_key: jax.Array
    radius: jax.Array  # of the ball
    tolerance: jax.Array  # the least norm at which the ball stays as it is


@transform
def gradient_sampling(
    samples: Count,
    radius: Positive = 0.1,
    tolerance: NonNegative = 0.1,
    key: jax.Array | int = 0,
    *,
    radius_factor: Fraction = 0.1,
    tolerance_factor: Fraction = 0.1,
    max_step: Positive = 1.0,
    armijo: Fraction = 1e-4,
    backtrack: Fraction = 0.5,
    max_rounds: Count = 40,
) -> Pair:
    """Descend along the least gradient in the hull of those around: for kinks.

    For functions of few parameters that are smooth almost everywhere, such as the
    greatest of several, whose minimum lies in a kink: there the gradient alone jumps to
    and fro. Convex or not. A step costs `samples` gradients and a few values, of the
    *same* function: give it no minibatches. In double precision the radius falls to
    where rounding ends it; `jopt.get(state, "radius")` tells how far it is. With x the
    parameters, each step::

        g_0 = gradient at x;  g_i = gradient at a random point of the ball around x
        d = the point of least norm in the convex hull of g_0 ... g_m
        if |d| <= tolerance:
            radius, tolerance *= radius_factor, tolerance_factor
        else:
            t = the first of max_step * backtrack^j, j = 0, 1, ..., for which
                value(x - t d / |d|) < value(x) - armijo * t * |d|
            params -= t * d / |d|

    Args:
        samples: How many gradients are taken in the ball: more than there are
            parameters.
        radius: The radius of the ball at first.
        tolerance: The norm that ends the stage with this radius, at first.
        key: A key of `jax.random.key`, or an integer seed. It moves into the state.
        radius_factor: What the radius is multiplied by at the end of a stage, in
            [0, 1].
        tolerance_factor: What the tolerance is multiplied by then, in [0, 1].
        max_step: The longest step that is tried.
        armijo: The share of the promised descent that a step has to bring, in [0, 1].
        backtrack: What a step that fails is multiplied by, in [0, 1].
        max_rounds: How many steps are tried. Where none will do, none is taken, and the
            radius alone shrinks.

    Returns:
        A transform with two numbers and a key as state. It needs `params`, `value_fn`
        and `grad_fn`; `jopt.make_step` passes them. Do not put a learning rate behind.

    Raises:
        TypeError: If `key` is no key.
        ValueError: If `key` is more than one key; in `update`, if an argument is
            missing.

    Example:
        >>> import jopt
        >>> kink = lambda p: jnp.abs(p[0] - p[1]) + 0.1 * jnp.abs(p[0] + p[1])
        >>> tx, p = jopt.gradient_sampling(6), jnp.array([1.0, 0.5])
        >>> step = jopt.make_step(kink, tx)
        >>> state = tx.init(p)
        >>> for _ in range(40):
        ...     p, state, value = step(p, state)
        >>> bool(value < 1e-4)
        True

    Differs from the paper in: gradients that are not finite are left out, where it
    samples anew; the search has an end, behind which the radius shrinks.

    Reference:
        Burke, Lewis and Overton, "A Robust Gradient Sampling Algorithm for Nonsmooth,
        Nonconvex Optimization", SIAM Journal on Optimization 2005, section 2.
    """
    check_key(key)

    def init(params):
        del params
        start = (jnp.array(number(x), copy=True) for x in (radius, tolerance))
        return GradientSamplingState(own_key(key), *start)

    def update(updates, state, params=None, **extra):
        params = extras.need_params(params, "gradient_sampling")
        extras.need(extra, "value_fn", "gradient_sampling")
        if not jax.tree.leaves(updates):
            return updates, state
        following, points = _around(state, params, updates, samples)

        def slope(point: PyTree) -> PyTree:
            return extras.gradient_at(extra, point, updates, "gradient_sampling")

        d = _least(updates, jax.vmap(slope)(points))
        size = number(norms.global_norm(d))
        unit = norms.normalized(d)
        far = size > number(state.tolerance)

        def descends(t: jax.Array) -> jax.Array:
            held, way, slope = lax.stop_gradient((params, unit, size))
            values = (extra["value_fn"](p) for p in (_moved(held, way, -t), held))
            there, here = map(number, values)
            return there - here < -number(armijo) * t * slope

        steps = number(max_step), number(backtrack)
        t, found = _search(descends, *steps, max_rounds, far)
        # where anything is not finite the update is not, and the state stays
        shrinks = ~found & jnp.isfinite(size)
        new = jnp.where(shrinks, number(radius_factor), 1.0) * number(state.radius)
        ends = jnp.where(shrinks & ~far, number(tolerance_factor), 1.0)
        tolerance = (ends * number(state.tolerance)).astype(state.tolerance.dtype)
        new = GradientSamplingState(
            following, new.astype(state.radius.dtype), tolerance
        )
        return jax.tree.map(lambda x: times(x, -t), unit), new

    return Pair(init, update)


def _around(
    state: GradientSamplingState, params: PyTree, like: PyTree, samples: int
) -> tuple[jax.Array, PyTree]:
    """The key of the next step, and points of the ball, one above the other."""
    following, now = jax.random.split(state.rng_key)
    n = reals(like)

    def point(key: jax.Array) -> PyTree:
        of_length, direction = drawn(key, like)
        share = jax.random.uniform(of_length, dtype=jnp.result_type(float))
        length = number(state.radius) * share ** (1.0 / max(n, 1))
        return _moved(params, norms.normalized(direction), length)

    return following, jax.vmap(point)(jax.random.split(now, samples))


def _moved(params: PyTree, direction: PyTree, by: jax.Array) -> PyTree:
    """The parameters some way along a direction, in their dtypes."""
    return jax.tree.map(lambda p, d: stored(p, times(d, by)), params, direction)


def _least(g: PyTree, others: PyTree) -> PyTree:
    """The point of least norm in the hull of a gradient and of finite others."""

    def stacked(x: jax.Array, y: jax.Array) -> jax.Array:
        usable = finite.reshape((-1,) + (1,) * x.ndim)
        return jnp.concatenate([x[None], jnp.where(usable, y, x[None])])

    finite: Any = True
    for y in jax.tree.leaves(others):
        finite &= jnp.isfinite(y).all(axis=tuple(range(1, y.ndim)))
    if finite is True:
        return g
    rows = jax.tree.map(stacked, g, others)
    gram = jacobian.measured(rows)
    with jax.default_matmul_precision("highest"):
        weights = least_norm(gram.cosines, gram.sizes)
    return jacobian.combined(rows, gram, weights)


def _search(
    descends: Callable[[jax.Array], jax.Array],
    longest: jax.Array,
    factor: jax.Array,
    rounds: int,
    needed: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The first step that descends, and whether there is one; else the step is 0."""

    def length(tried: jax.Array) -> jax.Array:
        return longest * factor ** tried.astype(factor.dtype)

    def proceed(carry: tuple[jax.Array, jax.Array]) -> jax.Array:
        tried, found = carry
        return needed & ~found & (tried < rounds)

    def attempt(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        tried, _ = carry
        found = descends(lax.stop_gradient(length(tried)))
        return jnp.where(found, tried, nx.increment(tried)), found

    # the loop finds a count, so that the length can be differentiated
    start = jnp.zeros((), jnp.int32), jnp.array(False)
    tried, found = lax.while_loop(proceed, attempt, start)
    return jnp.where(found, length(tried), 0.0), found
