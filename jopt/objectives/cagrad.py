"""CAGrad: the best worst objective within a ball around the mean gradient."""

import functools as ft
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jopt._core import numerics as nx
from jopt._core.spec import is_off
from jopt._core.transform import aggregator
from jopt._core.types import Mask, NonNegative, Pair, Switch
from jopt.objectives.jacobian import Gram, weighing
from jopt.objectives.quadratic import least_norm, length, spread

__all__ = ["cagrad"]


@aggregator
def cagrad(c: NonNegative = 0.4, mask: Mask = None, *, norm_eps: Switch = 0.0) -> Pair:
    """The mean gradient, moved within a ball so that the worst objective falls most.

    With `c` below 1 it converges to a stationary point of the mean loss; with 0 it is
    the mean, and from 1 on it comes near `mgda`. Each step::

        g = mean_i g_i
        w = argmin <g_w, g> + c |g| |g_w|,  g_w = sum_i w_i g_i,  w >= 0,  sum w = 1
        d = g + c |g| / |g_w| * g_w

    Args:
        c: Radius of the ball over the norm of the mean gradient, at least 0.
        mask: Which leaves the objectives share. All others get the sum of their
            gradients. Defaults to all.
        norm_eps: Where `|g_w|` over the root of the sum of all squared norms is less,
            the result is 0. torchjd has 1e-4.

    Returns:
        A transform without state that takes a Jacobian.

    Example:
        >>> import jax.numpy as jnp, jopt
        >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])
        >>> [f"{x:.2f}" for x in jopt.aggregate(jopt.cagrad(0.5), jacobian)]
        ['0.75', '0.75']

    Differs from the official code in: the weights are exact, where that runs a general
    solver; and the result is not divided by `1 + c^2`.

    Reference:
        Liu et al., "Conflict-Averse Gradient Descent for Multi-task Learning", NeurIPS
        2021, arXiv:2110.14048, Algorithm 1.
    """

    def rule(gram: Gram) -> jax.Array:
        dtype = gram.sizes.dtype
        mean = gram.sizes / gram.k
        radius = jnp.asarray(nx.cast(c, dtype), dtype) * length(gram.cosines, mean)
        t = _with_slope(gram, radius, _balanced(*lax.stop_gradient((gram, radius))))
        toward = _worst(gram, t)
        norm = length(gram.cosines, toward)
        move = toward * nx.divide(radius, norm)
        if is_off(norm_eps):
            return mean + move
        least = nx.cast(norm_eps, dtype) * nx.sqrt(jnp.sum(nx.square(gram.sizes)))
        return jnp.where(norm < least, 0.0, mean + move)

    return weighing(rule, mask)


class _Bracket(NamedTuple):
    """An interval in which a decreasing function crosses 0."""

    low: jax.Array
    high: jax.Array
    at_low: jax.Array
    at_high: jax.Array
    steps: jax.Array


def _balanced(gram: Gram, radius: jax.Array) -> jax.Array:
    """The `t` at which the `g_w` of `_worst` has norm `t radius`.

    There `w` is the one wanted: the norm in its problem is the least over `l` of
    `(|g_w|^2 / l + l) / 2`, and with `t = l / radius` the rest is a square. Found by
    false position, in the form of Illinois, with a halving every third round.
    """
    eps = jnp.finfo(radius.dtype).eps

    excess = ft.partial(_excess, gram, radius)

    def proceed(b: _Bracket) -> jax.Array:
        open_ = b.high - b.low > 4 * eps * b.high
        return open_ & (b.at_high != 0) & (b.steps < 100)

    def step(b: _Bracket) -> _Bracket:
        cut = b.low + (b.high - b.low) * b.at_low / (b.at_low - b.at_high)
        middle = 0.5 * (b.low + b.high)
        fair = (cut > b.low) & (cut < b.high) & (jnp.remainder(b.steps, 3) != 2)
        t = jnp.where(fair, cut, middle)
        value = excess(t)
        up = value > 0  # the end that stays has its value halved
        return _Bracket(
            jnp.where(up, t, b.low),
            jnp.where(up, b.high, t),
            jnp.where(up, value, 0.5 * b.at_low),
            jnp.where(up, 0.5 * b.at_high, value),
            b.steps + 1,
        )

    zero = jnp.zeros_like(radius)
    safe = jnp.where(radius > 0, radius, 1.0)
    high = (1 + 4 * eps) / safe  # no |g_w| exceeds the greatest norm, which is 1
    first = _Bracket(zero, high, excess(zero), excess(high), jnp.zeros((), jnp.int32))
    first = first._replace(at_high=jnp.minimum(first.at_high, -eps))
    return lax.while_loop(proceed, step, first).high


def _excess(gram: Gram, radius: jax.Array, t: jax.Array) -> jax.Array:
    return length(gram.cosines, _worst(gram, t)) - t * radius


def _with_slope(gram: Gram, radius: jax.Array, t: jax.Array) -> jax.Array:
    """The root, with its derivative: a step of Newton from where it was found."""
    t = lax.stop_gradient(t)
    value, slope = jax.jvp(ft.partial(_excess, gram, radius), (t,), (jnp.ones_like(t),))
    return jnp.maximum(t - nx.divide(value, lax.stop_gradient(slope)), 0.0)


def _worst(gram: Gram, t: jax.Array) -> jax.Array:
    """The least `|g_w + t g|` over `w`, as weights of `g_w` on unit gradients."""
    k = gram.k
    # the rows g_i + t g, over 1 + t
    part = t / (1 + t)
    move = (1 - part) * jnp.eye(k, dtype=t.dtype) + part * jnp.ones((k, k), t.dtype) / k
    inner = move @ spread(gram.cosines, gram.sizes) @ move.T
    root = nx.sqrt(jnp.maximum(jnp.diagonal(inner), 0.0))
    over = jnp.where(root > 0, 1 / jnp.where(root > 0, root, 1.0), 0.0)
    cosines = inner * over[:, None] * over[None, :]
    w = least_norm(cosines, root) * over
    # where a row vanishes, it is the point
    w = jnp.where(jnp.any(root == 0), _first_of(root == 0, w.dtype), w)
    return w * gram.sizes


def _first_of(flags: jax.Array, dtype: jnp.dtype) -> jax.Array:
    return (jnp.arange(len(flags)) == jnp.argmax(flags)).astype(dtype)
