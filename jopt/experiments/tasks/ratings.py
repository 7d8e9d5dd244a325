"""A recommender: what a user thinks of a film."""

import hashlib
import io
import pathlib
import zipfile
from typing import Any

import jax.numpy as jnp
import numpy as np

from jopt.experiments import data
from jopt.experiments.models import Factors
from jopt.experiments.task import Recipe, Rows, Task
from jopt.experiments.tasks import kinds, scores

MOVIELENS = data.Original(
    "ratings/u.data",
    "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
    "It is u.data of ml-100k.zip, https://grouplens.org/datasets/movielens/100k/ "
    "(not to be handed on); ratings/recbole-1.2.1-py3-none-any.whl holds it too.",
)
WHEEL = "ratings/recbole-1.2.1-py3-none-any.whl"
MEMBER = "recbole/dataset_example/ml-100k/ml-100k.inter"
RECIPE = Recipe(
    "adamw(cosine_decay_schedule(3e-3, 3000), weight_decay=0.1)",
    steps=3000,
    batch_size=256,
    score=0.9376,
    minutes=0.06,
    published="0.934 (SVD), 0.944 (biases alone): Surprise, five folds",
)
LOWEST, HIGHEST = 1.0, 5.0


def movielens100k(
    folder: pathlib.Path | None = None, quick: bool = False, **options: Any
) -> Task:
    """A hundred thousand ratings, from 1 to 5, of 1682 films by 943 users.

    A tenth of the ratings each, drawn by chance, are for validation and test.

    Args:
        folder: The data folder; it holds `ratings/u.data`, or the wheel of recbole
            1.2.1, which brings it.
        quick: Fewer rows and steps.
        options: Options of `jopt.experiments.models.Factors`.

    Returns:
        The task: the score is the RMSE.
    """
    table = np.loadtxt(io.BytesIO(_content(folder)), dtype=np.int64)
    pairs = (table[:, :2] - 1).astype(np.int32)
    users, items = (int(count) for count in pairs.max(0) + 1)
    rows = {"x": pairs, "y": table[:, 2].astype(np.float32)}
    tenth = len(table) // 10
    parts = kinds.shares("movielens100k", rows, tenth, tenth)
    mean = float(parts["train"]["y"].mean())

    def judge(said: np.ndarray, rows: Rows) -> float:
        return scores.rmse(np.clip(said, LOWEST, HIGHEST), rows["y"])

    task = Task(
        name="movielens100k",
        parts=parts,
        make=lambda rngs: Factors((users, items), rngs=rngs, mean=mean, **options),
        outputs=lambda model, rows: model(rows["x"]),
        loss=lambda said, rows: jnp.mean((said - rows["y"]) ** 2),
        judge=judge,
        metric="RMSE",
        higher_is_better=False,
        recipe=RECIPE,
    )
    return kinds.quickened(task, quick, rows=4000)


def _content(folder: pathlib.Path | None) -> bytes:
    """The original file, from itself or from the wheel."""
    wheel = None if folder is None else folder / WHEEL
    if wheel is None or not wheel.is_file() or (wheel.parent / "u.data").exists():
        return MOVIELENS.read("movielens100k", folder)
    try:
        with zipfile.ZipFile(wheel) as archive:
            _, _, content = archive.read(MEMBER).partition(b"\n")  # after the header
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise data.MissingData(
            f"The task `movielens100k` cannot read {MEMBER} of {wheel}: {error}. "
            f"{MOVIELENS.source}"
        ) from None
    if hashlib.sha256(content).hexdigest() != MOVIELENS.sha256:
        raise data.MissingData(
            f"{MEMBER} of {wheel} is not what the task `movielens100k` knows. "
            f"{MOVIELENS.source}"
        )
    return content
