"""A small ResNet."""

import functools as ft
from typing import Any

import jax
from flax import nnx

from jopt.experiments.models.layers import (
    activation,
    counted,
    identity,
    normalisation,
    Style,
)

Shape = tuple[int, ...]

STAGES = 3


class ResNet(nnx.Module):
    """The ResNet of the CIFAR experiments: three stages of basic blocks.

    A 3x3 convolution, then three stages; the second and third halve the image and
    double the channels. The mean over the places goes to the head.

    Args:
        shape: Height, width and channels of one image; at least 4x4 pixels.
        classes: The number of logits.
        rngs: Where the initial weights come from.
        width: Channels of the first stage.
        depth: Layers with weights: 8, 14, 20, ..., 6 for each block of a stage and 2.
        normalisation: As in `Style`, but with `"batch"` as its default.
        initialiser: As in `Style`, but with `"he_normal"` as its default.
        style: The rest of `jopt.experiments.models.layers.Style`. Dropout lies between
            the convolutions of a block.

    Raises:
        TypeError: If an option is of the wrong kind.
        ValueError: If an option is out of range, or names nothing; or the image is too
            small.

    Example:
        >>> import jax.numpy as jnp
        >>> model = ResNet((8, 8, 3), 10, rngs=nnx.Rngs(0), width=4)
        >>> model(jnp.zeros((2, 8, 8, 3))).shape
        (2, 10)

    Reference:
        He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
        arXiv:1512.03385, section 4.2; the shortcut to more channels is a 1x1
        convolution.
    """

    def __init__(
        self,
        shape: Shape,
        classes: int,
        *,
        rngs: nnx.Rngs,
        width: int = 16,
        depth: int = 8,
        normalisation: str = "batch",
        initialiser: str = "he_normal",
        **style: Any,
    ):
        named = {"normalisation": normalisation, "initialiser": initialiser}
        look = Style.of(named | style)
        if counted("depth", depth, 8) % 6 != 2:
            raise ValueError(f"`depth` must be 8, 14, 20, 26, ..., got {depth}.")
        if len(shape) != 3 or min(shape[:2]) < 4:
            raise ValueError(
                "`shape` must be (height, width, channels) of at least 4x4 pixels, got "
                f"{shape}."
            )
        self.stem = _conv(look, shape[2], counted("width", width), rngs=rngs)
        self.finish = _no_dropout(look).finish(width, rngs=rngs)
        channels, blocks = width, []
        for stage in range(STAGES):
            for number in range((depth - 2) // 6):
                stride = 2 if stage and number == 0 else 1
                out = width * 2**stage
                blocks.append(Block(look, channels, out, stride, rngs=rngs))
                channels = out
        self.blocks = nnx.List(blocks)
        self.head = nnx.Linear(channels, classes, kernel_init=look.head, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.finish(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((1, 2)))


class Block(nnx.Module):
    """Two convolutions and a shortcut around them.

    Args:
        look: The options.
        channels: Channels of the input.
        out: Channels of the output.
        stride: 2 halves the image.
        rngs: Where the initial weights come from.
    """

    def __init__(
        self, look: Style, channels: int, out: int, stride: int, *, rngs: nnx.Rngs
    ):
        norm = ft.partial(normalisation, look.normalisation, out, rngs=rngs)
        self.conv1 = _conv(look, channels, out, stride, rngs=rngs)
        self.finish = look.finish(out, rngs=rngs)
        self.conv2 = _conv(look, out, out, rngs=rngs)
        self.norm = norm()
        same = channels == out and stride == 1
        self.shortcut = (
            identity
            if same
            else nnx.Sequential(
                _conv(look, channels, out, stride, size=1, rngs=rngs), norm()
            )
        )
        self.activation = activation(look.activation)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.norm(self.conv2(self.finish(self.conv1(x))))
        return self.activation(y + self.shortcut(x))


def _conv(
    look: Style,
    channels: int,
    out: int,
    stride: int = 1,
    *,
    size: int = 3,
    rngs: nnx.Rngs,
) -> nnx.Conv:
    """A convolution; its bias is left to the normalisation, where there is one."""
    return nnx.Conv(
        channels,
        out,
        (size, size),
        stride,
        use_bias=look.normalisation == "none",
        kernel_init=look.kernel,
        rngs=rngs,
    )


def _no_dropout(look: Style) -> Style:
    return Style(look.activation, look.normalisation)
