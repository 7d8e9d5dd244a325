"""Schedules: a fixed learning rate against those that fall."""

from typing import Any

import jax
import numpy as np

import jopt
from jopt.experiments.studies import arms, drawing, nets
from jopt.experiments.studies.study import Findings, Study
from jopt.experiments.studies.sweep import rates, sweep

SHOWN = {"fixed": 5, "step": 1, "cosine": 2, "plateau": 3, "one-cycle": 4, "WSD": 0}


def schedules(steps: int) -> dict[str, Any]:
    """From peak rate to schedule, for each that is a function of the step."""
    return {
        "fixed": lambda rate: rate,
        "step": lambda rate: jopt.step_decay(rate, steps // 3, 0.1),
        "cosine": lambda rate: jopt.cosine_decay_schedule(rate, steps),
        "one-cycle": lambda rate: jopt.cosine_onecycle_schedule(steps, rate),
        "WSD": lambda rate: jopt.wsd_schedule(
            0.0, rate, steps // 20, steps, steps // 5
        ),
    }


def makers(steps: int) -> dict[str, Any]:
    """From peak rate to optimizer."""

    def sgd(schedule: Any) -> Any:
        return lambda rate: jopt.sgd(schedule(rate), momentum=0.9)

    def plateau(rate: jax.Array) -> jopt.Transform:
        # The loss of a minibatch is noisy: means of 20 are compared.
        watch = jopt.reduce_on_plateau(0.3, patience=5, accumulation_size=20)
        return jopt.chain(jopt.sgd(rate, momentum=0.9), watch)

    made = {name: sgd(schedule) for name, schedule in schedules(steps).items()}
    return {name: plateau if name == "plateau" else made[name] for name in SHOWN}


def measure(quick: bool) -> Findings:
    """Each schedule with its own best peak rate."""
    seeds, steps, count = (2, 120, 3) if quick else (10, 1200, 9)
    bench = nets.digits_bench(noise=0.1, metric="cross entropy")
    tried = rates(1e-3, 0.3, count)
    found = {
        name: sweep(bench, make, tried, seeds=seeds, steps=steps, batch_size=16)
        for name, make in makers(steps).items()
    }
    checks = tuple(
        arms.better(found, name, "fixed", statement, "nats")
        for name, statement in (
            ("step", "Steps down end at a lower test loss than a fixed rate."),
            ("cosine", "So does a cosine."),
            ("plateau", "So does a rate that falls when the loss stands still."),
            ("one-cycle", "So does one cycle."),
            ("WSD", "So does warm-up, stable, decay."),
        )
    )
    means = {name: one.score.mean() for name, one in found.items()}
    best = min(means, key=lambda name: means[name])
    conclusion = (
        f"With a fixed rate the net ends at a test loss of {means['fixed']:.3f}; the "
        f"lowest, {means[best]:.3f}, is that of `{best}`. "
        + ", ".join(
            f"{n}: {m:.3f}" for n, m in means.items() if n not in ("fixed", best)
        )
        + ". Each had its own best rate: "
        + ", ".join(f"{name} {one.setting:.2g}" for name, one in found.items())
        + "."
    )
    return Findings(
        (arms.table(found, "At the best rate of each", "loss", "peak rate"),),
        checks,
        conclusion,
        lambda: _draw(found, steps),
        "A perceptron with 32 hidden units on 1077 digits, a tenth of whose labels "
        f"are drawn anew; SGD with momentum 0.9, minibatches of 16, {steps} steps, "
        f"{seeds} seeds; {count} peak rates for each schedule, the best chosen on "
        "validation data.",
    )


def _draw(found: arms.Arms, steps: int) -> Any:
    figure, (left, middle, right) = drawing.panels(3, width=4.3)
    at = np.arange(steps)
    for name, colour in SHOWN.items():
        style = {"color": drawing.COLOURS[colour], "lw": 2, "label": name}
        if name in schedules(steps):
            value = schedules(steps)[name](1.0)
            heights = value(at) if callable(value) else np.ones(steps)
            left.plot(at, np.asarray(heights), **style)
        one = found[name]
        drawing.band(middle, one.steps, arms.curve(one), **style)
    left.set(xlabel="step", ylabel="share of the peak rate", title="Schedules")
    left.text(0.03, 0.06, "(plateau: by the loss)", transform=left.transAxes)
    middle.set(xlabel="step", ylabel="test loss", title="Each at its best peak rate")
    start = float(arms.curve(found["fixed"])[:, 4].mean())
    middle.set(ylim=(None, 2.0 * start))
    middle.legend(frameon=False)
    names = list(SHOWN)
    colours = [drawing.COLOURS[i] for i in SHOWN.values()]
    drawing.bars(right, names, arms.scores(found), colours)
    right.set(xlabel="test loss at the end (lower is better)", title="Where they end")
    return figure


STUDY = Study(
    "schedules",
    "A learning rate that falls in the course of training ends better than a fixed "
    "one.",
    measure,
)
