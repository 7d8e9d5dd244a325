"""Small nets as pure functions of arrays, and digits to train them on."""

import functools as ft
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jopt.experiments import data
from jopt.experiments.studies.seeds import generator
from jopt.experiments.studies.sweep import Bench

Params = list[dict[str, Any]]

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
}
# So that the signal keeps its size: He's for what cuts off a half, else Glorot's.
GAINS = {"relu": 2.0, "leaky_relu": 2.0, "elu": 1.5, "gelu": 2.0}


def init_mlp(
    draw: np.random.Generator, sizes: Sequence[int], activation: str = "relu"
) -> Params:
    """Weights of a perceptron: normal, of variance gain over the inputs; biases 0."""
    gain = GAINS.get(activation, 1.0)
    return [
        {
            "kernel": normal(draw, (rows, columns), (gain / rows) ** 0.5),
            "bias": np.zeros(columns, np.float32),
        }
        for rows, columns in itertools.pairwise(sizes)
    ]


def normal(
    draw: np.random.Generator, shape: tuple[int, ...], spread: float = 1.0
) -> np.ndarray:
    """Normal numbers of mean 0 in single precision."""
    return (spread * draw.standard_normal(shape)).astype(np.float32)


def apply_mlp(
    params: Params,
    x: jax.Array,
    activation: str = "relu",
    *,
    dropout: jax.Array | float = 0.0,
    key: jax.Array | None = None,
) -> jax.Array:
    """Logits; with a key, hidden units are dropped at the rate `dropout`."""
    act = ACTIVATIONS[activation]
    for i, layer in enumerate(params):
        x = x @ layer["kernel"] + layer["bias"][None]
        if i < len(params) - 1:
            x = act(x)
            if key is not None:
                kept = (
                    jax.random.uniform(jax.random.fold_in(key, i), x.shape) >= dropout
                )
                x = jnp.where(kept, x / (1.0 - dropout), 0.0)
    return x


def cross_entropies(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The cross entropy of each row."""
    logs = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(logs, labels[:, None], axis=1)[:, 0]


def accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The share of rows whose largest logit is the right one."""
    return (logits.argmax(-1).astype(labels.dtype) == labels).mean()


@ft.cache
def digits(
    rows: int | None = None, noise: float = 0.0
) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Scikit-learn's digits as rows of 64 numbers.

    Args:
        rows: How many to train on; by default all, 1077.
        noise: The share of the training labels that are drawn anew.

    Returns:
        Pairs of images and labels: for training, validation and test.
    """
    loaded = data.digits()
    parts = [(x.reshape(len(x), -1), y) for x, y in (loaded.train, loaded.valid)]
    parts.append((loaded.test[0].reshape(len(loaded.test[0]), -1), loaded.test[1]))
    x, y = (array[:rows] for array in parts[0])
    draw = generator(0)
    drawn = draw.integers(0, 10, len(y)).astype(y.dtype)
    y = np.where(draw.random(len(y)) < noise, drawn, y)
    return (x, y), parts[1], parts[2]


def digits_bench(
    sizes: Sequence[int] = (32,),
    activation: str = "relu",
    *,
    rows: int | None = None,
    noise: float = 0.0,
    metric: str = "accuracy",
) -> Bench:
    """A perceptron on digits.

    Args:
        sizes: Units of the hidden layers.
        activation: One of `ACTIVATIONS`.
        rows: How many digits to train on.
        noise: The share of the training labels that are drawn anew.
        metric: `"accuracy"` or `"cross entropy"`: the score.

    Returns:
        The bench.
    """

    def loss(params: Params, batch: Any, key: jax.Array) -> jax.Array:
        del key
        return cross_entropies(apply_mlp(params, batch[0], activation), batch[1]).mean()

    def score(params: Params, batch: Any) -> jax.Array:
        logits = apply_mlp(params, batch[0], activation)
        if metric == "accuracy":
            return accuracy(logits, batch[1])
        return cross_entropies(logits, batch[1]).mean()

    layout = (64, *sizes, 10)
    init = ft.partial(init_mlp, sizes=layout, activation=activation)
    train, valid, test = digits(rows, noise)
    return Bench(init, loss, score, train, valid, test, metric == "accuracy")
