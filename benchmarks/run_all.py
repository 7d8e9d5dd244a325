"""Run every benchmark in its own process and write docs/benchmarks.md."""

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import _common as common

ROOT = Path(__file__).parent.parent
NAMES = (
    "sweep_compilations",
    "population",
    "hypergradient",
    "hyperparameter_precision",
    "step_cost",
    "compile_time",
    "import_time",
    "accumulate_flops",
    "donation_order",
    "precision",
    "kfac",
    "laws_vs_optax",
    "lbfgs",
)
HEAD = """# Benchmarks

Each figure is printed by the command beside it. `python -m benchmarks.run_all` runs
them all, each in its own process, and writes this page. Times are medians of runs that
alternate with optax's in one process; on a shared machine they vary, ratios less so.
"""


def run(name: str, folder: Path) -> dict[str, Any]:
    """One benchmark, in a fresh process."""
    out = folder / f"{name}.json"
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(out)]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if not out.exists():
        raise SystemExit(f"benchmarks.{name} failed with exit code {code}.")
    return json.loads(out.read_text())


def section(name: str, stored: dict[str, Any]) -> str:
    """The figures of one benchmark as Markdown."""
    lines = [f"## {stored['title']}", "", f"    python -m benchmarks.{name}", ""]
    lines += ["| what | jopt | optax | bar | |", "|---|---|---|---|---|"]
    for entry in stored["rows"]:
        row = common.Row(**entry)
        cells = [c.replace("|", r"\|") for c in row[:4]]
        lines.append(f"| {' | '.join((*cells, common.verdict(row)))} |")
    return "\n".join(lines)


def main() -> int:
    """Run all, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="benchmarks to run; default all")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    unknown = set(args.names) - set(NAMES)
    if unknown:
        parser.error(
            f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(NAMES)}"
        )
    with tempfile.TemporaryDirectory() as folder:
        found = {n: run(n, Path(folder)) for n in args.names or NAMES}
    here = ", ".join(f"{key} {value}" for key, value in common.machine().items())
    day = datetime.date.today().isoformat()
    parts = [HEAD, f"Measured on {day}: {here}.\n"]
    parts += [section(name, stored) + "\n" for name, stored in found.items()]
    args.out.write_text("\n".join(parts))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    rows = (common.Row(**entry) for s in found.values() for entry in s["rows"])
    return sum(row.ok is False for row in rows)


if __name__ == "__main__":
    raise SystemExit(main())
