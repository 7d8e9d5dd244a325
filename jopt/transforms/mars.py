"""MARS's correction: gradients with less variance, from the one before."""

from typing import cast, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import extras, norms, numerics as nx, trees
from jopt._core.decay import Decay
from jopt._core.numerics import times
from jopt._core.transform import transform
from jopt._core.types import DecayRate, NonNegative, Pair, PyTree


class MarsCorrectionState(NamedTuple):
    """State of `mars_correction`."""

    previous: PyTree  # the gradient before this one; the parameters if exact


@transform
def mars_correction(
    gamma: NonNegative = 0.025,
    b1: DecayRate = 0.95,
    *,
    exact: bool = False,
    clip: bool = True,
) -> Pair:
    """Correct each gradient by what changed since the one before.

    Stochastic recursive momentum as a stage, to be put before any optimizer whose
    momentum decays by `b1`. With norms per leaf::

        c = g + gamma * b1 / (1 - b1) * (g - g_before)
        u = c / max(1, |c|)

    By default `g_before` is the gradient that came before, of another batch, and 0 at
    the first step. With `exact` it is taken anew: at the parameters before, on the
    batch of now, at the price of a second gradient per step.

    Args:
        gamma: How much of the change is added.
        b1: Decay of the momentum that follows, in [0, 1).
        exact: Whether to take the second gradient.
        clip: Whether to bring the norm of each leaf down to 1.

    Returns:
        A stage with one slot per parameter. If `exact`, its `update` needs `params` and
        `grad_fn`, which `jopt.make_step` passes.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import mars_correction
        >>> tx, g = mars_correction(0.5, b1=0.5, clip=False), jnp.array([1.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> tx.update(2 * g, state)[0]
        Array([2.5], dtype=float32)

    Reference:
        Yuan et al., "MARS: Unleashing the Power of Variance Reduction for Training
        Large Models", ICML 2025, arXiv:2411.10438, Algorithms 1 and 2.
    """

    def init(params):
        if exact:
            return MarsCorrectionState(trees.copy_like(params))
        return MarsCorrectionState(trees.zeros_like(params))

    def before(updates: PyTree, state: PyTree, params: PyTree, extra: dict) -> PyTree:
        if not exact:
            return state.previous
        extras.need_params(params, "mars_correction")
        there = jax.tree.map(lambda q, p: q.astype(p.dtype), state.previous, params)
        return extras.gradient_at(extra, there, updates, "mars_correction")

    def leaf(g: jax.Array, old: jax.Array) -> jax.Array:
        real = jnp.finfo(g.dtype).dtype
        one_less = nx.cast(cast(Decay, b1).complement, real)
        weight = nx.cast(gamma, real) * ((1.0 - one_less) / one_less)
        c = g + times(g - old.astype(g.dtype), weight)
        if not clip:
            return c
        first, second = norms.within(*norms.scaled_norm(c), 1.0)
        return times(times(c, first), second)

    def update(updates, state, params=None, **extra):
        out = jax.tree.map(leaf, updates, before(updates, state, params, extra))
        kept = params if exact else updates
        kept = jax.tree.map(lambda x, s: x.astype(s.dtype), kept, state.previous)
        return out, MarsCorrectionState(kept)

    return Pair(init, update)
