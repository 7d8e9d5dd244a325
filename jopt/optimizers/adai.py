"""Adai: an inertia of its own for each parameter."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import numerics as nx, trees
from jopt._core.numerics import times
from jopt._core.sums import number
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    LearningRate,
    Mask,
    NonNegative,
    Pair,
    Positive,
    PyTree,
    Switch,
)
from jopt.optimizers import moments
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


class ScaleByAdaiState(NamedTuple):
    """State of `scale_by_adai`."""

    count: jax.Array
    mu: PyTree
    nu: PyTree
    weight: PyTree  # what the weights in `mu` add up to


@optimizer(rates=(1e-2, 3.0), tags=("momentum",))
def adai(
    learning_rate: LearningRate,
    b0: NonNegative = 0.1,
    b2: DecayRate = 0.99,
    eps: Positive = 1e-3,
    *,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """Adaptive inertia: the second moment sets the momentum, not the rate.

    In the place of SGD with momentum, at about ten times its learning rate: the rate
    is the same for all parameters, and those with small gradients get a longer
    momentum. The authors report flatter minima than Adam's. At step t, with `q` from
    0::

        v = b2 * v + (1 - b2) * g^2;  h = v / (1 - b2^t)
        c = clip(b0 * h / mean(h), eps, 1)         # one minus the momentum
        m = m + c * (g - m);  q = q + c * (1 - q)
        params -= learning_rate * m / q

    The mean is over the entries of all leaves. The L2 penalty of `weight_decay` is
    added to the gradient; decoupled decay is `adaiw`.

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b0: One minus the momentum of a parameter of average second moment.
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Least complement of a momentum, greater than 0 and at most 1.
        weight_decay: Strength of the L2 penalty; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with three slots per parameter. Its `update` needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adai
        >>> tx, g = adai(0.5), jnp.array([4.0, -1.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> abs(tx.update(jnp.zeros(2), state)[0] / u)    # the small one keeps going
        Array([0.448..., 0.497...], dtype=float32)
        >>> tx
        adai(learning_rate=0.5)

    Reference:
        Xie et al., "Adaptive Inertia: Disentangling the Effects of Adaptive Learning
        Rate and Momentum", ICML 2022, arXiv:2006.15815.
    """
    return chain(
        add_decayed_weights(weight_decay, mask),
        scale_by_adai(b0, b2, eps),
        scale_by_learning_rate(learning_rate),
    )


@optimizer(rates=(1e-2, 3.0), tags=("momentum",))
def adaiw(
    learning_rate: LearningRate,
    b0: NonNegative = 0.1,
    b2: DecayRate = 0.99,
    eps: Positive = 1e-3,
    *,
    weight_decay: Switch = 1e-4,
    mask: Mask = None,
) -> Transform:
    """Adaptive inertia with decoupled weight decay.

    As `adai`, but the decay shrinks the parameters directly. Each step::

        u = m / q                                  # as in `adai`
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b0: One minus the momentum of a parameter of average second moment.
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Least complement of a momentum, greater than 0 and at most 1.
        weight_decay: Strength of the decay, multiplied by the learning rate; 0 turns
            it off, which is the default of the authors' code.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with three slots per parameter. Its `update` needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adaiw
        >>> tx, p = adaiw(0.5, weight_decay=0.5), jnp.array([1.0, -2.0])
        >>> tx.update(jnp.array([4.0, -1.0]), tx.init(p), p)[0].round(4)
        Array([-2.25,  1.  ], dtype=float32)
        >>> tx
        adaiw(learning_rate=0.5, weight_decay=0.5)

    Reference:
        Xie et al., "Adaptive Inertia: Disentangling the Effects of Adaptive Learning
        Rate and Momentum", ICML 2022, arXiv:2006.15815.
    """
    return chain(
        scale_by_adai(b0, b2, eps),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_adai(
    b0: NonNegative = 0.1, b2: DecayRate = 0.99, eps: Positive = 1e-3
) -> Pair:
    """Replace gradients by momenta of adapted inertia.

    The stage of `adai` and `adaiw` that holds the state; see there for the rule.

    Args:
        b0: One minus the momentum of a parameter of average second moment.
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Least complement of a momentum, greater than 0 and at most 1.

    Returns:
        A transform with three slots per parameter. It does not read `params`.
    """

    def init(params):
        return ScaleByAdaiState(
            count=jnp.zeros((), jnp.int32),
            mu=trees.zeros_like(params),
            nu=trees.real_zeros_like(params),
            weight=trees.real_zeros_like(params),
        )

    def update(updates, state, params=None, **extra):
        del params, extra
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        mean = _mean_of_all(nu)  # the bias cancels in the ratio

        def fresh(v: jax.Array) -> jax.Array:
            below = jnp.broadcast_to(mean.astype(v.dtype), v.shape)
            share = nx.divide(v, below) * nx.cast(b0, v.dtype)
            return jnp.clip(share, nx.cast(eps, v.dtype), 1.0)

        def corrected(m: jax.Array, q: jax.Array) -> jax.Array:
            return nx.parts(lambda x: x / q.astype(x.dtype), m)

        c = jax.tree.map(fresh, nu)
        mu = jax.tree.map(
            lambda m, g, c: m.astype(g.dtype) + times(g - m.astype(g.dtype), c),
            state.mu,
            updates,
            c,
        )
        weight = jax.tree.map(lambda q, c: q + c * (1.0 - q), state.weight, c)
        u = jax.tree.map(corrected, mu, weight)
        new = mu, nu, weight
        kept = (moments.like(x, old) for x, old in zip(new, state[1:], strict=True))
        return u, ScaleByAdaiState(nx.increment(state.count), *kept)

    return Pair(init, update)


def _mean_of_all(nu: PyTree) -> jax.Array:
    """The mean over the entries of all leaves; divided first, so that it is finite."""
    leaves = [v for v in jax.tree.leaves(nu) if v.size]
    count = max(sum(v.size for v in leaves), 1)
    return sum((number(jnp.sum(v / count)) for v in leaves), number(0.0))
