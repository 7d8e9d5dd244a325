"""The full sweep: every law on every configuration of a catalogue, as one command.

Run `python -m jopt.testing` at the root of the repository. It prints the failures and
writes a table; it exits with 1 if a law fails. With `--keep FILE` it can be stopped and
taken up again: names that passed stay, those that failed are tried once more.
"""

import argparse
import importlib
import sys
from collections import Counter
from pathlib import Path

from jopt.testing import store
from jopt.testing.report import FAILED, Report
from jopt.testing.sweep import skips, sweep
from jopt.testing.table import page
from jopt.testing.words import renew


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m jopt.testing", description=__doc__)
    add = parser.add_argument
    add("cases", nargs="?", default="tests.cases", help="a module; default tests.cases")
    add("--table", type=Path, help="a Markdown file to write")
    add("--only", nargs="*", help="names to try")
    add("--jobs", type=int, default=2, help="processes; default 2")
    add("--everyday", action="store_true", help="what the everyday tests try")
    add("--keep", type=Path, help="a file of results; new after a change of the code")
    add("--words", type=Path, help="renew the laws in words in this file, and stop")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the sweep; return the exit status."""
    options = _options(arguments)
    if options.words:
        renew(options.words)
        return 0
    catalogue = importlib.import_module(options.cases)
    names = [
        name
        for name in (*catalogue.TRANSFORMS, *catalogue.SCHEDULES)
        if not options.only or name in options.only
    ]
    kept = store.read(options.keep) if options.keep else {}
    found = {n: kept[n] for n in names if n in kept and all(kept[n])}
    todo = [name for name in names if name not in found]
    full = not options.everyday
    for name, reports in sweep(options.cases, todo, full=full, jobs=options.jobs):
        found[name] = reports
        _tell(f"{len(found)}/{len(names)} {name}", reports)
        if options.keep:
            store.add(options.keep, name, reports)
    rows = {name: found[name] for name in sorted(names)}
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
    print(name, flush=True)
    for report in reports:
        if report.failures:
            print(f"  {report.name}", flush=True)
        for v in report.failures:
            print(f"    {v.law.id}: {v.witness}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
