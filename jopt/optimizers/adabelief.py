"""AdaBelief and ACProp: division by the deviation of gradients from their average."""

import jax
import jax.numpy as jnp
import optax

from jopt._core import numerics as nx
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import DecayRate, Epsilon, LearningRate, Mask, Pair, Switch
from jopt.optimizers import moments
from jopt.optimizers.adam import init_adam
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive",))
def adabelief(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-16,
    eps_root: Epsilon = 1e-16,
    *,
    nesterov: bool = False,
) -> Transform:
    """AdaBelief: long steps where the gradient is as expected, short ones elsewhere.

    Try it where Adam generalizes worse than SGD. It is more sensitive than Adam to
    `eps_root`, which bounds the step where gradients hardly change. At step t::

        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m)^2 + eps_root
        params -= learning_rate * m / (1 - b1^t) / (sqrt(s / (1 - b2^t)) + eps)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared deviations, in [0, 1).
        eps: Added to the root of the corrected average of squares.
        eps_root: Added to the average of squares itself, at every step.
        nesterov: Whether to look ahead by one step of momentum.

    Returns:
        A transform with two slots per parameter. It does not read `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adabelief
        >>> tx, g = adabelief(0.9), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-1.,  1.], dtype=float32)
        >>> tx
        adabelief(learning_rate=0.9)

    Reference:
        Zhuang et al., "AdaBelief Optimizer: Adapting Stepsizes by the Belief in
        Observed Gradients", NeurIPS 2020, arXiv:2010.07468, Algorithm 2.
    """
    return chain(
        scale_by_belief(b1, b2, eps, eps_root, nesterov=nesterov),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_belief(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-16,
    eps_root: Epsilon = 1e-16,
    *,
    nesterov: bool = False,
) -> Pair:
    """Divide an average of the gradients by their deviation from it.

    The stage of `adabelief` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared deviations, in [0, 1).
        eps: Added to the root of the corrected average of squares.
        eps_root: Added to the average of squares itself, at every step.
        nesterov: Whether to look ahead by one step of momentum.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """

    def init(params):
        return optax.ScaleByBeliefState(*init_adam(params))

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        mu = moments.averages(updates, state.mu, b1)
        nu = moments.averages(moments.deviations(updates, mu), state.nu, b2)
        nu = moments.raised(nu, eps_root)
        weights = moments.momentum_weights(b1, t, nesterov)
        correction = nx.bias_correction(b2, t)
        u = moments.rescale(updates, mu, nu, weights, correction, eps)
        mu, nu = moments.like(mu, state.mu), moments.like(nu, state.nu)
        return u, optax.ScaleByBeliefState(t, mu, nu)

    return Pair(init, update)


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive",))
def acprop(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-16,
    eps_root: Epsilon = 1e-16,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
    *,
    lagged_mean: bool = False,
) -> Transform:
    """ACProp: the gradient over its deviation as it was before this step.

    The divisor does not know the gradient, so that large ones keep their weight. For
    noisy problems, such as training of adversarial networks; without momentum, so
    that early steps can be long. At step t, where the first step is `u = g`::

        u = g / (sqrt(s / (1 - b2^(t-1))) + eps)
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m)^2 + eps_root
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared deviations, in [0, 1).
        eps: Added to the root of the corrected average of squares.
        eps_root: Added to the average of squares itself, at every step.
        weight_decay: Strength of the decoupled decay; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        lagged_mean: Whether the deviation is from the average before this step, as
            in optax. Steps are then `b1` times as long, from the second on.

    Returns:
        A transform with two slots per parameter. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import acprop
        >>> tx, g = acprop(0.1), jnp.array([4.0, -1.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> tx.update(g, state)[0].round(4)
        Array([-0.1111,  0.1111], dtype=float32)
        >>> tx
        acprop(learning_rate=0.1)

    Differs from optax in: the deviation is from the average with this gradient in
    it, as in the authors' code. optax's reading is `lagged_mean=True`.

    Reference:
        Zhuang et al., "Momentum Centering and Asynchronous Update for Adaptive
        Gradient Methods", NeurIPS 2021, arXiv:2110.05454, Algorithm 2.
    """
    return chain(
        scale_by_acprop(b1, b2, eps, eps_root, lagged_mean=lagged_mean),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_acprop(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-16,
    eps_root: Epsilon = 1e-16,
    *,
    lagged_mean: bool = False,
) -> Pair:
    """Divide gradients by their deviation as it was before them.

    The stage of `acprop` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared deviations, in [0, 1).
        eps: Added to the root of the corrected average of squares.
        eps_root: Added to the average of squares itself, at every step.
        lagged_mean: Whether the deviation is from the average before this step.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """

    def init(params):
        return optax.ScaleByBeliefState(*init_adam(params))

    def update(updates, state, params=None, **extra):
        del params, extra
        first = state.count == 0
        correction = nx.bias_correction(b2, jnp.where(first, 1, state.count))
        ratio = moments.rescale(
            updates, updates, state.nu, (1.0, None), correction, eps
        )
        u = jax.tree.map(lambda g, r: jnp.where(first, g, r), updates, ratio)
        mu = moments.averages(updates, state.mu, b1)
        mean = state.mu if lagged_mean else mu
        nu = moments.averages(moments.deviations(updates, mean), state.nu, b2)
        nu = moments.raised(nu, eps_root)
        mu, nu = moments.like(mu, state.mu), moments.like(nu, state.nu)
        return u, optax.ScaleByBeliefState(nx.increment(state.count), mu, nu)

    return Pair(init, update)
