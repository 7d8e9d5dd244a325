"""StableAdamW: AdamW with Adafactor's clipping of the update in every leaf."""

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


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive",))
def stable_adamw(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.99,
    eps: Epsilon = 1e-6,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 1e-2,
    mask: Mask = None,
) -> Transform:
    """AdamW that slows down, leaf by leaf, where the second moment lags behind.

    Against spikes of the loss, in the place of clipping of gradients. At step t, for
    each leaf::

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        rms = sqrt(mean(g^2 / max(v / (1 - b2^t), eps^2)))
        u = m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)
        params -= learning_rate / max(1, rms) * (u + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment, and least root in `rms`.
        mu_dtype: Dtype in which the first moment is kept. Defaults to that of the
            parameter, float32 or wider.
        weight_decay: Strength of the decay, multiplied by the slowed learning rate;
            0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with two slots per parameter. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import stable_adamw
        >>> tx, g = stable_adamw(0.5, weight_decay=0.0), jnp.array([4.0, -1.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> tx.update(100 * g, state)[0].round(3)
        Array([-0.266,  0.266], dtype=float32)
        >>> tx
        stable_adamw(learning_rate=0.5, weight_decay=0.0)

    Reference:
        Wortsman et al., "Stable and low-precision training for large-scale
        vision-language models", NeurIPS 2023, arXiv:2304.13013, Algorithm 2.
    """
    return chain(
        scale_by_stable_adamw(b1, b2, eps, mu_dtype, weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_stable_adamw(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.99,
    eps: Epsilon = 1e-6,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Pair:
    """Adam's rescaling and a decay, slowed down where the second moment lags behind.

    The stage of `stable_adamw` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment, and least root in `rms`.
        mu_dtype: Dtype in which the first moment is kept.
        weight_decay: Multiple of the parameters that is added before the slowing.
        mask: Which leaves decay: see `jopt.masked`.

    Returns:
        A transform with two slots per parameter. It needs `params` unless
        `weight_decay` is 0.
    """
    decay = add_decayed_weights(weight_decay, mask).raw

    def init(params):
        decay.init(params)  # a mask that does not fit is found here
        return init_adam(params, mu_dtype)

    def update(updates, state, params=None, **extra):
        t = nx.increment(state.count)
        mu = moments.averages(updates, state.mu, b1)
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        weights = moments.momentum_weights(b1, t)
        correction = nx.bias_correction(b2, t)
        u = moments.rescale(updates, mu, nu, weights, correction, eps)
        u, _ = decay.update(u, optax.EmptyState(), params, **extra)

        def slowed(u, g, v):
            c = correction.astype(v.dtype)
            least = c * jnp.square(nx.cast(eps, v.dtype))
            ratio = nx.divide(c * nx.square(g), jnp.maximum(v, least))
            rms = nx.sqrt(jnp.sum(ratio) / max(g.size, 1))
            return nx.times(u, 1.0 / jnp.maximum(rms, 1.0))

        u = jax.tree.map(slowed, u, updates, nu)
        mu, nu = moments.like(mu, state.mu), moments.like(nu, state.nu)
        return u, optax.ScaleByAdamState(t, mu, nu)

    return Pair(init, update)
