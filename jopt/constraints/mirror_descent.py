"""Mirror descent: multiplicative steps on positive numbers and on distributions."""

import math
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jopt._core import extras, numerics as nx
from jopt._core.transform import transform
from jopt._core.types import LearningRate, no_state, OptionalPositive, Pair

__all__ = ["mirror_descent"]


@transform
def mirror_descent(
    learning_rate: LearningRate,
    domain: Literal["simplex", "positive"] = "simplex",
    axis: int | None = None,
    total: OptionalPositive = None,
) -> Pair:
    """Multiply parameters by the exponential of the gradient, and keep their sum.

    Exponentiated gradient: for weights that are at least 0 and have a given sum, such
    as a portfolio, a mixture or a policy. It stands last in a chain, in the place of
    the learning rate. Its rate counts in units of the gradient's entries, and its
    bounds grow with the logarithm of the dimension only. An entry of exactly 0 stays:
    start inside. Each step, in logarithms::

        w = params * exp(-learning_rate * u)
        params = w * total / sum(w)                             (on the simplex)

    Args:
        learning_rate: The size of the step, in logarithms.
        domain: `"simplex"`, which keeps the sum; or `"positive"`, which does not.
        axis: The axis along which each row is a simplex. Defaults to the whole leaf.
        total: The sum. By default that of the parameters, which rounding moves a little
            at each step.

    Returns:
        A transform without state. It needs `params`; negative entries count as 0.

    Raises:
        TypeError: In `update`, if a leaf is complex.
        ValueError: In `update`, if `params` is missing.

    Example:
        >>> import jax.numpy as jnp, jopt
        >>> tx = jopt.mirror_descent(1.0)
        >>> params = jnp.array([0.25, 0.25, 0.5])
        >>> grads = jnp.log(jnp.array([1.0, 2.0, 1.0]))
        >>> updates, _ = tx.update(grads, tx.init(params), params)
        >>> [f"{x:.3f}" for x in params + updates]
        ['0.286', '0.143', '0.571']

    Reference:
        Nemirovski and Yudin, "Problem Complexity and Method Efficiency in
        Optimization", 1983; Kivinen and Warmuth, "Exponentiated Gradient versus
        Gradient Descent for Linear Predictors", Information and Computation 1997; Beck
        and Teboulle, "Mirror Descent and Nonlinear Projected Subgradient Methods for
        Convex Optimization", Operations Research Letters 2003.
    """

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "mirror_descent")

        def leaf(u: jax.Array, p: jax.Array) -> jax.Array:
            if jnp.iscomplexobj(u):
                raise TypeError("`mirror_descent` takes real leaves.")
            p = p.astype(u.dtype)
            w = jnp.maximum(p, 0.0)
            drop = -nx.times(u, learning_rate)
            if domain == "simplex" and u.size:
                drop = _normalized(drop, w, axis if u.ndim else None, total)
            return _change(w, drop) + (w - p)

        return jax.tree.map(leaf, updates, params), state

    return Pair(no_state, update)


def _change(w: jax.Array, drop: jax.Array) -> jax.Array:
    """`w exp(drop) - w`, within limits for one step.

    Of an entry that falls further rounding would make 0, which stays.
    """
    kind = jnp.finfo(w.dtype)
    low, high = math.log(4 * kind.eps), math.log(kind.max) / 2
    room = jnp.maximum(float(kind.max) / 4 - w, 0.0)
    return jnp.minimum(w * jnp.expm1(jnp.clip(drop, low, high)), room)


def _normalized(
    drop: jax.Array, w: jax.Array, axis: int | None, total: Any
) -> jax.Array:
    """The logarithms of the factors that keep the sum."""
    inside, none = w > 0, jnp.full_like(w, -jnp.inf)
    new = jnp.log(jnp.where(inside, w, jnp.ones_like(w))) + drop
    new = jax.lax.stop_gradient(jnp.where(inside, new, none))
    # counted from the largest new entry, so that no exponential is too large
    largest = new == jnp.max(new, axis=axis, keepdims=True)
    level = jnp.max(jnp.where(largest, drop, none), axis=axis, keepdims=True)
    drop = jnp.where(inside, drop - jax.lax.stop_gradient(level), jnp.zeros_like(w))
    goal = jnp.sum(w, axis=axis, keepdims=True)
    some = goal > 0
    sums = jnp.sum(w * jnp.exp(drop), axis=axis, keepdims=True)
    if total is not None:
        goal = jnp.full_like(goal, jnp.asarray(total).astype(w.dtype))
    one = jnp.ones_like(goal)
    return drop - jnp.log(jnp.where(some, sums, one) / jnp.where(some, goal, one))
