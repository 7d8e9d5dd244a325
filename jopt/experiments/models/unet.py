"""Models that say something of each place of an image: a U-net, and a grid."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jopt.experiments.models.layers import counted, Style

Shape = tuple[int, ...]


class UNet(nnx.Module):
    """A small U-net: logits for each pixel.

    On the way down the image is halved `depth` times and the channels are doubled; on
    the way up each level sees what the same level of the way down has made.

    Args:
        shape: Height, width and channels of one image, each extent a multiple of
            `2 ** depth`.
        classes: The number of logits of a pixel.
        rngs: Where the initial weights come from.
        width: Channels of the first level.
        depth: How often the image is halved.
        style: See `jopt.experiments.models.layers.Style`.

    Raises:
        TypeError: If an option is of the wrong kind.
        ValueError: If an option is out of range, or names nothing; or the image cannot
            be halved `depth` times.

    Example:
        >>> model = UNet((8, 8, 1), 2, rngs=nnx.Rngs(0), width=4, depth=1)
        >>> model(jnp.zeros((3, 8, 8, 1))).shape
        (3, 8, 8, 2)

    Reference:
        Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image
        Segmentation", MICCAI 2015, arXiv:1505.04597; one convolution a level instead of
        two, and padded, so that the size is kept.
    """

    def __init__(
        self,
        shape: Shape,
        classes: int,
        *,
        rngs: nnx.Rngs,
        width: int = 16,
        depth: int = 2,
        **style: Any,
    ):
        look = Style.of(style)
        check_shape(shape, counted("depth", depth, 0))
        widths = [counted("width", width) * 2**level for level in range(depth + 1)]
        entries = [shape[2], *widths]
        self.down = nnx.List(
            ConvLayer(look, entries[i], entries[i + 1], rngs=rngs)
            for i in range(depth + 1)
        )
        self.up = nnx.List(
            ConvLayer(look, widths[i] + widths[i + 1], widths[i], rngs=rngs)
            for i in reversed(range(depth))
        )
        self.head = nnx.Linear(width, classes, kernel_init=look.head, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        seen = []
        for number, layer in enumerate(self.down):
            if number:
                seen.append(x)
                x = nnx.max_pool(x, (2, 2), (2, 2))
            x = layer(x)
        for layer in self.up:
            x = layer(jnp.concatenate([seen.pop(), _doubled(x)], -1))
        return self.head(x)


class GridNet(nnx.Module):
    """Convolutions that halve an image `depth` times: outputs for each cell.

    Args:
        shape: Height, width and channels of one image, each extent a multiple of
            `2 ** depth`.
        classes: The number of outputs of a cell.
        rngs: Where the initial weights come from.
        width: Channels of the first convolution; each further one has twice as many.
        depth: How often the image is halved: a cell has `2 ** depth` pixels a side.
        style: See `jopt.experiments.models.layers.Style`.

    Raises:
        TypeError: If an option is of the wrong kind.
        ValueError: If an option is out of range, or names nothing; or the image cannot
            be halved `depth` times.

    Example:
        >>> model = GridNet((16, 8, 3), 5, rngs=nnx.Rngs(0), width=4, depth=3)
        >>> model(jnp.zeros((2, 16, 8, 3))).shape
        (2, 2, 1, 5)
    """

    def __init__(
        self,
        shape: Shape,
        classes: int,
        *,
        rngs: nnx.Rngs,
        width: int = 16,
        depth: int = 3,
        **style: Any,
    ):
        look = Style.of(style)
        check_shape(shape, counted("depth", depth))
        widths = [counted("width", width) * 2**level for level in range(depth)]
        entries = [shape[2], *widths]
        self.layers = nnx.List(
            ConvLayer(look, entries[i], entries[i + 1], rngs=rngs) for i in range(depth)
        )
        self.wide = ConvLayer(look, widths[-1], widths[-1], rngs=rngs)
        self.head = nnx.Linear(widths[-1], classes, kernel_init=look.head, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        for layer in self.layers:
            x = nnx.max_pool(layer(x), (2, 2), (2, 2))
        return self.head(self.wide(x))


class ConvLayer(nnx.Module):
    """A 3x3 convolution, and what follows it."""

    def __init__(self, look: Style, channels: int, out: int, *, rngs: nnx.Rngs):
        self.conv = nnx.Conv(channels, out, (3, 3), kernel_init=look.kernel, rngs=rngs)
        self.finish = look.finish(out, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.finish(self.conv(x))


def check_shape(shape: Shape, depth: int) -> None:
    """Whether an image can be halved so often.

    Raises:
        ValueError: If not.
    """
    unit = 2**depth
    if len(shape) != 3 or any(extent % unit for extent in shape[:2]):
        raise ValueError(
            "`shape` must be (height, width, channels), with height and width "
            f"multiples of {unit}, got {shape}. Crop the images, or lower `depth`."
        )


def _doubled(x: jax.Array) -> jax.Array:
    """The image at twice the size, each pixel four times."""
    return jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)
