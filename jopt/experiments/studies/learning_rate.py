"""Learning rates: too small, good, too large."""

import functools as ft
from typing import Any

import numpy as np

import jopt
from jopt.experiments.studies import drawing, nets
from jopt.experiments.studies.statistics import difference, interval, log_ratio
from jopt.experiments.studies.study import Check, Findings, Study, Table
from jopt.experiments.studies.sweep import Population, rates, sweep

MORE = 20  # times the steps, for the smallest rate


def measure(quick: bool) -> Findings:
    """One net, one optimizer, many learning rates; the smallest gets more time."""
    tried = rates(1e-4, 100.0, 7 if quick else 13)
    seeds, steps = (2, 60) if quick else (8, 400)
    bench = nets.digits_bench()
    run = ft.partial(sweep, bench, jopt.sgd, seeds=seeds, batch_size=64)
    found = run(tried, steps=steps)
    best = found.setting
    around = run([best / 100, best / 10, best, best * 10, best * 30], steps=steps)
    longer = run([best / 100], steps=MORE * steps)
    return _findings(found, around, longer)


def _findings(found: Population, around: Population, longer: Population) -> Findings:
    far, near, good, ten, thirty = around.test[:, :, -1]
    losses = around.loss[..., -1]
    best, late = around.settings[2], longer.test[0, :, -1]
    checks = (
        Check(
            "A hundredth of the best rate ends at a higher training loss.",
            log_ratio(losses[0], losses[2]),
            unit="powers of ten",
        ),
        Check(
            "A tenth of the best rate ends at a higher training loss.",
            log_ratio(losses[1], losses[2]),
            unit="powers of ten",
        ),
        Check(
            f"A hundredth of the rate gets there in {MORE} times the steps, to 0.01.",
            difference(late, good),
            margin=-0.01,
            unit="accuracy",
        ),
        Check(
            "Ten times the best rate ends at a lower test accuracy.",
            difference(good, ten),
            unit="accuracy",
        ),
        Check(
            "Thirty times the best rate ends at a lower test accuracy.",
            difference(good, thirty),
            unit="accuracy",
        ),
    )
    names = ("best / 100", "best / 10", "best", "best x 10", "best x 30")
    rows = [
        (name, float(rate), interval(loss), interval(score))
        for name, rate, loss, score in zip(
            names,
            around.settings,
            around.loss[..., -1],
            around.test[..., -1],
            strict=True,
        )
    ]
    rows.append(
        (
            f"best / 100, {MORE} times the steps",
            float(best / 100),
            interval(longer.loss[0, :, -1]),
            interval(late),
        )
    )
    all_rates = tuple(
        (float(rate), interval(valid), interval(test))
        for rate, valid, test in zip(
            found.settings, found.valid[..., -1], found.test[..., -1], strict=True
        )
    )
    columns = ("rate", "learning rate", "training loss", "test accuracy")
    scores = ("learning rate", "validation accuracy", "test accuracy")
    conclusion = (
        f"The best rate was {best:.3g}. In the same steps a hundredth of it reached "
        f"{far.mean():.1%} of the test digits, a tenth {near.mean():.1%}, the best "
        f"{good.mean():.1%}, ten times it {ten.mean():.1%} and thirty times it "
        f"{thirty.mean():.1%}. With {MORE} times the steps a hundredth of the rate "
        f"reached {late.mean():.1%}: what too small a rate costs, time buys back."
    )
    return Findings(
        tables=(
            Table("Around the best rate", columns, tuple(rows)),
            Table("All rates", scores, all_rates),
        ),
        checks=checks,
        conclusion=conclusion,
        draw=lambda: _draw(found, around, longer),
        setup=(
            f"A perceptron with 32 hidden units on 1077 digits, plain SGD, minibatches "
            f"of 64, {found.steps[-1]} steps, {found.loss.shape[1]} seeds; "
            f"{len(found.settings)} rates, the best chosen on validation data."
        ),
    )


def _good(found: Population) -> tuple[float, float]:
    """The ends of the rates whose test accuracy is within 0.02 of the best one's."""
    means = found.test[..., -1].mean(1)
    inside = np.flatnonzero(means > means.max() - 0.02)
    between = np.sqrt(found.settings[1:] * found.settings[:-1])
    low, high = max(inside[0] - 1, 0), min(inside[-1], len(between) - 1)
    return float(between[low]), float(between[high])


def _draw(found: Population, around: Population, longer: Population) -> Any:
    figure, (left, right) = drawing.panels()
    shades = drawing.COLOURS
    shown = ((0, "a hundredth"), (2, "the best"), (4, "thirty times"))
    for (i, name), shade in zip(shown, (shades[0], shades[2], shades[1]), strict=True):
        label = f"{name}: {around.settings[i]:.2g}"
        losses = np.minimum(np.nan_to_num(around.loss[i], nan=30.0), 30.0)
        drawing.band(left, around.steps, losses, color=shade, label=label, lw=2)
    left.set(xlabel="step", ylabel="training loss", yscale="log", ylim=(1e-3, 30))
    left.legend(frameon=False)
    left.set_title("Training loss at three rates")
    drawing.band(right, found.settings, found.test[..., -1].T, color="0.2", lw=2)
    low, high = _good(found)
    right.axvspan(found.settings[0], low, color=shades[0], alpha=0.12, lw=0)
    right.axvspan(low, high, color=shades[2], alpha=0.15, lw=0)
    right.axvspan(high, found.settings[-1], color=shades[1], alpha=0.12, lw=0)
    right.set(
        xscale="log", xlabel="learning rate", ylabel="test accuracy", ylim=(0, 1.09)
    )
    right.set_xlim(found.settings[0], found.settings[-1])
    middles = (
        (found.settings[0] * low) ** 0.5,
        (low * high) ** 0.5,
        (high * found.settings[-1]) ** 0.5,
    )
    for x, name in zip(middles, ("too small", "good", "too large"), strict=True):
        right.text(x, 1.03, name, ha="center")
    right.set_title(f"Test accuracy after {found.steps[-1]} steps")
    return figure


STUDY = Study(
    "learning_rate",
    "Too small a learning rate trains slowly, too large a one does not train, and a "
    "good one lies between.",
    measure,
)
