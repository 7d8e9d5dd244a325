"""FOCUS: the sign of a momentum, and a pull towards the averaged parameters."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import extras, numerics as nx, select, trees
from jopt._core.spec import is_off
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    LearningRate,
    Mask,
    NonNegative,
    Pair,
    PyTree,
    Switch,
)
from jopt.optimizers import moments
from jopt.transforms.scale import scale_by_learning_rate


class ScaleByFocusState(NamedTuple):
    """State of `scale_by_focus`."""

    count: jax.Array  # steps taken
    mu: PyTree  # average of gradients
    mean: PyTree  # average of parameters, corrected for its start


@optimizer(rates=(1e-5, 1e-2), tags=("sign", "momentum"))
def focus(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    gamma: NonNegative = 0.1,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """FOCUS: Signum that is drawn towards the average of its parameters.

    Against noise across a narrow valley of the loss, where signs alone bounce between
    its walls. At step t::

        m = b1 * m + (1 - b1) * g
        w = b2 * w + (1 - b2) * params
        c = w / (1 - b2^t)
        u = sign(m) + gamma * sign(params - c)
        params -= learning_rate * (u + weight_decay * c)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of parameters, in [0, 1).
        gamma: Strength of the pull.
        weight_decay: Strength of the decay, by the averaged parameters; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with two slots per parameter. It needs `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import focus
        >>> tx, p = focus(0.5), jnp.array([1.0, -2.0])
        >>> tx.update(jnp.array([4.0, -1.0]), tx.init(p), p)[0]
        Array([-0.5,  0.5], dtype=float32)
        >>> tx
        focus(learning_rate=0.5)

    Reference:
        Liu, Liu and Gore, "FOCUS: First Order Concentrated Updating Scheme", 2025,
        arXiv:2501.12243, Algorithm 1; the decay as in the authors' code.
    """
    return chain(
        scale_by_focus(b1, b2, gamma, weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_focus(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    gamma: NonNegative = 0.1,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Pair:
    """Add the sign of a momentum to that of the way from the averaged parameters.

    The stage of `focus` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of parameters, in [0, 1).
        gamma: Strength of the pull.
        weight_decay: Multiple of the averaged parameters that is added.
        mask: Which leaves decay: see `jopt.masked`.

    Returns:
        A transform with two slots per parameter. It needs `params`.
    """
    select.check(mask)

    def init(params):
        select.resolve(mask, params)  # a mask that does not fit is found here
        mu, mean = trees.zeros_like(params), trees.zeros_like(params)
        return ScaleByFocusState(jnp.zeros((), jnp.int32), mu, mean)

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "scale_by_focus")
        t = nx.increment(state.count)
        correction = nx.bias_correction(b2, t)
        share = moments.complement(b2, correction.dtype) / correction

        def follow(c, p):
            # The average is held corrected: the first one is the parameter exactly,
            # and the sign of their difference 0, not that of a rounding error.
            p = p.astype(c.dtype)
            return jnp.where(state.count == 0, p, c + nx.times(p - c, share))

        def leaf(decays, m, p, c):
            p, c = p.astype(m.dtype), c.astype(m.dtype)
            u = jnp.sign(m) + nx.times(jnp.sign(p - c), gamma)
            return u + nx.times(c, weight_decay) if decays else u

        mu = moments.averages(updates, state.mu, b1)
        mean = jax.tree.map(follow, state.mean, params)
        keep = select.resolve(False if is_off(weight_decay) else mask, params)
        u = jax.tree.map(leaf, keep, mu, params, mean)
        return u, ScaleByFocusState(t, moments.like(mu, state.mu), mean)

    return Pair(init, update)
