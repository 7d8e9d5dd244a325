"""The full sweep: every law on every configuration of a catalogue, as one command.

Run `python -m jopt.testing` at the root of the repository. It prints the failures and
writes a table; it exits with 1 if a law fails.
"""

import argparse
import importlib
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

import jopt
from jopt.testing.check import check_schedule, check_transform
from jopt.testing.law import chosen, FAMILIES
from jopt.testing.report import FAILED, Report

MARKS = {"holds": "=", "not claimed": "no", FAILED: "FAILS", "does not apply": "·"}


def main(arguments: list[str] | None = None) -> int:
    """Run the sweep; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m jopt.testing", description=__doc__)
    parser.add_argument("cases", nargs="?", default="tests.cases", help="a module")
    parser.add_argument("--table", type=Path, help="a Markdown file to write")
    parser.add_argument("--only", nargs="*", help="names to try")
    options = parser.parse_args(arguments)
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    catalogue = importlib.import_module(options.cases)
    start, total, failures = time.process_time(), Counter(), 0
    rows: dict[str, list[Report]] = {}
    for name, reports in _sweep(catalogue, options.only):
        rows[name] = reports
        for report in reports:
            total.update(verdict.verdict for verdict in report)
            failures += len(report.failures)
            if report.failures:
                print(f"{name}: {report.name}")
            for v in report.failures:
                print(f"  {v.law.id}: {v.witness}")
    seconds = time.process_time() - start
    skips = _skips(catalogue)
    summary = (
        f"{sum(map(len, rows.values()))} configurations of {len(rows)} names; "
        f"{total.total()} checks: {total['holds']} hold, {failures} fail, "
        f"{total['not claimed']} properties that are not claimed do not hold, "
        f"{total['does not apply']} do not apply; {len(skips)} skipped. "
        f"{seconds:.0f} s of CPU time; jopt {jopt.__version__}, jax {jax.__version__}."
    )
    print(summary)
    if options.table:
        options.table.write_text(_page(summary, rows, skips), encoding="utf-8")
    return int(failures > 0)


def _sweep(
    catalogue: Any, only: list[str] | None
) -> Iterator[tuple[str, list[Report]]]:
    for name, cases in catalogue.TRANSFORMS.items():
        if not only or name in only:
            yield name, [_tried(case) for case in cases]
    for name, schedules in catalogue.SCHEDULES.items():
        if not only or name in only:
            skips = catalogue.SCHEDULE_SKIPS.get(name, {})
            ids = [law.id for law in chosen(None, "schedule") if law.id not in skips]
            yield name, [check_schedule(s, laws=ids) for s in schedules]


def _tried(case: Any) -> Report:
    return check_transform(
        case.tx,
        needs=case.needs,
        tags=case.tags,
        params=case.like,
        state_multiple=case.memory,
        full=True,
        laws=[law.id for law in chosen(None) if law.id not in case.skips],
    )


def _skips(catalogue: Any) -> list[tuple[str, str, str]]:
    out = [
        (name, law, reason)
        for name, cases in catalogue.TRANSFORMS.items()
        for case in cases
        for law, reason in case.skips.items()
    ]
    for name, skips in catalogue.SCHEDULE_SKIPS.items():
        times = len(catalogue.SCHEDULES[name])
        out += [(name, law, reason) for law, reason in skips.items()] * times
    return out


def _page(
    summary: str, rows: dict[str, list[Report]], skips: list[tuple[str, str, str]]
) -> str:
    lines = [
        "# The laws, tried on everything",
        "",
        "Written by `python -m jopt.testing --table docs/laws_table.md`. `=`: the law",
        "holds for every configuration; `no`: it is the law of a property that is not",
        "claimed, and was seen not to hold; `some`: claimed by some configurations,",
        "and right for each; `·`: it does not apply.",
        "",
        summary,
    ]
    for kind in ("transform", "schedule"):
        laws = chosen(None, kind)
        for family in FAMILIES:
            ids = [law.id for law in laws if law.id[0] == family]
            if not ids:
                continue
            lines += ["", f"## {family}", "", f"| | {' | '.join(ids)} |"]
            lines.append("|---" * (len(ids) + 1) + "|")
            lines += [
                f"| {name} | {' | '.join(_cell(reports, i) for i in ids)} |"
                for name, reports in rows.items()
                if (reports[0].verdicts[0].law.kind == kind)
            ]
    if skips:
        lines += ["", "## Skipped", ""]
        lines += [f"- `{n}`, {law}: {why}." for n, law, why in dict.fromkeys(skips)]
    return "\n".join(lines) + "\n"


def _cell(reports: list[Report], law: str) -> str:
    marks = {MARKS[v.verdict] for report in reports for v in report if v.law.id == law}
    for mark in ("FAILS",):
        if mark in marks:
            return mark
    marks -= {"·"} if len(marks) > 1 else set()
    return marks.pop() if len(marks) == 1 else "some" if marks else "skipped"


if __name__ == "__main__":
    sys.exit(main())
