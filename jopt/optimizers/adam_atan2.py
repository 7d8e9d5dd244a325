"""Adam-atan2: Adam with an arctangent in the place of the division."""

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from jopt._core import numerics as nx
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import DecayRate, LearningRate, Mask, Pair, Positive, Switch
from jopt.optimizers import moments
from jopt.optimizers.adam import init_adam
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive",))
def adam_atan2(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.99,
    a: Positive = 1.27,
    b: Positive = 1.0,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """Adam without an epsilon: its direction does not depend on the loss's scale.

    Where gradients get so small that Adam's `eps` shows, as in wide models. No entry
    moves by more than `learning_rate * a * pi / 2`. At step t::

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        u = a * atan2(m / (1 - b1^t), b * sqrt(v / (1 - b2^t)))
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        a: Factor of the angle. At about `4 / pi`, an entry whose gradient is steady
            moves by `learning_rate`.
        b: Factor of the root: the larger, the nearer to a division.
        mu_dtype: Dtype in which the first moment is kept. Defaults to that of the
            parameter, float32 or wider.
        weight_decay: Strength of the decoupled decay; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with two slots per parameter. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adam_atan2
        >>> tx, g = adam_atan2(0.5), jnp.array([4.0, -1e-12])
        >>> tx.update(g, tx.init(g))[0].round(3)
        Array([-0.499,  0.499], dtype=float32)
        >>> tx
        adam_atan2(learning_rate=0.5)

    Reference:
        Everett et al., "Scaling Exponents Across Parameterizations and Optimizers",
        ICML 2024, arXiv:2407.05872. Defaults as in the package adam-atan2-pytorch.
    """
    return chain(
        scale_by_adam_atan2(b1, b2, a, b, mu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_adam_atan2(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.99,
    a: Positive = 1.27,
    b: Positive = 1.0,
    mu_dtype: DTypeLike | None = None,
) -> Pair:
    """Replace gradients by the angle between their average and that of their squares.

    The stage of `adam_atan2` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        a: Factor of the angle.
        b: Factor of the root.
        mu_dtype: Dtype in which the first moment is kept.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """

    def angle(m: jax.Array, root: jax.Array) -> jax.Array:
        zero = (m == 0) & (root == 0)  # where the arctangent has no derivative
        return jnp.arctan2(m, jnp.where(zero, jnp.ones_like(root), root))

    def init(params):
        return init_adam(params, mu_dtype)

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        mu = moments.averages(updates, state.mu, b1)
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        correction = nx.bias_correction(b2, t)
        weight = moments.momentum_weights(b1, t)[0] * jnp.sqrt(correction)

        def leaf(m, v):
            root = nx.times(nx.sqrt(v), b)
            u = nx.parts(lambda part: angle(part, root), nx.times(m, weight))
            return nx.times(u, a)

        u = jax.tree.map(leaf, mu, nu)
        mu, nu = moments.like(mu, state.mu), moments.like(nu, state.nu)
        return u, optax.ScaleByAdamState(t, mu, nu)

    return Pair(init, update)
