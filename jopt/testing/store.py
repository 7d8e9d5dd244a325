"""Reports on disk, so that a long sweep can be taken up where it stopped."""

import json
from pathlib import Path

from jopt.testing.law import LAWS
from jopt.testing.report import Report, Verdict


def add(path: Path, name: str, reports: list[Report]) -> None:
    """Append the reports of a name to a file, as one line of JSON."""
    kept = [
        [r.name, [(v.law.id, v.verdict, v.witness, v.seconds) for v in r]]
        for r in reports
    ]
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps([name, kept]) + "\n")


def read(path: Path) -> dict[str, list[Report]]:
    """The reports of each name in a file, the last ones where it has several.

    A line that was cut off, where a sweep was stopped, counts for nothing.
    """
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    found = (json.loads(line) for line in lines if line.endswith("\n"))
    return {name: [_report(*one) for one in kept] for name, kept in found}


def _report(name: str, verdicts: list[list]) -> Report:
    return Report(name, tuple(Verdict(LAWS[law], *rest) for law, *rest in verdicts))
