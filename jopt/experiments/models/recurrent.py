"""Recurrent layers: the plain cell, LSTM and GRU, in one direction or both."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jopt.experiments.models.layers import activation, counted, dropout, named, Style
from jopt.experiments.models.transformer import place_norm

CELLS = {"gru": nnx.GRUCell, "lstm": nnx.OptimizedLSTMCell, "rnn": nnx.SimpleCell}


class Recurrent(nnx.Module):
    """Recurrent layers, each followed by normalisation and dropout.

    What is behind the end of a sequence changes nothing before it, in both directions.

    Args:
        features: Features of each place of the input.
        rngs: Where the initial weights come from.
        cell: `"rnn"`, `"lstm"` or `"gru"`.
        width: Units of each layer; those of both directions together.
        depth: How many layers.
        both: Whether half of the units read from the end; else no place sees those
            behind it.
        style: `activation` of the cell, `"tanh"` by default; `normalisation` after a
            layer, `"none"`, `"layer"` or `"rms"`; `dropout` after a layer;
            `initialiser` of the weights of a layer's input.

    Raises:
        TypeError: If an option is of the wrong kind.
        ValueError: If an option is out of range, or names nothing; or `width` is odd
            and `both` is set.

    Example:
        >>> layers = Recurrent(3, rngs=nnx.Rngs(0), cell="gru", width=8, both=True)
        >>> mask = jnp.array([[True, True, False], [True, True, True]])
        >>> layers(jnp.ones((2, 3, 3)), mask).shape
        (2, 3, 8)
    """

    embedding_spread = 0.1

    def __init__(
        self,
        features: int,
        *,
        rngs: nnx.Rngs,
        cell: str = "lstm",
        width: int = 128,
        depth: int = 1,
        both: bool = False,
        **style: Any,
    ):
        look = Style.of({"activation": "tanh"} | style)
        make = named("cell", cell, CELLS)
        if counted("width", width) % 2 and both:
            raise ValueError(f"`width` must be even with `both=True`, got {width}.")
        self.depth, self.both, self.width = counted("depth", depth), both, width
        for number in range(1, depth + 1):
            for name in ("ahead", "back")[: 1 + both]:
                more = {"bias_init": _remember} if cell == "lstm" else {}
                made = make(
                    features,
                    width // (1 + both),
                    activation_fn=activation(look.activation),
                    kernel_init=look.kernel,
                    rngs=rngs,
                    **more,
                )
                backwards = name == "back"
                layer = nnx.RNN(
                    made, reverse=backwards, keep_order=backwards, rngs=False, unroll=4
                )
                setattr(self, f"{name}{number}", layer)
            features = width
            setattr(self, f"norm{number}", place_norm(look, width, rngs=rngs))
            setattr(self, f"dropout{number}", dropout(look.dropout, rngs=rngs))

    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        lengths = mask.sum(1, dtype=jnp.int32)
        for number in range(1, self.depth + 1):
            found = [_run(getattr(self, f"ahead{number}"), x, lengths)]
            if self.both:
                found.append(_run(getattr(self, f"back{number}"), x, lengths))
            x = jnp.concatenate(found, -1)
            x = getattr(self, f"norm{number}")(x)
            x = getattr(self, f"dropout{number}")(x)
        return x


def _remember(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Biases of an LSTM: 1 for the gate that forgets, which so begins by keeping."""
    del key
    return jnp.zeros((4, shape[0] // 4), dtype).at[1].set(1).reshape(shape)


def _run(layer: nnx.RNN, x: jax.Array, lengths: jax.Array) -> jax.Array:
    """A layer from a state of zeros."""
    start = layer.cell.initialize_carry((x.shape[0], x.shape[2]), nnx.Rngs(0))
    found: Any = layer(x, initial_carry=start, seq_lengths=lengths)
    return found
