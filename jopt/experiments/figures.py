"""The figure of a race, drawn with matplotlib."""

import math
from typing import Any

from jopt.experiments.results import RaceResult
from jopt.experiments.standings import best_rate


def draw(result: RaceResult) -> Any:
    """Learning curves at the best rate, and final score against learning rate.

    Args:
        result: The result of a race.

    Returns:
        A matplotlib figure.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError(
            "`plot` needs matplotlib: pip install 'jopt[notebook]'."
        ) from None
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4))
    for place, row in enumerate(result.leaderboard()):
        entry = result.entry(row.name)
        index = best_rate(entry, result.higher)
        if index is None:
            continue
        style = {"color": f"C{place}"} if place < 8 else {"color": "0.7", "zorder": 1}
        label = f"{row.name} at {row.rate:.3g}"
        left.plot(result.steps, entry.valid[index].mean(0), label=label, **style)
        means = entry.final.mean(1)
        right.plot(entry.rates, means, **style)
        right.plot(entry.rates[index], means[index], "o", **style)
    right.set_xscale("log")
    if not result.higher and _positive(result):
        left.set_yscale("log")
        right.set_yscale("log")
    left.set(xlabel="step", ylabel=f"validation {result.metric}")
    right.set(xlabel="learning rate")
    figure.legend(loc="outside right center", frameon=False, fontsize="small")
    figure.set_layout_engine("constrained")
    return figure


def _positive(result: RaceResult) -> bool:
    values = [v for e in result.entries for v in e.valid.ravel() if math.isfinite(v)]
    return min(values, default=0.0) > 0.0
