"""Outliers: squared, absolute and Huber's loss."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt.experiments.studies import arms, drawing, nets
from jopt.experiments.studies.seeds import generator
from jopt.experiments.studies.study import Findings, Study
from jopt.experiments.studies.sweep import Bench, rates, sweep

LOSSES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "squared": lambda said, true: jnp.square(said - true),
    "absolute": lambda said, true: jnp.abs(said - true),
    "smooth L1": lambda said, true: jopt.smooth_l1_loss(said, true, beta=0.3),
}
SHARE = 0.1


def rows(count: int, seed: int, outliers: float) -> Any:
    """Friedman's function of 5 of 10 inputs; some targets are off by a lot."""
    draw = generator(seed)
    x = draw.random((count, 10))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    y += 10 * x[:, 3] + 5 * x[:, 4] + draw.standard_normal(count)
    y = (y - 14.4) / 5.0
    wild = draw.random(count) < outliers
    y += wild * draw.exponential(8.0, count)
    return (2.0 * x - 1.0).astype(np.float32), y.astype(np.float32)


def bench(name: str, outliers: float) -> Bench:
    """A perceptron; validation and test are free of outliers and judge all alike."""

    def said(params: Any, x: jax.Array) -> jax.Array:
        return nets.apply_mlp(params, x, "tanh")[:, 0]

    def loss(params: Any, batch: Any, key: jax.Array) -> jax.Array:
        del key
        return LOSSES[name](said(params, batch[0]), batch[1]).mean()

    def score(params: Any, batch: Any) -> jax.Array:
        return jnp.sqrt(jnp.square(said(params, batch[0]) - batch[1]).mean())

    def init(draw: np.random.Generator) -> Any:
        return nets.init_mlp(draw, (10, 24, 1), "tanh")

    parts = rows(1000, 0, outliers), rows(500, 1, 0.0), rows(2000, 2, 0.0)
    return Bench(init, loss, score, *parts, higher=False)


def measure(quick: bool) -> Findings:
    """Each loss with and without outliers, at its own best rate."""
    seeds, steps, count = (2, 60, 3) if quick else (10, 1000, 9)
    found = {
        share: {
            name: sweep(
                bench(name, share),
                lambda rate: jopt.adam(jopt.cosine_decay_schedule(rate, steps)),
                rates(3e-4, 0.1, count),
                seeds=seeds,
                steps=steps,
                batch_size=50,
            )
            for name in LOSSES
        }
        for share in (0.0, SHARE)
    }
    clean, wild = found[0.0], found[SHARE]
    checks = (
        arms.better(
            wild,
            "smooth L1",
            "squared",
            "With outliers smooth L1 has a smaller error than squared loss.",
            "",
        ),
        arms.better(
            wild, "absolute", "squared", "With outliers so has absolute loss.", ""
        ),
        arms.better(
            clean,
            "smooth L1",
            "squared",
            "Without outliers smooth L1 loses little to squared loss, at most 0.01.",
            "",
            margin=-0.01,
        ),
        arms.better(
            wild,
            "smooth L1",
            "absolute",
            "With outliers it does as well as absolute loss, to 0.01.",
            "",
            margin=-0.01,
        ),
    )
    ends = {
        share: ", ".join(f"{n} {one.score.mean():.3f}" for n, one in runs.items())
        for share, runs in found.items()
    }
    conclusion = (
        f"Root mean squared error on clean test data, trained without outliers: "
        f"{ends[0.0]}; with {SHARE:.0%} of the targets too high: {ends[SHARE]}. The "
        "noise alone is 0.200."
    )
    titles = {0.0: "Without outliers", SHARE: f"{SHARE:.0%} outliers"}
    return Findings(
        tuple(arms.table(runs, titles[s], "error") for s, runs in found.items()),
        checks,
        conclusion,
        lambda: _draw(found, titles),
        "Friedman's function with noise; a tenth of the training targets are raised by "
        "exponential amounts of mean 8, where the targets have spread 1. A perceptron "
        f"with 24 hidden units on 1000 rows, Adam with a cosine, {steps} steps, "
        f"{seeds} seeds; {count} rates for each, the best chosen on clean validation "
        "data. Smooth L1 is Huber's loss over its threshold, here 0.3.",
    )


def _draw(found: Any, titles: Any) -> Any:
    figure, axes = drawing.panels(3, width=4.3)
    colours = drawing.COLOURS
    errors = jnp.linspace(-2.0, 2.0, 201)
    for (name, loss), colour in zip(LOSSES.items(), colours, strict=False):
        heights = loss(errors, jnp.zeros_like(errors))
        axes[0].plot(errors, heights, color=colour, lw=2, label=name)
    axes[0].set(xlabel="error", ylabel="loss", title="The losses", ylim=(0, 3))
    axes[0].legend(frameon=False)
    for ax, (share, runs) in zip(axes[1:], found.items(), strict=True):
        drawing.bars(ax, list(runs), arms.scores(runs), list(colours[: len(runs)]))
        ax.set_title(titles[share])
        ax.margins(x=0.15)
        ax.set_xlabel("error on clean test data (lower is better)")
    return figure


STUDY = Study(
    "outliers",
    "Huber's loss is about as good as squared loss on clean data and much better where "
    "there are outliers.",
    measure,
)
