"""Parts of models by name: activation, normalisation, dropout, initial weights."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

from jopt._core.parse import unknown

Layer = Callable[[jax.Array], jax.Array]
Initialiser = Callable[..., jax.Array]
T = TypeVar("T")

ACTIVATIONS: dict[str, Layer] = {
    "elu": nnx.elu,
    "gelu": nnx.gelu,
    "leaky_relu": nnx.leaky_relu,
    "relu": nnx.relu,
    "sigmoid": nnx.sigmoid,
    "tanh": jnp.tanh,
}
NORMALISATIONS = ("none", "batch", "group", "instance", "layer")
INITIALISERS: dict[str, Initialiser] = {
    "glorot_normal": nnx.initializers.glorot_normal(),
    "glorot_uniform": nnx.initializers.glorot_uniform(),
    "he_normal": nnx.initializers.he_normal(),
    "he_uniform": nnx.initializers.he_uniform(),
    "lecun_normal": nnx.initializers.lecun_normal(),
    "lecun_uniform": nnx.initializers.lecun_uniform(),
    "normal": nnx.initializers.normal(0.02),
    "orthogonal": nnx.initializers.orthogonal(),
    "zeros": nnx.initializers.zeros_init(),
}
GROUPS = 8  # of group normalisation, where the channels can be shared out to them
MOMENTUM = 0.9  # of the averages of batch normalisation: PyTorch's 0.1


def activation(name: str) -> Layer:
    """The activation of a name.

    Args:
        name: One of `ACTIVATIONS`: elu, gelu, leaky_relu, relu, sigmoid, tanh.

    Returns:
        A function of an array.

    Raises:
        TypeError: If `name` is no text.
        ValueError: If nothing has this name.

    Example:
        >>> activation("relu")(jnp.array([-1.0, 2.0]))
        Array([0., 2.], dtype=float32)
    """
    return named("activation", name, ACTIVATIONS)


def initialiser(name: str, argument: str = "initialiser") -> Initialiser:
    """The initialiser of weights of a name.

    Args:
        name: One of `INITIALISERS`.
        argument: What an error calls it.

    Returns:
        A function of key, shape and dtype.

    Raises:
        TypeError: If `name` is no text.
        ValueError: If nothing has this name.

    Example:
        >>> initialiser("zeros")(jax.random.key(0), (2,), jnp.float32)
        Array([0., 0.], dtype=float32)
    """
    return named(argument, name, INITIALISERS)


def normalisation(
    name: str, features: int, *, rngs: nnx.Rngs, axes: int = 2
) -> nnx.Module | Layer:
    """The normalisation of a name, for arrays whose last axis has the features.

    Args:
        name: `"none"`; `"batch"`, over the rows of the batch and all places; `"layer"`,
            over the features of each place; `"instance"`, over the places of each
            feature; `"group"`, over the places of 8 groups of features, or of fewer
            where 8 do not divide them.
        features: How many features there are.
        rngs: Where the first parameters come from.
        axes: How many axes of places lie between rows and features: 2 for images, 1
            for sequences, 0 for vectors.

    Returns:
        A module, or the identity.

    Raises:
        TypeError: If `name` is no text.
        ValueError: If nothing has this name; or it is `"instance"` and there are no
            places to average over.

    Example:
        >>> norm = normalisation("layer", 2, rngs=nnx.Rngs(0))
        >>> norm(jnp.array([[1.0, 3.0]])).round(3)
        Array([[-1.,  1.]], dtype=float32)
    """
    known: dict[str, Callable[[], nnx.Module | Layer]] = {
        "none": lambda: identity,
        "batch": lambda: nnx.BatchNorm(features, momentum=MOMENTUM, rngs=rngs),
        "layer": lambda: nnx.LayerNorm(features, rngs=rngs),
        "instance": lambda: nnx.InstanceNorm(features, rngs=rngs),
        "group": lambda: nnx.GroupNorm(
            features, num_groups=math.gcd(features, GROUPS), rngs=rngs
        ),
    }
    make = named("normalisation", name, known)
    if name == "instance" and axes == 0:
        raise ValueError(
            "`normalisation`: 'instance' averages over places, of which a vector has "
            "none; use 'layer', 'batch' or 'group'."
        )
    return make()


def dropout(rate: float, *, rngs: nnx.Rngs) -> nnx.Module | Layer:
    """Dropout, or the identity where the rate is 0.

    Args:
        rate: The probability of a zero in training, in [0, 1).
        rngs: Where the keys come from.

    Returns:
        A module that `model.train()` and `model.eval()` turn on and off.

    Raises:
        TypeError: If `rate` is no number.
        ValueError: If it is out of range.

    Example:
        >>> layer = dropout(0.5, rngs=nnx.Rngs(0))
        >>> sorted(set(layer(jnp.ones(20)).tolist()))
        [0.0, 2.0]
    """
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        raise TypeError(f"`dropout` must be a number, got {rate!r}.")
    if not 0 <= rate < 1:
        raise ValueError(f"`dropout` must lie in [0, 1), got {rate}.")
    return nnx.Dropout(float(rate), rngs=rngs) if rate else identity


def identity(x: jax.Array) -> jax.Array:
    """What it is given."""
    return x


@dataclasses.dataclass(frozen=True)
class Style:
    """The options that every model takes, as texts and numbers.

    Attributes:
        activation: One of `ACTIVATIONS`.
        normalisation: One of `NORMALISATIONS`, before the activation.
        dropout: The rate, after the activation; in [0, 1).
        initialiser: One of `INITIALISERS`, for the weights.
        head_initialiser: For the weights of the last layer; by default as the others.
            With `"zeros"` all outputs are alike at the start.
    """

    activation: str = "relu"
    normalisation: str = "none"
    dropout: float = 0.0
    initialiser: str = "lecun_normal"
    head_initialiser: str | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Style":
        """The style of a model's keyword arguments; it names one that is unknown."""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in options:
            if name not in known:  # most models have a width and a depth of their own
                told = unknown(name, [*known, "width", "depth"])
                raise ValueError(f"`options`: {told}")
        return cls(**options)

    @property
    def kernel(self) -> Initialiser:
        """The initialiser of the weights."""
        return initialiser(self.initialiser)

    @property
    def head(self) -> Initialiser:
        """The initialiser of the last layer's weights."""
        if self.head_initialiser is None:
            return self.kernel
        return initialiser(self.head_initialiser, "head_initialiser")

    @property
    def of_vectors(self) -> "Style":
        """The same for a layer of vectors, which instance normalisation cannot be of.

        So that the dense layer behind convolutions has none then.
        """
        if self.normalisation != "instance":
            return self
        return dataclasses.replace(self, normalisation="none")

    def finish(self, features: int, *, rngs: nnx.Rngs, axes: int = 2) -> "Finish":
        """What follows a layer: normalisation, activation, dropout."""
        return Finish(self, features, rngs=rngs, axes=axes)


class Finish(nnx.Module):
    """What follows a layer: normalisation, activation, dropout.

    Args:
        style: Which ones.
        features: How many features the layer has.
        rngs: Where parameters and keys come from.
        axes: How many axes lie between rows and features.

    Example:
        >>> finish = Finish(Style(), 4, rngs=nnx.Rngs(0))
        >>> finish(jnp.array([[-1.0, 0.0, 1.0, 2.0]]))
        Array([[0., 0., 1., 2.]], dtype=float32)
    """

    def __init__(self, style: Style, features: int, *, rngs: nnx.Rngs, axes: int = 2):
        self.normalisation = normalisation(
            style.normalisation, features, rngs=rngs, axes=axes
        )
        self.activation = activation(style.activation)
        self.dropout = dropout(style.dropout, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.dropout(self.activation(self.normalisation(x)))


def named(argument: str, name: str, known: Mapping[str, T]) -> T:
    """The value of a name.

    Args:
        argument: The argument that an error names.
        name: What was given.
        known: What there is.

    Returns:
        The value.

    Raises:
        TypeError: If `name` is no text.
        ValueError: If nothing has this name; it tells the closest one.

    Example:
        >>> named("model", "mpl", {"mlp": 1, "convnet": 2})
        Traceback (most recent call last):
        ValueError: `model`: Nothing is named `mpl`. Did you mean `mlp`?
    """
    if not isinstance(name, str):
        raise TypeError(f"`{argument}` must be a name, got {name!r}.")
    if name not in known:
        raise ValueError(f"`{argument}`: {unknown(name, list(known))}")
    return known[name]


def counted(argument: str, value: Any, least: int = 1) -> int:
    """A whole number that is large enough.

    Args:
        argument: The argument that an error names.
        value: What was given.
        least: The least it may be.

    Returns:
        The number.

    Raises:
        TypeError: If it is no whole number.
        ValueError: If it is too small.

    Example:
        >>> counted("width", 0)
        Traceback (most recent call last):
        ValueError: `width` must be at least 1, got 0.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"`{argument}` must be a whole number, got {value!r}.")
    if value < least:
        raise ValueError(f"`{argument}` must be at least {least}, got {value}.")
    return value
