"""AdaNorm: Adam whose momentum is fed gradients of no less than the usual norm."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jopt._core import norms, numerics as nx, trees
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


class ScaleByAdanormState(NamedTuple):
    """State of `scale_by_adanorm`."""

    count: jax.Array  # steps taken
    mu: PyTree  # average of the gradients so lifted
    nu: PyTree  # average of squared gradients
    size: PyTree  # average of the norm of each gradient, a number per leaf


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive",))
def adanorm(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    b3: DecayRate = 0.95,
    eps: Epsilon = 1e-8,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """AdaNorm's Adam: gradients that are small for their tensor are lifted.

    The second moment sees the gradients as they are. At step t, with norms per
    leaf::

        e = b3 * e + (1 - b3) * norm(g)
        s = g * max(1, e / norm(g))
        m = b1 * m + (1 - b1) * s
        v = b2 * v + (1 - b2) * g^2
        u = m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        b3: Decay rate of the average of norms, in [0, 1). With 0 it is Adam.
        eps: Added to the root of the second moment.
        mu_dtype: Dtype in which the first moment is kept. Defaults to that of the
            parameter, float32 or wider.
        weight_decay: Strength of the decoupled decay; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with two slots per parameter, and a number per leaf. It needs
        `params` unless `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adanorm
        >>> tx, g = adanorm(0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-0.5,  0.5], dtype=float32)
        >>> tx
        adanorm(learning_rate=0.5)

    Reference:
        Dubey, Singh and Chaudhuri, "AdaNorm: Adaptive Gradient Norm Correction based
        Optimizer for CNNs", WACV 2023, arXiv:2210.06364, Algorithm 2.
    """
    return chain(
        scale_by_adanorm(b1, b2, b3, eps, mu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_adanorm(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    b3: DecayRate = 0.95,
    eps: Epsilon = 1e-8,
    mu_dtype: DTypeLike | None = None,
) -> Pair:
    """Lift gradients of small norm, average them and divide as Adam does.

    The stage of `adanorm` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        b3: Decay rate of the average of norms, in [0, 1).
        eps: Added to the root of the second moment.
        mu_dtype: Dtype in which the first moment is kept.

    Returns:
        A transform with two slots per parameter, and a number per leaf. It does not
        read `params`.
    """

    def init(params):
        mu, nu = trees.zeros_like(params, mu_dtype), trees.real_zeros_like(params)
        size = jax.tree.map(lambda v: jnp.zeros((), v.dtype), nu)
        return ScaleByAdanormState(jnp.zeros((), jnp.int32), mu, nu, size)

    def lift(g: jax.Array, now: jax.Array, usual: jax.Array) -> jax.Array:
        small = usual > now
        lifted = nx.times(moments.direction(g), usual)
        return jnp.where(small, lifted, g)

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        now = jax.tree.map(norms.norm, updates)
        size = moments.averages(now, state.size, b3)
        mu = moments.averages(jax.tree.map(lift, updates, now, size), state.mu, b1)
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        weights, correction = moments.momentum_weights(b1, t), nx.bias_correction(b2, t)
        u = moments.rescale(updates, mu, nu, weights, correction, eps)
        slots = map(moments.like, (mu, nu, size), state[1:])
        return u, ScaleByAdanormState(t, *slots)

    return Pair(init, update)
