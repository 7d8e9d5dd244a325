"""Averages of weights and of predictions: EMA, SWA, snapshot ensembles."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt.experiments.studies import arms, drawing, nets
from jopt.experiments.studies.study import Findings, Study
from jopt.experiments.studies.sweep import Bench, Population, rates, sweep

CYCLES = 5


def makers(steps: int) -> dict[str, Callable[[Any], jopt.Transform]]:
    """From peak rate to optimizer."""

    def sgd(rate: Any) -> jopt.Transform:
        return jopt.sgd(rate, momentum=0.9)

    return {
        "last step": sgd,
        "EMA": lambda rate: jopt.chain(sgd(rate), jopt.ema_params(1 - 20 / steps)),
        "SWA": lambda rate: jopt.chain(sgd(rate), jopt.swa_params(3 * steps // 4)),
        "snapshots": lambda rate: sgd(
            jopt.cosine_restarts_schedule(rate, steps // CYCLES)
        ),
        "cosine": lambda rate: sgd(jopt.cosine_decay_schedule(rate, steps)),
    }


def ensemble(bench: Bench, one: Population) -> Population:
    """The same population, judged by the mean prediction of its snapshots."""

    def score(members: Any, rows: Any) -> jax.Array:
        logits = jax.vmap(nets.apply_mlp, (0, None))(members, rows[0])
        mean = jax.nn.logsumexp(jax.nn.log_softmax(logits), axis=0) - np.log(CYCLES)
        return nets.cross_entropies(mean, rows[1]).mean()

    def every(rows: Any) -> np.ndarray:
        part = jax.tree.map(jnp.asarray, rows)
        found = jax.jit(jax.vmap(jax.vmap(score, (0, None)), (0, None)))
        return np.asarray(found(one.params, part), np.float64)[..., None]

    return dataclasses.replace(one, valid=every(bench.valid), test=every(bench.test))


def measure(quick: bool) -> Findings:
    """Each at its own best rate, for the same steps."""
    seeds, steps, count = (2, 100, 3) if quick else (10, 1200, 9)
    bench = nets.digits_bench(noise=0.1, metric="cross entropy")
    found = {
        name: sweep(
            bench,
            make,
            rates(3e-3, 0.3, count),
            seeds=seeds,
            steps=steps,
            batch_size=16,
            points=CYCLES if name == "snapshots" else 20,
            keep=name == "snapshots",
        )
        for name, make in makers(steps).items()
    }
    curves = dict(found)
    found["snapshots"] = ensemble(bench, found["snapshots"])
    checks = tuple(
        arms.better(found, name, other, statement, "nats")
        for name, other, statement in (
            ("EMA", "last step", "An EMA of the weights beats the last step."),
            ("SWA", "last step", "SWA beats it."),
            ("snapshots", "last step", "An ensemble of snapshots beats it."),
            ("EMA", "cosine", "An EMA beats a cosine schedule."),
            ("SWA", "cosine", "SWA beats a cosine schedule."),
            ("snapshots", "cosine", "Snapshots beat a cosine schedule."),
        )
    )
    ends = ", ".join(f"{name} {one.score.mean():.3f}" for name, one in found.items())
    conclusion = (
        f"Test loss: {ends}. The last step of a fixed rate is noisy; averaging removes "
        "noise, and so does a rate that falls, so both comparisons are made."
    )
    return Findings(
        (arms.table(found, "At the best rate of each", "loss", "peak rate"),),
        checks,
        conclusion,
        lambda: _draw(found, curves),
        "A perceptron with 32 hidden units on 1077 digits, a tenth of whose labels are "
        f"drawn anew; SGD with momentum 0.9, minibatches of 16, {steps} steps, {seeds} "
        f"seeds; {count} peak rates for each, the best chosen on validation data. EMA, "
        "SWA and the last step have a fixed rate; SWA averages the last quarter, the "
        f"EMA about a twentieth; snapshots are {CYCLES}, one a cycle of a cosine.",
    )


def _draw(found: arms.Arms, curves: arms.Arms) -> Any:
    figure, (left, right) = drawing.panels()
    for (name, one), colour in zip(curves.items(), drawing.COLOURS, strict=False):
        best = found[name].best
        label = "snapshots, one by one" if name == "snapshots" else name
        style = {"color": colour, "lw": 2, "label": label}
        style |= {"marker": "o", "ls": ":"} if name == "snapshots" else {}
        drawing.band(left, one.steps, one.test[best], **style)
    low = min(one.score.mean() for one in found.values())
    left.set(ylim=(0.9 * low, 2.2 * low), xlabel="step", ylabel="test loss")
    left.set_title("Each at its best rate")
    left.legend(frameon=False)
    colours = list(drawing.COLOURS[: len(found)])
    drawing.bars(right, list(found), arms.scores(found), colours)
    right.set(xlabel="test loss at the end (lower is better)", title="Where they end")
    return figure


STUDY = Study(
    "averaging",
    "Averages of weights (EMA, SWA) and ensembles of snapshots do better than the last "
    "step of training, and better than a cosine schedule.",
    measure,
)
