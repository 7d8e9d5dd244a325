"""L1, L2, decoupled decay, dropout and early stopping against overfitting."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt.experiments.studies import arms, drawing, nets
from jopt.experiments.studies.statistics import difference, interval
from jopt.experiments.studies.study import Check, Findings, Study, Table
from jopt.experiments.studies.sweep import Bench, Population, sweep

RATE = 1e-3
ROWS, NOISE = 200, 0.1
WAYS = ("nothing", "early stopping", "L1", "L2", "decoupled decay", "dropout")


def losses(bench: Bench) -> dict[str, Callable[..., jax.Array]]:
    """The loss with each remedy in it, at a strength."""

    def weights(params: Any, function: Callable[[jax.Array], jax.Array]) -> jax.Array:
        return sum((function(layer["kernel"]).sum() for layer in params), jnp.zeros(()))

    def l1(params: Any, batch: Any, key: jax.Array, strength: jax.Array) -> jax.Array:
        return bench.loss(params, batch, key) + strength * weights(params, jnp.abs)

    def l2(params: Any, batch: Any, key: jax.Array, strength: jax.Array) -> jax.Array:
        squares = weights(params, jnp.square)
        return bench.loss(params, batch, key) + 0.5 * strength * squares

    def drop(params: Any, batch: Any, key: jax.Array, strength: jax.Array) -> jax.Array:
        logits = nets.apply_mlp(params, batch[0], dropout=strength, key=key)
        return nets.cross_entropies(logits, batch[1]).mean()

    return {"L1": l1, "L2": l2, "dropout": drop}


def measure(quick: bool) -> Findings:
    """Every remedy at as many strengths; early stopping at as many times."""
    seeds, steps, count = (2, 60, 3) if quick else (10, 1000, 10)
    bench = nets.digits_bench((128,), rows=ROWS, noise=NOISE, metric="cross entropy")
    strengths = {
        "L1": np.geomspace(1e-5, 1e-2, count),
        "L2": np.geomspace(1e-4, 1.0, count),
        "decoupled decay": np.geomspace(0.03, 30.0, count),
        "dropout": np.linspace(0.1, 0.9, count),
    }

    def run(settings: Any, points: int = 10, **more: Any) -> Population:
        make = more.pop("make", lambda setting: jopt.adam(RATE))
        return sweep(
            bench,
            make,
            settings,
            seeds=seeds,
            steps=steps,
            batch_size=50,
            points=points,
            **more,
        )

    plain = run([0.0])
    decayed = run(
        strengths["decoupled decay"],
        make=lambda w: jopt.adamw(RATE, weight_decay=w, mask="kernel"),
    )
    found = {"nothing": plain, "decoupled decay": decayed} | {
        name: run(strengths[name], loss=loss) for name, loss in losses(bench).items()
    }
    found["early stopping"] = _stopped(run([0.0], points=20 if quick else 100), count)
    found = {name: found[name] for name in WAYS}
    return _findings(bench, found, seeds, steps, count)


def _stopped(watched: Population, count: int) -> Population:
    """The same run, as one setting for each of `count` times to stop at."""
    looks = (
        np.unique(np.geomspace(1, len(watched.steps), count).round().astype(int)) - 1
    )
    parted = {
        name: getattr(watched, name)[0][:, looks].T[..., None]
        for name in ("loss", "valid", "test")
    }
    return dataclasses.replace(watched, settings=watched.steps[looks], **parted)


def _fit(bench: Bench, one: Population) -> np.ndarray:
    """The loss of the training rows at the end, without penalty or dropout."""
    best = jax.tree.map(lambda a: jnp.asarray(a[one.best]), one.params)
    rows = jax.tree.map(jnp.asarray, bench.train)
    return np.asarray(jax.vmap(bench.score, (0, None))(best, rows), np.float64)


def _findings(
    bench: Bench, found: arms.Arms, seeds: int, steps: int, count: int
) -> Findings:
    checks = tuple(
        arms.better(found, name, "nothing", f"{title} lowers the test loss.", "nats")
        for name, title in zip(
            WAYS[1:],
            ("Early stopping", "L1", "L2", "Decoupled decay", "Dropout"),
            strict=True,
        )
    )
    extra = difference(found["L2"].score, found["decoupled decay"].score)
    checks += (
        Check("With Adam, decoupled decay ends lower than L2.", extra, unit="nats"),
    )
    means = {name: one.score.mean() for name, one in found.items()}
    conclusion = (
        "Test loss: " + ", ".join(f"{name} {m:.3f}" for name, m in means.items()) + ". "
        "The net has 9,600 weights for 200 digits, a tenth of them with labels drawn "
        "anew, and learns these by heart if nothing holds it."
    )
    gaps = tuple(
        (name, interval(fit), interval(one.score), difference(one.score, fit))
        for name, one in found.items()
        if name != "early stopping"
        for fit in [_fit(bench, one)]
    )
    return Findings(
        (
            arms.table(found, "At the best strength of each", "loss", "strength"),
            Table(
                "The gap, without the penalties",
                ("", "training loss", "test loss", "test - training"),
                gaps,
            ),
        ),
        checks,
        conclusion,
        lambda: _draw(found),
        f"A perceptron with 128 hidden units on {ROWS} digits, a tenth of whose labels "
        f"are drawn anew; Adam at {RATE:g}, minibatches of 50, {steps} steps, {seeds} "
        f"seeds; {count} strengths for each remedy, and {count} times for stopping, "
        "the best chosen on validation data. The training loss of the first table "
        "includes penalty and dropout.",
    )


def _draw(found: arms.Arms) -> Any:
    figure, (left, right) = drawing.panels()
    shades = ("0.35", *drawing.COLOURS)
    colours: dict[str, str] = dict(zip(WAYS, shades, strict=False))
    for name, one in found.items():
        if name == "early stopping":
            continue
        drawing.band(
            left, one.steps, arms.curve(one), color=colours[name], label=name, lw=2
        )
    stop = found["early stopping"]
    left.axvline(stop.setting, color=colours["early stopping"], ls="--")
    left.annotate(
        " stop early",
        (stop.setting, 0.97),
        xycoords=("data", "axes fraction"),
        color=colours["early stopping"],
        va="top",
    )
    left.set(xlabel="step", ylabel="test loss", title="Each at its best strength")
    left.legend(frameon=False)
    drawing.bars(right, list(found), arms.scores(found), list(colours.values()))
    right.set(xlabel="test loss at the end (lower is better)", title="Where they end")
    return figure


STUDY = Study(
    "overfitting",
    "L1, L2, decoupled weight decay, dropout and early stopping each reduce "
    "overfitting, and with Adam decoupled decay does better than L2.",
    measure,
)
