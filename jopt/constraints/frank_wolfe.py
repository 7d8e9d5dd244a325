"""Frank-Wolfe: steps towards the best corner of a set, without projections."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import extras, layout, norms, numerics as nx
from jopt._core.transform import transform
from jopt._core.types import OptionalRate, Pair, Positive, PyTree

Region = Literal["l1_ball", "l2_ball", "linf_ball", "simplex", "nuclear_ball"]


class FrankWolfeState(NamedTuple):
    """State of `frank_wolfe`."""

    count: jax.Array
    gap: jax.Array  # at the parameters before the latest step


@transform
def frank_wolfe(
    region: Region,
    radius: Positive = 1.0,
    learning_rate: OptionalRate = None,
) -> Pair:
    """Move each leaf towards the point of a set that is best for the gradient.

    A whole optimizer: it stands alone, or behind an average of gradients. It needs no
    projection, and parameters stay few corners mixed: sparse in an L1 ball or a
    simplex, of low rank in a nuclear ball. They are in the set from the first step
    with rate 1 on, which is the first by default, or if they start there. On convex
    losses the gap bounds how far the loss is above its least value; it falls as one
    over the steps, so take a projection where one is cheap. Each step::

        s      = argmin of <g, s> over the set
        gap    = <g, params - s>
        params = params + rate * (s - params),    rate = 2 / (t + 2), t = 0, 1, ...

    Args:
        region: The set of each leaf: `"l1_ball"`, `"l2_ball"`, `"linf_ball"`,
            `"simplex"` (real leaves), or `"nuclear_ball"`, of the matrix in the last
            two axes.
        radius: Its size: of a ball the radius, of a simplex the sum.
        learning_rate: The share of the way, up to 1. Defaults to `2 / (t + 2)`.

    Returns:
        A transform whose state has the `gap`, summed over all leaves. It needs
        `params`.

    Raises:
        TypeError: In `update`, if a leaf of a simplex is complex.
        ValueError: If there is no such set; in `update`, if `params` is missing.

    Example:
        >>> import jax.numpy as jnp, jopt
        >>> tx = jopt.frank_wolfe("l1_ball", 2.0)
        >>> x, state = jnp.zeros(3), tx.init(jnp.zeros(3))
        >>> for _ in range(3):
        ...     g = x - jnp.array([2.0, 0.0, -1.0])
        ...     updates, state = tx.update(g, state, x)
        ...     x = x + updates
        >>> [f"{entry:.2f}" for entry in x], f"{state.gap:.2f}"
        (['1.33', '0.00', '-0.67'], '2.22')

    Reference:
        Frank and Wolfe, "An Algorithm for Quadratic Programming", 1956; Jaggi,
        "Revisiting Frank-Wolfe: Projection-Free Sparse Convex Optimization", ICML 2013,
        Algorithm 1.
    """

    def init(params: PyTree) -> FrankWolfeState:
        gap = jnp.zeros((), norms.norm_dtype(params))
        return FrankWolfeState(jnp.zeros((), jnp.int32), gap)

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "frank_wolfe")

        def way(g: jax.Array, p: jax.Array) -> jax.Array:
            p = p.astype(g.dtype)
            size = jnp.asarray(nx.cast(radius, g.dtype), jnp.finfo(g.dtype).dtype)
            return _BEST[region](g, size, p) - p if g.size else p

        ways = jax.tree.map(way, updates, params)
        gap = -norms.inner_product(updates, ways)
        rate = learning_rate
        if rate is None:
            rate = 2.0 / (state.count.astype(gap.dtype) + 2.0)
        rate = jnp.minimum(jnp.asarray(nx.cast(rate, gap.dtype), gap.dtype), 1.0)
        out = jax.tree.map(lambda w: nx.times(w, rate), ways)
        count = nx.increment(state.count)
        return out, FrankWolfeState(count, gap.astype(state.gap.dtype))

    return Pair(init, update)


# -- the best point of each set; where all are as good, the present one


def _sign(g: jax.Array) -> jax.Array:
    if jnp.iscomplexobj(g):
        return nx.divide(g, jnp.abs(g).astype(g.dtype))
    return jnp.sign(g)


def _unless(g: jax.Array, best: jax.Array, p: jax.Array) -> jax.Array:
    """The best point, or the present one where there is no gradient."""
    still = jnp.max(jnp.abs(g)) == 0
    return jnp.where(still, p, best)


def _corner(
    chosen: jax.Array, score: jax.Array, size: jax.Array, g: jax.Array, p: jax.Array
) -> jax.Array:
    """One entry, the first of those with the greatest score, has all."""
    place = layout.like(jnp.arange(score.size).reshape(score.shape), score)
    best = score == jnp.max(score)
    first = jnp.min(jnp.where(best, place, jnp.full_like(place, score.size)))
    corner = jnp.where(place == first, nx.times(chosen, size), jnp.zeros_like(chosen))
    return _unless(g, corner, p)


def _l1(g: jax.Array, size: jax.Array, p: jax.Array) -> jax.Array:
    return _corner(-_sign(g), jnp.abs(g), size, g, p)


def _simplex(g: jax.Array, size: jax.Array, p: jax.Array) -> jax.Array:
    if jnp.iscomplexobj(g):
        raise TypeError('`frank_wolfe("simplex")` takes real leaves.')
    return _corner(jnp.ones_like(g), -g, size, g, p)


def _l2(g: jax.Array, size: jax.Array, p: jax.Array) -> jax.Array:
    return _unless(g, -nx.times(norms.normalized(g), size), p)


def _linf(g: jax.Array, size: jax.Array, p: jax.Array) -> jax.Array:
    return jnp.where(g == 0, p, -nx.times(_sign(g), size))


def _nuclear(g: jax.Array, size: jax.Array, p: jax.Array) -> jax.Array:
    if g.ndim < 2:
        return _l2(g, size, p)
    whole = layout.whole(g)
    none = jnp.all(whole == 0, axis=(-2, -1), keepdims=True)
    ok = jnp.all(jnp.isfinite(whole), axis=(-2, -1), keepdims=True)
    safe = jnp.where(ok, whole, jnp.zeros_like(whole))
    u, _, v = jnp.linalg.svd(safe, full_matrices=False)
    corner = -nx.times(u[..., :, :1] @ v[..., :1, :], size)
    corner = jnp.where(ok, corner, jnp.full_like(corner, jnp.nan))
    corner = jnp.where(none, layout.whole(p), corner)
    return layout.like(corner, p)


_BEST: dict[str, Callable[..., Any]] = {
    "l1_ball": _l1,
    "l2_ball": _l2,
    "linf_ball": _linf,
    "simplex": _simplex,
    "nuclear_ball": _nuclear,
}
