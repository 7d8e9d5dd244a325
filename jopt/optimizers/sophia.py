"""Sophia: a momentum over an average of the Hessian's diagonal, clipped."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jopt._core import numerics as nx, trees
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    LearningRate,
    Mask,
    Pair,
    Positive,
    PyTree,
    Switch,
)
from jopt.optimizers import moments
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


class ScaleBySophiaState(NamedTuple):
    """State of `scale_by_sophia`."""

    mu: PyTree  # average of gradients
    nu: PyTree  # average of estimates of the Hessian's diagonal


@optimizer(rates=(1e-4, 1e-2), tags=("adaptive", "second order"))
def sophia(
    learning_rate: LearningRate,
    b1: DecayRate = 0.965,
    b2: DecayRate = 0.99,
    eps: Epsilon = 1e-12,
    weight_decay: Switch = 1e-4,
    mask: Mask = None,
    gamma: Positive = 0.01,
    clip_threshold: Positive = 1.0,
    mu_dtype: DTypeLike | None = None,
) -> Transform:
    """Sophia: steps by the curvature, and by the sign where that is small.

    The curvature comes from you, in the argument `hessian` of `update`: an estimate of
    the Hessian's diagonal, a tree like the gradients. Give it every tenth step or so,
    and `None` in between. Each step::

        m = b1 * m + (1 - b1) * g
        h = b2 * h + (1 - b2) * hessian     # where it is given
        u = clip(m / max(gamma * h, eps), -clip_threshold, clip_threshold)
        params -= learning_rate * (u + weight_decay * params)

    Until the first estimate `u` is the sign of the momentum. One estimate is
    Hutchinson's: for a random `s` of signs, `s * jvp(grad(loss), s)`. The other,
    Gauss-Newton-Bartlett's: the batch size times the squared gradient of the mean
    loss at labels that are drawn from the model.

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of estimates, in [0, 1).
        eps: The least divisor.
        weight_decay: Strength of the decoupled decay; 0 turns it off. The authors use
            0.1 to 0.2.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        gamma: Factor of the curvature. The authors use 0.01 with Hutchinson's
            estimate, 0.05 with the other.
        clip_threshold: The largest entry of the direction.
        mu_dtype: Dtype in which the momentum is kept. Defaults to that of the
            parameter, float32 or wider.

    Returns:
        A transform with two slots per parameter. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jopt import sophia
        >>> loss = lambda p: 100.0 * p[0] ** 2 + p[1] ** 2
        >>> tx, p, ones = sophia(0.5, 0.0), jnp.array([0.01, 2.0]), jnp.ones(2)
        >>> g, h = jax.jvp(jax.grad(loss), (p,), (ones,))
        >>> tx.update(g, tx.init(p), p, hessian=ones * h)[0].round(3)
        Array([-0.5, -0.5], dtype=float32)

    Differs from optax in: the estimate is an argument, with no estimator and no
    interval inside; a fresh estimate counts at once; and the momentum is not corrected
    for bias. These are as in the paper.

    Reference:
        Liu et al., "Sophia: A Scalable Stochastic Second-order Optimizer for Language
        Model Pre-training", ICLR 2024, arXiv:2305.14342, Algorithm 3.
    """
    return chain(
        scale_by_sophia(b1, b2, eps, gamma, clip_threshold, mu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_sophia(
    b1: DecayRate = 0.965,
    b2: DecayRate = 0.99,
    eps: Epsilon = 1e-12,
    gamma: Positive = 0.01,
    clip_threshold: Positive = 1.0,
    mu_dtype: DTypeLike | None = None,
) -> Pair:
    """Divide a momentum by an averaged curvature, and clip.

    The stage of `sophia` that holds the state; see there for the rule, and for the
    argument `hessian` of its update.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of estimates, in [0, 1).
        eps: The least divisor.
        gamma: Factor of the curvature.
        clip_threshold: The largest entry of the direction.
        mu_dtype: Dtype in which the momentum is kept.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """
    guard = moments.may_vanish(eps)

    def leaf(m: jax.Array, h: jax.Array) -> jax.Array:
        least = jnp.asarray(nx.cast(eps, h.dtype), h.dtype)
        ratio = moments.quotient(m, jnp.maximum(nx.times(h, gamma), least), guard)

        def clipped(part):
            bound = jnp.asarray(nx.cast(clip_threshold, part.dtype), part.dtype)
            return jnp.clip(part, -bound, bound)

        return nx.parts(clipped, ratio)

    def init(params):
        mu, nu = trees.zeros_like(params, mu_dtype), trees.real_zeros_like(params)
        return ScaleBySophiaState(mu, nu)

    def update(updates, state, params=None, *, hessian=None, **extra):
        del params, extra
        mu = moments.averages(updates, state.mu, b1)
        nu = state.nu
        if hessian is not None:
            nu = jax.tree.map(
                lambda h, new: nx.average(new.real.astype(h.dtype), h, b2), nu, hessian
            )
        u = jax.tree.map(leaf, mu, nu)
        return u, ScaleBySophiaState(moments.like(mu, state.mu), nu)

    return Pair(init, update)
