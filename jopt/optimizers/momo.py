"""MoMo: momentum and Adam with a step size from the loss and its lower bound."""

from typing import Any, cast, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import extras, norms, numerics as nx, sums, trees
from jopt._core.decay import Decay
from jopt._core.numerics import times
from jopt._core.spec import is_off
from jopt._core.sums import number
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    LearningRate,
    Pair,
    PyTree,
    Scalar,
    Switch,
)
from jopt.optimizers.moments import (
    averages,
    denominator,
    like,
    may_vanish,
    quotient,
    squares,
)
from jopt.transforms.scale import scale


class MomoState(NamedTuple):
    """State of `scale_by_momo`."""

    exp_avg: PyTree  # average of the gradients
    model: jax.Array  # the averaged linear model of the loss, at the parameters
    lb: jax.Array  # the lower bound of the loss
    count: jax.Array


class MomoAdamState(NamedTuple):
    """State of `scale_by_momo_adam`."""

    exp_avg: PyTree  # first moment of the gradients
    exp_avg_sq: PyTree  # second moment of the gradients
    model: jax.Array  # the averaged linear model of the loss, at the parameters
    lb: jax.Array  # the lower bound of the loss
    count: jax.Array


@optimizer(rates=(0.1, 10.0), tags=("momentum",))
def momo(
    learning_rate: LearningRate = 1.0,
    beta: DecayRate = 0.9,
    lower_bound: Scalar = 0.0,
    weight_decay: Switch = 0.0,
    adapt_lower_bound: bool = False,
) -> Transform:
    """SGD with momentum whose step size is at most Polyak's, from a model of the loss.

    Needs less care with the learning rate where a lower bound of the loss is known: 0
    for most. Give the loss as `tx.update(grads, state, params, value=loss)`. With `<>`
    over all parameters, and averages that start at their first values::

        f = b * f + (1 - b) * value
        d = b * d + (1 - b) * g
        c = b * c + (1 - b) * <g, params>
        h = (1 + lr * weight_decay) * (f - lower_bound - c) + <d, params>
        step = min(lr, max(h, 0) / |d|^2)
        params = (params - step * d) / (1 + lr * weight_decay)

    Args:
        learning_rate: The largest step size; choose it large.
        beta: Decay of the averages, in [0, 1).
        lower_bound: A lower bound of the loss.
        weight_decay: Decay, applied as a proximal step.
        adapt_lower_bound: Whether to estimate the bound, from `lower_bound` upwards.

    Returns:
        A transform with one buffer per parameter. It needs `params` and `value`.

    Differs from optax in:
        With weight decay the gradient step is divided by `1 + lr * weight_decay` too,
        as in the paper and the authors' code. A gradient as small as 1e-8 still gives
        a step. The model of the loss is kept as one number, which supposes that the
        steps are taken as they are.

    Example:
        >>> from jopt import momo
        >>> tx, params = momo(), jnp.array([1.0, -2.0])
        >>> loss = jnp.sum(params**2)
        >>> tx.update(2 * params, tx.init(params), params, value=loss)[0]
        Array([-0.5,  1. ], dtype=float32)
        >>> tx
        momo()

    Reference:
        Schaipp, Ohana, Eickenberg, Defazio and Gower, "MoMo: Momentum Models for
        Adaptive Learning Rates", ICML 2024, arXiv:2305.07583, Algorithm 1.
    """
    stage = scale_by_momo(
        learning_rate, beta, lower_bound, weight_decay, adapt_lower_bound
    )
    return chain(stage, scale(-1.0))


@optimizer(rates=(1e-3, 1.0), tags=("adaptive",))
def momo_adam(
    learning_rate: LearningRate = 1e-2,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    lower_bound: Scalar = 0.0,
    weight_decay: Switch = 0.0,
    adapt_lower_bound: bool = False,
) -> Transform:
    """AdamW whose step size is at most Polyak's, from a model of the loss.

    The rule of `momo` in the metric of Adam. Give the loss as
    `tx.update(grads, state, params, value=loss)`. Each step::

        f = b1 * f + (1 - b1) * value
        d = b1 * d + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        D = sqrt(v / (1 - b2^t)) + eps
        c = b1 * c + (1 - b1) * <g, params>
        k = 1 - b1^t
        h = (1 + lr * weight_decay) * (f - k * lower_bound - c) + <d, params>
        step = min(lr / k, max(h, 0) / <d, d / D>)
        params = (params - step * d / D) / (1 + lr * weight_decay)

    Args:
        learning_rate: The largest step size.
        b1: Decay of the first moment and of the averages, in [0, 1).
        b2: Decay of the second moment, in [0, 1).
        eps: Added to the root of the second moment.
        lower_bound: A lower bound of the loss.
        weight_decay: Decay, applied as a proximal step.
        adapt_lower_bound: Whether to estimate the bound, from `lower_bound` upwards.

    Returns:
        A transform with two buffers per parameter. It needs `params` and `value`.

    Differs from optax in:
        As `momo`.

    Example:
        >>> from jopt import momo_adam
        >>> tx, params = momo_adam(), jnp.array([1.0, -2.0])
        >>> loss = jnp.sum(params**2)
        >>> tx.update(2 * params, tx.init(params), params, value=loss)[0].round(4)
        Array([-0.01,  0.01], dtype=float32)
        >>> tx
        momo_adam()

    Reference:
        Schaipp, Ohana, Eickenberg, Defazio and Gower, "MoMo: Momentum Models for
        Adaptive Learning Rates", ICML 2024, arXiv:2305.07583, Algorithm 2.
    """
    stage = scale_by_momo_adam(
        learning_rate, b1, b2, eps, lower_bound, weight_decay, adapt_lower_bound
    )
    return chain(stage, scale(-1.0))


@transform
def scale_by_momo(
    learning_rate: LearningRate = 1.0,
    beta: DecayRate = 0.9,
    lower_bound: Scalar = 0.0,
    weight_decay: Switch = 0.0,
    adapt_lower_bound: bool = False,
) -> Pair:
    """Replace gradients by the steps of `momo`; see there for the rule.

    All of it but the sign.

    Args:
        learning_rate: The largest step size.
        beta: Decay of the averages, in [0, 1).
        lower_bound: A lower bound of the loss.
        weight_decay: Decay, applied as a proximal step.
        adapt_lower_bound: Whether to estimate the bound.

    Returns:
        A transform with one buffer per parameter. It needs `params` and `value`.

    Reference:
        Schaipp, Ohana, Eickenberg, Defazio and Gower, "MoMo: Momentum Models for
        Adaptive Learning Rates", ICML 2024, arXiv:2305.07583, Algorithm 1.
    """
    bounds = _Bounds(learning_rate, weight_decay, adapt_lower_bound, lower_bound)

    def init(params):
        return MomoState(trees.zeros_like(params), *_numbers(lower_bound))

    def update(updates, state, params=None, *, value=None, **extra):
        del extra
        params = extras.need_params(params, "scale_by_momo")
        value = sums.loss(value, "scale_by_momo")
        # the averages start at their first values
        c = number(cast(Decay, beta).complement)
        decay = Decay(jnp.where(state.count == 0, 1.0, c))
        d = like(averages(updates, state.exp_avg, decay), state.exp_avg)
        square = nx.square(number(norms.global_norm(d)))
        model = nx.average(value, state.model, decay)
        inner, one = sums.dot(d, params), number(1.0)
        step, model, lb = _step(state, model, square, inner, one, bounds)
        out = _proximal(d, params, step, learning_rate, weight_decay)
        return out, MomoState(d, model, lb, nx.increment(state.count))

    return Pair(init, update)


@transform
def scale_by_momo_adam(
    learning_rate: LearningRate = 1e-2,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    lower_bound: Scalar = 0.0,
    weight_decay: Switch = 0.0,
    adapt_lower_bound: bool = False,
) -> Pair:
    """Replace gradients by the steps of `momo_adam`; see there for the rule.

    All of it but the sign.

    Args:
        learning_rate: The largest step size.
        b1: Decay of the first moment and of the averages, in [0, 1).
        b2: Decay of the second moment, in [0, 1).
        eps: Added to the root of the second moment.
        lower_bound: A lower bound of the loss.
        weight_decay: Decay, applied as a proximal step.
        adapt_lower_bound: Whether to estimate the bound.

    Returns:
        A transform with two buffers per parameter. It needs `params` and `value`.

    Reference:
        Schaipp, Ohana, Eickenberg, Defazio and Gower, "MoMo: Momentum Models for
        Adaptive Learning Rates", ICML 2024, arXiv:2305.07583, Algorithm 2.
    """
    bounds = _Bounds(learning_rate, weight_decay, adapt_lower_bound, lower_bound)

    def init(params):
        slots = trees.zeros_like(params), trees.real_zeros_like(params)
        return MomoAdamState(*slots, *_numbers(lower_bound))

    def update(updates, state, params=None, *, value=None, **extra):
        del extra
        params = extras.need_params(params, "scale_by_momo_adam")
        value = sums.loss(value, "scale_by_momo_adam")
        t = nx.increment(state.count)
        d = like(averages(updates, state.exp_avg, b1), state.exp_avg)
        v = like(averages(squares(updates), state.exp_avg_sq, b2), state.exp_avg_sq)
        root = jnp.sqrt(number(nx.bias_correction(b2, t)))
        floor = 0.0 if is_off(eps) else number(eps) * root

        def divided(d, v):
            over = quotient(d, denominator(v, floor), guard=may_vanish(eps))
            return times(over, root)

        scaled = jax.tree.map(divided, d, v)
        square, inner = sums.dot(d, scaled), sums.dot(d, params)
        model = nx.average(value, state.model, b1)
        correction = number(nx.bias_correction(b1, t))
        step, model, lb = _step(state, model, square, inner, correction, bounds)
        out = _proximal(scaled, params, step, learning_rate, weight_decay)
        return out, MomoAdamState(d, v, model, lb, t)

    return Pair(init, update)


def _numbers(lower_bound: Any) -> tuple[jax.Array, ...]:
    """What both states begin with after their buffers."""
    lb = jnp.array(number(lower_bound), copy=True)
    return number(0.0), lb, jnp.zeros((), jnp.int32)


class _Bounds(NamedTuple):
    """The arguments that the step size depends on."""

    rate: Any
    weight_decay: Any
    adapt: bool
    lowest: Any


def _step(
    state: Any,
    model: jax.Array,
    square: jax.Array,
    inner: jax.Array,
    correction: jax.Array,
    bounds: _Bounds,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The step size, the model after the step, and the new lower bound.

    In `f + <d, params> - c` the terms cancel. Their sum is the model itself, which a
    step of size `s` along the direction lowers by `s * square`.
    """
    rate, lb = number(bounds.rate), state.lb
    decays = not is_off(bounds.weight_decay)
    pull = rate * number(bounds.weight_decay) if decays else number(0.0)
    grow = 1.0 + pull
    top = grow * model - pull * inner if decays else model
    lowest = number(bounds.lowest)
    if bounds.adapt:
        low = jnp.maximum(top / (2.0 * correction * grow), lowest)
        lb = jnp.where(top < grow * correction * lb, low, lb)
    gap = jnp.maximum(top - grow * correction * lb, 0.0)
    step = jnp.minimum(rate / correction, nx.divide(gap, square))
    if bounds.adapt:
        lb = jnp.maximum((model - 0.5 * step * square) / correction, lowest)
    fall = step * square
    after = model - ((pull * inner + fall) / grow if decays else fall)
    return step, after, lb


def _proximal(
    direction: PyTree, params: PyTree, step: jax.Array, rate: Any, weight_decay: Any
) -> PyTree:
    """The step along a direction, followed by the proximal step of the decay."""
    if is_off(weight_decay):
        return jax.tree.map(lambda d: times(d, step), direction)
    pull = number(rate) * number(weight_decay)

    def leaf(d: jax.Array, p: jax.Array) -> jax.Array:
        both = times(d, step) + times(p.astype(d.dtype), pull)
        return times(both, 1.0 / (1.0 + pull))

    return jax.tree.map(leaf, direction, params)
