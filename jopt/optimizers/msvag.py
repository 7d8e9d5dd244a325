"""M-SVAG: momentum SGD whose steps shrink where the gradient is noisy."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import DTypeLike

from jopt._core import numerics as nx
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import DecayRate, LearningRate, Mask, Pair, Switch
from jopt.optimizers import moments
from jopt.optimizers.adam import init_adam
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-3, 3.0), tags=("momentum", "adaptive"))
def msvag(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """M-SVAG: each entry of the momentum times a factor for its relative variance.

    The part of Adam that adapts to noise, without its sign. Where Adam's magnitudes
    do harm and SGD's learning rate is known. At step t::

        m = b1 * m + (1 - b1) * g;       a = m / (1 - b1^t)
        v = b1 * v + (1 - b1) * g^2;     c = v / (1 - b1^t)
        rho = (1 - b1) * (1 + b1^t) / ((1 + b1) * (1 - b1^t))
        s = (c - a^2) / (1 - rho)
        u = a * a^2 / (a^2 + rho * s)    # the first time u = a
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number: of the
            order of that of SGD over `1 - momentum`.
        b1: Decay rate of both averages, in [0, 1). With 0 it is SGD.
        mu_dtype: Dtype in which the first moment is kept. Defaults to that of the
            parameter, float32 or wider.
        weight_decay: Strength of the decoupled decay; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with two slots per parameter. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import msvag
        >>> tx, g = msvag(0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-2. ,  0.5], dtype=float32)
        >>> tx
        msvag(learning_rate=0.5)

    Reference:
        Balles and Hennig, "Dissecting Adam: The Sign, Magnitude and Variance of
        Stochastic Gradients", ICML 2018, arXiv:1705.07774, Algorithm 2.
    """
    return chain(
        scale_by_msvag(b1, mu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_msvag(b1: DecayRate = 0.9, mu_dtype: DTypeLike | None = None) -> Pair:
    """Average gradients, and damp each entry by its relative variance.

    The stage of `msvag` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of both averages, in [0, 1).
        mu_dtype: Dtype in which the first moment is kept.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """

    def init(params):
        return init_adam(params, mu_dtype)

    def odds(correction: jax.Array, count: jax.Array) -> jax.Array:
        """`rho / (1 - rho)`, and 0 where `rho` is 1."""
        c: Any = moments.complement(b1, correction.dtype)
        before = nx.bias_correction(b1, count)
        return nx.divide(c * (2.0 - correction), 2.0 * (1.0 - c) * before)

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        mu = moments.averages(updates, state.mu, b1)
        nu = moments.averages(moments.squares(updates), state.nu, b1)
        correction = nx.bias_correction(b1, t)
        inverse, noise = 1.0 / correction, odds(correction, state.count)

        def leaf(m: jax.Array, v: jax.Array) -> jax.Array:
            mean = nx.times(m, inverse)
            signal = nx.square(mean)
            top = np.asarray(jnp.finfo(v.dtype).max, v.dtype)
            square = jnp.minimum(nx.times(v, inverse), top)  # rounding may pass it
            spread = jnp.maximum(square - signal, 0.0)
            below = signal + nx.times(spread, noise)
            return nx.times(mean, moments.quotient(signal, below, guard=True))

        u = jax.tree.map(leaf, mu, nu)
        mu, nu = moments.like(mu, state.mu), moments.like(nu, state.nu)
        return u, optax.ScaleByAdamState(t, mu, nu)

    return Pair(init, update)
