"""PNM and AdaPNM: a positive and a negative momentum, which add to the noise."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import numerics as nx, sums, trees
from jopt._core.decay import Decay
from jopt._core.numerics import times
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
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


class ScaleByPnmState(NamedTuple):
    """State of `scale_by_pnm`."""

    mu: PyTree  # the momentum of this step's parity
    mu_prev: PyTree  # and that of the other


class ScaleByAdapnmState(NamedTuple):
    """State of `scale_by_adapnm`."""

    count: jax.Array
    mu: PyTree
    mu_prev: PyTree
    nu: PyTree
    nu_max: PyTree  # `None` without `amsgrad`


@optimizer(rates=(1e-3, 1.0), tags=("momentum",))
def pnm(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b0: NonNegative = 1.0,
    *,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """Positive-negative momentum: SGD with more of its own gradient noise.

    In the place of SGD with momentum, where the noise is meant to find flat minima;
    the authors report better generalization with a weight decay of 5e-4. Two momenta
    take the gradients of odd and of even steps; the other one is subtracted. Each
    step::

        m_t = b1^2 * m_(t-2) + (1 - b1^2) * g
        u = ((1 + b0) * m_t - b0 * m_(t-1)) / sqrt((1 + b0)^2 + b0^2)
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the momenta, in [0, 1).
        b0: How much of the other momentum is subtracted. 0 has none.
        weight_decay: Decoupled decay, multiplied by the learning rate.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with two slots per parameter. Its `update` needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import pnm
        >>> tx, g = pnm(0.5, b1=0.0), jnp.array([1.0, -5.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-0.4472,  2.2361], dtype=float32)
        >>> tx
        pnm(learning_rate=0.5, b1=0.0)

    Reference:
        Xie et al., "Positive-Negative Momentum: Manipulating Stochastic Gradient Noise
        to Improve Generalization", ICML 2021, arXiv:2103.17182.
    """
    return chain(
        scale_by_pnm(b1, b0),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@optimizer(rates=(1e-4, 1e-1), tags=("adaptive", "momentum"))
def adapnm(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    b0: NonNegative = 1.0,
    eps: Epsilon = 1e-8,
    *,
    amsgrad: bool = True,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """Adam with a positive-negative momentum.

    In the place of AdamW, with more gradient noise; see `pnm`. At step t::

        m_t = b1^2 * m_(t-2) + (1 - b1^2) * g
        v = b2 * v + (1 - b2) * g^2;  w = max(w, v)  if amsgrad else  v
        u = ((1 + b0) * m_t - b0 * m_(t-1)) / sqrt((1 + b0)^2 + b0^2) / (1 - b1^t)
        u = u / (sqrt(w / (1 - b2^t)) + eps)
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the momenta, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        b0: How much of the other momentum is subtracted. 0 has none.
        eps: Added to the root of the second moment.
        amsgrad: Whether to divide by the greatest second moment so far, as the
            authors' code does.
        weight_decay: Decoupled decay, multiplied by the learning rate.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with four slots per parameter, three without `amsgrad`. Its
        `update` needs `params` unless `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adapnm
        >>> tx, g = adapnm(0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-0.8497,  0.8497], dtype=float32)
        >>> tx
        adapnm(learning_rate=0.5)

    Reference:
        Xie et al., "Positive-Negative Momentum: Manipulating Stochastic Gradient Noise
        to Improve Generalization", ICML 2021, arXiv:2103.17182.
    """
    return chain(
        scale_by_adapnm(b1, b2, b0, eps, amsgrad=amsgrad),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_pnm(b1: DecayRate = 0.9, b0: NonNegative = 1.0) -> Pair:
    """Replace gradients by the difference of two momenta.

    The stage of `pnm` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the momenta, in [0, 1).
        b0: How much of the other momentum is subtracted.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """

    def init(params):
        return ScaleByPnmState(trees.zeros_like(params), trees.zeros_like(params))

    def update(updates, state, params=None, **extra):
        del params, extra
        mu = moments.averages(updates, state.mu_prev, _squared(b1))
        u = _difference(mu, state.mu, b0)
        return u, ScaleByPnmState(moments.like(mu, state.mu), state.mu)

    return Pair(init, update)


@transform
def scale_by_adapnm(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    b0: NonNegative = 1.0,
    eps: Epsilon = 1e-8,
    *,
    amsgrad: bool = True,
) -> Pair:
    """Divide the difference of two momenta by the root of the second moment.

    The stage of `adapnm` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the momenta, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        b0: How much of the other momentum is subtracted.
        eps: Added to the root of the second moment.
        amsgrad: Whether to divide by the greatest second moment so far.

    Returns:
        A transform with four slots per parameter, three without `amsgrad`. It does not
        read `params`.
    """

    def init(params):
        return ScaleByAdapnmState(
            count=jnp.zeros((), jnp.int32),
            mu=trees.zeros_like(params),
            mu_prev=trees.zeros_like(params),
            nu=trees.real_zeros_like(params),
            nu_max=trees.real_zeros_like(params) if amsgrad else None,
        )

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        mu = moments.averages(updates, state.mu_prev, _squared(b1))
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        top = jax.tree.map(jnp.maximum, state.nu_max, nu) if amsgrad else nu
        direction = _difference(mu, state.mu, b0)
        weights = moments.momentum_weights(b1, t)
        correction = nx.bias_correction(b2, t)
        u = moments.rescale(updates, direction, top, weights, correction, eps)
        mu, nu = moments.like(mu, state.mu), moments.like(nu, state.nu)
        kept = top if amsgrad else None
        return u, ScaleByAdapnmState(t, mu, state.mu, nu, kept)

    return Pair(init, update)


def _squared(decay: Any) -> Decay:
    """The square of a decay rate: `1 - b^2 = c (2 - c)` for `c = 1 - b`."""
    c = decay.complement
    return Decay(c * (2.0 - c))


def _difference(new: PyTree, last: PyTree, b0: Any) -> PyTree:
    """The difference of the momenta, of the noise of one of them."""
    b = sums.number(b0)
    size = jnp.sqrt((1.0 + b) ** 2 + b**2)
    ahead, back = (1.0 + b) / size, b / size
    return jax.tree.map(
        lambda m, o: times(m, ahead) - times(o.astype(m.dtype), back), new, last
    )
