"""KATE: AdaGrad without the root, invariant to the scale of the data."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jopt._core import numerics as nx, trees
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    Epsilon,
    LearningRate,
    Mask,
    NonNegative,
    Pair,
    PyTree,
    Switch,
)
from jopt.optimizers import moments
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


class ScaleByKateState(NamedTuple):
    """State of `scale_by_kate`."""

    m: PyTree  # squared numerators
    b: PyTree  # sums of squared gradients


@optimizer(rates=(1e-5, 1e-1), tags=("adaptive",))
def kate(
    learning_rate: LearningRate,
    delta: NonNegative = 0.0,
    eps: Epsilon = 1e-8,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """KATE: with `delta` of 0, rescaled features of a linear model change nothing.

    AdaGrad divides by the root of the sum of squares; here the sum itself divides, and
    the numerator makes up for it. Small gradients make long steps, the first as long
    as `1 / g`, so begin with a small rate. Each step::

        b^2 = b^2 + g^2 + eps
        m^2 = m^2 + delta * g^2 + g^2 / b^2
        params -= learning_rate * (m * g / b^2 + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        delta: Share of the squared gradient in the numerator.
        eps: Added to the sum of squares at every step. The paper has 0.
        weight_decay: Strength of the decoupled decay; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with two slots per parameter. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import kate
        >>> tx, g = kate(0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-0.125,  0.5  ], dtype=float32)
        >>> tx
        kate(learning_rate=0.5)

    Reference:
        Choudhury et al., "Remove that Square Root: A New Efficient Scale-Invariant
        Version of AdaGrad", NeurIPS 2024, arXiv:2403.02648, Algorithm 1; `eps` as in
        pytorch_optimizer 4.1.0.
    """
    return chain(
        scale_by_kate(delta, eps),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_kate(delta: NonNegative = 0.0, eps: Epsilon = 1e-8) -> Pair:
    """Multiply gradients by a numerator and divide by the sum of their squares.

    The stage of `kate` that holds the state; see there for the rule.

    Args:
        delta: Share of the squared gradient in the numerator.
        eps: Added to the sum of squares at every step.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """
    guard = moments.may_vanish(eps)

    def init(params):
        m, b = (trees.real_zeros_like(params) for _ in range(2))
        return ScaleByKateState(m, b)

    def numerator(g: jax.Array, m: jax.Array, b: jax.Array) -> jax.Array:
        square = nx.square(g)
        share = moments.quotient(square, b, guard)
        return _held(m.astype(b.dtype) + nx.times(square, delta) + share)

    def step(g: jax.Array, m: jax.Array, b: jax.Array) -> jax.Array:
        return nx.times(moments.quotient(g, b, guard), nx.sqrt(m))

    def update(updates, state, params=None, **extra):
        del params, extra
        b = jax.tree.map(
            lambda g, b: b.astype(jnp.finfo(g.dtype).dtype) + nx.square(g),
            updates,
            state.b,
        )
        b = jax.tree.map(_held, moments.raised(b, eps))
        m = jax.tree.map(numerator, updates, state.m, b)
        u = jax.tree.map(step, updates, m, b)
        m, b = moments.like(m, state.m), moments.like(b, state.b)
        return u, ScaleByKateState(m, b)

    return Pair(init, update)


def _held(x: jax.Array) -> jax.Array:
    """Numbers, at most the largest finite one."""
    return jnp.minimum(x, np.asarray(jnp.finfo(x.dtype).max, x.dtype))
