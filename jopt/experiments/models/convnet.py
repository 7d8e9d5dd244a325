"""The ConvNet of the classic CIFAR example."""

import functools as ft
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jopt.experiments.models.layers import counted, Style

Shape = tuple[int, ...]


class ConvNet(nnx.Module):
    """The ConvNet of the classic CIFAR example, sized to its input.

    By default two 3x3 convolutions of 32 and 64 channels, each with ReLU and 2x2
    max-pooling, a dense layer of 128 units, and logits.

    Args:
        shape: Height, width and channels of one image; at least 4x4 pixels.
        classes: The number of logits.
        rngs: Where the initial weights come from.
        width: Channels of the first convolution; each further one has twice as many,
            the dense layer four times as many units.
        depth: How many convolutions; each halves the image.
        style: Activation, normalisation, dropout and initialisers: see
            `jopt.experiments.models.layers.Style`.

    Raises:
        TypeError: If an option is of the wrong kind.
        ValueError: If an option is out of range, or names nothing; or the image is too
            small to be halved `depth` times.

    Example:
        >>> model = ConvNet((8, 8, 1), 10, rngs=nnx.Rngs(0), normalisation="batch")
        >>> model(jnp.zeros((2, 8, 8, 1))).shape
        (2, 10)
    """

    def __init__(
        self,
        shape: Shape,
        classes: int,
        *,
        rngs: nnx.Rngs,
        width: int = 32,
        depth: int = 2,
        **style: Any,
    ):
        look = Style.of(style)
        self.depth = counted("depth", depth)
        least = 2**depth
        if len(shape) != 3 or min(shape[:2]) < least:
            raise ValueError(
                f"`shape` must be (height, width, channels) of at least {least}x{least}"
                f" pixels, got {shape}."
            )
        height, across, channels = shape
        out = counted("width", width)
        for number in range(1, depth + 1):
            layer = conv3x3(channels, out, kernel_init=look.kernel, rngs=rngs)
            setattr(self, f"conv{number}", layer)
            setattr(self, f"finish{number}", look.finish(out, rngs=rngs))
            channels, out = out, 2 * out
        flat = (height // least) * (across // least) * channels
        units = 4 * width
        self.dense = nnx.Linear(flat, units, kernel_init=look.kernel, rngs=rngs)
        self.finish = look.of_vectors.finish(units, rngs=rngs, axes=0)
        self.head = nnx.Linear(units, classes, kernel_init=look.head, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        for number in range(1, self.depth + 1):
            x = getattr(self, f"conv{number}")(x)
            x = halve(getattr(self, f"finish{number}")(x))
        x = self.finish(self.dense(x.reshape(x.shape[0], -1)))
        return self.head(x)


def conv_by_matmul(
    inputs: jax.Array, kernel: jax.Array, *args: Any, **kwargs: Any
) -> jax.Array:
    """A convolution of stride 1 that keeps the size, as one matrix product.

    Under `vmap` over kernels it stays a matrix product, where a convolution becomes a
    grouped one, which no CPU and few GPUs run fast.
    """
    del args, kwargs
    height, width, _, out = kernel.shape
    top, left = (height - 1) // 2, (width - 1) // 2
    margins = ((0, 0), (top, height - 1 - top), (left, width - 1 - left), (0, 0))
    padded = jnp.pad(inputs, margins)
    rows, columns = inputs.shape[1:3]
    patches = [
        padded[:, i : i + rows, j : j + columns]
        for i in range(height)
        for j in range(width)
    ]
    return jnp.concatenate(patches, -1) @ kernel.reshape(-1, out)


def halve(x: jax.Array) -> jax.Array:
    """2x2 max-pooling; an odd last row or column is dropped."""
    n, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))


conv3x3 = ft.partial(nnx.Conv, kernel_size=(3, 3), conv_general_dilated=conv_by_matmul)
