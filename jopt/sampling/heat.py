"""What samplers share: how large their noise is, and how it moves a velocity."""

from typing import Any

import jax

from jopt._core import numerics as nx
from jopt._core.numerics import times
from jopt._core.sums import number
from jopt._core.types import PyTree

__all__ = []


def deviation(learning_rate: Any, temperature: Any, friction: Any = 1.0) -> jax.Array:
    """`sqrt(2 friction learning_rate temperature)`."""
    rate, heat, loss = number(learning_rate), number(temperature), number(friction)
    return nx.sqrt(2.0 * rate * heat * loss)


def moved(
    velocity: PyTree,
    updates: PyTree,
    noise: PyTree,
    kept: jax.Array,
    learning_rate: Any,
    size: jax.Array,
) -> PyTree:
    """The velocity after friction, a gradient and noise: each leaf as the gradient."""

    def leaf(g: jax.Array, v: jax.Array, n: jax.Array) -> jax.Array:
        drift = times(v.astype(g.dtype), kept) - times(g, learning_rate)
        return drift + times(n, size)

    return jax.tree.map(leaf, updates, velocity, noise)
