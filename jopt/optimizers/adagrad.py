"""Adagrad: steps divided by the root of the sum of all squared gradients."""

import jax
import optax

from jopt._core import numerics as nx
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import Epsilon, LearningRate, NonNegative, Pair
from jopt.optimizers import moments
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-3, 1.0), tags=("adaptive",))
def adagrad(
    learning_rate: LearningRate,
    initial_accumulator_value: NonNegative = 0.1,
    eps: Epsilon = 1e-7,
    *,
    eps_in_sqrt: bool = False,
) -> Transform:
    """Adagrad: a step per parameter that shrinks with every gradient seen.

    Made for sparse features and convex losses. Its steps only ever shrink: for deep
    nets use AdamW. Each step::

        s = s + g^2
        params -= learning_rate * g / (sqrt(s) + eps)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number. The
            `lr_decay` of PyTorch is a schedule: `lambda t: lr / (1 + lr_decay * t)`.
        initial_accumulator_value: What the sums start from. PyTorch's default is 0.
        eps: Added to the root of the sum. With 0, an element whose gradients were all
            zero stays where it is.
        eps_in_sqrt: Whether `eps` is added inside the root instead.

    Returns:
        A transform. It does not read `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adagrad
        >>> tx, g = adagrad(0.5, initial_accumulator_value=0), jnp.array([4.0, 0.0])
        >>> tx.update(g, tx.init(g))[0]
        Array([-0.5, -0. ], dtype=float32)
        >>> tx
        adagrad(learning_rate=0.5, initial_accumulator_value=0.0)

    Differs from optax in: optax adds `eps` inside the root, as `eps_in_sqrt=True`
    does here; the paper and PyTorch add it outside.

    Reference:
        Duchi et al., "Adaptive Subgradient Methods for Online Learning and Stochastic
        Optimization", JMLR 2011, Figure 1 (diagonal).
    """
    return chain(
        scale_by_rss(initial_accumulator_value, eps, eps_in_sqrt=eps_in_sqrt),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_rss(
    initial_accumulator_value: NonNegative = 0.1,
    eps: Epsilon = 1e-7,
    *,
    eps_in_sqrt: bool = False,
) -> Pair:
    """Divide gradients by the root of the sum of their squares so far.

    The stage of `adagrad` that holds the state; see there for the rule.

    Args:
        initial_accumulator_value: What the sums start from.
        eps: Added to the root of the sum.
        eps_in_sqrt: Whether `eps` is added inside the root instead.

    Returns:
        A transform with one slot per parameter. It does not read `params`.
    """
    outside, inside = (0.0, eps) if eps_in_sqrt else (eps, 0.0)
    guard = moments.may_vanish(eps)

    def init(params):
        return optax.ScaleByRssState(
            moments.real_full_like(params, initial_accumulator_value)
        )

    def leaf(g, s):
        return moments.quotient(g, moments.denominator(s, outside, inside), guard)

    def update(updates, state, params=None, **extra):
        del params, extra
        slots = state.sum_of_squares
        total = jax.tree.map(lambda s, g: _add(s, nx.square(g)), slots, updates)
        u = jax.tree.map(leaf, updates, total)
        return u, optax.ScaleByRssState(moments.like(total, slots))

    return Pair(init, update)


def _add(total: jax.Array, square: jax.Array) -> jax.Array:
    """The sum in the dtype of the new term."""
    return total.astype(square.dtype) + square
