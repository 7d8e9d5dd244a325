"""Padam: a second moment under a smaller exponent than Adam's."""

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from jopt._core import numerics as nx, trees
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    Hyper,
    LearningRate,
    Mask,
    Pair,
    PyTree,
    ScheduleFn,
    Switch,
)
from jopt.optimizers import moments
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate

_Exponent = Annotated[
    ArrayLike | ScheduleFn, Hyper(0.0, 0.5, above=True)  # of the second moment
]


class ScaleByPadamState(NamedTuple):
    """State of `scale_by_padam`."""

    count: jax.Array  # steps taken
    mu: PyTree  # average of gradients
    nu: PyTree  # average of squared gradients
    nu_max: PyTree  # the largest of these so far; empty without `amsgrad`


@optimizer(rates=(1e-3, 1.0), tags=("adaptive",))
def padam(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    partial: _Exponent = 0.25,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
    *,
    amsgrad: bool = True,
) -> Transform:
    """Padam: between SGD with momentum and AMSGrad, by one exponent.

    With `partial` of 1/2 it is AMSGrad, near 0 it is SGD with momentum; in between it
    takes larger learning rates than Adam. At step t::

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        w = max(w, v)
        u = sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(w) + eps)^(2 * partial)
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number. The
            authors use 0.1.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment, before its correction.
        partial: Exponent of the second moment, in (0, 1/2].
        mu_dtype: Dtype in which the first moment is kept. Defaults to that of the
            parameter, float32 or wider.
        weight_decay: Strength of the decoupled decay; 0 turns it off. The authors'
            code has an L2 penalty: chain `add_decayed_weights` before for that.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        amsgrad: Whether to take the largest second moment so far, as the paper does,
            or the present one, for one slot less.

    Returns:
        A transform with three slots per parameter, two without `amsgrad`. It needs
        `params` unless `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import padam
        >>> tx, g = padam(0.5, b2=0.0), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-1. ,  0.5], dtype=float32)
        >>> tx
        padam(learning_rate=0.5, b2=0.0)

    Reference:
        Chen et al., "Closing the Generalization Gap of Adaptive Gradient Methods in
        Training Deep Neural Networks", IJCAI 2020, arXiv:1806.06763, Algorithm 1,
        with the corrections for bias of the authors' code.
    """
    return chain(
        scale_by_padam(b1, b2, eps, partial, mu_dtype, amsgrad=amsgrad),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_padam(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    partial: _Exponent = 0.25,
    mu_dtype: DTypeLike | None = None,
    *,
    amsgrad: bool = True,
) -> Pair:
    """Divide an average of gradients by a small power of the second moment.

    The stage of `padam` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment, before its correction.
        partial: Exponent of the second moment, in (0, 1/2].
        mu_dtype: Dtype in which the first moment is kept.
        amsgrad: Whether to take the largest second moment so far.

    Returns:
        A transform with three slots per parameter, two without `amsgrad`. It does not
        read `params`.
    """

    def init(params):
        nu_max = trees.real_zeros_like(params) if amsgrad else ()
        mu, nu = trees.zeros_like(params, mu_dtype), trees.real_zeros_like(params)
        return ScaleByPadamState(jnp.zeros((), jnp.int32), mu, nu, nu_max)

    def leaf(m: jax.Array, v: jax.Array, factor: jax.Array) -> jax.Array:
        root = moments.denominator(v, eps)
        # The slope of a power is infinite at 0.
        safe = jnp.where(root > 0, root, jnp.ones_like(root))
        exponent = jnp.asarray(nx.cast(partial, root.dtype), root.dtype)
        power = jnp.where(root > 0, safe ** (2.0 * exponent), jnp.zeros_like(root))
        return moments.quotient(nx.times(m, factor), power, guard=True)

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        mu = moments.averages(updates, state.mu, b1)
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        top = state.nu_max
        if amsgrad:
            top = jax.tree.map(lambda w, v: jnp.maximum(w.astype(v.dtype), v), top, nu)
        root = jnp.sqrt(nx.bias_correction(b2, t))
        factor = root * moments.momentum_weights(b1, t)[0]
        u = jax.tree.map(lambda m, v: leaf(m, v, factor), mu, top if amsgrad else nu)
        slots = map(moments.like, (mu, nu, top), state[1:])
        return u, ScaleByPadamState(t, *slots)

    return Pair(init, update)
