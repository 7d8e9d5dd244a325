"""How large the noise of samplers is."""

from typing import Any

import jax

from jopt._core import numerics as nx
from jopt._core.sums import number

__all__ = []


def deviation(learning_rate: Any, temperature: Any, friction: Any = 1.0) -> jax.Array:
    """`sqrt(2 friction learning_rate temperature)`."""
    rate, heat, loss = number(learning_rate), number(temperature), number(friction)
    return nx.sqrt(2.0 * rate * heat * loss)
