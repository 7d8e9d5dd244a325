"""Models of sequences of symbols: tags, the next symbol, or one answer for all."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jopt.experiments.models.layers import (
    counted,
    dropout,
    initialiser,
    named,
    Style,
)
from jopt.experiments.models.recurrent import CELLS, Recurrent
from jopt.experiments.models.transformer import Transformer
from jopt.experiments.text import PAD

BODIES = ("bag", *CELLS, "transformer")


class SequenceModel(nnx.Module):
    """Embeddings, a body that joins the places, and logits.

    Without `pooled` it says something of each place: it is a tagger, or with `causal` a
    language model. With `pooled` it says one thing of the whole sequence.

    Args:
        symbols: How many symbols there are; or how many values each of several
            features of a place has, whose embeddings are added up.
        outputs: How many logits.
        rngs: Where the initial weights come from.
        body: `"rnn"`, `"lstm"`, `"gru"`, `"transformer"`, or `"bag"`: none at all.
        pooled: Whether the mean of all places is judged, instead of each.
        causal: Whether a place sees only those before it and itself.
        tied: Whether the logits are products with the embeddings.
        width: Features of a place.
        head_initialiser: The initialiser of the logits' weights, if they are not tied.
        options: Those of `Recurrent` or `Transformer`.

    Raises:
        TypeError: If an option is of the wrong kind.
        ValueError: If an option is out of range, or names nothing.

    Example:
        >>> model = SequenceModel(9, 4, rngs=nnx.Rngs(0), body="gru", width=8)
        >>> model(jnp.array([[5, 6, 0], [7, 8, 4]])).shape
        (2, 3, 4)
    """

    def __init__(
        self,
        symbols: int | Sequence[int],
        outputs: int,
        *,
        rngs: nnx.Rngs,
        body: str = "lstm",
        pooled: bool = False,
        causal: bool = False,
        tied: bool = False,
        width: int = 128,
        head_initialiser: str = "lecun_normal",
        **options: Any,
    ):
        made = _body(body, counted("width", width), causal, options, rngs)
        self.body, self.pooled, self.tied = made, pooled, tied
        counts = (symbols,) if isinstance(symbols, int) else tuple(symbols)
        if tied and counts != (outputs,):
            raise ValueError(
                f"`tied` needs as many outputs as symbols, got {outputs} and {counts}."
            )
        start = nnx.initializers.normal(made.embedding_spread)
        self.features = len(counts)
        for number, count in enumerate(counts, 1):
            table = nnx.Embed(count, width, embedding_init=start, rngs=rngs)
            setattr(self, f"embed{number}", table)
        if not tied:
            first = initialiser(head_initialiser, "head_initialiser")
            self.head = nnx.Linear(width, outputs, kernel_init=first, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits of symbols `[rows, places]`, or `[rows, places, features]`."""
        x = x.astype(jnp.int32).reshape(*x.shape[:2], -1)
        if x.shape[2] != self.features:
            raise ValueError(
                f"Each place must have {self.features} features, got {x.shape[2]}."
            )
        mask = x[:, :, 0] != PAD
        tables = [getattr(self, f"embed{n}") for n in range(1, self.features + 1)]
        h = tables[0](x[:, :, 0])
        for number, table in enumerate(tables[1:], 1):
            h = h + table(x[:, :, number])
        h = self.body(h, mask)
        if self.pooled:
            h = _mean(h, mask)
        return tables[0].attend(h) if self.tied else self.head(h)


class Bag(nnx.Module):
    """No body: the places are not joined.

    Args:
        rngs: Where the keys of dropout come from.
        style: Only `dropout` is used.
    """

    embedding_spread = 0.1

    def __init__(self, *, rngs: nnx.Rngs, **style: Any):
        self.dropout = dropout(Style.of(style).dropout, rngs=rngs)

    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        del mask
        return self.dropout(x)


def _body(
    name: str, width: int, causal: bool, options: dict[str, Any], rngs: nnx.Rngs
) -> Bag | Recurrent | Transformer:
    known = dict.fromkeys(BODIES, Recurrent) | {"bag": Bag, "transformer": Transformer}
    make = named("body", name, known)
    if make is Bag:
        return Bag(rngs=rngs, **options)
    if make is Transformer:
        return Transformer(width, rngs=rngs, causal=causal, **options)
    if causal and options.get("both"):
        raise ValueError("`both` must be false in a causal model: it would see ahead.")
    both = {"both": not causal} | options
    return Recurrent(width, rngs=rngs, cell=name, width=width, **both)


def _mean(x: jax.Array, mask: jax.Array) -> jax.Array:
    """The mean of the places that are there."""
    weight = mask.astype(x.dtype)
    total = (x * weight[:, :, None]).sum(1)
    return total / jnp.maximum(weight.sum(1), 1.0)[:, None]


def masked_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The mean cross entropy of the places whose label is not `<pad>`."""
    labels = labels.astype(jnp.int32)
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1)
    weight = (labels != PAD).astype(logits.dtype)
    return -(picked[..., 0] * weight).sum() / jnp.maximum(weight.sum(), 1.0)
