"""What the figures of the studies have in common."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from jopt.experiments.studies.statistics import Interval, interval

COLOURS = ("#1b6ca8", "#d1495b", "#2e9e6b", "#edae49", "#7b5ea7", "#6c757d", "#00798c")


def panels(
    count: int = 2, *, rows: int = 1, width: float = 5.2, height: float = 4.0
) -> Any:
    """A figure and its axes, row by row, without a frame above and to the right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * count, height * rows), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, count)).ravel()
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25, linewidth=0.6)
        ax.set_axisbelow(True)
    return figure, axes


def band(
    ax: Any, x: ArrayLike, values: np.ndarray, *, log: bool = False, **style: Any
) -> None:
    """A line of means over seeds, the first axis, with the 95% interval around it.

    With `log` means and intervals are those of the logarithms.
    """
    shown = np.log10(np.maximum(values, 1e-30)) if log else np.asarray(values)
    found = np.asarray([interval(column)[:3] for column in shown.T])
    middle, low, high = (10.0**found if log else found).T
    ax.plot(x, middle, **style)
    if np.isfinite(low).all():
        shade = {"color": style.get("color"), "alpha": 0.18, "linewidth": 0}
        ax.fill_between(x, low, high, **shade)


def bars(
    ax: Any,
    names: list[str],
    found: list[Interval],
    colours: Sequence[str] | None = None,
) -> None:
    """A dot a name with its interval and its number, the first at the top."""
    places = np.arange(len(names))[::-1]
    ax.locator_params(axis="x", nbins=5)  # longer numbers would run into each other
    shades = colours or [COLOURS[0]] * len(names)
    for place, one, shade in zip(places, found, shades, strict=True):
        ends = np.nan_to_num([[one.mean - one.low], [one.high - one.mean]], posinf=0.0)
        ax.errorbar(one.mean, place, xerr=ends, fmt="o", color=shade, capsize=4, lw=2)
        ax.annotate(
            f"{one.mean:.3g}",
            (one.mean, place),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
        )
    ax.set_yticks(places, names)
    ax.set_ylim(-0.6, len(names) - 0.4)
