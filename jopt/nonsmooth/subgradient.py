"""The subgradient method with Polyak's step, towards a value known or estimated."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jopt._core import sums
from jopt._core.numerics import times
from jopt._core.sums import number
from jopt._core.transform import transform
from jopt._core.types import Fraction, NonNegative, OptionalScalar, Pair, Positive
from jopt.optimizers.polyak import over_square


class SubgradientState(NamedTuple):
    """State of `subgradient`, where the least value is estimated."""

    best: jax.Array  # the least value so far
    level: jax.Array  # what the latest step aimed at
    delta: jax.Array  # how far below the best


@transform
def subgradient(
    f_min: OptionalScalar = None,
    delta: Positive = 1.0,
    *,
    scaling: NonNegative = 1.0,
    growth: Positive = 1.5,
    shrink: Fraction = 0.99,
    min_delta: NonNegative = 1e-6,
) -> Pair:
    """Subgradient descent with Polyak's step, towards a target that it moves.

    For convex functions with kinks, of any size, where no learning rate is right: the
    step follows from the value. With `f_min` it is `polyak_sgd` without the bound on
    the step. Without, the target lies `delta` below the best value so far: further
    below after a step that reached it, nearer after one that did not. Values need not
    fall at every step: keep the best parameters. Each step, without `f_min`::

        delta = growth * delta if value <= level else max(shrink * delta, min_delta)
        best = min(best, value)
        level = best - delta
        params -= scaling * (value - level) / |g|^2 * g

    Args:
        f_min: The least value of the function, if it is known.
        delta: How far below the first value the first target lies.
        scaling: Multiplies the step: between 0 and 2.
        growth: What `delta` is multiplied by where the target was reached, 1 or more.
        shrink: What it is multiplied by otherwise, in [0, 1].
        min_delta: The least it becomes: about how near the minimum it ends.

    Returns:
        A transform with three numbers as state, or none with `f_min`. It needs `value`.

    Example:
        >>> import jopt
        >>> tx, p = jopt.subgradient(f_min=0.0), jnp.array([3.0, -4.0, 1.0, -2.0])
        >>> value, g = jnp.abs(p).sum(), jnp.sign(p)
        >>> tx.update(g, tx.init(p), p, value=value)[0]
        Array([-2.5,  2.5, -2.5,  2.5], dtype=float32)

    Reference:
        Polyak, "Minimization of unsmooth functionals", USSR Computational Mathematics
        and Mathematical Physics 1969. The target: Nedic and Bertsekas, "Incremental
        Subgradient Methods for Nondifferentiable Optimization", SIAM Journal on
        Optimization 2001, the dynamic step size rule.
    """

    def init(params):
        del params
        if f_min is not None:
            return optax.EmptyState()
        none = number(jnp.inf)
        return SubgradientState(none, -none, jnp.array(number(delta), copy=True))

    def update(updates, state, params=None, *, value=None, **extra):
        del params, extra
        value = sums.loss(value, "subgradient")
        if f_min is None:
            state = moved(state, value)
            gap = value - state.level
        else:
            gap = jnp.maximum(value - number(f_min), 0.0)
        step = number(scaling) * over_square(gap, updates, 1.0, 0.0)
        return jax.tree.map(lambda g: times(g, -step), updates), state

    def moved(state: SubgradientState, value: jax.Array) -> SubgradientState:
        """The target after a value; one that is not finite changes nothing."""
        past = number(state.delta)
        less = jnp.maximum(number(shrink) * past, number(min_delta))
        new = jnp.where(value <= state.level, number(growth) * past, less)
        first = jnp.isinf(state.best)
        kept = first | ~jnp.isfinite(value)
        new = jnp.where(kept, past, new)
        best = jnp.where(jnp.isfinite(value) & (value < state.best), value, state.best)
        return SubgradientState(best, best - new, new)

    return Pair(init, update)
