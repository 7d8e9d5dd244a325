"""Whether a sentence of a film review praises: the sentence polarity set."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jopt.experiments import text
from jopt.experiments.data import Original
from jopt.experiments.models import cross_entropy
from jopt.experiments.models.sequences import SequenceModel
from jopt.experiments.task import Recipe, Task
from jopt.experiments.tasks import scores

RT_POLARITY = Original(
    "text/rt_polarity.tsv.gz",
    "6dea7a390184535b643159d90d5743c7e47485c8b3660868c7373899413d7948",
    "It is the sentence polarity set v1.0 of "
    "https://www.cs.cornell.edu/people/pabo/movie-review-data/, a line for each "
    "sentence, 0 or 1, a tab, and the text: first all of rt-polarity.neg, then all of "
    "rt-polarity.pos, in UTF-8, gzipped.",
)

RECIPES = {
    "polarity": Recipe(
        "adamw(warmup_cosine_decay_schedule(0.0, 1e-2, 50, 200), weight_decay=0.1)",
        steps=200,
        batch_size=64,
        score=0.7638,
        minutes=0.04,
        published="0.761 without and 0.815 with pretrained embeddings: convolutional "
        "networks of Kim, arXiv:1408.5882, Table 2, cross-validation in ten parts",
    )
}


def polarity(
    folder: pathlib.Path | None = None,
    model: str = "bag",
    quick: bool = False,
    **options: Any,
) -> Task:
    """Sentences of film reviews, 5,331 that praise and 5,331 that do not.

    They are shuffled: four fifths are for training, a tenth for validation, a tenth for
    the test. The set has no parts of its own.

    Args:
        folder: The data folder.
        model: `"bag"`, the mean of the words' embeddings; or `"rnn"`, `"lstm"`, `"gru"`
            or `"transformer"`, the mean of what they make of them.
        quick: Whether to train a small model on a part of the sentences for 60 steps.
        options: Those of `SequenceModel`.
    """
    whole = RT_POLARITY.read("polarity", folder).decode("utf-8").splitlines()
    rows = [(line[2:], int(line[0])) for line in whole]
    recipe = RECIPES["polarity"]
    if quick:
        rows = rows[::5]
        recipe = Recipe("adamw(1e-2)", steps=60, batch_size=64)
        options = {"width": 32} | options
    options = {"dropout": 0.5} | options
    return judged("polarity", rows, recipe, {"body": model} | options)


def judged(
    name: str,
    rows: Sequence[tuple[str, int]],
    recipe: Recipe,
    options: Mapping[str, Any],
) -> Task:
    """A task to put texts into classes.

    Args:
        name: The task's name.
        rows: Texts with their classes, counted from 0.
        recipe: How it is trained.
        options: Those of `SequenceModel`.
    """
    order = np.random.default_rng(0).permutation(len(rows)).tolist()
    words = [text.tokens(rows[row][0].lower()) for row in order]
    labels = np.asarray([rows[row][1] for row in order], np.int32)
    first, second = int(0.8 * len(rows)), int(0.9 * len(rows))
    vocabulary = text.Vocabulary.of(words[:first], min_count=2)
    length = text.common_length(words)
    if options["body"] == "transformer":
        options = {"length": length} | dict(options)
    x = text.padded([vocabulary.encode(row) for row in words], length)
    classes = int(labels.max()) + 1
    ends = {"train": (0, first), "valid": (first, second), "test": (second, None)}
    return Task(
        name=name,
        parts={part: {"x": x[a:b], "y": labels[a:b]} for part, (a, b) in ends.items()},
        make=lambda rngs: SequenceModel(
            len(vocabulary), classes, rngs=rngs, pooled=True, **options
        ),
        outputs=lambda model, rows: model(rows["x"]),
        loss=lambda logits, rows: cross_entropy(logits, rows["y"]),
        judge=lambda logits, rows: scores.accuracy(logits, rows["y"]),
        metric="accuracy",
        higher_is_better=True,
        recipe=recipe,
    )
