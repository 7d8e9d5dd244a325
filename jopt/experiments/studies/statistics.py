"""Means over seeds with their intervals, and differences of paired runs."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

LEVEL = 0.95


class Interval(NamedTuple):
    """A mean over seeds and the 95% interval of it.

    Attributes:
        mean: The mean.
        low: The lower end; minus infinity where one seed says nothing of the spread.
        high: The upper end.
        seeds: How many values the mean is of.
    """

    mean: float
    low: float
    high: float
    seeds: int

    def __str__(self) -> str:
        if not math.isfinite(self.mean):
            return "diverged"
        if not math.isfinite(self.low):
            return f"{self.mean:.4g}"
        ends = [_digits(x, self.high - self.low) for x in self]
        return f"{ends[0]} [{ends[1]}, {ends[2]}]"


def interval(values: ArrayLike) -> Interval:
    """The mean of one value a seed, with Student's 95% interval.

    Args:
        values: One value a seed. A value that is not finite makes the mean infinite
            or NaN, and the interval says nothing.

    Returns:
        The interval.

    Raises:
        ValueError: If there are no values.

    Example:
        >>> print(interval([0.91, 0.93, 0.95]))
        0.930 [0.880, 0.980]
    """
    x = np.asarray(values, np.float64).ravel()
    if not x.size:
        raise ValueError("`values` is empty; give one value a seed.")
    with np.errstate(invalid="ignore"):
        mean = float(x.mean())
    if x.size == 1 or not np.isfinite(x).all():
        return Interval(mean, -math.inf, math.inf, x.size)
    half = _quantile(x.size - 1) * float(x.std(ddof=1)) / math.sqrt(x.size)
    return Interval(mean, mean - half, mean + half, x.size)


def difference(a: ArrayLike, b: ArrayLike) -> Interval:
    """How much larger `a` is than `b`, of runs that are paired by their seeds.

    Two runs of one seed start at the same parameters and see the same data, so the
    interval is that of the differences, which is narrower than that of two groups.

    Args:
        a: One value a seed.
        b: One value a seed, in the same order.

    Returns:
        The interval of the mean of `a - b`.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> print(difference([3.0, 4.0, 5.5], [2.0, 3.0, 4.0]))
        1.2 [0.4, 1.9]
    """
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if x.shape != y.shape:
        raise ValueError(
            f"`a` and `b` must be paired: one value a seed each, got shapes {x.shape} "
            f"and {y.shape}."
        )
    with np.errstate(invalid="ignore"):
        return interval(x - y)


def log_ratio(a: ArrayLike, b: ArrayLike) -> Interval:
    """How many times larger `a` is than `b`, in powers of ten, of paired runs.

    Args:
        a: One positive value a seed.
        b: One positive value a seed, in the same order.

    Returns:
        The interval of the mean of `log10(a / b)`.

    Example:
        >>> print(log_ratio([10.0, 100.0], [1.0, 10.0]))
        1.000 [1.000, 1.000]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return difference(np.log10(np.asarray(a)), np.log10(np.asarray(b)))


def _quantile(freedom: int) -> float:
    """How many standard errors the interval reaches to each side."""
    from scipy import special

    return float(special.stdtrit(freedom, 0.5 + LEVEL / 2))


def _digits(x: float, width: float) -> str:
    """A number to the digit after the first one that the interval leaves open."""
    places = 3 if width <= 0 else min(6, max(0, 1 - math.floor(math.log10(width))))
    if abs(x) >= 1e5 or 0 < abs(x) < 1e-4:
        return f"{x:.2e}"
    return f"{x:.{places}f}"
