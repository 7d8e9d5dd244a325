"""Train tasks by their recipes and write the scores into docs/tasks.md.

    python -m benchmarks.tasks [NAME ...] [--seeds 3]

Without names, all tasks whose data are there. Rows of tasks that are not run stay as
they are. Seed s of a UCI set is trained on published split s.
"""

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

import jopt
from benchmarks import _common as common
from jopt.experiments.data import MissingData
from jopt.experiments.task import Task
from jopt.experiments.tasks import load, TASKS
from jopt.experiments.training import train

PAGE = Path(__file__).parent.parent / "docs" / "tasks.md"
BEGIN, END = "<!-- scores: begin -->", "<!-- scores: end -->"
HEAD = (
    "| task | metric | test score | CPU minutes | published |",
    "|---|---|---|---|---|",
)
OWN = ("images",)  # the user's data: nothing to compare with


class Measured(NamedTuple):
    """The scores of a task's seeds, and the minutes of a run."""

    task: Task
    scores: list[float]
    minutes: float


def measure(name: str, seeds: int) -> Measured:
    """Train a task by its recipe, once for each seed."""
    scores, spent = [], 0.0
    task = load(name)
    for seed in range(seeds):
        if name.startswith("uci_") and seed:
            task = load(name, split=seed)
        start = time.process_time()
        scores.append(once(task, seed))
        spent += time.process_time() - start
    return Measured(task, scores, spent / seeds / 60)


def once(task: Task, seed: int) -> float:
    """The test score of a run by the recipe."""
    recipe = task.recipe
    params, rest = task.init(jax.random.key(seed))
    found = train(
        task.train_loss,
        params,
        jopt.parse(recipe.optimizer),
        task.batches(recipe.batch_size, seed),
        recipe.steps,
        rest=rest,
    )
    return task.score(found.params, found.rest, "test")


def row(name: str, found: Measured) -> str:
    """A line of the table."""
    mean, count = np.mean(found.scores), len(found.scores)
    text = f"{mean:.4g}"
    if count > 1:
        text += f" ± {np.std(found.scores, ddof=1):.2g}"
    text += f" ({count} seed{'s' if count > 1 else ''})"
    cells = (
        f"`{name}`",
        f"{found.task.metric} {'↑' if found.task.higher_is_better else '↓'}",
        text,
        f"{found.minutes:.2f}",
        found.task.recipe.published,
    )
    return f"| {' | '.join(cells)} |"


def rows_of(page: str) -> dict[str, str]:
    """The lines of the table that a page holds, by task."""
    table = page.partition(BEGIN)[2].partition(END)[0]
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    return {line.split("`")[1]: line for line in lines}


def written(page: str, rows: dict[str, str], names: Iterable[str]) -> str:
    """The page with these rows, and a mark for each task that is not measured."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = [rows.get(name, f"| `{name}` | | not measured | | |") for name in names]
    return "\n".join([before + BEGIN, *HEAD, *lines, END]) + after


def main() -> int:
    """Measure all, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="tasks to run; default all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=PAGE)
    args = parser.parse_args()
    known = [name for name in TASKS if name not in OWN]
    unknown = set(args.names) - set(known)
    if unknown or args.seeds < 1:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; seeds must be above 0")
    print(", ".join(f"{key} {value}" for key, value in common.machine().items()))
    for name in args.names or known:
        try:
            line = row(name, measure(name, args.seeds))
        except MissingData as error:
            print(f"{name}: {error}")
            continue
        print(line, flush=True)
        page = args.out.read_text(encoding="utf-8")
        rows = rows_of(page) | {name: line}
        args.out.write_text(written(page, rows, known), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
