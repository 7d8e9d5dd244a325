"""A Transformer of pre-norm blocks: encoder, decoder, and both with attention."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jopt.experiments.models.layers import (
    activation,
    counted,
    dropout,
    identity,
    Initialiser,
    initialiser,
    Layer,
    named,
    Style,
)
from jopt.experiments.text import BOS, EOS, PAD

Keys = tuple[jax.Array, jax.Array]  # keys and values, [rows, places, heads, size]

SPREAD = 0.02  # of embeddings at the start


class Attention(nnx.Module):
    """Attention of several heads.

    Args:
        width: Features of a place.
        heads: How many heads share them; a divisor of `width`.
        kernel: The initialiser of the weights.
        last: The initialiser of those of the output.
        rngs: Where the initial weights come from.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        kernel: Initialiser,
        last: Initialiser,
        *,
        rngs: nnx.Rngs,
    ):
        if width % counted("heads", heads):
            raise ValueError(f"`heads` must divide the width {width}, got {heads}.")
        self.heads = heads
        self.query = nnx.Linear(width, width, kernel_init=kernel, rngs=rngs)
        self.key = nnx.Linear(width, width, kernel_init=kernel, rngs=rngs)
        self.value = nnx.Linear(width, width, kernel_init=kernel, rngs=rngs)
        self.out = nnx.Linear(width, width, kernel_init=last, rngs=rngs)

    def keys(self, memory: jax.Array) -> Keys:
        """Keys and values of what is looked at."""
        return self._split(self.key(memory)), self._split(self.value(memory))

    def __call__(self, x: jax.Array, keys: Keys, mask: jax.Array) -> jax.Array:
        """Look at keys where the mask `[rows or 1, 1, places, keys]` is true."""
        query = self._split(self.query(x))
        rows, places, count = *x.shape[:2], keys[0].shape[1]
        mask = jnp.broadcast_to(mask, (rows, 1, places, count))
        found = jax.nn.dot_product_attention(query, *keys, mask=mask)
        return self.out(found.reshape(x.shape))

    def _split(self, x: jax.Array) -> jax.Array:
        return x.reshape(*x.shape[:-1], self.heads, -1)


class Block(nnx.Module):
    """Attention to the sequence itself, perhaps to another one, and a perceptron.

    Args:
        width: Features of a place.
        heads: Heads of attention.
        depth: How many blocks there are: what they add up is scaled by it.
        crossed: Whether there is another sequence to look at.
        look: Activation, normalisation, dropout and initialiser.
        rngs: Where the initial weights come from.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        depth: int,
        crossed: bool,
        look: Style,
        *,
        rngs: nnx.Rngs,
    ):
        kernel, last = look.kernel, _scaled(look.kernel, (2 * depth) ** -0.5)
        self.norm1 = place_norm(look, width, rngs=rngs)
        self.itself = Attention(width, heads, kernel, last, rngs=rngs)
        self.crossed = crossed
        if crossed:
            self.norm2 = place_norm(look, width, rngs=rngs)
            self.other = Attention(width, heads, kernel, last, rngs=rngs)
        self.norm3 = place_norm(look, width, rngs=rngs)
        self.wide = nnx.Linear(width, 4 * width, kernel_init=kernel, rngs=rngs)
        self.activation = activation(look.activation)
        self.narrow = nnx.Linear(4 * width, width, kernel_init=last, rngs=rngs)
        self.dropout = dropout(look.dropout, rngs=rngs)

    def __call__(
        self,
        x: jax.Array,
        mask: jax.Array,
        other: Keys | None = None,
        other_mask: jax.Array | None = None,
    ) -> jax.Array:
        y = self.norm1(x)
        x = x + self.dropout(self.itself(y, self.itself.keys(y), mask))
        return self._finish(x, other, other_mask)

    def step(
        self, x: jax.Array, at: jax.Array, kept: Keys, other: Keys, other_mask: Any
    ) -> tuple[jax.Array, Keys]:
        """One more place, at `at`, after those whose keys are kept."""
        y = self.norm1(x)
        new = zip(kept, self.itself.keys(y), strict=True)
        keys, values = (
            jax.lax.dynamic_update_slice_in_dim(a, b, at, 1) for a, b in new
        )
        past = jnp.arange(keys.shape[1]) <= at
        x = x + self.itself(y, (keys, values), past[None, None, None])
        return self._finish(x, other, other_mask), (keys, values)

    def _finish(
        self, x: jax.Array, other: Keys | None, other_mask: jax.Array | None
    ) -> jax.Array:
        if self.crossed:
            assert other is not None and other_mask is not None
            x = x + self.dropout(self.other(self.norm2(x), other, other_mask))
        y = self.narrow(self.activation(self.wide(self.norm3(x))))
        return x + self.dropout(y)


class Positions(nnx.Module):
    """What is added to a place for where it is.

    Args:
        kind: `"learned"`, or `"sinusoidal"`, which is not trained.
        length: How many places there are at most.
        width: Features of a place.
        rngs: Where the initial weights come from.
    """

    def __init__(self, kind: str, length: int, width: int, *, rngs: nnx.Rngs):
        kinds = {"learned": True, "sinusoidal": False}
        self.learned = named("positions", kind, kinds)
        self.shape = (counted("length", length), width)
        if self.learned:
            start = nnx.initializers.normal(SPREAD)(rngs.params(), self.shape)
            self.table = nnx.Param(start)

    def __call__(self, count: int, at: jax.Array | int = 0) -> jax.Array:
        """Those of `count` places from `at` on: `[1, count, width]`."""
        if count > self.shape[0]:
            raise ValueError(
                f"`length` must be at least that of the input, {count}, got "
                f"{self.shape[0]}."
            )
        table = self.table[...] if self.learned else sinusoids(*self.shape)
        return jax.lax.dynamic_slice_in_dim(table, at, count)[None]


class Transformer(nnx.Module):
    """A stack of blocks over one sequence: an encoder, or a decoder if causal.

    Args:
        features: Features of each place of the input: the width of all blocks.
        rngs: Where the initial weights come from.
        depth: How many blocks.
        heads: Heads of attention.
        causal: Whether a place sees only those before it and itself.
        length: How many places there are at most.
        positions: `"learned"` or `"sinusoidal"`.
        crossed: Whether the blocks look at another sequence, too.
        style: `activation`, `"gelu"` by default; `normalisation`, `"layer"` by default,
            or `"rms"` or `"none"`; `dropout`; `initialiser`.

    Raises:
        TypeError: If an option is of the wrong kind.
        ValueError: If an option is out of range, or names nothing.

    Example:
        >>> encoder = Transformer(8, rngs=nnx.Rngs(0), depth=1, heads=2, length=5)
        >>> encoder(jnp.ones((2, 5, 8)), jnp.ones((2, 5), bool)).shape
        (2, 5, 8)
    """

    embedding_spread = SPREAD

    def __init__(
        self,
        features: int,
        *,
        rngs: nnx.Rngs,
        depth: int = 2,
        heads: int = 4,
        causal: bool = False,
        length: int = 64,
        positions: str = "learned",
        crossed: bool = False,
        **style: Any,
    ):
        look = Style.of({"activation": "gelu", "normalisation": "layer"} | style)
        self.depth, self.causal, self.width = counted("depth", depth), causal, features
        self.positions = Positions(positions, length, features, rngs=rngs)
        self.dropout = dropout(look.dropout, rngs=rngs)
        for number in range(1, depth + 1):
            block = Block(features, heads, depth, crossed, look, rngs=rngs)
            setattr(self, f"block{number}", block)
        self.norm = place_norm(look, features, rngs=rngs)

    @property
    def blocks(self) -> list[Block]:
        """The blocks, the first one first."""
        return [getattr(self, f"block{n}") for n in range(1, self.depth + 1)]

    def __call__(
        self,
        x: jax.Array,
        mask: jax.Array,
        memory: jax.Array | None = None,
        memory_mask: jax.Array | None = None,
    ) -> jax.Array:
        places = x.shape[1]
        seen = mask[:, None, None, :]
        if self.causal:
            before = jnp.tril(jnp.ones((places, places), bool))
            seen = seen & before[None, None]
        x = self.dropout(x + self.positions(places))
        there = None if memory_mask is None else memory_mask[:, None, None, :]
        for block in self.blocks:
            other = None if memory is None else block.other.keys(memory)
            x = block(x, seen, other, there)
        return self.norm(x)

    def step(
        self,
        x: jax.Array,
        at: jax.Array,
        kept: list[Keys],
        others: list[Keys],
        there: Any,
    ) -> tuple[jax.Array, list[Keys]]:
        """One more place, at `at`, after those whose keys are kept."""
        x, new = x + self.positions(1, at), []
        for block, keys, other in zip(self.blocks, kept, others, strict=True):
            x, keys = block.step(x, at, keys, other, there)
            new.append(keys)
        return self.norm(x), new


class Translator(nnx.Module):
    """An encoder of a source, and a decoder that looks at it while it writes.

    Args:
        symbols: How many symbols source and target have.
        rngs: Where the initial weights come from.
        width: Features of a place.
        depth: Blocks of the encoder, and of the decoder.
        tied: Whether the logits are products with the embeddings of the target.
        head_initialiser: The initialiser of their weights, if they are not.
        options: Those of `Transformer`: `heads`, `length`, `positions`, the style.

    Raises:
        TypeError: If an option is of the wrong kind.
        ValueError: If an option is out of range, or names nothing.

    Example:
        >>> model = Translator((9, 7), rngs=nnx.Rngs(0), width=8, depth=1, heads=2)
        >>> source, target = jnp.ones((2, 5), int), jnp.ones((2, 4), int)
        >>> model(source, target).shape, model.greedy(source, 6).shape
        ((2, 4, 7), (2, 6))
    """

    def __init__(
        self,
        symbols: tuple[int, int],
        *,
        rngs: nnx.Rngs,
        width: int = 128,
        depth: int = 2,
        tied: bool = True,
        head_initialiser: str = "lecun_normal",
        **options: Any,
    ):
        spread = nnx.initializers.normal(SPREAD)
        self.source, self.target = (
            nnx.Embed(count, counted("width", width), embedding_init=spread, rngs=rngs)
            for count in symbols
        )
        self.encoder = Transformer(width, rngs=rngs, depth=depth, **options)
        self.decoder = Transformer(
            width, rngs=rngs, depth=depth, causal=True, crossed=True, **options
        )
        self.tied = tied
        if not tied:
            first = initialiser(head_initialiser, "head_initialiser")
            self.head = nnx.Linear(width, symbols[1], kernel_init=first, rngs=rngs)

    def encode(self, source: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What the decoder looks at, and where there is something."""
        mask = source != PAD
        return self.encoder(self.source(source), mask), mask

    def __call__(self, source: jax.Array, target: jax.Array) -> jax.Array:
        """Logits of the symbol that follows each symbol of the target."""
        memory, mask = self.encode(source)
        x = self.decoder(self.target(target), target != PAD, memory, mask)
        return self._logits(x)

    def greedy(self, source: jax.Array, length: int) -> jax.Array:
        """The target, symbol by symbol the likeliest, up to `<eos>`.

        Args:
            source: `[rows, places]`.
            length: How many symbols are written at most.

        Returns:
            `[rows, length]`, without `<bos>`, filled up with `<pad>`.
        """
        memory, mask = self.encode(source)
        there = mask[:, None, None, :]
        others = [block.other.keys(memory) for block in self.decoder.blocks]
        rows, width = source.shape[0], self.decoder.width

        def more(carry: Any) -> jax.Array:
            return (carry[0] < length) & ~carry[2].all()

        def write(carry: Any) -> Any:
            at, written, done, last, kept = carry
            x = self.target(last)[:, None]
            x, kept = self.decoder.step(x, at, kept, others, there)
            best = self._logits(x)[:, 0].argmax(-1).astype(jnp.int32)
            best = jnp.where(done, PAD, best)
            written = jax.lax.dynamic_update_slice_in_dim(written, best[:, None], at, 1)
            return at + 1, written, done | (best == EOS), best, kept

        heads = self.decoder.blocks[0].itself.heads
        empty = jnp.zeros((rows, length, heads, width // heads))
        done = ~mask.any(1)  # nothing to translate: rows that fill up a block
        start = (
            jnp.zeros((), jnp.int32),
            jnp.full((rows, length), PAD, jnp.int32),
            done,
            jnp.full(rows, BOS, jnp.int32),
            [(empty, empty) for _ in self.decoder.blocks],
        )
        return jax.lax.while_loop(more, write, start)[1]

    def _logits(self, x: jax.Array) -> jax.Array:
        return self.target.attend(x) if self.tied else self.head(x)


def place_norm(look: Style, features: int, *, rngs: nnx.Rngs) -> nnx.Module | Layer:
    """A normalisation that looks at one place alone.

    Those over rows or places would see what is behind the end of a sequence, and a
    causal model the places that it is to foretell.
    """
    known = {
        "none": lambda: identity,
        "layer": lambda: nnx.LayerNorm(features, rngs=rngs),
        "rms": lambda: nnx.RMSNorm(features, rngs=rngs),
    }
    return named("normalisation", look.normalisation, known)()


def sinusoids(length: int, width: int) -> jax.Array:
    """Sines and cosines of all wave lengths, of the spread of embeddings."""
    pairs = jnp.arange(0, width, 2, dtype=jnp.float32)
    rates = jnp.exp(pairs * (-math.log(10000.0) / width))
    angles = jnp.arange(length, dtype=jnp.float32)[:, None] * rates[None]
    waves = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1)[:, :width]
    return waves * (SPREAD * math.sqrt(2.0))


def _scaled(start: Initialiser, factor: float) -> Initialiser:
    def scaled(*args: Any, **kwargs: Any) -> jax.Array:
        return start(*args, **kwargs) * factor

    return scaled
