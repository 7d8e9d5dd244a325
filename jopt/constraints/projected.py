"""Parameters kept within a set, by a projection after each step."""

from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
from optax import projections

from jopt._core import extras, layout, numerics as nx, select
from jopt._core.spec import did_you_mean
from jopt._core.transform import transform
from jopt._core.types import Mask, no_state, Pair, Positive

__all__ = ["projected"]

Projection = Callable[[jax.Array], jax.Array]

_SETS: dict[str, Callable[..., Any]] = {
    "hypercube": projections.projection_hypercube,
    "l1_ball": projections.projection_l1_ball,
    "l2_ball": projections.projection_l2_ball,
    "linf_ball": projections.projection_linf_ball,
    "simplex": projections.projection_simplex,
}

_SORTED = ("l1_ball", "simplex")  # which needs the whole on each device


@transform
def projected(
    projection: str | Projection,
    radius: Positive = 1.0,
    mask: Mask = None,
) -> Pair:
    """Move each leaf back to the nearest point of a set, after the step.

    Stands last in a chain, behind the learning rate: projected gradient descent behind
    `sgd`. Behind an adaptive method the nearest point is meant in the plain distance,
    not in the method's own, and the limit may differ. Each step::

        u = project(params + u) - params

    So the parameters lie in the set up to the rounding of one sum.

    Args:
        projection: The name of a set: `"non_negative"`, `"hypercube"`, `"simplex"`,
            `"l1_ball"`, `"l2_ball"` or `"linf_ball"`, as in `optax.projections`; or a
            function from array to array, such as others there.
        radius: The size of the named set: of a ball its radius, of a
            hypercube its edge, of a simplex its sum. Not of `"non_negative"`.
        mask: Which leaves it is for. Defaults to all.

    Returns:
        A transform without state. It needs `params`.

    Raises:
        TypeError: If `projection` is neither a name nor a function.
        ValueError: If there is no set of that name; in `update`, if `params` is
            missing.

    Example:
        >>> import jax.numpy as jnp, jopt
        >>> tx = jopt.chain(jopt.sgd(1.0), jopt.projected("simplex"))
        >>> params = jnp.array([0.5, 0.5])
        >>> updates, _ = tx.update(jnp.array([0.0, 0.4]), tx.init(params), params)
        >>> [f"{x:.2f}" for x in params + updates]
        ['0.70', '0.30']

    Reference:
        Goldstein, "Convex programming in Hilbert space", Bulletin of the AMS 1964.
    """
    select.check(mask)
    check_choice("projection", projection, ["non_negative", *_SETS])

    def project(x: jax.Array) -> jax.Array:
        if not isinstance(projection, str):
            return projection(x)
        if projection == "non_negative":
            return projections.projection_non_negative(x)
        size = jnp.asarray(nx.cast(radius, x.dtype), x.dtype)
        if not x.size:
            return x
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
            if projection not in _SORTED:
                return _SETS[projection](x, size).astype(x.dtype)
            new = _SETS[projection](layout.whole(x), size)
        return layout.like(new.astype(x.dtype), x)

    return after_step(project, mask, "projected")


def check_choice(argument: str, given: Any, known: Collection[str]) -> None:
    """Raise unless it is a known name or a function."""
    if isinstance(given, str) and given not in known:
        raise ValueError(
            f"`{argument}` must be a function or one of "
            f"{', '.join(map(repr, known))}, got {given!r}."
            + did_you_mean(given, known)
        )
    if not isinstance(given, str) and not callable(given):
        raise TypeError(
            f"`{argument}` must be a name or a function, got "
            f"{given!r} of type {type(given).__name__}."
        )


def after_step(move: Projection, mask: Mask, name: str) -> Pair:
    """The pair that replaces parameters after the step by a function of them."""

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, name)
        keep = select.resolve(mask, params)

        def leaf(u: jax.Array, p: jax.Array, flag: bool) -> jax.Array:
            p = p.astype(u.dtype)
            return move(p + u) - p if flag else u

        return jax.tree.map(leaf, updates, params, keep), state

    return Pair(no_state, update)
