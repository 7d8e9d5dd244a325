"""Data and iterations: what more of each is worth."""

import dataclasses
from typing import Any

import numpy as np

import jopt
from jopt.experiments.studies import arms, drawing, nets
from jopt.experiments.studies.statistics import interval, log_ratio
from jopt.experiments.studies.study import Check, Findings, Study, Table
from jopt.experiments.studies.sweep import epochs, Population, rates, sweep


def measure(quick: bool) -> Findings:
    """All sizes and all rates in one population; the best rate for each size."""
    seeds, steps, count = (2, 40, 2) if quick else (10, 1600, 5)
    sizes = (64, 256) if quick else (32, 64, 128, 256, 512, 1024)
    bench = nets.digits_bench((64,))
    tried = rates(3e-4, 1e-2, count)
    orders = [epochs(size, 32, steps, seeds) for size in sizes]
    everything = sweep(
        bench,
        jopt.adam,
        np.tile(tried, len(sizes)),
        seeds=seeds,
        steps=steps,
        batch_size=32,
        points=20,
        order=np.repeat(np.stack(orders), count, 0),
    )
    found = {
        f"{size}": _part(everything, slice(i * count, (i + 1) * count))
        for i, size in enumerate(sizes)
    }
    errors = {name: 1.0 - arms.curve(one) for name, one in found.items()}
    floor = 0.5 / len(bench.test[1])  # half an error, where there is none
    errors = {name: np.maximum(e, floor) for name, e in errors.items()}
    small, large = str(sizes[-1] // 4), str(sizes[-1])
    quarter = len(everything.steps) // 4 - 1
    checks = (
        Check(
            "Four times the data end at a lower error.",
            log_ratio(errors[small][:, -1], errors[large][:, -1]),
            unit="powers of ten",
        ),
        Check(
            "Four times the data gain more than four times the steps.",
            log_ratio(errors[small][:, -1], errors[large][:, quarter]),
            unit="powers of ten",
        ),
        Check(
            "The last three quarters of the steps gain less than a tenth of the error.",
            log_ratio(errors[small][:, -1], 0.9 * errors[small][:, quarter]),
            unit="powers of ten",
        ),
    )
    rows = tuple(
        (
            name,
            f"{found[name].setting:.2g}",
            interval(100 * e[:, quarter]),
            interval(100 * e[:, -1]),
        )
        for name, e in errors.items()
    )
    ends = np.log10([e[:, -1].mean() for e in errors.values()])
    slope = np.polyfit(np.log10(sizes), ends, 1)[0]
    conclusion = (
        f"With {small} digits the test error after {steps // 4} steps is "
        f"{errors[small][:, quarter].mean():.2%}, after {steps} it is "
        f"{errors[small][:, -1].mean():.2%}; with {large} digits it is "
        f"{errors[large][:, quarter].mean():.2%} after {steps // 4} steps. The error "
        f"falls about as the {slope:.2f}th power of the number of digits."
    )
    columns = (
        "digits",
        "best learning rate",
        f"test error in % after {steps // 4} steps",
        f"after {steps} steps",
    )
    return Findings(
        (Table("Test error by data and steps", columns, rows),),
        checks,
        conclusion,
        lambda: _draw(errors, everything.steps, sizes, quarter),
        f"A perceptron with 64 hidden units on the first {sizes[0]} to {sizes[-1]} "
        f"digits, Adam, minibatches of 32, {steps} steps, {seeds} seeds; {count} rates "
        "for each size, the best chosen on validation data.",
    )


def _part(every: Population, chosen: slice) -> Population:
    names = ("settings", "loss", "valid", "test")
    parts = {name: getattr(every, name)[chosen] for name in names}
    return dataclasses.replace(every, **parts)


def _draw(errors: Any, steps: np.ndarray, sizes: Any, quarter: int) -> Any:
    figure, (left, right) = drawing.panels()
    for i, (name, one) in enumerate(errors.items()):
        shade = str(0.75 - 0.7 * i / max(1, len(errors) - 1))
        drawing.band(left, steps, 100 * one, log=True, color=shade, lw=2)
        middle = float(np.median(100 * one[:, -1]))
        left.annotate(f" {name} digits", (steps[-1], middle), fontsize=9, va="center")
    left.set(xscale="log", yscale="log", xlabel="step", ylabel="test error in %")
    left.set_xlim(steps[0], steps[-1] * 2.6)
    left.set_xticks([100, 200, 400, 800, 1600], ["100", "200", "400", "800", "1600"])
    left.set_title("More steps")
    for at, colour in ((quarter, 3), (-1, 0)):
        ends = np.stack([100 * one[:, at] for one in errors.values()], 1)
        style = {"color": drawing.COLOURS[colour], "lw": 2, "marker": "o"}
        label = f"after {steps[at]} steps"
        drawing.band(right, sizes, ends, log=True, label=label, **style)
    right.set(xscale="log", yscale="log", xlabel="digits to train on")
    right.set(ylabel="test error in %", title="More data")
    right.set_xticks(sizes, [str(size) for size in sizes])
    for ax in (left, right):
        ax.set_yticks([2, 5, 10, 20, 30], ["2", "5", "10", "20", "30"])
        ax.minorticks_off()
    right.legend(frameon=False)
    return figure


STUDY = Study(
    "data_size",
    "More data lower the test error steadily, more iterations only up to a point.",
    measure,
)
