"""The proximal step of total variation along the last axis, exactly."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jopt._core import layout


def flattened(x: jax.Array, threshold: jax.Array) -> jax.Array:
    """The nearest rows whose neighbours differ less: constant piece by piece.

    The sum of half the squared distance and `threshold` times the distances of
    neighbours is least. Dynamic programming finds the pieces, in a number of rounds in
    proportion to the length; the value of a piece is its mean, moved by the threshold
    towards each neighbour. So derivatives are those of that formula.

    Raises:
        TypeError: If the entries are complex: they have no order.
    """
    if jnp.iscomplexobj(x):
        raise TypeError(
            '`proximal` with "total_variation" takes real leaves. Wrap it in '
            "`jopt.split_real_and_imaginary`, or mask complex leaves."
        )
    if not x.ndim or not x.size or x.shape[-1] < 2:
        return x
    rows = layout.whole(x).reshape(-1, x.shape[-1])
    threshold = threshold.astype(x.dtype)
    out = jax.vmap(_row, in_axes=(0, None))(rows, threshold)
    return layout.like(out.reshape(x.shape), x)


def _row(y: jax.Array, t: jax.Array) -> jax.Array:
    n = y.shape[0]
    x = _solve(lax.stop_gradient(y), lax.stop_gradient(t))
    x = jnp.where(t > 0, x, lax.stop_gradient(y))
    jumps = jnp.sign(jnp.diff(x))
    piece = jnp.concatenate([jnp.zeros(1, int), jnp.cumsum(jumps != 0)])
    zero = jnp.zeros(1, jumps.dtype)
    pull = jnp.concatenate([jumps, zero]) - jnp.concatenate([zero, jumps])

    def sums(v: jax.Array) -> jax.Array:
        return jax.ops.segment_sum(v, piece, n, indices_are_sorted=True)

    size = jnp.maximum(sums(jnp.ones_like(y)), 1)
    return (sums(y) / size + t * sums(pull) / size)[piece]


def _solve(y: jax.Array, t: jax.Array) -> jax.Array:
    """The solution up to rounding, equal within a piece.

    Of the least cost of the entries so far, as a function of the last one, the slope is
    piecewise linear. Its knots are kept between `left` and `right`, each with the
    change of slope and intercept there; where the slope leaves [-t, t] it is cut, at
    `low` and `high`. Then entries follow from the last one backwards.
    """
    n = y.shape[0]
    knots = jnp.zeros((3, 2 * n), y.dtype)  # place, change of slope, of intercept
    one = jnp.ones_like(t)

    def walked(line: Any, knots: Any, ends: Any, level: Any, forward: bool) -> Any:
        """The line and the knot where it crosses a level, seen from one end."""

        def goes_on(carry: Any) -> jax.Array:
            at, (a, b) = carry
            within = (at <= ends[1]) if forward else (at >= ends[0])
            height = a * knots[0, at] + b
            below = height <= level if forward else height >= level
            return within & below

        def on(carry: Any) -> Any:
            at, (a, b) = carry
            step = 1 if forward else -1
            return at + step, (a + step * knots[1, at], b + step * knots[2, at])

        start = ends[0] if forward else ends[1]
        return lax.while_loop(goes_on, on, (start, line))

    def forward(carry: Any, y: jax.Array) -> Any:
        knots, (left, right) = carry
        ends = left, right
        # beyond the knots the cut function has slope -t or t; the new entry adds x - y
        at, (a, b) = walked((one, -t - y), knots, ends, -t, True)
        low, left = (-t - b) / a, at - 1
        to, (c, d) = walked((one, t - y), knots, ends, t, False)
        high, right = (t - d) / c, to + 1
        new = knots.at[:, left].set(jnp.stack([low, a, b + t]))
        new = new.at[:, right].set(jnp.stack([high, -c, -d + t]))
        return (new, (left, right)), (low, high)

    first = y[0] - t, y[0] + t
    knots = knots.at[:, n - 1].set(jnp.stack([first[0], one, t - y[0]]))
    knots = knots.at[:, n].set(jnp.stack([first[1], -one, t + y[0]]))
    ends = jnp.asarray(n - 1, jnp.int32), jnp.asarray(n, jnp.int32)
    (knots, ends), cuts = lax.scan(forward, (knots, ends), y[1:-1])
    cuts = tuple(
        jnp.concatenate([f[None], c]) for f, c in zip(first, cuts, strict=True)
    )
    _, (a, b) = walked((one, -t - y[-1]), knots, ends, jnp.zeros_like(t), True)
    last = -b / a

    def backward(x: jax.Array, cut: Any) -> Any:
        x = jnp.clip(x, *cut)
        return x, x

    _, rest = lax.scan(backward, last, cuts, reverse=True)
    return jnp.concatenate([rest, last[None]])
