"""Translation between German and English: captions of the set Multi30k."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jopt.experiments import text
from jopt.experiments.data import MissingData, Original
from jopt.experiments.models.layers import named
from jopt.experiments.models.sequences import masked_cross_entropy
from jopt.experiments.models.transformer import Translator
from jopt.experiments.task import Recipe, Rows, Task

Pairs = Sequence[tuple[str, str]]  # sentences of source and target
Tokens = tuple[list[str], list[str]]

SOURCE = (
    "It is a file of data/task1/raw of https://github.com/multi30k/dataset, under that "
    "name with `multi30k_` before it; for research and education only."
)
DIGESTS = {
    "train.de": "2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72",
    "train.en": "460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6",
    "val.de": "660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660",
    "val.en": "1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227",
    "test_2016_flickr.de": (
        "4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16"
    ),
    "test_2016_flickr.en": (
        "399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182"
    ),
}
PARTS = {"train": "train", "valid": "val", "test": "test_2016_flickr"}
LENGTH = 24  # of rows in training: 98% of the sentences fit

RECIPES = {
    "translation": Recipe(
        "adamw(warmup_cosine_decay_schedule(0.0, 2e-3, 150, 1600), b2=0.98)",
        steps=1600,
        batch_size=32,
        score=18.06,
        minutes=6.6,
        published="36.1 from German: bentrevett/pytorch-seq2seq, tutorial 6, a "
        "larger Transformer; BLEU of other tokens",
    )
}


def translation(
    folder: pathlib.Path | None = None,
    source: str = "de",
    quick: bool = False,
    **options: Any,
) -> Task:
    """Captions of pictures in German and English: 29,000 pairs for training.

    1,014 pairs are for validation, and the 1,000 of 2016 for the test. Texts are in
    lower case.

    Args:
        folder: The data folder.
        source: The language to translate from: `"de"` or `"en"`; into the other one.
        quick: Whether to train a small model on a part of the pairs for 150 steps.
        options: Those of `Translator`.
    """
    target = named("source", source, {"de": "en", "en": "de"})
    parts = {
        part: _pairs(f"{file}.{source}", f"{file}.{target}", folder)
        for part, file in PARTS.items()
    }
    recipe = RECIPES["translation"]
    if quick:
        parts = {"train": parts["train"][:2000]} | {
            part: parts[part][:64] for part in ("valid", "test")
        }
        recipe = Recipe("adamw(5e-3)", steps=150, batch_size=32)
        options = {"width": 32, "depth": 1} | options
    return translated("translation", parts, recipe, options)


def _pairs(source: str, target: str, folder: pathlib.Path | None) -> Pairs:
    sides = [
        Original(f"mt/multi30k_{file}.gz", DIGESTS[file], SOURCE)
        .read("translation", folder)
        .decode("utf-8")
        .rstrip("\n")
        .split("\n")
        for file in (source, target)
    ]
    return list(zip(*sides, strict=True))


def translated(
    name: str,
    parts: Mapping[str, Pairs],
    recipe: Recipe,
    options: Mapping[str, Any],
    length: int = LENGTH,
    min_count: int = 3,
) -> Task:
    """A task to translate sentences, judged by BLEU.

    Args:
        name: The task's name.
        parts: Pairs of sentences for training, validation and test.
        recipe: How it is trained.
        options: Those of `Translator`.
        length: How long a row is in training; what does not fit is left out there.
        min_count: How often a word occurs in training, or else it is unknown.
    """
    split = {part: _tokens(pairs) for part, pairs in parts.items()}
    source, target = (
        text.Vocabulary.of((pair[side] for pair in split["train"]), min_count)
        for side in (0, 1)
    )
    longest = max(length, _longest(split["valid"] + split["test"]))
    rows, references = {}, []
    for part, pairs in parts.items():
        most = length if part == "train" else longest
        rows[part] = _rows(split[part], source, target, most)
        rows[part]["id"] += len(references)
        references += [right for _, right in pairs]

    def judge(written: np.ndarray, rows: Rows) -> float:
        said = [text.joined(target.decode(row)) for row in written.tolist()]
        return bleu(said, [references[number] for number in rows["id"].tolist()])

    options = {"length": longest, "positions": "sinusoidal", "dropout": 0.1} | dict(
        options
    )
    return Task(
        name=name,
        parts=rows,
        make=lambda rngs: Translator((len(source), len(target)), rngs=rngs, **options),
        outputs=_foretold,
        loss=lambda logits, rows: masked_cross_entropy(logits, rows["y"]),
        judge=judge,
        metric="BLEU",
        higher_is_better=True,
        recipe=recipe,
        answer=lambda model, rows: model.greedy(rows["x"], longest),
    )


def _tokens(pairs: Pairs) -> list[Tokens]:
    return [(text.tokens(a.lower()), text.tokens(b.lower())) for a, b in pairs]


def _longest(pairs: list[Tokens]) -> int:
    """The length of rows that hold all sources, and all targets with their ends."""
    return text.common_length([*(a for a, _ in pairs), *([*b, ""] for _, b in pairs)])


def _rows(
    pairs: list[Tokens], source: text.Vocabulary, target: text.Vocabulary, length: int
) -> dict[str, np.ndarray]:
    """Source, target with its end, and which pair it is, of all pairs that fit."""
    numbers = [(source.encode(a), [*target.encode(b), text.EOS]) for a, b in pairs]
    fits = [i for i, pair in enumerate(numbers) if max(map(len, pair)) <= length]
    x, y = (text.padded([numbers[i][side] for i in fits], length) for side in (0, 1))
    return {"x": x, "y": y, "id": np.asarray(fits, np.int32)}


def _foretold(model: Translator, rows: Rows) -> jax.Array:
    """Logits of each word of the target, from those before it."""
    y = rows["y"]
    first = jnp.full((y.shape[0], 1), text.BOS, y.dtype)
    return model(rows["x"], jnp.concatenate([first, y[:, :-1]], 1))


def bleu(said: Sequence[str], references: Sequence[str]) -> float:
    """The BLEU of translations by sacrebleu, in lower case, from 0 to 100.

    Args:
        said: Translations, as texts.
        references: One right translation of each.

    Returns:
        The score of the whole.

    Raises:
        MissingData: If sacrebleu is not installed.

    Example:
        >>> texts = ["A man sleeps on a green sofa."]
        >>> round(bleu(texts, texts))
        100
    """
    try:
        import sacrebleu
    except ImportError:
        raise MissingData(
            "BLEU needs sacrebleu: pip install 'jopt[experiments]'."
        ) from None
    return sacrebleu.corpus_bleu(said, [references], lowercase=True).score
