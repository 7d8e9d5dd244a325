"""Nonlinear conjugate gradients: directions that do not undo the latest ones."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import norms, numerics as nx, trees
from jopt._core.numerics import times
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import Inner, LearningRate, Pair, PyTree
from jopt.optimizers import moments
from jopt.second_order.zoom import scale_by_zoom_linesearch
from jopt.transforms.scale import scale_by_learning_rate

Method = Literal["PR+", "HS", "FR", "DY"]

_ACCURATE = scale_by_zoom_linesearch(curv_rtol=0.1)


class ScaleByNonlinearCgState(NamedTuple):
    """State of `scale_by_nonlinear_cg`."""

    count: jax.Array
    updates: PyTree  # the latest gradient
    direction: PyTree  # the latest direction, before its sign is flipped


@optimizer(rates=(0.1, 1.0), tags=("second-order",))
def nonlinear_cg(
    learning_rate: LearningRate = 1.0,
    method: Method = "PR+",
    linesearch: Inner = _ACCURATE,
) -> Transform:
    """Nonlinear conjugate gradients, with a line search.

    For smooth losses that are the same at every step, where the memory of `lbfgs` is
    too much: it holds three slots instead of 23, and takes more steps. Each step, with
    `d` of `scale_by_nonlinear_cg`::

        params -= learning_rate * a * d    # a: of the line search

    Args:
        learning_rate: Multiplies the direction before the search.
        method: How much of the latest direction is kept: see `scale_by_nonlinear_cg`.
        linesearch: The last stage. It should be accurate, as the default is.
            `jopt.identity()`: no search.

    Returns:
        A transform with three slots per parameter. It needs `params` and `value_fn`
        with a line search.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import make_step, nonlinear_cg
        >>> tx = nonlinear_cg()
        >>> step = make_step(lambda p: (p[0] - 1) ** 2 + 100 * p[1] ** 2, tx)
        >>> p = jnp.array([0.0, 1.0])
        >>> state = tx.init(p)
        >>> for _ in range(12):
        ...     p, state, loss = step(p, state)
        >>> bool(loss < 1e-8)
        True

    Reference:
        Nocedal and Wright, "Numerical Optimization", 2nd edition 2006, Section 5.2.
    """
    stages = [scale_by_nonlinear_cg(method), scale_by_learning_rate(learning_rate)]
    return chain(*stages, linesearch)


@transform
def scale_by_nonlinear_cg(method: Method = "PR+") -> Pair:
    """Replace updates by a direction conjugate to the latest one.

    With `g'` and `d'` the latest gradient and direction, and `y = g - g'`::

        b = max(<g, y> / |g'|^2, 0)    "PR+", Polak and Ribiere
            <g, y> / -<d', y>          "HS", Hestenes and Stiefel
            |g|^2 / |g'|^2             "FR", Fletcher and Reeves
            |g|^2 / -<d', y>           "DY", Dai and Yuan
        d = g + b d'

    and `d = g` in the first step, and where `d` does not descend: where `<g, d>` is not
    positive, or not finite. Signs are those of updates before the learning rate.

    Args:
        method: How `b` is formed.

    Returns:
        A transform with two slots per parameter. It does not read `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import scale_by_nonlinear_cg
        >>> tx, p = scale_by_nonlinear_cg("FR"), jnp.zeros(2)
        >>> u, state = tx.update(jnp.array([2.0, 0.0]), tx.init(p))
        >>> tx.update(jnp.array([0.0, 1.0]), state)[0]
        Array([0.5, 1. ], dtype=float32)

    Reference:
        Nocedal and Wright, "Numerical Optimization", 2nd edition 2006, equations 5.41
        to 5.49.
    """

    def init(params):
        count = jnp.zeros((), jnp.int32)
        slots = trees.zeros_like(params), trees.zeros_like(params)
        return ScaleByNonlinearCgState(count, *slots)

    def update(updates, state, params=None, **extra):
        del params, extra
        b = _share(method, updates, state)

        def leaf(g: jax.Array, d: jax.Array) -> jax.Array:
            return g + times(d.astype(g.dtype), b)

        new = jax.tree.map(leaf, updates, state.direction)
        descends = norms.inner_product(updates, new)
        keep = (state.count > 0) & (descends > 0) & jnp.isfinite(descends)
        new = jax.tree.map(lambda n, g: jnp.where(keep, n, g), new, updates)
        return new, ScaleByNonlinearCgState(
            nx.increment(state.count),
            moments.like(updates, state.updates),
            moments.like(new, state.direction),
        )

    return Pair(init, update)


def _share(
    method: Method, updates: PyTree, state: ScaleByNonlinearCgState
) -> jax.Array:
    """How much of the latest direction is kept."""
    dot, old = norms.inner_product, state.updates
    y = jax.tree.map(lambda g, o: g - o.astype(g.dtype), updates, old)
    over = dot(updates, y if method in ("PR+", "HS") else updates)
    if method in ("PR+", "FR"):
        b = nx.divide(over, dot(old, old))
    else:
        b = nx.divide(over, -dot(state.direction, y))
    return jnp.maximum(b, 0.0) if method == "PR+" else b
