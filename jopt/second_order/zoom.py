"""A line search for the strong Wolfe conditions, in the place of a learning rate."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jopt._core import trees
from jopt._core.numerics import times
from jopt._core.sums import number
from jopt._core.transform import transform
from jopt._core.types import Count, Fraction, OptionalPositive, Pair, Positive, PyTree
from jopt.second_order._line import Line, line

Guess = Literal["keep", "one"]


class ScaleByZoomLinesearchState(NamedTuple):
    """State of `scale_by_zoom_linesearch`."""

    learning_rate: jax.Array  # the latest step; 0 where the search failed
    value: jax.Array  # the loss there; infinite before the first search
    grad: PyTree  # the gradient there; `None` unless it is stored
    num_linesearch_steps: jax.Array  # places tried in the latest search


@transform
def scale_by_zoom_linesearch(
    max_linesearch_steps: Count = 20,
    max_learning_rate: OptionalPositive = None,
    *,
    increase_factor: Positive = 2.0,
    slope_rtol: Fraction = 1e-4,
    curv_rtol: OptionalPositive = 0.9,
    approx_dec_rtol: OptionalPositive = 1e-6,
    stepsize_precision: Fraction = 1e-5,
    initial_guess_strategy: Guess = "keep",
    store_grad: bool = True,
) -> Pair:
    """Scale updates by a step that meets the strong Wolfe conditions.

    Stands last, behind the learning rate: `updates` are a direction that descends. The
    step `a` along `u` lowers the loss `f` enough, and flattens it enough::

        f(p + a u) <= f(p) + slope_rtol a f'      and    |f'(p + a u)| <= curv_rtol |f'|

    where `f'` is the derivative along `u`. Where the loss is so flat that its
    differences are rounding, a slope of `-(1 - 2 slope_rtol) f'` at most stands for
    the first condition. Steps grow until the conditions are bracketed, then cubic
    interpolation closes in on them, a tenth of the bracket or more from its ends. Each
    try takes a value and a gradient.

    A direction that does not descend gives a step of 0, as does a search without
    success. Where no place meets both conditions, the best that meets the first is
    taken. A NaN or an infinity counts as too high.

    `jopt.make_step` passes what it needs; in a step of your own call
    `tx.update(grads, state, params, value=value, grad=grads, value_fn=value_fn)`, or
    without `value` and `grad`, which it then computes. Losses of mini-batches need a
    `value_fn` of the present batch.

    Args:
        max_linesearch_steps: The most places to try.
        max_learning_rate: The largest step. Defaults to no bound.
        increase_factor: What a step is multiplied by while it is too short.
        slope_rtol: Share of the slope that the loss must fall by, in [0, 0.5).
        curv_rtol: Share of the slope that may be left: 0.9 behind quasi-Newton, 0.1
            behind conjugate gradients. `None`: any.
        approx_dec_rtol: A rise of the loss by this, relative, is taken for rounding.
            `None`: none is.
        stepsize_precision: The bracket's width, relative to the step, at which to stop.
        initial_guess_strategy: Whether to try the latest step first, or 1, which is
            right behind Newton and quasi-Newton directions.
        store_grad: Whether to keep the gradient for `optax.value_and_grad_from_state`,
            which spares one evaluation per step where the loss is always the same.

    Returns:
        A stage with one slot per parameter, or none. It needs `params` and `value_fn`.
        Differentiation through an update takes the step for a constant.

    Differs from optax in:
        `value` and `grad` may be left out and unknown extra arguments are let by;
        brackets are interpolated from values and slopes of both ends.

    Example:
        >>> import jax, jax.numpy as jnp, jopt
        >>> f = lambda p: jnp.sum((p - 1.0) ** 4)
        >>> tx = jopt.chain(jopt.sgd(1.0), jopt.scale_by_zoom_linesearch())
        >>> p = jnp.array([3.0, 0.0])
        >>> u, state = tx.update(jax.grad(f)(p), tx.init(p), p, value_fn=f)
        >>> bool(f(p + u) < 0.1 * f(p))
        True

    Reference:
        Nocedal and Wright, "Numerical Optimization", 2nd edition 2006, Algorithms 3.5
        and 3.6; the approximate condition: Hager and Zhang, "A New Conjugate Gradient
        Method with Guaranteed Descent and an Efficient Line Search", SIAM Journal on
        Optimization 2005, equation 4.1.
    """

    def init(params):
        grad = trees.zeros_like(params) if store_grad else None
        tried = jnp.zeros((), jnp.int32)
        return ScaleByZoomLinesearchState(number(1.0), number(jnp.inf), grad, tried)

    def update(updates, state, params=None, **extra):
        along = line(updates, params, extra, "scale_by_zoom_linesearch")
        rules = _Rules(
            max_linesearch_steps,
            number(jnp.inf if max_learning_rate is None else max_learning_rate),
            number(increase_factor),
            number(slope_rtol),
            number(jnp.inf if curv_rtol is None else curv_rtol),
            None if approx_dec_rtol is None else number(approx_dec_rtol),
            number(stepsize_precision),
        )
        first = number(1.0)
        if initial_guess_strategy == "keep":
            kept = state.learning_rate
            first = jnp.where(kept > 0, kept, first)
        step, value, grad, tried = lax.stop_gradient(_search(along, first, rules))
        grad = None if state.grad is None else grad
        out = jax.tree.map(lambda u: times(u, step), updates)
        return out, ScaleByZoomLinesearchState(step, value, grad, tried)

    return Pair(init, update)


class _Rules(NamedTuple):
    rounds: int
    longest: jax.Array
    growth: jax.Array
    c1: jax.Array
    c2: jax.Array
    flat: jax.Array | None
    precision: jax.Array


class _End(NamedTuple):
    """A step, the loss there and its slope."""

    step: jax.Array
    value: jax.Array
    slope: jax.Array


class _Search(NamedTuple):
    low: _End  # the best so far; it meets the first condition
    high: _End  # the other end of the bracket, at infinity while there is none
    at: _End  # the latest try
    grad: PyTree  # there
    next: jax.Array  # what to try next
    tried: jax.Array
    settled: jax.Array  # whether the next try is the last
    done: jax.Array


def _search(along: Line, first: jax.Array, rules: _Rules) -> tuple[Any, ...]:
    """The step, the loss and the gradient there, and the number of tries."""
    zero = number(0.0)
    start = _End(zero, along.value, along.slope)
    never = _End(number(jnp.inf), zero, zero)
    no, none = jnp.zeros((), bool), jnp.zeros((), jnp.int32)
    hopeless = ~(along.slope < 0) | ~jnp.isfinite(along.value)
    first = jnp.minimum(first, rules.longest)
    begun = _Search(start, never, start, along.grad, first, none, no, hopeless)

    def tries(s: _Search) -> _Search:
        value, slope, grad = along.probe(s.next)
        at, tried = _End(s.next, value, slope), s.tried + 1
        low, high, met = _narrowed(s, at, start, rules)
        width = jnp.abs(high.step - low.step)
        close = width <= rules.precision * jnp.minimum(low.step, high.step)
        end = close | (tried >= rules.rounds) | (low.step >= rules.longest)
        following = jnp.where(end, low.step, _next(low, high, rules))
        done = met | s.settled | (end & (low.step == at.step))
        return _Search(low, high, at, grad, following, tried, end, done)

    s = lax.while_loop(lambda s: ~s.done, tries, begun)
    return s.at.step, s.at.value, s.grad, s.tried


def _narrowed(
    s: _Search, at: _End, start: _End, rules: _Rules
) -> tuple[_End, _End, jax.Array]:
    """The bracket after a try, and whether it met both conditions."""
    finite = jnp.isfinite(at.value) & jnp.isfinite(at.slope)
    enough = at.value <= start.value + rules.c1 * at.step * start.slope
    fine = enough & (at.value < s.low.value)
    if rules.flat is not None:
        near = at.value <= start.value + rules.flat * jnp.abs(start.value)
        fine = fine | (near & (at.slope <= (2.0 * rules.c1 - 1.0) * start.slope))
    fine = fine & finite
    met = fine & (jnp.abs(at.slope) <= rules.c2 * jnp.abs(start.slope))
    back = fine & (at.slope * (s.high.step - s.low.step) >= 0)
    low = _choose(fine, at, s.low)
    return low, _choose(~fine, at, _choose(back, s.low, s.high)), met


def _choose(first: jax.Array, a: _End, b: _End) -> _End:
    return _End(*(jnp.where(first, x, y) for x, y in zip(a, b, strict=True)))


def _next(low: _End, high: _End, rules: _Rules) -> jax.Array:
    """Where to try next: beyond the best, or in the bracket at a cubic's minimum."""
    longer = jnp.minimum(low.step * rules.growth, rules.longest)
    width = high.step - low.step
    mean = 3.0 * (high.value - low.value) / width
    a = low.slope + high.slope - mean
    root = jnp.sqrt(a * a - low.slope * high.slope) * jnp.sign(width)
    share = (high.slope + root - a) / (high.slope - low.slope + 2.0 * root)
    share = jnp.where(jnp.isfinite(share), jnp.clip(1.0 - share, 0.1, 0.9), 0.5)
    return jnp.where(jnp.isfinite(high.step), low.step + share * width, longer)
