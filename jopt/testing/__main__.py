"""The full sweep: every law on every configuration of a catalogue, as one command.

Run `python -m jopt.testing` at the root of the repository. It prints the failures and
writes a table; it exits with 1 if a law fails.
"""

import argparse
import importlib
import sys
from collections import Counter
from pathlib import Path

from jopt.testing.report import FAILED, Report
from jopt.testing.sweep import skips, sweep
from jopt.testing.table import page
from jopt.testing.words import renew


def main(arguments: list[str] | None = None) -> int:
    """Run the sweep; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m jopt.testing", description=__doc__)
    parser.add_argument("cases", nargs="?", default="tests.cases", help="a module")
    parser.add_argument("--table", type=Path, help="a Markdown file to write")
    parser.add_argument("--only", nargs="*", help="names to try")
    parser.add_argument("--jobs", type=int, default=2, help="processes; default 2")
    parser.add_argument(
        "--everyday",
        action="store_true",
        help="try the first configuration of each name alone, as the tests do",
    )
    parser.add_argument(
        "--words", type=Path, help="renew the laws in words in this file, and stop"
    )
    options = parser.parse_args(arguments)
    if options.words:
        renew(options.words)
        return 0
    catalogue = importlib.import_module(options.cases)
    names = [
        name
        for name in (*catalogue.TRANSFORMS, *catalogue.SCHEDULES)
        if not options.only or name in options.only
    ]
    rows: dict[str, list[Report]] = {}
    for name, reports in sweep(
        options.cases, names, full=not options.everyday, jobs=options.jobs
    ):
        rows[name] = reports
        _tell(name, reports)
    left = [skip for skip in skips(catalogue) if skip[0] in rows]
    every = [v for reports in rows.values() for report in reports for v in report]
    total = Counter(v.verdict for v in every)
    seconds = sum(v.seconds for v in every)
    print(f"{len(rows)} names, {sum(map(len, rows.values()))} configurations:")
    print(*(f"{count} {verdict}" for verdict, count in total.most_common()), sep=", ")
    print(f"{len(left)} skipped, {seconds:.0f} s of CPU time")
    if options.table:
        options.table.write_text(page(rows, left, seconds), encoding="utf-8")
    return int(total[FAILED] > 0)


def _tell(name: str, reports: list[Report]) -> None:
    for report in reports:
        if report.failures:
            print(f"{name}: {report.name}", flush=True)
        for v in report.failures:
            print(f"  {v.law.id}: {v.witness}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
