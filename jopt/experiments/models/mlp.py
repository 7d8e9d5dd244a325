"""A perceptron."""

import math
from typing import Any

import jax
from flax import nnx

from jopt.experiments.models.layers import counted, Style

Shape = tuple[int, ...]


class MLP(nnx.Module):
    """A perceptron with hidden layers of equal width, by default two with ReLU.

    Args:
        shape: The shape of one input; it is flattened.
        classes: The number of outputs.
        rngs: Where the initial weights come from.
        width: Units of each hidden layer.
        depth: How many hidden layers; with 0 the model is linear.
        style: Activation, normalisation, dropout and initialisers: see
            `jopt.experiments.models.layers.Style`.

    Raises:
        TypeError: If an option is of the wrong kind.
        ValueError: If an option is out of range, or names nothing.

    Example:
        >>> import jax.numpy as jnp
        >>> model = MLP((8, 8, 1), 10, rngs=nnx.Rngs(0), activation="gelu", dropout=0.1)
        >>> model(jnp.zeros((2, 8, 8, 1))).shape
        (2, 10)
    """

    def __init__(
        self,
        shape: Shape,
        classes: int,
        *,
        rngs: nnx.Rngs,
        width: int = 64,
        depth: int = 2,
        **style: Any,
    ):
        look = Style.of(style)
        self.depth = counted("depth", depth, 0)
        size = math.prod(shape)
        for number in range(1, depth + 1):
            layer = nnx.Linear(
                size, counted("width", width), kernel_init=look.kernel, rngs=rngs
            )
            setattr(self, f"hidden{number}", layer)
            setattr(self, f"finish{number}", look.finish(width, rngs=rngs, axes=0))
            size = width
        self.head = nnx.Linear(size, classes, kernel_init=look.head, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x.reshape(x.shape[0], -1)
        for number in range(1, self.depth + 1):
            x = getattr(self, f"hidden{number}")(x)
            x = getattr(self, f"finish{number}")(x)
        return self.head(x)
