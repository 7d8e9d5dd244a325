"""Polyak's step size: the loss over the squared norm of the gradient."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jopt._core import norms, numerics as nx, sums
from jopt._core.numerics import times
from jopt._core.spec import is_off
from jopt._core.sums import number
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    Epsilon,
    Growth,
    LearningRate,
    no_state,
    Pair,
    Positive,
    PyTree,
    Scalar,
)
from jopt.transforms.scale import scale_by_learning_rate

Variant = Literal["sps", "sps+"]


class ScaleBySpsState(NamedTuple):
    """State of `scale_by_sps`, where its bound grows."""

    step_size: jax.Array  # the latest, from which the next bound follows


@optimizer(rates=(0.1, 10.0), tags=("parameter-free",))
def polyak_sgd(
    max_learning_rate: Positive = 1.0,
    scaling: LearningRate = 1.0,
    f_min: Scalar = 0.0,
    eps: Epsilon = 0.0,
    variant: Variant = "sps",
) -> Transform:
    """SGD with the step size of Polyak: it needs the loss, and its least value.

    For models that can fit their data exactly, so that the least loss is near 0. Give
    the loss as `tx.update(grads, state, params, value=loss)`. Each step::

        step = min((value - f_min) / (|g|^2 + eps), max_learning_rate)
        params -= scaling * step * g

    Args:
        max_learning_rate: The largest step size.
        scaling: Multiplies the step.
        f_min: The least value of the loss, or a guess of it.
        eps: Added to the squared norm.
        variant: With `"sps+"` a loss below `f_min` gives no step; with `"sps"` a step
            uphill.

    Returns:
        A transform without state. It needs `value`.

    Differs from optax in:
        A gradient as small as 1e-8 still gives a step; only one of 0 gives none.

    Example:
        >>> from jopt import polyak_sgd
        >>> tx, params = polyak_sgd(), jnp.array([1.0, -2.0])
        >>> loss = jnp.sum(params**2)
        >>> tx.update(2 * params, tx.init(params), params, value=loss)[0]
        Array([-0.5,  1. ], dtype=float32)
        >>> tx
        polyak_sgd()

    Reference:
        Loizou et al., "Stochastic Polyak Step-size for SGD: An Adaptive Learning Rate
        for Fast Convergence", AISTATS 2021, arXiv:2002.10542, equation 3. `"sps+"`:
        Garrigos, Gower and Schaipp, "Function Value Learning", 2023, arXiv:2307.14528.
    """
    return chain(
        scale_by_polyak(f_min, max_learning_rate, eps, variant),
        scale_by_learning_rate(scaling),
    )


@optimizer(rates=(0.1, 10.0), tags=("parameter-free",))
def sps(
    max_learning_rate: Positive = 1.0,
    c: Positive = 0.5,
    f_min: Scalar = 0.0,
    eps: Epsilon = 1e-8,
    *,
    growth_rate: Growth = None,
    scaling: LearningRate = 1.0,
) -> Transform:
    """SPS_max: the stochastic Polyak step size, with a bound that may grow smoothly.

    As `polyak_sgd`, with the factor `c`. With `growth_rate` no step size is more than
    that many times the one before, and `max_learning_rate` stands for the one before
    the first. The authors use `2 ** (1 / steps_per_epoch)`. Each step::

        bound = growth_rate * step, or max_learning_rate
        step = min((value - f_min) / (c * |g|^2 + eps), bound), at least 0
        params -= scaling * step * g

    Args:
        max_learning_rate: The largest step size; with `growth_rate`, the one before
            the first step.
        c: Multiplies the squared norm: 0.5 for convex losses, 0.2 for deep networks.
        f_min: The least value of the loss, or a guess of it.
        eps: Added to the squared norm times `c`.
        growth_rate: The largest growth, >= 1, of the step size; `None`: the bound is
            constant.
        scaling: Multiplies the step.

    Returns:
        A transform with a number as its state, or none. It needs `value`.

    Example:
        >>> from jopt import sps
        >>> tx, params = sps(max_learning_rate=10.0, c=1.0), jnp.array([1.0, -2.0])
        >>> loss = jnp.sum(params**2)
        >>> tx.update(2 * params, tx.init(params), params, value=loss)[0]
        Array([-0.5,  1. ], dtype=float32)

    Reference:
        Loizou et al., "Stochastic Polyak Step-size for SGD: An Adaptive Learning Rate
        for Fast Convergence", AISTATS 2021, arXiv:2002.10542, equation 3; the bound
        that grows is in Section 4.
    """
    return chain(
        scale_by_sps(max_learning_rate, c, f_min, eps, growth_rate=growth_rate),
        scale_by_learning_rate(scaling),
    )


@transform
def scale_by_polyak(
    f_min: Scalar = 0.0,
    max_learning_rate: Positive = 1.0,
    eps: Epsilon = 0.0,
    variant: Variant = "sps",
) -> Pair:
    """Scale updates by Polyak's step size; see `polyak_sgd` for the rule.

    Args:
        f_min: The least value of the loss, or a guess of it.
        max_learning_rate: The largest step size.
        eps: Added to the squared norm.
        variant: With `"sps+"` a loss below `f_min` gives no step.

    Returns:
        A transform without state. It needs `value`.

    Reference:
        Loizou et al., "Stochastic Polyak Step-size for SGD: An Adaptive Learning Rate
        for Fast Convergence", AISTATS 2021, arXiv:2002.10542, equation 3.
    """

    def update(updates, state, params=None, *, value=None, **extra):
        del params, extra
        gap = sums.loss(value, "scale_by_polyak") - number(f_min)
        gap = jnp.maximum(gap, 0.0) if variant == "sps+" else gap
        step = over_square(gap, updates, 1.0, eps)
        step = jnp.minimum(step, number(max_learning_rate))
        return jax.tree.map(lambda g: times(g, step), updates), state

    return Pair(no_state, update)


@transform
def scale_by_sps(
    max_learning_rate: Positive = 1.0,
    c: Positive = 0.5,
    f_min: Scalar = 0.0,
    eps: Epsilon = 1e-8,
    *,
    growth_rate: Growth = None,
) -> Pair:
    """Scale updates by the step size SPS_max; see `sps` for the rule.

    Args:
        max_learning_rate: The largest step size; with `growth_rate`, the one before
            the first step.
        c: Multiplies the squared norm.
        f_min: The least value of the loss, or a guess of it.
        eps: Added to the squared norm times `c`.
        growth_rate: The largest growth, >= 1, of the step size.

    Returns:
        A transform with a number as its state, or none. It needs `value`.

    Reference:
        Loizou et al., "Stochastic Polyak Step-size for SGD: An Adaptive Learning Rate
        for Fast Convergence", AISTATS 2021, arXiv:2002.10542, equation 3.
    """

    def init(params):
        del params
        if growth_rate is None:
            return optax.EmptyState()
        return ScaleBySpsState(jnp.array(number(max_learning_rate), copy=True))

    def update(updates, state, params=None, *, value=None, **extra):
        del params, extra
        gap = sums.loss(value, "scale_by_sps") - number(f_min)
        step = over_square(jnp.maximum(gap, 0.0), updates, c, eps)
        if growth_rate is None:
            step = jnp.minimum(step, number(max_learning_rate))
        else:
            step = jnp.minimum(step, state.step_size * number(growth_rate))
            # from 0 it would not rise again
            state = ScaleBySpsState(jnp.where(step > 0, step, state.step_size))
        return jax.tree.map(lambda g: times(g, step), updates), state

    return Pair(init, update)


def over_square(gap: jax.Array, tree: PyTree, c: Any, eps: Any) -> jax.Array:
    """The gap over the squared norm of a tree; 0 where the latter is."""
    square = nx.square(number(norms.global_norm(tree))) * number(c)
    return nx.divide(gap, square if is_off(eps) else square + number(eps))
