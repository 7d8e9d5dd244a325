"""Class imbalance: cross entropy, class weights, focal loss."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt.experiments.studies import arms, drawing, nets
from jopt.experiments.studies.seeds import generator
from jopt.experiments.studies.statistics import difference, interval
from jopt.experiments.studies.study import Check, Findings, Study, Table
from jopt.experiments.studies.sweep import Bench, Population, rates, sweep

RARE = 0.02
WEIGHTS = np.asarray([0.5 / (1.0 - RARE), 0.5 / RARE], np.float32)
LOSSES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "cross entropy": lambda logits, y: nets.cross_entropies(logits, y),
    "class weights": lambda logits, y: jopt.softmax_focal_loss(
        logits, y, 0.0, jnp.asarray(WEIGHTS)
    ),
    "focal": lambda logits, y: jopt.softmax_focal_loss(logits, y, 2.0),
    "focal, weighted": lambda logits, y: jopt.softmax_focal_loss(
        logits, y, 2.0, jnp.asarray(WEIGHTS)
    ),
}


def rows(count: int, seed: int) -> Any:
    """A broad cloud of the common class, and three small ones of the rare class."""
    draw = generator(seed)
    x = draw.standard_normal((count, 8))
    y = np.zeros(count, np.int32)
    y[: round(RARE * count)] = 1
    centres = 1.7 * generator(0).standard_normal((3, 8))
    which = draw.integers(0, 3, count)
    x = np.where(y[:, None] == 1, centres[which] + 0.6 * x, 1.5 * x)
    return x.astype(np.float32), y


def said(params: Any, x: jax.Array) -> jax.Array:
    """The logits of both classes."""
    return nets.apply_mlp(params, x)


def average_precision(params: Any, batch: Any) -> jax.Array:
    """The mean of the precision at the rank of each rare row."""
    logits = said(params, batch[0])
    order = jnp.argsort(logits[:, 0] - logits[:, 1])
    hits = batch[1][order].astype(jnp.float32)
    precision = jnp.cumsum(hits) / jnp.arange(1, len(hits) + 1, dtype=jnp.float32)
    return (precision * hits).sum() / hits.sum()


def bench(name: str) -> Bench:
    """A perceptron trained on one of the losses and judged by average precision."""

    def loss(params: Any, batch: Any, key: jax.Array) -> jax.Array:
        del key
        return LOSSES[name](said(params, batch[0]), batch[1]).mean()

    def init(draw: np.random.Generator) -> Any:
        return nets.init_mlp(draw, (8, 24, 2))

    parts = rows(4000, 1), rows(4000, 2), rows(10_000, 3)
    return Bench(init, loss, average_precision, *parts)


def recall(one: Population) -> np.ndarray:
    """The share of the rare test rows to which the best net gives more than a half."""
    x, y = rows(10_000, 3)
    best = jax.tree.map(lambda a: jnp.asarray(a[one.best]), one.params)
    logits = np.asarray(jax.vmap(said, (0, None))(best, jnp.asarray(x[y == 1])))
    return (logits[..., 1] > logits[..., 0]).mean(1)


def measure(quick: bool) -> Findings:
    """Each loss at its own best rate."""
    seeds, steps, count = (2, 40, 3) if quick else (10, 600, 9)
    found = {
        name: sweep(
            bench(name),
            lambda rate: jopt.adam(jopt.cosine_decay_schedule(rate, steps)),
            rates(1e-3, 0.1, count),
            seeds=seeds,
            steps=steps,
            batch_size=100,
        )
        for name in LOSSES
    }
    recalls = {name: recall(one) for name, one in found.items()}
    ranking = "average precision"
    checks = (
        arms.better(
            found,
            "focal",
            "cross entropy",
            "Focal loss ranks the rare class better than cross entropy.",
            ranking,
        ),
        arms.better(
            found,
            "class weights",
            "cross entropy",
            "Class weights rank it better than cross entropy.",
            ranking,
        ),
        Check(
            "At even odds focal loss finds more of the rare class.",
            difference(recalls["focal"], recalls["cross entropy"]),
            unit="recall",
        ),
        Check(
            "At even odds class weights find more of it.",
            difference(recalls["class weights"], recalls["cross entropy"]),
            unit="recall",
        ),
    )
    ends = ", ".join(
        f"{name} {one.score.mean():.3f} and {recalls[name].mean():.0%}"
        for name, one in found.items()
    )
    conclusion = (
        f"Average precision and recall at even odds: {ends}. Weights move the point at "
        "which a row is called rare, and a threshold would do so too; the order of the "
        "rows is what a loss has to improve."
    )
    return Findings(
        (
            arms.table(found, "At the best rate of each", ranking),
            Table(
                "Rare rows that are found at even odds",
                ("", "recall"),
                tuple((name, interval(r)) for name, r in recalls.items()),
            ),
        ),
        checks,
        conclusion,
        lambda: _draw(found, recalls),
        f"Two classes in 8 dimensions, {RARE:.0%} of them rare, in three clusters "
        "within the common cloud; a perceptron with 24 hidden units, 4000 rows, Adam "
        f"with a cosine, {steps} minibatches of 100, {seeds} seeds; {count} rates for "
        "each, the best chosen by average precision on validation data. Focal loss "
        "has gamma 2.",
    )


def _draw(found: arms.Arms, recalls: dict[str, np.ndarray]) -> Any:
    figure, (left, middle, right) = drawing.panels(3, width=4.4)
    colours = list(drawing.COLOURS[: len(found)])
    x, y = rows(4000, 1)
    _, _, axes = np.linalg.svd(x[y == 1], full_matrices=False)
    flat = x @ axes[:2].T
    left.plot(*flat[y == 0][:1500].T, ".", color="0.8", ms=3, label="common")
    left.plot(*flat[y == 1].T, ".", color=colours[1], ms=6, label="rare")
    left.set(xticks=[], yticks=[], title=f"The data: {RARE:.0%} are rare")
    left.legend(frameon=False)
    drawing.bars(middle, list(found), arms.scores(found), colours)
    middle.set(xlabel="average precision", title="How well the rare are ranked")
    shares = [interval(r) for r in recalls.values()]
    drawing.bars(right, list(found), shares, colours)
    right.set(xlabel="recall at even odds", title="How many of the rare are found")
    right.set_yticklabels([])
    return figure


STUDY = Study(
    "imbalance",
    "Where one class is rare, focal loss and class weights do better than plain cross "
    "entropy.",
    measure,
)
