"""AdaGrad, RMSprop and Adam on sparse features."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

import jopt
from jopt.experiments.studies import arms, drawing
from jopt.experiments.studies.seeds import generator
from jopt.experiments.studies.study import Findings, Study
from jopt.experiments.studies.sweep import Bench, rates, sweep

FEATURES = 400
MAKERS = {
    "sgd": (lambda rate: jopt.sgd(rate), 1e-2),
    "adagrad": (lambda rate: jopt.adagrad(rate, 0.0), 3e-3),
    "rmsprop": (lambda rate: jopt.rmsprop(rate, 0.99), 1e-4),
    "adam": (lambda rate: jopt.adam(rate), 1e-4),
}


def rows(sparse: bool, count: int, draw: np.random.Generator) -> Any:
    """Features and labels; sparse ones are words, the k-th in 2/k of the texts."""
    shape = (count, FEATURES)
    if sparse:
        often = np.minimum(0.5, 2.0 / np.arange(1, FEATURES + 1))
        x = (draw.random(shape) < often).astype(np.float32)
    else:
        x = draw.standard_normal(shape).astype(np.float32)
    truth = generator(1).standard_normal(FEATURES)
    truth *= 3.0 if sparse else 6.0 / FEATURES**0.5
    chance = 1.0 / (1.0 + np.exp(-(x - (often if sparse else 0.0)) @ truth))
    return x, (draw.random(count) < chance).astype(np.float32)


def bench(sparse: bool) -> Bench:
    """Logistic regression."""
    draw = generator(0)
    train, valid, test = (rows(sparse, n, draw) for n in (2000, 1000, 4000))

    def logits(params: Any, x: jax.Array) -> jax.Array:
        return x @ params["w"] + params["b"]

    def score(params: Any, batch: Any) -> jax.Array:
        signs = 2.0 * batch[1] - 1.0
        return jax.nn.softplus(-signs * logits(params, batch[0])).mean()

    def init(draw: np.random.Generator) -> Any:
        w = 0.01 * draw.standard_normal(FEATURES)
        return {"w": w.astype(np.float32), "b": np.float32(0.0)}

    def loss(params: Any, batch: Any, key: jax.Array) -> jax.Array:
        del key
        return score(params, batch)

    return Bench(init, loss, score, train, valid, test, higher=False)


def measure(quick: bool) -> Findings:
    """One pass and a bit over the rows, at each optimizer's best rate."""
    seeds, steps, count = (2, 40, 3) if quick else (10, 400, 13)
    found = {
        kind: {
            name: sweep(
                bench(kind == "sparse"),
                make,
                rates(low, low * 1e4, count),
                seeds=seeds,
                steps=steps,
                batch_size=20,
            )
            for name, (make, low) in MAKERS.items()
        }
        for kind in ("sparse", "dense")
    }
    sparse, dense = found["sparse"], found["dense"]
    checks = (
        arms.better(
            sparse, "adagrad", "sgd", "AdaGrad beats SGD on sparse features.", "nats"
        ),
        arms.better(sparse, "rmsprop", "sgd", "RMSprop beats SGD on them.", "nats"),
        arms.better(sparse, "adam", "sgd", "Adam beats SGD on them.", "nats"),
        arms.better(
            dense,
            "sgd",
            "adagrad",
            "On dense features SGD does as well as AdaGrad, to 0.005.",
            "nats",
            margin=-0.005,
        ),
    )
    ends = {
        kind: ", ".join(f"{n} {one.score.mean():.3f}" for n, one in runs.items())
        for kind, runs in found.items()
    }
    conclusion = (
        f"Test loss on sparse features: {ends['sparse']}. On dense ones: "
        f"{ends['dense']}."
    )
    return Findings(
        tuple(
            arms.table(runs, f"{kind.capitalize()} features", "loss")
            for kind, runs in found.items()
        ),
        checks,
        conclusion,
        lambda: _draw(found),
        f"Logistic regression on {FEATURES} features and 2000 rows, {steps} "
        f"minibatches of 20, {seeds} seeds; sparse features are 0 or 1, the k-th is 1 "
        f"in 2/k of the rows, and all matter equally; dense ones are normal. {count} "
        "rates for each, the best chosen on validation data.",
    )


def _draw(found: Mapping[str, arms.Arms]) -> Any:
    figure, axes = drawing.panels(3, width=4.3)
    for ax, (kind, runs) in zip(axes, found.items(), strict=False):
        for (name, one), colour in zip(runs.items(), drawing.COLOURS, strict=False):
            style = {"color": colour, "label": name, "lw": 2}
            drawing.band(ax, one.steps, arms.curve(one), **style)
        ax.set(xlabel="step", ylabel="test loss", title=f"{kind.capitalize()} features")
    axes[0].legend(frameon=False)
    for (name, one), colour in zip(
        found["sparse"].items(), drawing.COLOURS, strict=False
    ):
        x = one.settings / one.setting
        means = np.minimum(one.test[..., -1].mean(1), 1.0)
        axes[2].plot(x, means, color=colour, lw=2, label=name)
    axes[2].set(xscale="log", xlabel="learning rate / the best one", ylabel="test loss")
    axes[2].set_title("Sparse: how much the rate matters")
    axes[2].set_ylim(None, 1.0)
    return figure


STUDY = Study(
    "sparse",
    "On sparse features AdaGrad, RMSprop and Adam do better than SGD, for rare "
    "features get larger steps.",
    measure,
)
