"""Adamax: Adam with a decaying maximum in place of the second moment."""

import jax
import jax.numpy as jnp
import optax

from jopt._core import numerics as nx
from jopt._core.numerics import times
from jopt._core.spec import is_off
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import DecayRate, Epsilon, LearningRate, Mask, Pair, Switch
from jopt.optimizers import moments
from jopt.optimizers.adam import init_adam
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive",))
def adamax(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
) -> Transform:
    """Adam with the largest recent gradient in place of the second moment.

    Its steps never exceed about `learning_rate`, which helps where single gradients
    are huge. At step t::

        m = b1 * m + (1 - b1) * g
        n = max(b2 * n, |g| + eps)
        params -= learning_rate * m / (1 - b1^t) / n

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the maximum, in [0, 1).
        eps: Added to the magnitude of each gradient. The paper has none; with 0, an
            element whose gradients were all zero stays where it is.

    Returns:
        A transform. It does not read `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adamax
        >>> tx, g = adamax(0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-0.5,  0.5], dtype=float32)
        >>> tx
        adamax(learning_rate=0.5)

    Reference:
        Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015,
        arXiv:1412.6980, Algorithm 2.
    """
    return chain(scale_by_adamax(b1, b2, eps), scale_by_learning_rate(learning_rate))


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive",))
def adamaxw(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    weight_decay: Switch = 1e-4,
    mask: Mask = None,
) -> Transform:
    """Adamax with decoupled weight decay.

    To `adamax` what AdamW is to Adam. At step t::

        m = b1 * m + (1 - b1) * g
        n = max(b2 * n, |g| + eps)
        u = m / (1 - b1^t) / n
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the maximum, in [0, 1).
        eps: Added to the magnitude of each gradient.
        weight_decay: Strength of the decay, multiplied by the learning rate; 0 turns
            it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform. Its `update` needs `params` unless `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adamaxw
        >>> tx, p = adamaxw(0.5, weight_decay=0.5), jnp.array([1.0, -2.0])
        >>> tx.update(jnp.array([4.0, -1.0]), tx.init(p), p)[0].round(4)
        Array([-0.75,  1.  ], dtype=float32)
        >>> tx
        adamaxw(learning_rate=0.5, weight_decay=0.5)

    Reference:
        Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015,
        arXiv:1412.6980, Algorithm 2.

        Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019,
        arXiv:1711.05101, Algorithm 2.
    """
    return chain(
        scale_by_adamax(b1, b2, eps),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_adamax(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    *,
    eps_in_max: bool = True,
) -> Pair:
    """Divide an average of the gradients by a decaying maximum of them.

    The stage of `adamax` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the maximum, in [0, 1).
        eps: Added to the magnitude of each gradient.
        eps_in_max: Without it `eps` is added to the maximum instead, as in Keras.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """
    guard = moments.may_vanish(eps)

    def greatest(n, g):
        magnitude = _magnitude(g)
        if eps_in_max and not is_off(eps):
            magnitude = magnitude + nx.cast(eps, magnitude.dtype)
        n = n.astype(magnitude.dtype)
        return jnp.maximum(n - times(n, moments.complement(b2, n.dtype)), magnitude)

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        mu = moments.averages(updates, state.mu, b1)
        nu = jax.tree.map(greatest, state.nu, updates)
        weight, _ = moments.momentum_weights(b1, t)
        below = nu if eps_in_max else moments.raised(nu, eps)
        u = jax.tree.map(
            lambda m, n: moments.quotient(times(m, weight), n, guard), mu, below
        )
        mu, nu = moments.like(mu, state.mu), moments.like(nu, state.nu)
        return u, optax.ScaleByAdamState(t, mu, nu)

    return Pair(init_adam, update)


def _magnitude(g: jax.Array) -> jax.Array:
    """The absolute value, whose derivative at 0 is 0 for complex numbers too."""
    if not jnp.iscomplexobj(g):
        return jnp.abs(g)
    zero = g == 0
    return jnp.where(zero, 0.0, jnp.abs(jnp.where(zero, jnp.ones_like(g), g)))
