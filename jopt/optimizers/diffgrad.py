"""diffGrad: Adam whose steps shrink where the gradient hardly changes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jopt._core import numerics as nx, trees
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    LearningRate,
    Mask,
    Pair,
    PyTree,
    Switch,
)
from jopt.optimizers import moments
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


class ScaleByDiffgradState(NamedTuple):
    """State of `scale_by_diffgrad`."""

    count: jax.Array  # steps taken
    mu: PyTree  # average of gradients
    nu: PyTree  # average of squared gradients
    previous: PyTree  # the gradient of the last step


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive",))
def diffgrad(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """diffGrad: Adam times a friction between 1/2, for a steady gradient, and 1.

    The friction compares gradients with 1, so it depends on the scale of the loss:
    where gradients are small it is 1/2 throughout, and this is Adam at half the rate.
    At step t, with a gradient of 0 before the first::

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        friction = sigmoid(|g - previous g|)
        u = friction * m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.
        mu_dtype: Dtype in which the first moment is kept. Defaults to that of the
            parameter, float32 or wider.
        weight_decay: Strength of the decoupled decay; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with three slots per parameter. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import diffgrad
        >>> tx, g = diffgrad(1.0), jnp.array([40.0, -0.001])
        >>> tx.update(g, tx.init(g))[0].round(3)
        Array([-1. ,  0.5], dtype=float32)
        >>> tx
        diffgrad(learning_rate=1.0)

    Reference:
        Dubey et al., "diffGrad: An Optimization Method for Convolutional Neural
        Networks", IEEE TNNLS 2020, arXiv:1909.11015, Section III.
    """
    return chain(
        scale_by_diffgrad(b1, b2, eps, eps_root, mu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_diffgrad(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
    mu_dtype: DTypeLike | None = None,
) -> Pair:
    """Multiply Adam's direction by a friction that the change of gradients sets.

    The stage of `diffgrad` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.
        mu_dtype: Dtype in which the first moment is kept.

    Returns:
        A transform with three slots per parameter. It does not read `params`.
    """

    def init(params):
        count = jnp.zeros((), jnp.int32)
        mu, nu = trees.zeros_like(params, mu_dtype), trees.real_zeros_like(params)
        return ScaleByDiffgradState(count, mu, nu, trees.zeros_like(params))

    def friction(u: jax.Array, g: jax.Array, old: jax.Array) -> jax.Array:
        change = g - old.astype(g.dtype)
        if jnp.iscomplexobj(change):
            size = nx.sqrt(nx.square(change))  # its slope at 0 is 0
        else:
            size = jnp.abs(change)
        return nx.times(u, jax.nn.sigmoid(size))

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        mu = moments.averages(updates, state.mu, b1)
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        weights, correction = moments.momentum_weights(b1, t), nx.bias_correction(b2, t)
        u = moments.rescale(updates, mu, nu, weights, correction, eps, eps_root)
        u = jax.tree.map(friction, u, updates, state.previous)
        slots = map(moments.like, (mu, nu, updates), state[1:])
        return u, ScaleByDiffgradState(t, *slots)

    return Pair(init, update)
