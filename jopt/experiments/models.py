"""Flax NNX models for the experiments: a perceptron and a small ConvNet."""

import functools as ft
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

Shape = tuple[int, ...]


class MLP(nnx.Module):
    """A perceptron with two hidden layers and ReLU.

    Args:
        shape: The shape of one input; it is flattened.
        classes: The number of logits.
        rngs: Where the initial weights come from.
        width: Units of each hidden layer.

    Example:
        >>> model = MLP((8, 8, 1), 10, rngs=nnx.Rngs(0))
        >>> model(jnp.zeros((2, 8, 8, 1))).shape
        (2, 10)
    """

    def __init__(self, shape: Shape, classes: int, *, rngs: nnx.Rngs, width: int = 64):
        size = 1
        for extent in shape:
            size *= extent
        self.hidden1 = nnx.Linear(size, width, rngs=rngs)
        self.hidden2 = nnx.Linear(width, width, rngs=rngs)
        self.head = nnx.Linear(width, classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x.reshape(x.shape[0], -1)
        x = nnx.relu(self.hidden1(x))
        x = nnx.relu(self.hidden2(x))
        return self.head(x)


class ConvNet(nnx.Module):
    """The ConvNet of the classic CIFAR example, sized to its input.

    Two 3x3 convolutions of 32 and 64 channels, each with ReLU and 2x2 max-pooling, a
    dense layer of 128 units, and logits.

    Args:
        shape: Height, width and channels of one image; at least 4x4 pixels.
        classes: The number of logits.
        rngs: Where the initial weights come from.

    Raises:
        ValueError: If the image is too small to be halved twice.

    Example:
        >>> model = ConvNet((8, 8, 1), 10, rngs=nnx.Rngs(0))
        >>> model(jnp.zeros((2, 8, 8, 1))).shape
        (2, 10)
    """

    def __init__(self, shape: Shape, classes: int, *, rngs: nnx.Rngs):
        if len(shape) != 3 or min(shape[:2]) < 4:
            raise ValueError(
                "`shape` must be (height, width, channels) of at least 4x4 pixels, got "
                f"{shape}."
            )
        height, width, channels = shape
        conv = ft.partial(
            nnx.Conv,
            kernel_size=(3, 3),
            conv_general_dilated=_conv_by_matmul,
            rngs=rngs,
        )
        self.conv1 = conv(channels, 32)
        self.conv2 = conv(32, 64)
        self.dense = nnx.Linear((height // 4) * (width // 4) * 64, 128, rngs=rngs)
        self.head = nnx.Linear(128, classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        for conv in (self.conv1, self.conv2):
            x = _halve(nnx.relu(conv(x)))
        x = nnx.relu(self.dense(x.reshape(x.shape[0], -1)))
        return self.head(x)


def _conv_by_matmul(
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


def _halve(x: jax.Array) -> jax.Array:
    """2x2 max-pooling; an odd last row or column is dropped."""
    n, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))


MODELS: dict[str, Callable[..., nnx.Module]] = {"mlp": MLP, "convnet": ConvNet}


def functional(
    name: str, shape: Shape, classes: int
) -> tuple[Callable[[jax.Array], Any], Callable[[Any, jax.Array], jax.Array]]:
    """A model as two pure functions over a dict of arrays.

    Args:
        name: `"mlp"` or `"convnet"`.
        shape: The shape of one input.
        classes: The number of logits.

    Returns:
        `init(key) -> params` and `apply(params, x) -> logits`.
    """
    make = MODELS[name]

    def split(key: jax.Array) -> tuple[nnx.GraphDef, nnx.State]:
        return nnx.split(make(shape, classes, rngs=nnx.Rngs(params=key)), nnx.Param)

    def init(key: jax.Array) -> Any:
        return nnx.to_pure_dict(split(key)[1])

    structure = nnx.eval_shape(lambda: make(shape, classes, rngs=nnx.Rngs(0)))
    graph, abstract = nnx.split(structure, nnx.Param)
    treedef = jax.tree.structure(abstract)

    def apply(params: Any, x: jax.Array) -> jax.Array:
        leaves = jax.tree.leaves(params)
        return nnx.merge(graph, jax.tree.unflatten(treedef, leaves))(x)

    return init, apply


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The mean cross entropy of logits and integer labels."""
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
    return -picked.mean()


def accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The share of labels whose logit is the largest."""
    return (logits.argmax(-1).astype(labels.dtype) == labels).mean()
