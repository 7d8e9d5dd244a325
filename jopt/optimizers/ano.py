"""Ano: the direction of a momentum, with the magnitude of the gradient."""

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from jopt._core import numerics as nx
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import DecayRate, Epsilon, LearningRate, Mask, Pair, Switch
from jopt.optimizers import moments
from jopt.optimizers.adam import init_adam
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-5, 1e-2), tags=("adaptive", "sign", "momentum"))
def ano(
    learning_rate: LearningRate,
    b1: DecayRate = 0.92,
    b2: DecayRate = 0.99,
    eps: Epsilon = 1e-8,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """Ano: the momentum says where to, the gradient how far.

    For noisy and changing losses, such as in reinforcement learning. At step t::

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * sign(g^2 - v) * g^2
        u = sign(m) * |g| / (sqrt(v / (1 - b2^t)) + eps)
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number. The
            authors use 1e-4.
        b1: Decay rate of the average of gradients, in [0, 1). The variant Anolog raises
            it over time: give a schedule.
        b2: Decay rate of the second moment, in [0, 1); 0.5 at least keeps it positive.
        eps: Added to the root of the second moment.
        mu_dtype: Dtype in which the first moment is kept. Defaults to that of the
            parameter, float32 or wider.
        weight_decay: Strength of the decoupled decay; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with two slots per parameter. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import ano
        >>> tx, g = ano(0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(3)
        Array([-0.5,  0.5], dtype=float32)
        >>> tx
        ano(learning_rate=0.5)

    Reference:
        Kegreisz, "Ano: Faster is Better in Noisy Landscapes", 2025, arXiv:2508.18258;
        the rule as in pytorch_optimizer 4.1.0.
    """
    return chain(
        scale_by_ano(b1, b2, eps, mu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_ano(
    b1: DecayRate = 0.92,
    b2: DecayRate = 0.99,
    eps: Epsilon = 1e-8,
    mu_dtype: DTypeLike | None = None,
) -> Pair:
    """Give rescaled gradients the signs of their average.

    The stage of `ano` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the second moment, in [0, 1).
        eps: Added to the root of the second moment.
        mu_dtype: Dtype in which the first moment is kept.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """

    def init(params):
        return init_adam(params, mu_dtype)

    def second(g: jax.Array, v: jax.Array) -> jax.Array:
        square = nx.square(g)
        v = v.astype(square.dtype)
        v = moments.average(jnp.sign(square - v) * square, v, b2)
        return jnp.maximum(v, 0.0)

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        mu = moments.averages(updates, state.mu, b1)
        nu = jax.tree.map(second, updates, state.nu)
        correction = nx.bias_correction(b2, t)
        sizes = jax.tree.map(jnp.abs, updates)
        sizes = moments.rescale(sizes, sizes, nu, (1.0, None), correction, eps)
        u = jax.tree.map(lambda m, size: nx.times(jnp.sign(m), size), mu, sizes)
        mu, nu = moments.like(mu, state.mu), moments.like(nu, state.nu)
        return u, optax.ScaleByAdamState(t, mu, nu)

    return Pair(init, update)
