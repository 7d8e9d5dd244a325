"""The proximal point method: an implicit step, found by a few explicit ones."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jopt._core import extras, numerics as nx
from jopt._core.numerics import times
from jopt._core.sums import number
from jopt._core.transform import transform
from jopt._core.types import (
    Count,
    LearningRate,
    no_state,
    OptionalRate,
    Pair,
    PyTree,
)
from jopt.transforms.average import stored


@transform
def proximal_point(
    learning_rate: LearningRate,
    rounds: Count = 10,
    inner_rate: OptionalRate = None,
) -> Pair:
    """Step to where the gradient points back here: implicit gradient descent.

    The new parameters are those that minimize the function plus a quadratic around the
    old ones. Such steps are stable at every learning rate, and pass kinks and narrow
    valleys; what they cost is an inner loop of `rounds` gradients, which finds them
    nearly. One round is gradient descent. It stands last in a chain. Each step::

        params = argmin_y  f(y) + |y - params|^2 / (2 * learning_rate)

    and with u the step so far, from 0, each round j = 0, 1, ...::

        c = 2 / (j + 2), or inner_rate / (learning_rate + inner_rate)
        u = u - c * (u + learning_rate * gradient(params + u))

    Args:
        learning_rate: The weight of the function against the quadratic: `lambda` in
            texts.
        rounds: How many gradients a step takes, at least 1; the first is the one that
            it is given.
        inner_rate: The learning rate of the inner steps, less than 2 over the greatest
            curvature. By default the steps of the subgradient method for a function
            with the curvature of the quadratic: right where there are kinks, too long
            at first where the function is steeply curved.

    Returns:
        A transform without state. It needs `params` and `grad_fn`; `jopt.make_step`
        passes it. Do not put a learning rate behind.

    Raises:
        ValueError: In `update`, if an argument is missing.

    Example:
        >>> import jopt
        >>> slope = lambda p: 3.0 * p    # the implicit step leads to p / (1 + 3)
        >>> tx, p = jopt.proximal_point(1.0, rounds=30, inner_rate=0.3), jnp.ones(1)
        >>> u, _ = tx.update(slope(p), tx.init(p), p, grad_fn=slope)
        >>> f"{(p + u)[0]:.3f}"
        '0.250'

    Reference:
        Rockafellar, "Monotone Operators and the Proximal Point Algorithm", SIAM Journal
        on Control and Optimization 1976. The inner steps: Lacoste-Julien, Schmidt and
        Bach, "A simpler approach to obtaining an O(1/t) convergence rate for the
        projected stochastic subgradient method", 2012, arXiv:1212.2002.
    """

    def share(j: jax.Array) -> jax.Array:
        if inner_rate is None:
            return 2.0 / (number(j) + 2.0)
        inner = number(inner_rate)
        return nx.divide(inner, number(learning_rate) + inner)

    def update(updates, state, params=None, **extra):
        params = extras.need_params(params, "proximal_point")
        extras.need(extra, "grad_fn", "proximal_point")

        def nearer(u: PyTree, g: PyTree, j: Any) -> PyTree:
            c = share(jnp.asarray(j))

            def leaf(u: jax.Array, g: jax.Array) -> jax.Array:
                return u - times(u + times(g, learning_rate), c)

            return jax.tree.map(leaf, u, g)

        def inner(u: PyTree, j: jax.Array) -> tuple[PyTree, None]:
            there = jax.tree.map(stored, params, u)
            g = extras.gradient_at(extra, there, updates, "proximal_point")
            return nearer(u, g, j), None

        u = nearer(jax.tree.map(jnp.zeros_like, updates), updates, 0)
        if rounds > 1:
            u, _ = lax.scan(inner, u, jnp.arange(1, rounds))
        return u, state

    return Pair(no_state, update)
