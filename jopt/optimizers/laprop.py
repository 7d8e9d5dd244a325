"""LaProp: a momentum of gradients that are already rescaled."""

import jax
import optax
from jax.typing import DTypeLike

from jopt._core import numerics as nx
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import DecayRate, Epsilon, LearningRate, Mask, Pair, Switch
from jopt.optimizers import moments
from jopt.optimizers.adam import init_adam
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive", "momentum"))
def laprop(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-15,
    eps_root: Epsilon = 0.0,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """LaProp: Adam with the momentum taken after the division, not before.

    Steps stay bounded for every pair `b1`, `b2`, also where `b1 > sqrt(b2)`. At
    step t::

        v = b2 * v + (1 - b2) * g^2
        m = b1 * m + (1 - b1) * g / (sqrt(v / (1 - b2^t)) + eps)
        params -= learning_rate * (m / (1 - b1^t) + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number. The
            authors use 4e-4.
        b1: Decay rate of the average of rescaled gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.
        mu_dtype: Dtype in which the momentum is kept. Defaults to that of the
            parameter, float32 or wider.
        weight_decay: Strength of the decoupled decay; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with two slots per parameter. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import laprop
        >>> tx, g = laprop(0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-0.5,  0.5], dtype=float32)
        >>> tx
        laprop(learning_rate=0.5)

    Reference:
        Ziyin, Wang and Ueda, "LaProp: Separating Momentum and Adaptivity in Adam",
        2020, arXiv:2002.04839, Algorithm 1.
    """
    return chain(
        scale_by_laprop(b1, b2, eps, eps_root, mu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_laprop(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-15,
    eps_root: Epsilon = 0.0,
    mu_dtype: DTypeLike | None = None,
) -> Pair:
    """Average gradients that are divided by the root of their second moment.

    The stage of `laprop` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of rescaled gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.
        mu_dtype: Dtype in which the momentum is kept.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """

    def init(params):
        return init_adam(params, mu_dtype)

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        correction = nx.bias_correction(b2, t)
        rescaled = moments.rescale(
            updates, updates, nu, (1.0, None), correction, eps, eps_root
        )
        mu = moments.averages(rescaled, state.mu, b1)
        weight = moments.momentum_weights(b1, t)[0]
        u = jax.tree.map(lambda m: nx.times(m, weight), mu)
        mu, nu = moments.like(mu, state.mu), moments.like(nu, state.nu)
        return u, optax.ScaleByAdamState(t, mu, nu)

    return Pair(init, update)
