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

from jopt.testing.check import check_schedule, check_transform
from jopt.testing.law import chosen
from jopt.testing.report import Report
from jopt.testing.table import page
from jopt.testing.words import renew


def main(arguments: list[str] | None = None) -> int:
    """Run the sweep; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m jopt.testing", description=__doc__)
    parser.add_argument("cases", nargs="?", default="tests.cases", help="a module")
    parser.add_argument("--table", type=Path, help="a Markdown file to write")
    parser.add_argument("--only", nargs="*", help="names to try")
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
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    catalogue = importlib.import_module(options.cases)
    start = time.process_time()
    rows: dict[str, list[Report]] = {}
    for name, reports in _sweep(catalogue, options.only, not options.everyday):
        rows[name] = reports
        _tell(name, reports)
    skips = [skip for skip in _skips(catalogue) if skip[0] in rows]
    seconds = time.process_time() - start
    total = Counter(v.verdict for reports in rows.values() for r in reports for v in r)
    print(f"{len(rows)} names, {sum(map(len, rows.values()))} configurations:")
    print(*(f"{count} {verdict}" for verdict, count in total.most_common()), sep=", ")
    print(f"{len(skips)} skipped, {seconds:.0f} s of CPU time")
    if options.table:
        options.table.write_text(page(rows, skips, seconds), encoding="utf-8")
    return int(any(report.failures for reports in rows.values() for report in reports))


def _tell(name: str, reports: list[Report]) -> None:
    for report in reports:
        if report.failures:
            print(f"{name}: {report.name}", flush=True)
        for v in report.failures:
            print(f"  {v.law.id}: {v.witness}", flush=True)


def _sweep(
    catalogue: Any, only: list[str] | None, full: bool
) -> Iterator[tuple[str, list[Report]]]:
    for name, cases in catalogue.TRANSFORMS.items():
        if not only or name in only:
            tried = cases if full else cases[:1]
            yield name, [_tried(case, full) for case in tried]
            jax.clear_caches()  # programs are shared by the configurations of a name
    for name, schedules in catalogue.SCHEDULES.items():
        if not only or name in only:
            skips = catalogue.SCHEDULE_SKIPS.get(name, {})
            ids = [law.id for law in chosen(None, "schedule") if law.id not in skips]
            yield name, [check_schedule(s, laws=ids) for s in schedules]


def _tried(case: Any, full: bool) -> Report:
    return check_transform(
        case.tx,
        needs=case.needs,
        tags=case.tags,
        params=case.like,
        state_multiple=case.memory,
        full=full,
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


if __name__ == "__main__":
    sys.exit(main())
