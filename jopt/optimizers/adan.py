"""Adan: Adam's rescaling of a momentum and of the change of gradients."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jopt._core import extras, numerics as nx, select, trees
from jopt._core.spec import is_off
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    LearningRate,
    Mask,
    Pair,
    PyTree,
    Switch,
)
from jopt.optimizers import moments
from jopt.transforms.scale import scale_by_learning_rate


class ScaleByAdanState(NamedTuple):
    """State of `scale_by_adan`."""

    m: PyTree  # average of gradients
    v: PyTree  # average of their changes
    n: PyTree  # average of the squared look-ahead
    g: PyTree  # the last gradient
    t: jax.Array  # steps taken


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive", "momentum"))
def adan(
    learning_rate: LearningRate,
    b1: DecayRate = 0.98,
    b2: DecayRate = 0.92,
    b3: DecayRate = 0.99,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """Adan: Adam with Nesterov's look-ahead by averaged changes of the gradient.

    It takes larger learning rates than Adam, 5 to 10 times as large say its authors,
    for four slots per parameter. At step t, with `g'` the last gradient (at the first
    step `g`)::

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * (g - g')
        n = b3 * n + (1 - b3) * (g + b2 * (g - g'))^2
        u = (m / (1 - b1^t) + b2 * v / (1 - b2^t)) / (sqrt(n / (1 - b3^t)) + eps)
        params = (params - learning_rate * u) / (1 + learning_rate * weight_decay)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1). One minus the paper's.
        b2: Decay rate of the average of changes, in [0, 1).
        b3: Decay rate of the average of squares, in [0, 1).
        eps: Added to the root of the corrected average of squares.
        eps_root: Added inside the root. optax has 1e-8.
        weight_decay: Strength of the proximal decay; 0 turns it off. The authors use
            0.02.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with four slots per parameter. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adan
        >>> tx, g = adan(0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-0.5,  0.5], dtype=float32)
        >>> tx
        adan(learning_rate=0.5)

    Differs from optax in: the change of the gradient counts `b2` times, as in the
    paper, where optax has `1 - b2`; the decay is proximal; and `eps_root` is 0.

    Reference:
        Xie et al., "Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing
        Deep Models", TPAMI 2024, arXiv:2208.06677, Algorithm 1.
    """
    stages = [scale_by_adan(b1, b2, b3, eps, eps_root)]
    if is_off(weight_decay):
        return chain(*stages, scale_by_learning_rate(learning_rate))
    return chain(*stages, scale_by_proximal_decay(learning_rate, weight_decay, mask))


@transform
def scale_by_adan(
    b1: DecayRate = 0.98,
    b2: DecayRate = 0.92,
    b3: DecayRate = 0.99,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
) -> Pair:
    """Divide an averaged look-ahead by the root of the average of its square.

    The stage of `adan` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of changes, in [0, 1).
        b3: Decay rate of the average of squares, in [0, 1).
        eps: Added to the root of the corrected average of squares.
        eps_root: Added inside the root.

    Returns:
        A transform with four slots per parameter. It does not read `params`.
    """

    def init(params):
        m, v, g = (trees.zeros_like(params) for _ in range(3))
        n = trees.real_zeros_like(params)
        return ScaleByAdanState(m, v, n, g, jnp.zeros((), jnp.int32))

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.t)
        ahead = 1.0 - moments.complement(b2, jnp.result_type(float))

        def change(g, last):
            last = last.astype(g.dtype)
            return jnp.where(state.t == 0, jnp.zeros_like(g), g - last)

        def square(g, d):
            return nx.square(g + nx.times(d, ahead))

        d = jax.tree.map(change, updates, state.g)
        m = moments.averages(updates, state.m, b1)
        v = moments.averages(d, state.v, b2)
        n = moments.averages(jax.tree.map(square, updates, d), state.n, b3)
        weights = 1.0 / nx.bias_correction(b1, t), ahead / nx.bias_correction(b2, t)
        correction = nx.bias_correction(b3, t)
        u = moments.rescale(v, m, n, weights, correction, eps, eps_root)
        slots = map(moments.like, (m, v, n, updates), state[:4])
        return u, ScaleByAdanState(*slots, t=t)

    return Pair(init, update)


@transform
def scale_by_proximal_decay(
    learning_rate: LearningRate, weight_decay: Switch = 0.0, mask: Mask = None
) -> Pair:
    """Take a step, then shrink the parameters by a proximal weight decay.

    In the place of `add_decayed_weights` and `scale_by_learning_rate`. The decay is
    implicit: however large the rate, it does not overshoot 0::

        params = (params - learning_rate * u) / (1 + learning_rate * weight_decay)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        weight_decay: Strength of the decay, a number >= 0 or a schedule of it.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A stage without state. Its `update` needs `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import scale_by_proximal_decay
        >>> tx, p = scale_by_proximal_decay(0.5, 2.0), jnp.array([4.0])
        >>> tx.update(jnp.array([2.0]), tx.init(p), p)[0]
        Array([-2.5], dtype=float32)

    Reference:
        Xie et al., "Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing
        Deep Models", TPAMI 2024, arXiv:2208.06677, Algorithm 1.
    """
    select.check(mask)

    def init(params):
        select.resolve(mask, params)  # a mask that does not fit is found here
        return optax.EmptyState()

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "scale_by_proximal_decay")
        dtype = jnp.result_type(float)
        rate = nx.cast(learning_rate, dtype)
        decay = nx.cast(0.0 if is_off(weight_decay) else weight_decay, dtype)
        factor = -rate / (1.0 + rate * decay)

        def leaf(decays, u, p):
            if not decays:
                return nx.times(u, -rate)
            return nx.times(u + nx.times(p.astype(u.dtype), decay), factor)

        return jax.tree.map(leaf, select.resolve(mask, params), updates, params), state

    return Pair(init, update)
