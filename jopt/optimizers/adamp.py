"""AdamP and SGDP: steps without the part along weights that a norm follows."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jopt._core import extras, norms, numerics as nx, select, trees
from jopt._core.spec import is_off
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    Fraction,
    LearningRate,
    Mask,
    NonNegative,
    Pair,
    PyTree,
    Switch,
)
from jopt.optimizers import moments
from jopt.optimizers.adam import init_adam
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive",))
def adamp(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
    *,
    delta: NonNegative = 0.1,
    wd_ratio: Fraction = 0.1,
    nesterov: bool = False,
) -> Transform:
    """AdamP: AdamW that does not lengthen weights whose length has no effect.

    For nets with normalization layers. Momentum makes the weights before such a layer
    grow, which slows their learning down; here the radial part of the step is taken
    off. A leaf of two or more axes is taken for scale-invariant if its gradient is
    nearly at right angles to it, for each output channel (the last axis) or as a
    whole::

        u = m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)
        if max |cos(w, g)| < delta / sqrt(size of w):
            u = u - w (w . u) / |w|^2
            decay = wd_ratio * weight_decay
        else:
            decay = weight_decay
        params -= learning_rate * (u + decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment.
        weight_decay: Strength of the decoupled decay; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        delta: The threshold of the cosine. 0 never projects.
        wd_ratio: Factor of the decay of weights that are projected, in [0, 1].
        nesterov: Whether to mix the gradient into the averaged one, as the authors'
            code does.

    Returns:
        A transform with two slots per parameter. It needs `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adamp
        >>> tx, p = adamp(0.5), jnp.array([[3.0], [4.0]])
        >>> tx.update(jnp.array([[4.0], [-3.0]]), tx.init(p), p)[0].round(2)
        Array([[-0.56],
               [ 0.42]], dtype=float32)
        >>> tx
        adamp(learning_rate=0.5)

    Reference:
        Heo et al., "AdamP: Slowing Down the Slowdown for Momentum Optimizers on
        Scale-invariant Weights", ICLR 2021, arXiv:2006.08217, Algorithm 2.
    """
    return chain(
        scale_by_adamp(
            b1,
            b2,
            eps,
            weight_decay,
            mask,
            delta=delta,
            wd_ratio=wd_ratio,
            nesterov=nesterov,
        ),
        scale_by_learning_rate(learning_rate),
    )


@optimizer(rates=(1e-3, 1.0), tags=("momentum",))
def sgdp(
    learning_rate: LearningRate,
    momentum: Fraction = 0.9,
    nesterov: bool = False,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
    *,
    delta: NonNegative = 0.1,
    wd_ratio: Fraction = 0.1,
) -> Transform:
    """SGDP: momentum SGD that does not lengthen weights whose length has no effect.

    `sgd` with the projection and the decay of `adamp`. Each step::

        m = momentum * m + g
        u = g + momentum * m  if nesterov else  m
        u, decay = project(u)     # as in adamp
        params -= learning_rate * (u + decay / (1 - momentum) * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        momentum: Weight of the past, in [0, 1]. With decay it must be below 1.
        nesterov: Whether to look one step ahead.
        weight_decay: Strength of the decay; 0 turns it off. It counts as often as if
            it were added to the gradient.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        delta: The threshold of the cosine. 0 never projects.
        wd_ratio: Factor of the decay of weights that are projected, in [0, 1].

    Returns:
        A transform with one slot per parameter. It needs `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import sgdp
        >>> tx, p = sgdp(0.5), jnp.array([[3.0], [4.0]])
        >>> tx.update(jnp.array([[4.0], [-3.0]]), tx.init(p), p)[0]
        Array([[-2. ],
               [ 1.5]], dtype=float32)
        >>> tx
        sgdp(learning_rate=0.5)

    Reference:
        Heo et al., "AdamP: Slowing Down the Slowdown for Momentum Optimizers on
        Scale-invariant Weights", ICLR 2021, arXiv:2006.08217, Algorithm 1.
    """
    return chain(
        scale_by_sgdp(
            momentum, nesterov, weight_decay, mask, delta=delta, wd_ratio=wd_ratio
        ),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_adamp(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
    *,
    delta: NonNegative = 0.1,
    wd_ratio: Fraction = 0.1,
    nesterov: bool = False,
) -> Pair:
    """Adam's rescaling, projected, with the decay that goes with it.

    The stage of `adamp` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment.
        weight_decay: Multiple of the parameters that is added.
        mask: Which leaves decay: see `jopt.masked`.
        delta: The threshold of the cosine.
        wd_ratio: Factor of the decay of weights that are projected.
        nesterov: Whether to mix the gradient into the averaged one.

    Returns:
        A transform with two slots per parameter. It needs `params`.
    """
    select.check(mask)

    def init(params):
        select.resolve(mask, params)  # a mask that does not fit is found here
        return init_adam(params)

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "scale_by_adamp")
        t = nx.increment(state.count)
        mu = moments.averages(updates, state.mu, b1)
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        a, b = moments.momentum_weights(b1, t)[0], None
        if nesterov:
            c = moments.complement(b1, a.dtype)
            a, b = (1.0 - c) * a, c * a
        correction = nx.bias_correction(b2, t)
        u = moments.rescale(updates, mu, nu, (a, b), correction, eps)
        u = _projected(u, updates, params, delta, wd_ratio, weight_decay, mask)
        mu, nu = moments.like(mu, state.mu), moments.like(nu, state.nu)
        return u, optax.ScaleByAdamState(t, mu, nu)

    return Pair(init, update)


@transform
def scale_by_sgdp(
    momentum: Fraction = 0.9,
    nesterov: bool = False,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
    *,
    delta: NonNegative = 0.1,
    wd_ratio: Fraction = 0.1,
) -> Pair:
    """A sum of past gradients, projected, with the decay that goes with it.

    The stage of `sgdp` that holds the state; see there for the rule.

    Args:
        momentum: Weight of the past, in [0, 1].
        nesterov: Whether to look one step ahead.
        weight_decay: Multiple of the parameters that is added.
        mask: Which leaves decay: see `jopt.masked`.
        delta: The threshold of the cosine.
        wd_ratio: Factor of the decay of weights that are projected.

    Returns:
        A transform with one slot per parameter. It needs `params`.
    """
    select.check(mask)

    def add(g: jax.Array, m: jax.Array) -> jax.Array:
        return g + nx.times(m.astype(g.dtype), momentum)

    def init(params):
        select.resolve(mask, params)  # a mask that does not fit is found here
        return optax.TraceState(trees.zeros_like(params))

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "scale_by_sgdp")
        m = jax.tree.map(add, updates, state.trace)
        u = jax.tree.map(add, updates, m) if nesterov else m
        decay: Any = weight_decay
        if not is_off(decay):
            dtype = jnp.result_type(float)
            decay = nx.cast(decay, dtype) / (1.0 - nx.cast(momentum, dtype))
        u = _projected(u, updates, params, delta, wd_ratio, decay, mask)
        return u, optax.TraceState(moments.like(m, state.trace))

    return Pair(init, update)


def _projected(
    updates: PyTree,
    gradients: PyTree,
    params: PyTree,
    delta: Any,
    wd_ratio: Any,
    weight_decay: Any,
    mask: Mask,
) -> PyTree:
    """Updates without their radial part where weights are scale-invariant, decayed."""

    def leaf(decays: bool, u: jax.Array, g: jax.Array, p: jax.Array) -> jax.Array:
        p = p.astype(u.dtype)
        u, flat = _tangent(u, g, p, delta)
        if is_off(weight_decay) or not decays:
            return u
        ratio = jnp.where(flat, nx.cast(wd_ratio, u.dtype), 1.0)
        return u + nx.times(nx.times(p, weight_decay), ratio)

    return jax.tree.map(leaf, select.resolve(mask, params), updates, gradients, params)


def _tangent(
    u: jax.Array, g: jax.Array, p: jax.Array, delta: Any
) -> tuple[jax.Array, jax.Array]:
    """The update, projected where the leaf is scale-invariant, and whether it is."""
    done = jnp.zeros((), bool)
    if p.ndim < 2 or not p.size:
        return u, done
    out = u
    for axes in (tuple(range(p.ndim - 1)), tuple(range(p.ndim))):
        unit = moments.direction(p, axes)
        cosine = jnp.max(jnp.abs(norms.dot(unit, moments.direction(g, axes), axes)))
        size = math.prod(p.shape[axis] for axis in axes)
        here = (cosine < nx.cast(delta, cosine.dtype) / math.sqrt(size)) & ~done
        radial = nx.times(unit, norms.dot(unit, u, axes))
        out = jnp.where(here, u - radial, out)
        done = done | here
    return out, done
