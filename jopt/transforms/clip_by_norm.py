"""Clipping each leaf by its own norm."""

import jax

from jopt._core import norms
from jopt._core.numerics import times
from jopt._core.transform import transform
from jopt._core.types import no_state, NonNegative, Pair


@transform
def clip_by_norm(max_norm: NonNegative) -> Pair:
    """Scale each leaf down when its own norm exceeds a bound.

    Keras's `clipnorm`. For each leaf::

        u = g * max_norm / norm(g)  if norm(g) > max_norm else  g

    It changes the direction of the whole update, which `clip_by_global_norm` keeps.

    Args:
        max_norm: The bound, a number >= 0 or a schedule of it. At 0 all updates are 0.

    Returns:
        A stage without state.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import clip_by_norm
        >>> g = {"a": jnp.array([6.0, 8.0]), "b": jnp.array([0.5])}
        >>> tx = clip_by_norm(1.0)
        >>> tx.update(g, tx.init(g))[0]
        {'a': Array([0.6, 0.8], dtype=float32), 'b': Array([0.5], dtype=float32)}
    """

    def leaf(g: jax.Array) -> jax.Array:
        first, second = norms.within(*norms.scaled_global_norm(g), max_norm)
        return times(times(g, first), second)

    def update(updates, state, params=None, **extra):
        del params, extra
        return jax.tree.map(leaf, updates), state

    return Pair(no_state, update)
