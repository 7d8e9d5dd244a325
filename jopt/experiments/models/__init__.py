"""Flax NNX models for the experiments.

Every model takes the options of `jopt.experiments.models.layers.Style`, and a width and
a depth.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jopt.experiments.models.convnet import ConvNet as ConvNet
from jopt.experiments.models.factors import Factors as Factors
from jopt.experiments.models.mlp import MLP as MLP
from jopt.experiments.models.resnet import ResNet as ResNet
from jopt.experiments.models.unet import GridNet as GridNet, UNet as UNet

Shape = tuple[int, ...]

# of rows to logits; the others have inputs or outputs of their own
MODELS: dict[str, Callable[..., nnx.Module]] = {
    "convnet": ConvNet,
    "mlp": MLP,
    "resnet": ResNet,
}


def functional(
    name: str, shape: Shape, classes: int
) -> tuple[Callable[[jax.Array], Any], Callable[[Any, jax.Array], jax.Array]]:
    """A model as two pure functions over a dict of arrays.

    Args:
        name: One of `MODELS`; its options are the defaults.
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
