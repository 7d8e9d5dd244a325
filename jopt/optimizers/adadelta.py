"""Adadelta: steps in units of the parameters, from two averages of squares."""

import jax
import optax

from jopt._core import trees
from jopt._core.numerics import times
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import DecayRate, Epsilon, LearningRate, Mask, Pair, Switch
from jopt.optimizers import moments
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-2, 10.0), tags=("adaptive",))
def adadelta(
    learning_rate: LearningRate = 1.0,
    rho: DecayRate = 0.9,
    eps: Epsilon = 1e-6,
    weight_decay: Switch = 0.0,
    weight_decay_mask: Mask = None,
) -> Transform:
    """Adadelta: gradients rescaled by the ratio of past updates to past gradients.

    Made to need no learning rate. It starts slowly, with steps of about
    `sqrt(eps)`, and AdamW is mostly better. Each step::

        g = g + weight_decay * params
        v = rho * v + (1 - rho) * g^2
        u = sqrt(x + eps) / sqrt(v + eps) * g
        x = rho * x + (1 - rho) * u^2
        params -= learning_rate * u

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number. The
            paper has none, which is 1.
        rho: Decay rate of both averages, in [0, 1).
        eps: Added inside both roots. It sets the size of the first steps; with 0
            nothing ever moves.
        weight_decay: Strength of the L2 penalty, added to the gradient. 0 turns it
            off.
        weight_decay_mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform. Its `update` needs `params` unless `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adadelta
        >>> tx, g = adadelta(eps=1e-2), jnp.array([1.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-0.3015,  0.3015], dtype=float32)
        >>> tx
        adadelta(eps=0.01)

    Reference:
        Zeiler, "ADADELTA: An Adaptive Learning Rate Method", arXiv 2012,
        arXiv:1212.5701, Algorithm 1.
    """
    return chain(
        add_decayed_weights(weight_decay, weight_decay_mask),
        scale_by_adadelta(rho, eps),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_adadelta(rho: DecayRate = 0.9, eps: Epsilon = 1e-6) -> Pair:
    """Rescale gradients by the ratio of past updates to past gradients.

    The stage of `adadelta` that holds the state; see there for the rule.

    Args:
        rho: Decay rate of both averages, in [0, 1).
        eps: Added inside both roots.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """
    guard = moments.may_vanish(eps)

    def init(params):
        return optax.ScaleByAdaDeltaState(
            e_g=trees.real_zeros_like(params), e_x=trees.real_zeros_like(params)
        )

    def leaf(g, v, x):
        ratio = moments.quotient(
            moments.denominator(x.astype(v.dtype), 0.0, eps),
            moments.denominator(v, 0.0, eps),
            guard,
        )
        return times(g, ratio)

    def update(updates, state, params=None, **extra):
        del params, extra
        e_g = moments.averages(moments.squares(updates), state.e_g, rho)
        u = jax.tree.map(leaf, updates, e_g, state.e_x)
        e_x = moments.averages(moments.squares(u), state.e_x, rho)
        e_g, e_x = moments.like(e_g, state.e_g), moments.like(e_x, state.e_x)
        return u, optax.ScaleByAdaDeltaState(e_g, e_x)

    return Pair(init, update)
