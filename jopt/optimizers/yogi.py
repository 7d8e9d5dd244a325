"""Yogi: Adam whose second moment changes by a bounded amount."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jopt._core import numerics as nx, trees
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import DecayRate, Epsilon, LearningRate, NonNegative, Pair, Scalar
from jopt.optimizers import moments
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-4, 1e-1), tags=("adaptive",))
def yogi(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-3,
    *,
    bias_correction: bool = True,
) -> Transform:
    """Yogi: the effective learning rate rises slowly after large gradients.

    Where Adam's second moment forgets rare large gradients too soon. At step t, with
    `v` from 1e-6::

        m = b1 * m + (1 - b1) * g
        v = v - (1 - b2) * sign(v - g^2) * g^2
        params -= learning_rate * m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number. The
            authors use 1e-2.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: One minus the share of a squared gradient that is added or taken off, in
            [0, 1).
        eps: Added to the root of the second moment.
        bias_correction: Whether to correct both moments for their start, as optax and
            TensorFlow do. The paper's algorithm does not.

    Returns:
        A transform with two slots per parameter. It does not read `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import yogi
        >>> tx, g = yogi(0.1), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(3)
        Array([-0.1,  0.1], dtype=float32)
        >>> tx
        yogi(learning_rate=0.1)

    Differs from optax in: the average of gradients starts from 0, not from 1e-6, so
    that a parameter without gradient stays where it is. optax's reading is
    `scale_by_yogi(initial_mean=1e-6)`.

    Reference:
        Zaheer et al., "Adaptive Methods for Nonconvex Optimization", NeurIPS 2018,
        Algorithm 2.
    """
    return chain(
        scale_by_yogi(b1, b2, eps, bias_correction=bias_correction),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_yogi(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-3,
    eps_root: Epsilon = 0.0,
    initial_accumulator_value: NonNegative = 1e-6,
    *,
    initial_mean: Scalar = 0.0,
    bias_correction: bool = True,
) -> Pair:
    """Divide an average of gradients by the root of Yogi's second moment.

    The stage of `yogi` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: One minus the share of a squared gradient that is added or taken off.
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.
        initial_accumulator_value: What the second moment starts from.
        initial_mean: What the average of gradients starts from.
        bias_correction: Whether to correct both moments for their start.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """

    def init(params):
        mu = jax.tree.map(
            lambda zero: zero + nx.cast(initial_mean, zero.dtype),
            trees.zeros_like(params),
        )
        nu = moments.real_full_like(params, initial_accumulator_value)
        return optax.ScaleByAdamState(jnp.zeros((), jnp.int32), mu, nu)

    def leaf(g: jax.Array, v: jax.Array) -> jax.Array:
        square = nx.square(g)
        v = v.astype(square.dtype)
        return v - moments.complement(b2, v.dtype) * jnp.sign(v - square) * square

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        mu = moments.averages(updates, state.mu, b1)
        nu = jax.tree.map(leaf, updates, state.nu)
        one: Any = jnp.ones((), jnp.result_type(float))
        weights = moments.momentum_weights(b1, t) if bias_correction else (one, None)
        correction = nx.bias_correction(b2, t) if bias_correction else one
        u = moments.rescale(updates, mu, nu, weights, correction, eps, eps_root)
        mu, nu = moments.like(mu, state.mu), moments.like(nu, state.nu)
        return u, optax.ScaleByAdamState(t, mu, nu)

    return Pair(init, update)
