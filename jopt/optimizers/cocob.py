"""COCOB: steps found by betting on coins, without a learning rate."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import extras, numerics as nx, sums, trees
from jopt._core.spec import is_off
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    Epsilon,
    LearningRate,
    Mask,
    NonNegative,
    Pair,
    PyTree,
    Switch,
)
from jopt.optimizers.moments import real_full_like
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


class COCOBState(NamedTuple):
    """State of `scale_by_cocob`."""

    init_particles: PyTree  # the initial parameters
    cumulative_gradients: PyTree  # minus their sum
    scale: PyTree  # the largest magnitude of a gradient
    subgradients: PyTree  # the sum of the magnitudes of the gradients
    reward: PyTree  # what the bets have won


@optimizer(rates=(0.1, 1.0), tags=("parameter-free",))
def cocob(
    learning_rate: LearningRate = 1.0,
    alpha: NonNegative = 100.0,
    eps: Epsilon = 1e-8,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """COCOB-Backprop: each parameter bets a part of its wealth on the next gradient.

    Nothing to tune, at the price of five buffers. Each entry apart::

        L = max(L, |g|)
        G = G + |g|
        R = max(R - g * (params - params0), 0)
        T = T - g
        target = params0 + T / (L * max(G + L, alpha * L)) * (L + R)
        params += learning_rate * (target - params)

    Args:
        learning_rate: Part of the way to the target, at most 1; a schedule that ends
            at 0 brings training to rest.
        alpha: Roughly the number of steps of warm-up.
        eps: The first `L`.
        weight_decay: Decay that is added to the gradient.
        mask: Which leaves decay. Defaults to all.

    Returns:
        A transform with five buffers per parameter. It needs `params`.

    Differs from optax in:
        `learning_rate` multiplies the step. optax multiplies the gradients by it,
        which changes nothing while it is constant: the bets do not depend on scale.

    Example:
        >>> from jopt import cocob
        >>> tx, params = cocob(), jnp.array([1.0, -2.0])
        >>> tx.update(jnp.array([0.5, -3.0]), tx.init(params), params)[0].round(4)
        Array([-0.01,  0.01], dtype=float32)
        >>> tx
        cocob()

    Reference:
        Orabona and Tommasi, "Training Deep Networks without Learning Rates Through
        Coin Betting", NeurIPS 2017, arXiv:1705.07795, Algorithm 2.
    """
    return chain(
        add_decayed_weights(weight_decay, mask),
        scale_by_cocob(alpha, eps),
        scale_by_learning_rate(learning_rate, flip_sign=False),
    )


@transform
def scale_by_cocob(alpha: NonNegative = 100.0, eps: Epsilon = 1e-8) -> Pair:
    """Replace gradients by the way to where the bets of `cocob` lead.

    See there for the rule. The result has the sign of a step, as in optax.

    Args:
        alpha: Roughly the number of steps of warm-up.
        eps: The first magnitude of a gradient.

    Returns:
        A transform with five buffers per parameter. It needs `params`.

    Reference:
        Orabona and Tommasi, "Training Deep Networks without Learning Rates Through
        Coin Betting", NeurIPS 2017, arXiv:1705.07795, Algorithm 2.
    """

    def init(params):
        return COCOBState(
            init_particles=trees.copy_like(params),
            cumulative_gradients=trees.zeros_like(params),
            scale=real_full_like(params, 0.0 if is_off(eps) else eps),
            subgradients=trees.real_zeros_like(params),
            reward=trees.real_zeros_like(params),
        )

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "scale_by_cocob")
        gone = sums.displacement(params, state.init_particles)

        def of(function, *trees_):
            return jax.tree.map(function, *trees_)

        top = of(lambda m, g: jnp.maximum(m, jnp.abs(g)), state.scale, updates)
        total = of(lambda a, g: a + jnp.abs(g), state.subgradients, updates)
        reward = of(_won, state.reward, updates, gone)
        against = of(lambda c, g: c - g, state.cumulative_gradients, updates)

        def step(c, m, a, r, w):
            # the sum over the scale before all else: it does not overflow
            part = nx.parts(lambda c: nx.divide(c, m), c)
            wide = jnp.maximum(nx.divide(a, m) + 1.0, nx.cast(alpha, m.dtype))
            return nx.times(part, (1.0 + nx.divide(r, m)) / wide) - w

        out = of(step, against, top, total, reward, gone)
        return out, COCOBState(state.init_particles, against, top, total, reward)

    return Pair(init, update)


def _won(reward: jax.Array, g: jax.Array, gone: jax.Array) -> jax.Array:
    """The reward after a bet, at least 0."""
    inner = g.real * gone.real
    inner = inner + g.imag * gone.imag if jnp.iscomplexobj(g) else inner
    return jnp.maximum(reward - inner, 0.0)
