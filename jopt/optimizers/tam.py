"""Torque-aware momentum: gradients that turn the momentum count less."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import norms, numerics as nx, trees
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    LearningRate,
    Mask,
    NonNegative,
    Pair,
    PyTree,
    Switch,
)
from jopt.optimizers import moments
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


class ScaleByTamState(NamedTuple):
    """State of `scale_by_tam`."""

    mu: PyTree  # decaying sum of damped gradients
    cosine: PyTree  # average cosine of gradient and momentum: a number for each leaf


class ScaleByAdatamState(NamedTuple):
    """State of `scale_by_adatam`."""

    mu: PyTree  # decaying sum of damped gradients
    nu: PyTree  # average of squared gradients
    cosine: PyTree  # average cosine of gradient and momentum: a number for each leaf


@optimizer(rates=(1e-3, 1.0), tags=("momentum",))
def tam(
    learning_rate: LearningRate,
    momentum: DecayRate = 0.9,
    decay_rate: DecayRate = 0.9,
    eps: NonNegative = 1e-8,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """Momentum SGD that damps gradients by their angle to the momentum.

    Where single gradients throw the momentum off its way. A gradient along the
    momentum counts in full, one against it hardly. At the start every gradient counts
    half, so the authors begin with twice the rate of SGD. Each step, for each leaf::

        s = decay_rate * s + (1 - decay_rate) * cos(m, g)
        m = momentum * m + (eps + (1 + s) / 2) * g
        params -= learning_rate * (m + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        momentum: Decay rate of the sum of gradients, in [0, 1).
        decay_rate: Decay rate of the average of cosines, in [0, 1).
        eps: The least that a gradient counts.
        weight_decay: Strength of the decoupled decay; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with one slot per parameter, and a number per leaf. It needs
        `params` unless `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import tam
        >>> tx, g = tam(0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0]
        Array([-1.  ,  0.25], dtype=float32)
        >>> tx
        tam(learning_rate=0.5)

    Reference:
        Malviya et al., "Torque-Aware Momentum", 2024, arXiv:2412.18790, Section 3.
    """
    return chain(
        scale_by_tam(momentum, decay_rate, eps),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@optimizer(rates=(1e-5, 3e-3), tags=("adaptive", "momentum"))
def adatam(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    decay_rate: DecayRate = 0.9,
    eps: Epsilon = 1e-8,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """Adam with torque-aware momentum.

    `tam`, divided by the root of a second moment. There is no correction for bias, and
    the momentum is a sum, so that steps are several times those of Adam, most of all
    the first. Each step, for each leaf::

        s = decay_rate * s + (1 - decay_rate) * cos(m, g)
        m = b1 * m + (eps + (1 + s) / 2) * g
        v = b2 * v + (1 - b2) * g^2
        params -= learning_rate * (m / (sqrt(v) + eps) + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the sum of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        decay_rate: Decay rate of the average of cosines, in [0, 1).
        eps: Added to the root, and to what a gradient counts.
        weight_decay: Strength of the decoupled decay; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with two slots per parameter, and a number per leaf. It needs
        `params` unless `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adatam
        >>> tx, g = adatam(0.1, b2=0.75), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(3)
        Array([-0.1,  0.1], dtype=float32)
        >>> tx
        adatam(learning_rate=0.1, b2=0.75)

    Reference:
        Malviya et al., "Torque-Aware Momentum", 2024, arXiv:2412.18790, Section 3;
        without correction for bias as in pytorch_optimizer 4.1.0.
    """
    return chain(
        scale_by_adatam(b1, b2, decay_rate, eps),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_tam(
    momentum: DecayRate = 0.9, decay_rate: DecayRate = 0.9, eps: NonNegative = 1e-8
) -> Pair:
    """Replace gradients by a decaying sum of damped ones.

    The stage of `tam` that holds the state; see there for the rule.

    Args:
        momentum: Decay rate of the sum of gradients, in [0, 1).
        decay_rate: Decay rate of the average of cosines, in [0, 1).
        eps: The least that a gradient counts.

    Returns:
        A transform with one slot per parameter, and a number per leaf. It does not
        read `params`.
    """

    def init(params):
        return ScaleByTamState(trees.zeros_like(params), _numbers(params))

    def update(updates, state, params=None, **extra):
        del params, extra
        mu, cosine = _torque(updates, state, momentum, decay_rate, eps)
        return mu, ScaleByTamState(moments.like(mu, state.mu), cosine)

    return Pair(init, update)


@transform
def scale_by_adatam(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    decay_rate: DecayRate = 0.9,
    eps: Epsilon = 1e-8,
) -> Pair:
    """Divide a decaying sum of damped gradients by the root of the second moment.

    The stage of `adatam` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the sum of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        decay_rate: Decay rate of the average of cosines, in [0, 1).
        eps: Added to the root, and to what a gradient counts.

    Returns:
        A transform with two slots per parameter, and a number per leaf. It does not
        read `params`.
    """
    guard = moments.may_vanish(eps)

    def init(params):
        mu, nu = trees.zeros_like(params), trees.real_zeros_like(params)
        return ScaleByAdatamState(mu, nu, _numbers(params))

    def update(updates, state, params=None, **extra):
        del params, extra
        mu, cosine = _torque(updates, state, b1, decay_rate, eps)
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        u = jax.tree.map(
            lambda m, v: moments.quotient(m, moments.denominator(v, eps), guard),
            mu,
            nu,
        )
        mu, nu = moments.like(mu, state.mu), moments.like(nu, state.nu)
        return u, ScaleByAdatamState(mu, nu, cosine)

    return Pair(init, update)


def _numbers(params: PyTree) -> PyTree:
    """A real number for each leaf, in float32 or wider."""

    def zero(p: Any) -> jax.Array:
        return jnp.zeros((), jnp.finfo(trees.accumulation_dtype(p.dtype)).dtype)

    return jax.tree.map(zero, params)


def _torque(
    updates: PyTree, state: Any, momentum: Any, decay_rate: Any, eps: Any
) -> tuple[PyTree, PyTree]:
    """The sums of damped gradients, and the average cosines."""
    kept = 1.0 - moments.complement(momentum, jnp.result_type(float))

    def turn(s: jax.Array, g: jax.Array, m: jax.Array) -> jax.Array:
        m = moments.direction(m.astype(g.dtype))
        cosine = norms.dot(m, moments.direction(g))
        return nx.average(cosine.astype(s.dtype), s, decay_rate)

    def damped(g: jax.Array, m: jax.Array, s: jax.Array) -> jax.Array:
        weight = nx.cast(eps, s.dtype) + 0.5 * (1.0 + s)
        return nx.times(m.astype(g.dtype), kept) + nx.times(g, weight)

    cosine = jax.tree.map(turn, state.cosine, updates, state.mu)
    return jax.tree.map(damped, updates, state.mu, cosine), cosine
