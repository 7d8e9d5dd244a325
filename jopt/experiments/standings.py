"""Who won: the best rate of each entrant, means over seeds, and ties within noise."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

TARGET = 0.95
CLOSE = 0.01


@dataclasses.dataclass(frozen=True)
class Entry:
    """What one entrant did.

    Attributes:
        name: What the leaderboard calls it.
        rates: The learning rates tried.
        chains: The optimizer as printed, for each rate.
        train: Training loss: the mean since the last score; (rates, seeds, points).
        valid: Validation score: (rates, seeds, points + 1), the first untrained.
        test: Test score at the end: (rates, seeds).
        diverged: Whether a loss was not finite: (rates, seeds).
        state_bytes: Bytes of optimizer state for each parameter.
        compile_seconds: What compiling took, beside the run of another entrant.
        run_seconds: What training the whole population took.
        error: Why it could not run; empty if it did.
    """

    name: str
    rates: tuple[float, ...]
    chains: tuple[str, ...]
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    diverged: np.ndarray
    state_bytes: float
    compile_seconds: float
    run_seconds: float
    error: str = ""

    @property
    def final(self) -> np.ndarray:
        """The last validation score, NaN where it diverged: (rates, seeds)."""
        return np.where(self.diverged, np.nan, self.valid[..., -1])


@dataclasses.dataclass(frozen=True)
class Standing:
    """One row of the leaderboard.

    Attributes:
        rank: The place; those tied within noise share one.
        tied: Whether it shares its place.
        name: The entrant.
        rate: The learning rate with the best validation score, or `None` if all
            diverged.
        at_edge: Whether that is the least or the greatest of several rates tried.
        chain: The optimizer at that rate, as printed.
        test: Mean test score over seeds, at that rate.
        sd: Its standard deviation over seeds; NaN for a single seed.
        valid: Mean validation score over seeds, at that rate.
        steps_to_target: Mean over seeds of the steps to the target at that rate, or
            `None` if a seed did not get there.
        robust: The share of rates whose validation score is within 1% of the best.
        diverged: How many rates diverged with any seed.
        state_bytes: Bytes of optimizer state for each parameter.
        compile_seconds: What compiling took.
        run_seconds: What training took.
        error: Why it could not run; empty if it did.
    """

    rank: int
    tied: bool
    name: str
    rate: float | None
    at_edge: bool
    chain: str
    test: float
    sd: float
    valid: float
    steps_to_target: float | None
    robust: float
    diverged: int
    state_bytes: float
    compile_seconds: float
    run_seconds: float
    error: str

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON has it; what is not finite is `None`."""
        row = dataclasses.asdict(self)
        bad = (k for k, v in row.items() if isinstance(v, float) and math.isnan(v))
        return row | dict.fromkeys(bad)


def best_rate(entry: Entry, higher: bool) -> int | None:
    """The index of the rate with the best mean validation score at the end.

    A rate that diverged with any seed scores last.
    """
    sign = 1.0 if higher else -1.0
    means = sign * entry.final.mean(1)
    means = np.where(np.isfinite(means), means, -np.inf)
    if not len(means) or np.isneginf(means).all():
        return None
    return int(means.argmax())


def untrained(entries: Sequence[Entry]) -> float:
    """The mean validation score before the first step."""
    scores = [e.valid[..., 0].ravel() for e in entries if e.valid.size]
    finite = np.concatenate(scores or [np.zeros(0)])
    finite = finite[np.isfinite(finite)]
    return float(finite.mean()) if finite.size else math.nan


def default_target(entries: Sequence[Entry], higher: bool) -> float:
    """95% of the way from the untrained validation score to the best."""
    finals = []
    for entry in entries:
        index = best_rate(entry, higher)
        if index is not None:
            finals.append(float(entry.final[index].mean()))
    if not finals:
        return math.nan
    start, best = untrained(entries), (max if higher else min)(finals)
    return start + TARGET * (best - start)


def leaderboard(
    entries: Sequence[Entry], steps: Sequence[int], higher: bool, target: float
) -> list[Standing]:
    """The rows, best first.

    Two entrants tie if their means differ by no more than the standard error of the
    difference over seeds; a group of ties is measured from its first member.

    Args:
        entries: What the entrants did.
        steps: The steps at which scores were taken, the first of them 0.
        higher: Whether a higher score is the better one.
        target: The validation score to be reached.

    Returns:
        One row for each entry; those that diverged at every rate come last.
    """
    start = untrained(entries)
    rows = [_row(entry, steps, higher, target, start) for entry in entries]
    sign = -1.0 if higher else 1.0
    rows.sort(key=lambda row: (row.rate is None, sign * _number(row.test)))
    seeds = max(
        (entry.test.shape[1] for entry in entries if entry.test.size), default=1
    )
    return _ranked(rows, seeds)


def _row(
    entry: Entry, steps: Sequence[int], higher: bool, target: float, start: float
) -> Standing:
    index = best_rate(entry, higher)
    facts = {
        "rank": 0,
        "tied": False,
        "name": entry.name,
        "diverged": int(entry.diverged.any(1).sum()) if entry.diverged.size else 0,
        "state_bytes": entry.state_bytes,
        "compile_seconds": entry.compile_seconds,
        "run_seconds": entry.run_seconds,
        "error": entry.error,
    }
    if index is None:
        nan = math.nan
        chain = entry.chains[0] if entry.chains else entry.name
        blank = {"rate": None, "at_edge": False, "chain": chain, "robust": 0.0}
        scores = {"test": nan, "sd": nan, "valid": nan, "steps_to_target": None}
        return Standing(**facts, **blank, **scores)
    scores, finals = entry.test[index], entry.final.mean(1)
    last = len(entry.rates) - 1
    return Standing(
        **facts,
        rate=entry.rates[index],
        at_edge=last > 0 and index in (0, last),
        chain=entry.chains[index],
        test=float(scores.mean()),
        sd=float(scores.std(ddof=1)) if len(scores) > 1 else math.nan,
        valid=float(finals[index]),
        steps_to_target=_steps_to(entry.valid[index], steps, higher, target),
        robust=_robust(finals, index, start),
    )


def _steps_to(
    curves: np.ndarray, steps: Sequence[int], higher: bool, target: float
) -> float | None:
    reached = curves >= target if higher else curves <= target
    if not reached.any(1).all():
        return None
    return float(np.asarray(steps)[reached.argmax(1)].mean())


def _robust(finals: np.ndarray, best: int, start: float) -> float:
    """The share of rates that lose at most 1% of what the best one gained."""
    gap = np.abs(finals - finals[best])
    near = gap <= CLOSE * abs(finals[best] - start)
    near[best] = True
    return float(near.mean())


def _ranked(rows: list[Standing], seeds: int) -> list[Standing]:
    ranks: list[int] = []
    for i, row in enumerate(rows):
        first = rows[ranks[-1] - 1] if ranks else None
        ranks.append(ranks[-1] if first and _tie(first, row, seeds) else i + 1)
    return [
        dataclasses.replace(row, rank=rank, tied=ranks.count(rank) > 1)
        for row, rank in zip(rows, ranks, strict=True)
    ]


def _tie(a: Standing, b: Standing, seeds: int) -> bool:
    if a.rate is None or b.rate is None:
        return a.rate is b.rate
    error = math.sqrt((a.sd**2 + b.sd**2) / seeds) if seeds > 1 else 0.0
    return abs(a.test - b.test) <= error


def _number(value: float) -> float:
    return math.inf if math.isnan(value) else value
