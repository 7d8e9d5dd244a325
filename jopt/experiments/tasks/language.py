"""Language models of characters: a text of Shakespeare's plays, and first names."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from jopt.experiments import text
from jopt.experiments.data import Original
from jopt.experiments.models.sequences import masked_cross_entropy, SequenceModel
from jopt.experiments.task import Recipe, Rows, Task

TINY_SHAKESPEARE = Original(
    "text/tinyshakespeare.txt.gz",
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    "It is data/tinyshakespeare/input.txt of https://github.com/karpathy/char-rnn, "
    "gzipped; public domain.",
)
NAMES = Original(
    "text/names.txt",
    "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
    "It is names.txt of https://github.com/karpathy/makemore; public domain.",
)

METRIC = "nats per character"

RECIPES = {
    "shakespeare": Recipe(
        "chain(clip_by_global_norm(1.0), adamw(warmup_cosine_decay_schedule(0.0, 1e-3, "
        "100, 2000, 1e-4), b2=0.99, weight_decay=0.1, mask='kernel|embedding|table'))",
        steps=2000,
        batch_size=12,
        score=1.935,
        minutes=4.0,
        published="1.88: nanoGPT's README, a model of the same size and steps, trained "
        "on the first 90% of the text and judged on random parts of the rest",
    ),
    "names": Recipe(
        "adamw(warmup_cosine_decay_schedule(0.0, 5e-3, 100, 2000))",
        steps=2000,
        batch_size=128,
        score=1.958,
        minutes=0.93,
        published="1.92: makemore's README, a Transformer of 200,000 parameters, on "
        "another split of the same names",
    ),
}
NANOGPT = {"depth": 4, "heads": 4, "initialiser": "normal"}


def shakespeare(
    folder: pathlib.Path | None = None,
    model: str = "transformer",
    context: int = 64,
    quick: bool = False,
    **options: Any,
) -> Task:
    """The characters of Shakespeare's plays: 1,115,394 of them, 65 kinds.

    The first 85% are for training, the next 5% for validation, and the last 10%, on
    which nanoGPT is judged, for the test.

    Args:
        folder: The data folder.
        model: `"transformer"`, of nanoGPT's sizes for a CPU; `"rnn"`, `"lstm"` or
            `"gru"`.
        context: How many characters are seen at most.
        quick: Whether to train a small model on a part of the text for 100 steps.
        options: Those of `SequenceModel`.
    """
    whole = TINY_SHAKESPEARE.read("shakespeare", folder).decode("utf-8")
    recipe = RECIPES["shakespeare"]
    if quick:
        whole, context = whole[:60_000], min(context, 32)
        recipe = Recipe("adamw(5e-3)", steps=100, batch_size=12)
        options = {"depth": 1, "width": 32} | options
    if model == "transformer":
        options = {"length": context} | NANOGPT | options
    options = {"body": model, "tied": True} | options
    return running_text("shakespeare", whole, context, recipe, options)


def names(
    folder: pathlib.Path | None = None,
    model: str = "gru",
    quick: bool = False,
    **options: Any,
) -> Task:
    """First names, of 32,033 kinds, letter by letter; the end counts as a letter.

    Four fifths are for training, a tenth for validation, a tenth for the test.

    Args:
        folder: The data folder.
        model: `"rnn"`, `"lstm"`, `"gru"` or `"transformer"`.
        quick: Whether to train a small model on a tenth of the names for 100 steps.
        options: Those of `SequenceModel`.
    """
    whole = NAMES.read("names", folder).decode("utf-8").split()
    recipe = RECIPES["names"]
    if quick:
        whole = whole[::10]
        recipe = Recipe("adamw(1e-2)", steps=100, batch_size=64)
        options = {"width": 32} | options
    return lines("names", whole, recipe, {"body": model} | options)


def running_text(
    name: str, whole: str, context: int, recipe: Recipe, options: Mapping[str, Any]
) -> Task:
    """A task to foretell each character of a long text from those before it.

    Args:
        name: The task's name.
        whole: The text.
        context: How many characters are seen at most.
        recipe: How it is trained.
        options: Those of `SequenceModel`.
    """
    vocabulary = text.Vocabulary.of([whole])
    kind = np.uint8 if len(vocabulary) <= 256 else np.int32
    numbers = np.asarray(vocabulary.encode(whole), kind)
    first, second = int(0.85 * len(numbers)), int(0.9 * len(numbers))
    wide = context + 1  # of one more, to foretell the last
    parts = {
        "train": text.windows(numbers[:first], wide),
        "valid": text.windows(numbers[first:second], wide, stride=context),
        "test": text.windows(numbers[second:], wide, stride=context),
    }
    return _task(name, parts, vocabulary, recipe, options)


def lines(
    name: str, rows: list[str], recipe: Recipe, options: Mapping[str, Any]
) -> Task:
    """A task to foretell each character of short texts, and their ends.

    Args:
        name: The task's name.
        rows: The texts.
        recipe: How it is trained.
        options: Those of `SequenceModel`.
    """
    order = np.random.default_rng(0).permutation(len(rows))
    vocabulary = text.Vocabulary.of(rows)
    numbers = [
        [text.BOS, *vocabulary.encode(rows[row]), text.EOS] for row in order.tolist()
    ]
    array = text.padded(numbers, 1 + text.common_length([row[1:] for row in numbers]))
    first, second = int(0.8 * len(array)), int(0.9 * len(array))
    parts = {
        "train": array[:first],
        "valid": array[first:second],
        "test": array[second:],
    }
    return _task(name, parts, vocabulary, recipe, options)


def _task(
    name: str,
    parts: Mapping[str, np.ndarray],
    vocabulary: text.Vocabulary,
    recipe: Recipe,
    options: Mapping[str, Any],
) -> Task:
    symbols = len(vocabulary)
    return Task(
        name=name,
        parts={part: {"x": rows} for part, rows in parts.items()},
        make=lambda rngs: SequenceModel(
            symbols, symbols, rngs=rngs, causal=True, **options
        ),
        outputs=lambda model, rows: model(rows["x"][:, :-1]),
        loss=lambda logits, rows: masked_cross_entropy(logits, rows["x"][:, 1:]),
        judge=nats,
        metric=METRIC,
        higher_is_better=False,
        recipe=recipe,
    )


def nats(logits: np.ndarray, rows: Rows) -> float:
    """The mean cross entropy of the symbols to foretell, each with the same weight."""
    right = rows["x"][:, 1:].astype(np.int64)
    picked = np.take_along_axis(logits, right[..., None], -1)[..., 0]
    top = logits.max(-1)
    total = np.log(np.exp(logits - top[..., None]).sum(-1, dtype=np.float64)) + top
    return float((total - picked)[right != text.PAD].mean())
