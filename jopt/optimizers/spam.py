"""SPAM and Stable-SPAM: Adam that holds spikes of the gradient off its moments."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jopt._core import norms, numerics as nx
from jopt._core.numerics import times
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    Count,
    DecayRate,
    Epsilon,
    LearningRate,
    Mask,
    NonNegative,
    Pair,
    PyTree,
    Steps,
    Switch,
)
from jopt.optimizers import moments
from jopt.optimizers.adam import init_adam
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-4, 1e-2), tags=("adaptive",))
def spam(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-6,
    threshold: NonNegative = 5000.0,
    reset_every: Count = 500,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
    *,
    warmup_steps: Steps = 50,
    grace_steps: Steps = 20,
) -> Transform:
    """SPAM: Adam with clipped spikes, whose moments start anew now and then.

    For training with spikes of the gradient, which stay in the moments of Adam for
    hundreds of steps. Every `reset_every` steps the moments are set to 0, and the rate
    climbs back over `warmup_steps`. At step t, s steps after the latest reset::

        g = sign(g) * sqrt(threshold * v)  where g^2 > threshold * v
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        w = 1 - 0.99 * (1 + cos(pi * (s + 1) / (warmup_steps + 1))) / 2
        u = w * m * sqrt(1 - b2^t) / (1 - b1^t) / (sqrt(v) + eps)
        params -= learning_rate * (u + weight_decay * params)

    In the first `grace_steps` after a reset, and where `v` is 0, nothing is clipped;
    before the first reset `w` is 1.

    Args:
        learning_rate: A number >= 0, or a schedule of it.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment, before its correction.
        threshold: How many times its second moment a squared gradient may be.
        reset_every: Steps from one reset to the next.
        weight_decay: Decoupled decay, multiplied by the learning rate.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        warmup_steps: Steps of the climb after a reset.
        grace_steps: Steps after a reset without clipping.

    Returns:
        A transform with two slots per parameter. Its `update` needs `params` unless
        `weight_decay` is 0.

    Differs from the authors' code in: parameters have no sparse masks, the decay is
    AdamW's, and an entry whose second moment is 0 is not clipped to 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import spam
        >>> tx, g = spam(0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(3)
        Array([-0.5,  0.5], dtype=float32)

    Reference:
        Huang et al., "SPAM: Spike-Aware Adam with Momentum Reset for Stable LLM
        Training", ICLR 2025, arXiv:2501.06842, Algorithm 1.
    """
    return chain(
        scale_by_spam(
            b1,
            b2,
            eps,
            threshold,
            reset_every,
            warmup_steps=warmup_steps,
            grace_steps=grace_steps,
        ),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_spam(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-6,
    threshold: NonNegative = 5000.0,
    reset_every: Count = 500,
    *,
    warmup_steps: Steps = 50,
    grace_steps: Steps = 20,
) -> Pair:
    """Adam's direction with clipped spikes and moments that start anew.

    The stage of `spam` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment.
        threshold: How many times its second moment a squared gradient may be.
        reset_every: Steps from one reset to the next.
        warmup_steps: Steps of the climb after a reset.
        grace_steps: Steps after a reset without clipping.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        since = t % reset_every
        # up to the first reset the moments are new anyway
        reset = since == 0
        judging = since >= grace_steps
        mu, nu = (
            jax.tree.map(lambda x: jnp.where(reset, jnp.zeros_like(x), x), slot)
            for slot in (state.mu, state.nu)
        )
        g = jax.tree.map(lambda g, v: _despiked(g, v, threshold, judging), updates, nu)
        mu = moments.averages(g, mu, b1)
        nu = moments.averages(moments.squares(g), nu, b2)
        weights = moments.momentum_weights(b1, t)
        correction = nx.bias_correction(b2, t)
        u = moments.rescale(g, mu, nu, weights, correction, eps, eps_hat=True)
        climb = _climb(since, warmup_steps)
        climb = jnp.where(t < reset_every, jnp.ones_like(climb), climb)
        u = jax.tree.map(lambda u: times(u, climb), u)
        mu, nu = moments.like(mu, state.mu), moments.like(nu, state.nu)
        return u, optax.ScaleByAdamState(t, mu, nu)

    return Pair(init_adam, update)


class ScaleByStableSpamState(NamedTuple):
    """State of `scale_by_stable_spam`."""

    count: jax.Array
    mu: PyTree
    nu: PyTree
    largest: PyTree  # average of the largest entry of each leaf
    norm: PyTree  # average of the norm of each leaf
    norm_squared: PyTree


@optimizer(rates=(1e-4, 1e-2), tags=("adaptive",))
def stable_spam(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    gamma1: DecayRate = 0.7,
    gamma2: DecayRate = 0.9,
    theta: DecayRate = 0.999,
    reset_every: Count = 1000,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """Stable-SPAM: Adam on gradients clipped and normalised by their own history.

    For training in four bits and other places where gradients are erratic. At step t,
    s steps after the latest reset of the moments, for each leaf::

        a = theta * a + (1 - theta) * max|g|;    top = a / (1 - theta^t)
        g = g * top / max|g|  in the entries above top
        n = gamma1 * n + (1 - gamma1) * |g|;    q = gamma2 * q + (1 - gamma2) * |g|^2
        g = g / |g| * n / (1 - gamma1^t) / (sqrt(q / (1 - gamma2^t)) + eps)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        u = m / (1 - b1^s) / (sqrt(v / (1 - b2^s)) + eps)
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule of it.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the roots.
        gamma1: Decay rate of the average norm, in [0, 1).
        gamma2: Decay rate of the average squared norm, in [0, 1).
        theta: Decay rate of the average largest entry, in [0, 1).
        reset_every: Steps from one reset of the moments to the next.
        weight_decay: Decoupled decay, multiplied by the learning rate.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with two slots per parameter and three numbers per leaf. A leaf
        whose gradient is zero stands still. For the authors' decay of `b1` and `gamma1`
        give schedules.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import stable_spam
        >>> tx, g = stable_spam(0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(3)
        Array([-0.5,  0.5], dtype=float32)

    Reference:
        Huang et al., "Stable-SPAM: How to Train in 4-Bit More Stably than 16-Bit Adam",
        2025, arXiv:2502.17055, Algorithm 1.
    """
    return chain(
        scale_by_stable_spam(b1, b2, eps, gamma1, gamma2, theta, reset_every),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_stable_spam(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    gamma1: DecayRate = 0.7,
    gamma2: DecayRate = 0.9,
    theta: DecayRate = 0.999,
    reset_every: Count = 1000,
) -> Pair:
    """Adam's direction of gradients clipped and normalised by their own history.

    The stage of `stable_spam` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the roots.
        gamma1: Decay rate of the average norm, in [0, 1).
        gamma2: Decay rate of the average squared norm, in [0, 1).
        theta: Decay rate of the average largest entry, in [0, 1).
        reset_every: Steps from one reset of the moments to the next.

    Returns:
        A transform with two slots per parameter and three numbers per leaf. It does
        not read `params`.
    """

    def init(params):
        adam: Any = init_adam(params)

        def numbers() -> PyTree:
            return jax.tree.map(lambda p: jnp.zeros((), norms.norm_dtype(p)), params)

        return ScaleByStableSpamState(
            adam.count, adam.mu, adam.nu, numbers(), numbers(), numbers()
        )

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        since = t % reset_every
        reset = since == 0
        # steps that the moments have seen: the first after a reset counts as one
        s = jnp.where(t < reset_every, t, since + 1)
        mu, nu = (
            jax.tree.map(lambda x: jnp.where(reset, jnp.zeros_like(x), x), slot)
            for slot in (state.mu, state.nu)
        )
        tops = jax.tree.map(_largest, updates)
        largest = moments.averages(tops, state.largest, theta)
        fix = nx.bias_correction(theta, t)
        g = jax.tree.map(
            lambda g, top, a: _capped(g, top, a / fix.astype(a.dtype)),
            updates,
            tops,
            largest,
        )
        sizes = jax.tree.map(norms.norm, g)
        alive = jax.tree.map(lambda n: n > 0, sizes)
        norm = moments.averages(sizes, state.norm, gamma1)
        squared = moments.averages(moments.squares(sizes), state.norm_squared, gamma2)
        fix1, fix2 = (nx.bias_correction(x, t) for x in (gamma1, gamma2))

        def factor(n: jax.Array, q: jax.Array) -> jax.Array:
            below = moments.denominator(q / fix2.astype(q.dtype), eps)
            return nx.divide(n / fix1.astype(n.dtype), below)

        scales = jax.tree.map(factor, norm, squared)
        g = jax.tree.map(lambda g, c: times(norms.normalized(g), c), g, scales)
        new_mu = moments.averages(g, mu, b1)
        new_nu = moments.averages(moments.squares(g), nu, b2)
        weights = moments.momentum_weights(b1, s)
        u = moments.rescale(g, new_mu, new_nu, weights, nx.bias_correction(b2, s), eps)
        u = _chosen(alive, u, jax.tree.map(jnp.zeros_like, u))
        return u, ScaleByStableSpamState(
            t,
            _chosen(alive, moments.like(new_mu, state.mu), mu),
            _chosen(alive, moments.like(new_nu, state.nu), nu),
            largest,
            _chosen(alive, norm, state.norm),
            _chosen(alive, squared, state.norm_squared),
        )

    return Pair(init, update)


def _despiked(
    g: jax.Array, v: jax.Array, threshold: Any, judging: jax.Array
) -> jax.Array:
    """The gradient, cut to `sqrt(threshold v)` where it is beyond."""
    root = nx.sqrt(v).astype(jnp.finfo(g.dtype).dtype)
    bound = nx.sqrt(jnp.asarray(threshold, root.dtype)) * root
    size = jnp.abs(g)
    spike = judging & (v > 0) & (size > bound)
    one = jnp.ones_like(size)
    return times(g, jnp.where(spike, bound / jnp.where(spike, size, one), one))


def _climb(since: jax.Array, warmup_steps: int) -> jax.Array:
    """The factor of the rate after a reset: from 0.01 up to 1."""
    share = jnp.minimum(since + 1, warmup_steps + 1).astype(jnp.result_type(float))
    angle = math.pi / (warmup_steps + 1) * share
    # that is 1 - 0.495 (1 + cos(angle)), which would lose digits near 0.01
    climb = 0.01 + 0.99 * jnp.square(jnp.sin(0.5 * angle))
    return jnp.where(since >= warmup_steps, jnp.ones_like(climb), climb)


def _largest(g: jax.Array) -> jax.Array:
    return jnp.max(jnp.abs(g), initial=0).astype(norms.norm_dtype(g))


def _capped(g: jax.Array, top: jax.Array, bound: jax.Array) -> jax.Array:
    """The gradient with entries beyond `bound` scaled by `bound / top`."""
    bound = bound.astype(top.dtype)
    ratio = nx.divide(bound, top)
    return times(g, jnp.where(jnp.abs(g) > bound, ratio, jnp.ones_like(ratio)))


def _chosen(flags: PyTree, new: PyTree, old: PyTree) -> PyTree:
    return jax.tree.map(lambda f, a, b: jnp.where(f, a, b), flags, new, old)
