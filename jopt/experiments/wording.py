"""How numbers and outcomes are put into words: the same in terminal and report."""

import math
from typing import TYPE_CHECKING

from jopt.experiments.standings import Standing

if TYPE_CHECKING:
    from jopt.experiments.results import RaceResult

HEADERS = (
    ("#", "place; = marks a tie within noise"),
    ("optimizer", "as given"),
    ("best rate", "learning rate with the best validation score"),
    ("test", "test score at that rate, mean ± standard deviation over seeds"),
    ("steps to target", "steps until the validation score reaches the target"),
    ("robust", "rates within 1% of the best"),
    ("B/param", "bytes of optimizer state for each parameter"),
    ("compile s", "seconds, beside the run of another optimizer"),
    ("run s", "seconds for all rates and seeds"),
)


def score(value: float, metric: str) -> str:
    """A score: an accuracy in percent, any other to four digits."""
    if math.isnan(value):
        return "-"
    return f"{100 * value:.1f}%" if metric == "accuracy" else f"{value:.4g}"


def spread(value: float, metric: str) -> str:
    """A standard deviation, in the unit of `score`."""
    return f"{100 * value:.1f}" if metric == "accuracy" else f"{value:.2g}"


def test(row: Standing, metric: str) -> str:
    """The test score of a row with its standard deviation, or why there is none."""
    if row.rate is None:
        return "failed" if row.error else "diverged"
    mean = score(row.test, metric)
    if math.isnan(row.sd):
        return mean
    if metric != "accuracy" and 0.0 < row.sd < math.inf:
        digits = 1 - math.floor(math.log10(row.sd))  # as many as the deviation has
        mean = f"{row.test:.{digits}f}" if 0 <= digits <= 8 else mean
    return f"{mean} ± {spread(row.sd, metric)}"


def cells(row: Standing, result: "RaceResult") -> list[str]:
    """One row of the leaderboard, a text for each of `HEADERS`."""
    ran = row.rate is not None
    tried = len(result.entry(row.name).rates)
    steps = row.steps_to_target
    return [
        place(row),
        row.name,
        rate(row),
        test(row, result.metric),
        "-" if steps is None else f"{steps:.0f}",
        f"{round(row.robust * tried)}/{tried}" if ran else "-",
        "-" if row.error else f"{row.state_bytes:.1f}",
        "-" if row.error else f"{row.compile_seconds:.1f}",
        "-" if row.error else f"{row.run_seconds:.1f}",
    ]


def place(row: Standing) -> str:
    """The place: `1`, or `1=` if it is shared."""
    return f"{row.rank}{'=' if row.tied else ''}"


def rate(row: Standing) -> str:
    """The best rate; a star says that it is the least or the greatest tried."""
    return "-" if row.rate is None else f"{row.rate:.3g}{'*' if row.at_edge else ''}"


def verdict(result: "RaceResult") -> str:
    """The outcome in one or two sentences."""
    rows = result.leaderboard()
    if not rows or rows[0].rate is None:
        return "No optimizer finished without diverging."
    first = rows[0]
    winner = f"{first.name} at {first.rate:.3g}"
    outcome = f"{test(first, result.metric)} test {result.metric}"
    tied = [row.name for row in rows[1:] if row.rank == 1]
    if not tied:
        return f"{winner} wins: {outcome}."
    return (
        f"{winner} leads: {outcome}. The lead is within noise: {_listed(tied)} "
        f"{'ties' if len(tied) == 1 else 'tie'} with it."
    )


def setting(result: "RaceResult") -> str:
    """What was raced, in one line."""
    config = result.config
    what = (
        "own loss"
        if config["task"] == "own"
        else f"task {config['task']}, model {config['model']}"
    )
    rates = config["rates"]
    count = rates if isinstance(rates, int) else len(rates)
    parts = (
        _count(len(result.entries), "optimizer"),
        _count(count, "rate"),
        _count(config["seeds"], "seed"),
    )
    return f"{what}: {' x '.join(parts)}, {_count(config['steps'], 'step')}"


def notes(result: "RaceResult") -> list[str]:
    """What a reader of the leaderboard must know: one line each."""
    rows = result.leaderboard()
    lines = []
    if not result.complete:
        done, planned = len(result.entries), len(result.planned)
        lines.append(f"Not complete: {done} of {planned} optimizers finished.")
    if any(row.at_edge for row in rows):
        lines.append("* the least or greatest rate tried: the best may lie beyond.")
    if not math.isnan(result.target):
        at = score(result.target, result.metric)
        lines.append(f"target: validation {result.metric} of {at}.")
    if result.config["seeds"] == 1:
        lines.append("One seed: there is no estimate of noise, so no ties.")
    for row in rows:
        if row.error:
            lines.append(f"{row.name} failed: {row.error}")
        elif row.diverged:
            tried = len(result.entry(row.name).rates)
            lines.append(f"{row.name} diverged at {row.diverged} of {tried} rates.")
    return lines


def duration(seconds: float) -> str:
    """A time span: `45 s`, `2 min 05 s`, `1 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, left = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {left:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _listed(names: list[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
