"""The noise of samplers: how large it is, and how it is drawn."""

from typing import Any

import jax
import jax.numpy as jnp

from jopt._core import numerics as nx
from jopt._core.sums import number
from jopt._core.types import PyTree
from jopt.transforms import noise

__all__ = []


def drawn(key: jax.Array, tree: PyTree) -> tuple[jax.Array, PyTree]:
    """The key of the next step, and numbers of unit variance for each leaf.

    The real and the imaginary part of a complex number count as two.
    """
    following, now = jax.random.split(key)

    def unit(x: jax.Array) -> jax.Array:
        return nx.times(x, 2.0**0.5) if jnp.iscomplexobj(x) else x

    return following, jax.tree.map(unit, noise.normal_like(now, tree))


def deviation(learning_rate: Any, temperature: Any, friction: Any = 1.0) -> jax.Array:
    """`sqrt(2 friction learning_rate temperature)`."""
    rate, heat, loss = number(learning_rate), number(temperature), number(friction)
    return nx.sqrt(2.0 * rate * heat * loss)
