"""A line search that shortens steps until the loss falls enough."""

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jopt._core import trees
from jopt._core.numerics import times
from jopt._core.sums import number
from jopt._core.transform import transform
from jopt._core.types import (
    Count,
    Fraction,
    Hyper,
    NonNegative,
    OptionalPositive,
    Pair,
    Positive,
    PyTree,
    ScheduleFn,
)
from jopt.second_order._line import Line, line

Shrink = Annotated[
    ArrayLike | ScheduleFn, Hyper(low=0.0, high=1.0, above=True, below=True)
]


class ScaleByBacktrackingLinesearchState(NamedTuple):
    """State of `scale_by_backtracking_linesearch`."""

    learning_rate: jax.Array  # the latest step; 0 where the search failed
    value: jax.Array  # the loss there; infinite where it is not known
    grad: PyTree  # the gradient there; `None` unless it is stored
    num_linesearch_steps: jax.Array  # places tried in the latest search


@transform
def scale_by_backtracking_linesearch(
    max_backtracking_steps: Count = 20,
    slope_rtol: Fraction = 1e-4,
    decrease_factor: Shrink = 0.8,
    increase_factor: OptionalPositive = 1.5,
    max_learning_rate: Positive = 1.0,
    *,
    atol: NonNegative = 0.0,
    rtol: NonNegative = 0.0,
    store_grad: bool = False,
) -> Pair:
    """Scale updates by the first of ever shorter steps that lowers the loss enough.

    Stands last, behind the learning rate: `updates` are a direction that descends. The
    search of Armijo: with `f'` the derivative along `u`, `a` falls by `decrease_factor`
    until::

        f(p + a u) <= (1 + rtol) f(p) + slope_rtol a f' + atol

    Each try takes a value and no gradient. A direction that does not descend gives a
    step of 0, as does a search without success, after which the next one starts at
    `max_learning_rate`. A NaN counts as too high. See `scale_by_zoom_linesearch` for
    what the update is to be given.

    Args:
        max_backtracking_steps: The most places to try.
        slope_rtol: Share of the slope that the loss must fall by.
        decrease_factor: What a step is multiplied by while it is too long, in (0, 1).
        increase_factor: The first step is the latest times this. `None`: it is
            `max_learning_rate`, which is right behind Newton directions.
        max_learning_rate: The largest step.
        atol: An absolute tolerance.
        rtol: A relative one.
        store_grad: Whether to compute and keep the gradient at the end, for
            `optax.value_and_grad_from_state`.

    Returns:
        A stage without slots, or with one per parameter to `store_grad`. It needs
        `params` and `value_fn`. Differentiation through an update takes the step for
        a constant.

    Differs from optax in:
        `value` and `grad` may be left out and unknown extra arguments are let by;
        a search that fails gives no step rather than the last one tried.

    Example:
        >>> import jax, jax.numpy as jnp, jopt
        >>> f = lambda p: jnp.sum(p**2)
        >>> search = jopt.scale_by_backtracking_linesearch(decrease_factor=0.5)
        >>> tx, p = jopt.chain(jopt.sgd(1.0), search), jnp.array([1.0, -2.0])
        >>> tx.update(jax.grad(f)(p), tx.init(p), p, value_fn=f)[0]
        Array([-1.,  2.], dtype=float32)

    Reference:
        Armijo, "Minimization of functions having Lipschitz continuous first partial
        derivatives", Pacific Journal of Mathematics 1966; Nocedal and Wright,
        "Numerical Optimization", 2nd edition 2006, Algorithm 3.1.
    """

    def init(params):
        grad = trees.zeros_like(params) if store_grad else None
        tried = jnp.zeros((), jnp.int32)
        longest = jnp.array(number(max_learning_rate), copy=True)
        return ScaleByBacktrackingLinesearchState(longest, number(jnp.inf), grad, tried)

    def update(updates, state, params=None, **extra):
        along = line(updates, params, extra, "scale_by_backtracking_linesearch")
        longest = number(max_learning_rate)
        first = longest
        if increase_factor is not None:
            longer = state.learning_rate * number(increase_factor)
            first = jnp.where(longer > 0, jnp.minimum(longer, longest), longest)
        base = (1.0 + number(rtol)) * along.value + number(atol)
        fall, shrink = number(slope_rtol) * along.slope, number(decrease_factor)

        def enough(step: jax.Array, value: jax.Array) -> jax.Array:
            return value <= base + step * fall

        found = _backtrack(along, first, shrink, enough, max_backtracking_steps)
        step, value, tried = lax.stop_gradient(found)
        grad = state.grad
        if grad is not None:
            value, _, grad = lax.stop_gradient(along.probe(step))
        out = jax.tree.map(lambda u: times(u, step), updates)
        return out, ScaleByBacktrackingLinesearchState(step, value, grad, tried)

    return Pair(init, update)


def _backtrack(
    along: Line, first: jax.Array, shrink: jax.Array, enough: Any, rounds: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The step, or 0, the loss there, and the number of tries."""
    hopeless = ~(along.slope < 0) | ~jnp.isfinite(along.value)
    begun = jnp.where(hopeless, 0.0, first), along.value, jnp.zeros((), jnp.int32)

    def seeking(carry: tuple[jax.Array, ...]) -> jax.Array:
        step, _, tried, met = carry
        return (step > 0) & ~met & (tried < rounds)

    def tries(carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        step, _, tried, _ = carry
        step = jnp.where(tried > 0, step * shrink, step)
        value = along.at(step)
        return step, value, tried + 1, enough(step, value)

    step, value, tried, met = lax.while_loop(
        seeking, tries, (*begun, jnp.zeros((), bool))
    )
    zero = jnp.zeros_like(step)
    return jnp.where(met, step, zero), jnp.where(met, value, along.value), tried
