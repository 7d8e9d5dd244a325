"""AdaBound and AMSBound: Adam whose step sizes close in on those of SGD."""

from typing import Any, NamedTuple

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
    Positive,
    PyTree,
    Switch,
)
from jopt.optimizers import moments
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


class ScaleByAdaboundState(NamedTuple):
    """State of `scale_by_adabound`."""

    count: jax.Array  # steps taken
    mu: PyTree  # average of gradients
    nu: PyTree  # average of squared gradients
    nu_max: PyTree  # the largest of these so far; empty without `amsbound`


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive",))
def adabound(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
    *,
    final_ratio: Positive = 100.0,
    gamma: Positive = 1e-3,
) -> Transform:
    """AdaBound: Adam at first, SGD with momentum in the end.

    Bounds on the step size of each entry close in on one number. Where Adam is fast
    and SGD generalizes better. At step t::

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        size = sqrt(1 - b2^t) / (1 - b1^t) / (sqrt(v) + eps)
        low = final_ratio * (1 - 1 / (gamma * t + 1))
        high = final_ratio * (1 + 1 / (gamma * t))
        params -= learning_rate * (clip(size, low, high) * m + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment, before its correction.
        mu_dtype: Dtype in which the first moment is kept. Defaults to that of the
            parameter, float32 or wider.
        weight_decay: Strength of the decoupled decay; 0 turns it off. The authors'
            code has an L2 penalty: chain `add_decayed_weights` before for that.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        final_ratio: The rate of SGD in the end, over `learning_rate`: the authors'
            `final_lr / lr`, which is 0.1 / 0.001.
        gamma: How fast the bounds close in.

    Returns:
        A transform with two slots per parameter. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adabound
        >>> tx, g = adabound(0.5, final_ratio=10.0), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-0.5,  0.5], dtype=float32)
        >>> tx
        adabound(learning_rate=0.5, final_ratio=10.0)

    Reference:
        Luo et al., "Adaptive Gradient Methods with Dynamic Bound of Learning Rate",
        ICLR 2019, arXiv:1902.09843, Algorithm 2, corrected for bias and with the
        bounds of the authors' code.
    """
    return chain(
        scale_by_adabound(b1, b2, eps, mu_dtype, final_ratio=final_ratio, gamma=gamma),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive",))
def amsbound(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
    *,
    final_ratio: Positive = 100.0,
    gamma: Positive = 1e-3,
) -> Transform:
    """AdaBound that divides by the root of the largest second moment so far.

    `adabound`, to which AMSGrad's maximum is added, for one slot more::

        w = max(w, v)
        size = sqrt(1 - b2^t) / (1 - b1^t) / (sqrt(w) + eps)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment, before its correction.
        mu_dtype: Dtype in which the first moment is kept. Defaults to that of the
            parameter, float32 or wider.
        weight_decay: Strength of the decoupled decay; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        final_ratio: The rate of SGD in the end, over `learning_rate`.
        gamma: How fast the bounds close in.

    Returns:
        A transform with three slots per parameter. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import amsbound
        >>> tx, g = amsbound(0.5, final_ratio=10.0), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-0.5,  0.5], dtype=float32)
        >>> tx
        amsbound(learning_rate=0.5, final_ratio=10.0)

    Reference:
        Luo et al., "Adaptive Gradient Methods with Dynamic Bound of Learning Rate",
        ICLR 2019, arXiv:1902.09843, Algorithm 3, corrected for bias and with the
        bounds of the authors' code.
    """
    return chain(
        scale_by_adabound(
            b1, b2, eps, mu_dtype, final_ratio=final_ratio, gamma=gamma, amsbound=True
        ),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_adabound(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    mu_dtype: DTypeLike | None = None,
    *,
    final_ratio: Positive = 100.0,
    gamma: Positive = 1e-3,
    amsbound: bool = False,
) -> Pair:
    """Multiply an average of gradients by Adam's factors, held within bounds.

    The stage of `adabound` and `amsbound` that holds the state; see there for the
    rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment, before its correction.
        mu_dtype: Dtype in which the first moment is kept.
        final_ratio: What both bounds tend to.
        gamma: How fast the bounds close in.
        amsbound: Whether to divide by the root of the largest second moment so far.

    Returns:
        A transform with two slots per parameter, three with `amsbound`. It does not
        read `params`.
    """

    def bounds(t: jax.Array) -> tuple[jax.Array, jax.Array]:
        dtype = jnp.result_type(float)
        end: Any = nx.cast(final_ratio, dtype)
        way = t.astype(dtype) * nx.cast(gamma, dtype)
        return end * (way / (way + 1.0)), end * (1.0 + 1.0 / way)

    def init(params):
        nu_max = trees.real_zeros_like(params) if amsbound else ()
        mu, nu = trees.zeros_like(params, mu_dtype), trees.real_zeros_like(params)
        return ScaleByAdaboundState(jnp.zeros((), jnp.int32), mu, nu, nu_max)

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        mu = moments.averages(updates, state.mu, b1)
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        top = state.nu_max
        if amsbound:
            top = jax.tree.map(lambda w, v: jnp.maximum(w.astype(v.dtype), v), top, nu)
        low, high = bounds(t)
        correction = nx.bias_correction(b2, t)
        factor = jnp.sqrt(correction) * moments.momentum_weights(b1, t)[0]

        def leaf(m, v):
            ends = low.astype(v.dtype), high.astype(v.dtype)
            size = factor.astype(v.dtype) / moments.denominator(v, eps)
            return nx.times(m, jnp.clip(size, *ends))

        u = jax.tree.map(leaf, mu, top if amsbound else nu)
        slots = map(moments.like, (mu, nu, top), state[1:])
        return u, ScaleByAdaboundState(t, *slots)

    return Pair(init, update)
