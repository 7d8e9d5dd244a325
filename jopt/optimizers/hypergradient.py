"""Hypergradient descent: SGD and Adam that adapt their learning rate on the way."""

from typing import cast, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import norms, numerics as nx, sums, trees
from jopt._core.numerics import times
from jopt._core.sums import number
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    Inner,
    LearningRate,
    Mask,
    Momentum,
    NonNegative,
    Pair,
    PyTree,
    Switch,
)
from jopt.optimizers.adam import scale_by_adam
from jopt.optimizers.sgd import sgd
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale


class HypergradientState(NamedTuple):
    """State of `scale_by_hypergradient`."""

    change: jax.Array  # of the learning rate: a sum, or a factor if multiplicative
    direction: PyTree  # of the step before
    inner_state: PyTree


@optimizer(rates=(1e-4, 1e-1), tags=("momentum",))
def hypergradient_sgd(
    learning_rate: LearningRate,
    hypergrad_lr: NonNegative = 1e-6,
    momentum: Momentum = None,
    nesterov: bool = False,
    weight_decay: Switch = 0.0,
    *,
    multiplicative: bool = False,
    mask: Mask = None,
) -> Transform:
    """SGD whose learning rate follows its own gradient: SGD-HD.

    Where two steps agree the rate rises, where they disagree it falls. Each step, with
    `u'` the direction of the step before::

        rate = rate + hypergrad_lr * <g, u'>
        params -= rate * u

    and with `multiplicative`::

        rate = rate * (1 + hypergrad_lr * <g, u'> / (|g| * |u'|))

    Args:
        learning_rate: The first rate. To a schedule the change found is added; with
            `multiplicative` it is multiplied by it.
        hypergrad_lr: The learning rate of the learning rate.
        momentum: Weight of the past, in [0, 1). 0 or `None` turns it off.
        nesterov: Whether to look one step of momentum ahead.
        weight_decay: Decay that is added to the gradient.
        multiplicative: Whether the rate changes by factors, which does not depend on
            the scale of the gradients; 0.02 is then a rate to try.
        mask: Which leaves decay. Defaults to all.

    Returns:
        A transform with one buffer per parameter, two with momentum.

    Example:
        >>> from jopt import hypergradient_sgd
        >>> tx, g = hypergradient_sgd(0.5, hypergrad_lr=0.1), jnp.array([1.0])
        >>> state = tx.init(g)
        >>> for _ in range(2):
        ...     u, state = tx.update(g, state)
        ...     print(u)
        [-0.5]
        [-0.6]

    Reference:
        Baydin, Cornish, Martinez Rubio, Schmidt and Wood, "Online Learning Rate
        Adaptation with Hypergradient Descent", ICLR 2018, arXiv:1703.04782,
        Algorithms 4 and 5.
    """
    inner = chain(sgd(1.0, momentum, nesterov), scale(-1.0))
    return chain(
        add_decayed_weights(weight_decay, mask),
        scale_by_hypergradient(
            inner, learning_rate, hypergrad_lr, multiplicative=multiplicative
        ),
        scale(-1.0),
    )


@optimizer(rates=(1e-5, 1e-2), tags=("adaptive",))
def adam_hd(
    learning_rate: LearningRate = 1e-3,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    weight_decay: Switch = 0.0,
    hypergrad_lr: NonNegative = 1e-8,
    *,
    multiplicative: bool = False,
    mask: Mask = None,
) -> Transform:
    """Adam whose learning rate follows its own gradient: Adam-HD.

    The rule of `hypergradient_sgd` with Adam's direction.

    Args:
        learning_rate: The first rate. To a schedule the change found is added; with
            `multiplicative` it is multiplied by it.
        b1: Decay of the first moment, in [0, 1).
        b2: Decay of the second moment, in [0, 1).
        eps: Added to the root of the second moment.
        weight_decay: Decay that is added to the gradient.
        hypergrad_lr: The learning rate of the learning rate.
        multiplicative: Whether the rate changes by factors.
        mask: Which leaves decay. Defaults to all.

    Returns:
        A transform with three buffers per parameter.

    Example:
        >>> from jopt import adam_hd
        >>> tx, g = adam_hd(0.5, hypergrad_lr=0.1), jnp.array([1.0])
        >>> state = tx.init(g)
        >>> for _ in range(2):
        ...     u, state = tx.update(g, state)
        ...     print(f"{u[0]:.3f}")
        -0.500
        -0.600

    Reference:
        Baydin, Cornish, Martinez Rubio, Schmidt and Wood, "Online Learning Rate
        Adaptation with Hypergradient Descent", ICLR 2018, arXiv:1703.04782,
        Algorithm 6. Its `eps` is added before the bias correction, here after, as in
        `adam`.
    """
    return chain(
        add_decayed_weights(weight_decay, mask),
        scale_by_hypergradient(
            scale_by_adam(b1, b2, eps),
            learning_rate,
            hypergrad_lr,
            multiplicative=multiplicative,
        ),
        scale(-1.0),
    )


@transform
def scale_by_hypergradient(
    inner: Inner,
    learning_rate: LearningRate,
    hypergrad_lr: NonNegative = 1e-6,
    *,
    multiplicative: bool = False,
) -> Pair:
    """Scale a direction by a learning rate that follows its own gradient.

    See `hypergradient_sgd` for the rule, of which `inner` gives `u`.

    Args:
        inner: A transform from gradients to the direction, without learning rate and
            change of sign.
        learning_rate: The first rate, or a schedule of what the change is added to.
        hypergrad_lr: The learning rate of the learning rate.
        multiplicative: Whether the rate changes by factors.

    Returns:
        A transform with one more buffer per parameter than `inner`.

    Reference:
        Baydin, Cornish, Martinez Rubio, Schmidt and Wood, "Online Learning Rate
        Adaptation with Hypergradient Descent", ICLR 2018, arXiv:1703.04782.
    """
    pair = cast(Transform, inner).raw

    def init(params):
        first = number(1.0 if multiplicative else 0.0)
        slots = trees.zeros_like(params), pair.init(params)
        return HypergradientState(first, *slots)

    def changed(state, g):
        """What the learning rate is changed by, after one more product."""
        if not multiplicative:
            h = sums.dot(g, state.direction)
            return state.change + number(hypergrad_lr) * h
        lengths = [
            nx.divide(number(1.0), number(norms.global_norm(x)))
            for x in (g, state.direction)
        ]
        unit = jax.tree.map(lambda g: times(g, lengths[0]), g)
        cosine = lengths[1] * sums.dot(unit, state.direction)
        return state.change * (1.0 + number(hypergrad_lr) * cosine)

    def update(updates, state, params=None, **extra):
        change = changed(state, updates)
        rate = number(learning_rate)
        rate = rate * change if multiplicative else rate + change
        u, inner_state = pair.update(updates, state.inner_state, params, **extra)
        kept = jax.tree.map(lambda u, old: u.astype(old.dtype), u, state.direction)
        out = jax.tree.map(lambda u: times(u, rate), u)
        return out, HypergradientState(jnp.asarray(change), kept, inner_state)

    return Pair(init, update)
