"""The charts of a race: learning curves, rate sensitivity, test scores."""

import math
from collections.abc import Iterable

import numpy as np

from jopt.experiments import svg, wording
from jopt.experiments.results import RaceResult
from jopt.experiments.standings import best_rate, Entry, Standing

COLOURED = 6
"""How many entrants have a colour of their own; the others are grey."""


def scale_of(result: RaceResult, values: Iterable[float]) -> svg.Scale:
    """The scale that suits the score: open towards 1 for accuracies, else log."""
    finite = [v for v in values if math.isfinite(v)]
    if result.metric == "accuracy" and finite and max(finite) <= 1.0:
        return svg.accuracy(finite)
    if finite and min(finite) > 0.0 and max(finite) > 5.0 * min(finite):
        low, high = min(finite), max(finite)
        # an exploded run must not press the others flat
        ceiling = np.median(finite) * 1e3 if not result.higher else high
        return svg.log([low, min(high, ceiling)], pad=0.04)
    return svg.linear(finite, pad=0.04)


def colours(result: RaceResult) -> dict[str, str]:
    """The class of each entrant: `c1` ... for the first on the leaderboard, `rest`."""
    rows = [row for row in result.leaderboard() if row.rate is not None]
    picked = {row.name: f"c{i + 1}" for i, row in enumerate(rows[:COLOURED])}
    return {entry.name: picked.get(entry.name, "rest") for entry in result.entries}


def learning(result: RaceResult, size: tuple[int, int]) -> str:
    """Validation score against steps, each entrant at its best rate."""
    curves = []
    for row in reversed(_ran(result)):
        entry = result.entry(row.name)
        index = best_rate(entry, result.higher)
        curves.append((row, entry.valid[index].mean(0)))
    ys = [y for _, curve in curves for y in curve]
    plot = svg.Plot(
        svg.linear(result.steps),
        scale_of(result, ys),
        size,
        label=f"Validation {result.metric} against steps",
        x_label="step",
    )
    if math.isfinite(result.target):
        plot.rule(result.target, "target", "target")
    kinds = colours(result)
    for row, curve in curves:
        title = f"{row.name} at {row.rate:.3g}"
        plot.curve(result.steps, curve.tolist(), f"line {kinds[row.name]}", title)
    return plot.svg()


def sensitivity(result: RaceResult, size: tuple[int, int]) -> str:
    """Final validation score against learning rate, all entrants."""
    rows = list(reversed(_ran(result)))
    means = {row.name: result.entry(row.name).final.mean(1) for row in rows}
    rates = [rate for row in rows for rate in result.entry(row.name).rates]
    plot = svg.Plot(
        svg.log(rates, pad=0.02),
        scale_of(result, [y for mean in means.values() for y in mean]),
        size,
        label=f"Validation {result.metric} against learning rate",
        x_label="learning rate",
    )
    kinds = colours(result)
    for row in rows:
        entry = result.entry(row.name)
        ys, kind = means[row.name], kinds[row.name]
        plot.curve(entry.rates, ys.tolist(), f"line {kind}", row.name)
    for row in rows:
        entry, ys = result.entry(row.name), means[row.name]
        index = best_rate(entry, result.higher)
        if index is not None:
            best = entry.rates[index], float(ys[index])
            plot.dot(best, f"fill {kinds[row.name]}", 4, row.name)
    return plot.svg()


def own_sensitivity(result: RaceResult, entry: Entry, size: tuple[int, int]) -> str:
    """Final validation score of one entrant: mean, every seed, and what diverged."""
    final, kind = entry.final, _kind(result, entry)
    plot = svg.Plot(
        svg.log(entry.rates, pad=0.04),
        _common(result),
        size,
        label=f"{entry.name}: validation {result.metric} against learning rate",
        small=True,
    )
    plot.curve(entry.rates, final.mean(1).tolist(), f"line {kind}")
    for rate, scores in zip(entry.rates, final, strict=True):
        for seed, value in enumerate(scores.tolist()):
            score = wording.score(value, result.metric)
            title = f"rate {rate:.3g}, seed {seed}: {score}"
            plot.dot((rate, value), f"fill {kind} seed", 2.2, title)
        if not np.isfinite(scores).all():
            worse = not result.higher
            plot.cross(rate, "cross", f"rate {rate:.3g}: diverged", top=worse)
    index = best_rate(entry, result.higher)
    if index is not None:
        best = entry.rates[index], float(final[index].mean())
        plot.dot(best, f"ring {kind}", 5, f"best: {best[0]:.3g}")
    return plot.svg()


def own_learning(result: RaceResult, entry: Entry, size: tuple[int, int]) -> str:
    """Validation score of one entrant against steps: every rate, the best in colour."""
    kind = _kind(result, entry)
    plot = svg.Plot(
        svg.linear(result.steps),
        _common(result),
        size,
        label=f"{entry.name}: validation {result.metric} against steps",
        small=True,
    )
    best = best_rate(entry, result.higher)
    for index, rate in enumerate(entry.rates):
        if index != best:
            curve = entry.valid[index].mean(0).tolist()
            plot.curve(result.steps, curve, "faint", f"rate {rate:.3g}")
    if best is not None:
        curves = entry.valid[best]
        low, high = curves.min(0).tolist(), curves.max(0).tolist()
        plot.band(result.steps, low, high, f"band {kind}")
        title = f"rate {entry.rates[best]:.3g}"
        plot.curve(result.steps, curves.mean(0).tolist(), f"line {kind}", title)
    return plot.svg()


def whiskers(result: RaceResult) -> dict[str, str]:
    """The test score of each entrant as a dot on a scale that all share."""
    rows = _ran(result)
    if not rows:
        return {}
    spread = {row.name: row.sd if math.isfinite(row.sd) else 0.0 for row in rows}
    ends = [row.test + sign * spread[row.name] for row in rows for sign in (-1, 1)]
    scale, kinds = svg.linear(ends, pad=0.02), colours(result)
    return {
        row.name: svg.whisker(row.test, spread[row.name], scale, kinds[row.name])
        for row in rows
    }


def _ran(result: RaceResult) -> list[Standing]:
    return [row for row in result.leaderboard() if row.rate is not None]


def _kind(result: RaceResult, entry: Entry) -> str:
    """The colour of an entrant where it stands alone: never grey."""
    kind = colours(result)[entry.name]
    return "ink" if kind == "rest" else kind


def _common(result: RaceResult) -> svg.Scale:
    """One scale for all validation scores, of every rate and seed."""
    entries = result.entries
    return scale_of(result, [v for e in entries for v in e.valid.ravel()])
