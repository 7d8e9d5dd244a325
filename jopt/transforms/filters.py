"""Filters of the gradient: OrthoGrad and Grokfast."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import extras, norms, numerics as nx, trees
from jopt._core.numerics import times
from jopt._core.transform import transform
from jopt._core.types import DecayRate, no_state, NonNegative, Pair, PyTree


@transform
def ortho_grad(*, rescale: bool = True) -> Pair:
    """Take off the part of each gradient that points along its parameter.

    That part only scales the weights, and with them the logits; without it a network
    that fits its data cannot lower the loss by growing, and may generalise sooner. With
    inner products per leaf::

        h = g - <g, p> / |p|^2 * p
        u = h * |g| / |h|  if rescale, else h

    Args:
        rescale: Whether what is left gets the norm of the gradient.

    Returns:
        A stage without state, the first of a chain. Its `update` needs `params`. A leaf
        of zeros keeps its gradient; of a gradient along its parameter nothing is left.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import ortho_grad
        >>> tx, p = ortho_grad(), jnp.array([2.0, 0.0])
        >>> tx.update(jnp.array([3.0, 4.0]), tx.init(p), p)[0]
        Array([0., 5.], dtype=float32)

    Reference:
        Prieto et al., "Grokking at the Edge of Numerical Stability", ICLR 2025,
        arXiv:2501.04697, Equation 12.
    """

    def leaf(g: jax.Array, p: jax.Array) -> jax.Array:
        if g.size < 2:
            return g  # a single number has no other direction
        unit = norms.normalized(p.astype(g.dtype))
        root, scale = norms.scaled_norm(g)
        n = norms.normalized(g)
        h = n - times(unit, norms.inner_product(n, unit))
        rest = norms.norm(h)
        if rescale:
            h = norms.normalized(h)
        # what rounding leaves of a gradient along its parameter is no direction
        h = jnp.where(rest > 16 * jnp.finfo(rest.dtype).eps, h, jnp.zeros_like(h))
        return times(times(h, root), 1 / scale)

    def update(updates, state, params=None, **extra):
        del extra
        extras.need_params(params, "ortho_grad")
        return jax.tree.map(leaf, updates, params), state

    return Pair(no_state, update)


class GrokfastState(NamedTuple):
    """State of `grokfast`."""

    count: jax.Array
    ema: PyTree


@transform
def grokfast(decay: DecayRate = 0.98, amplify: NonNegative = 2.0) -> Pair:
    """Amplify the slow part of the gradients, which is said to be what generalises.

    First in a chain. Each step, starting from the first gradient::

        h = decay * h + (1 - decay) * g
        u = g + amplify * h

    Args:
        decay: Decay of the average, in [0, 1).
        amplify: How much of the average is added.

    Returns:
        A stage with one slot per parameter.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import grokfast
        >>> tx, g = grokfast(0.5, amplify=1.0), jnp.array([2.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> u, tx.update(-g, state)[0]
        (Array([4.], dtype=float32), Array([-2.], dtype=float32))

    Reference:
        Lee et al., "Grokfast: Accelerated Grokking by Amplifying Slow Gradients", 2024,
        arXiv:2405.20233, Algorithm 3, as the authors' code starts it.
    """

    def init(params):
        return GrokfastState(jnp.zeros((), jnp.int32), trees.zeros_like(params))

    def update(updates, state, params=None, **extra):
        del params, extra
        first = state.count == 0

        def averaged(g: jax.Array, h: jax.Array) -> jax.Array:
            h = h.astype(g.dtype)
            return jnp.where(first, g, nx.average(g, h, decay))

        h = jax.tree.map(averaged, updates, state.ema)
        out = jax.tree.map(lambda g, h: g + times(h, amplify), updates, h)
        ema = jax.tree.map(lambda h, s: h.astype(s.dtype), h, state.ema)
        return out, GrokfastState(nx.increment(state.count), ema)

    return Pair(init, update)
