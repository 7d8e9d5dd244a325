"""Parts of speech of English words: the Universal Dependencies treebank EWT."""

import collections
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jopt.experiments import text
from jopt.experiments.data import Original
from jopt.experiments.models.sequences import masked_cross_entropy, SequenceModel
from jopt.experiments.task import Recipe, Rows, Task

Sentence = Sequence[tuple[str, str]]  # words with their tags

SOURCE = (
    "It has the columns FORM, UPOS, XPOS, HEAD and DEPREL of the CoNLL-U files of "
    "https://github.com/UniversalDependencies/UD_English-EWT, release 2.16, with an "
    "empty line after each sentence, gzipped; CC BY-SA 4.0."
)
FILES = {
    part: Original(f"tagging/ud_en_ewt_{short}.tsv.gz", digest, SOURCE)
    for part, short, digest in (
        (
            "train",
            "train",
            "607113e45fe17d689f0f4d0f9b8b8a80e6cf38259aa83f07cd119f665951c400",
        ),
        (
            "valid",
            "dev",
            "851f6beed84b575ca0c2fd22a147a3c8eeca0bbe3dbb76829a09803a93975319",
        ),
        (
            "test",
            "test",
            "dcd2cdd783dd46e556b3856c3c4932da2e9c633dfdd98f1bd2e8a81198b01120",
        ),
    )
}
LENGTH = 32  # of a row; a longer sentence is cut in pieces, each a row

RECIPES = {
    "tagging": Recipe(
        "adamw(warmup_cosine_decay_schedule(0.0, 5e-3, 50, 900), weight_decay=0.01)",
        steps=900,
        batch_size=64,
        score=0.9481,
        minutes=0.9,
        published="nothing of the same kind: taggers that others report on this "
        "treebank have pretrained embeddings, or read the letters of the words",
    )
}


def tagging(
    folder: pathlib.Path | None = None,
    model: str = "lstm",
    quick: bool = False,
    **options: Any,
) -> Task:
    """The 17 universal parts of speech of the words of 16,622 English sentences.

    The treebank's own parts: 12,544 sentences for training, 2,001 for validation and
    2,077 for the test.

    Args:
        folder: The data folder.
        model: `"rnn"`, `"lstm"`, `"gru"`, each in both directions, or `"transformer"`.
        quick: Whether to train a small model on a part of the sentences for 60 steps.
        options: Those of `SequenceModel`.
    """
    parts = {name: sentences(file, folder) for name, file in FILES.items()}
    recipe = RECIPES["tagging"]
    if quick:
        parts = {name: rows[:600] for name, rows in parts.items()}
        recipe = Recipe("adamw(1e-2)", steps=60, batch_size=32)
        options = {"width": 32} | options
    options = {"dropout": 0.3} | options
    if model == "transformer":
        options = {"length": LENGTH} | options
    return tagged("tagging", parts, recipe, {"body": model} | options)


def sentences(file: Original, folder: pathlib.Path | None) -> list[Sentence]:
    """The words and universal tags of a file."""
    found, now = [], []
    for line in file.read("tagging", folder).decode("utf-8").split("\n"):
        if line:
            word, tag, *_ = line.split("\t")
            now.append((word, tag))
        elif now:
            found.append(now)
            now = []
    return found + [now] * bool(now)


def tagged(
    name: str,
    parts: Mapping[str, Sequence[Sentence]],
    recipe: Recipe,
    options: Mapping[str, Any],
) -> Task:
    """A task to tag words.

    A word is told by itself, in lower case, where it occurs twice in training; by its
    last three letters; and by how it is written.

    Args:
        name: The task's name.
        parts: Sentences for training, validation and test.
        recipe: How it is trained.
        options: Those of `SequenceModel`.
    """
    columns = [features(sentence) for sentence in parts["train"]]
    words = text.Vocabulary.of((row[0] for row in columns), min_count=2)
    ends = text.Vocabulary.of((row[1] for row in columns), min_count=2)
    tags = text.Vocabulary.of([tag for _, tag in row] for row in parts["train"])
    rows = {part: _rows(kept, words, ends, tags) for part, kept in parts.items()}
    symbols = len(words), len(ends), len(text.SPECIAL) + len(SHAPES)
    return Task(
        name=name,
        parts=rows,
        make=lambda rngs: SequenceModel(symbols, len(tags), rngs=rngs, **options),
        outputs=lambda model, rows: model(rows["x"]),
        loss=lambda logits, rows: masked_cross_entropy(logits, rows["tag"]),
        judge=accuracy,
        metric="accuracy",
        higher_is_better=True,
        recipe=recipe,
    )


SHAPES = ("digit", "capitals", "capital", "letters", "sign")


def features(sentence: Sentence) -> tuple[list[str], list[str], list[str]]:
    """What is told of the words: in lower case, last letters, and how it is written.

    Example:
        >>> features([("He", "PRON"), ("sleeps", "VERB")])
        (['he', 'sleeps'], ['he', 'eps'], ['capital', 'letters'])
    """
    words = [word.lower() for word, _ in sentence]
    return words, [word[-3:] for word in words], [_shape(word) for word, _ in sentence]


def _shape(word: str) -> str:
    if any(letter.isdigit() for letter in word):
        return "digit"
    if not any(letter.isalpha() for letter in word):
        return "sign"
    if word.isupper() and len(word) > 1:
        return "capitals"
    return "capital" if word[0].isupper() else "letters"


def _rows(
    kept: Sequence[Sentence],
    words: text.Vocabulary,
    ends: text.Vocabulary,
    tags: text.Vocabulary,
) -> Rows:
    columns: list[list[Sequence[int]]] = [[], [], [], []]
    for sentence in kept:
        told = features(sentence)
        shapes = [len(text.SPECIAL) + SHAPES.index(shape) for shape in told[2]]
        numbers = words.encode(told[0]), ends.encode(told[1]), shapes
        right = tags.encode(tag for _, tag in sentence)
        for column, row in zip(columns, (*numbers, right), strict=True):
            column.extend(text.pieces(row, LENGTH))
    arrays = [text.padded(column, LENGTH) for column in columns]
    return {"x": np.stack(arrays[:3], -1), "tag": arrays[3]}


def accuracy(logits: np.ndarray, rows: Rows) -> float:
    """The share of words whose tag is right."""
    there = rows["tag"] != text.PAD
    return float((logits.argmax(-1) == rows["tag"])[there].mean())


def most_frequent_tag(task: Task, part: str = "test") -> float:
    """The accuracy of the tag that a word has most often in training.

    A word that is rare there gets the tag that is the most frequent one of all.

    Args:
        task: What `tagging` makes.
        part: What is judged.

    Returns:
        The accuracy: what a model must be better than.
    """
    train, judged = task.parts["train"], task.parts[part]  # type: ignore[index]
    counts: dict[int, collections.Counter] = collections.defaultdict(
        collections.Counter
    )
    there = train["tag"] != text.PAD
    words, tags = train["x"][..., 0][there].tolist(), train["tag"][there].tolist()
    for word, tag in zip(words, tags, strict=True):
        counts[word][tag] += 1
    usual = collections.Counter(tags).most_common(1)[0][0]
    best = {word: count.most_common(1)[0][0] for word, count in counts.items()}
    best[text.UNK] = usual
    there = judged["tag"] != text.PAD
    said = [best.get(word, usual) for word in judged["x"][..., 0][there].tolist()]
    return float((np.asarray(said) == judged["tag"][there]).mean())
