"""Run studies in full and write their pages: `python -m benchmarks.studies [NAME ...]`.

For each study `docs/studies/NAME.json`, `docs/studies/NAME.md` and
`docs/figures/studies/NAME.png`; then the atlas of all, `docs/atlas.md`. With `--pages`
nothing is run: the pages and the atlas are written anew from what was stored, and the
notebooks from the list of studies.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._common import machine
from jopt.experiments import studies
from jopt.experiments.studies.seeds import FIRST
from jopt.experiments.studies.study import RULE, timed

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
RECORDS = DOCS / "studies"
FIGURES = DOCS / "figures" / "studies"
NOTEBOOKS = ROOT / "notebooks" / "studies"


def run(name: str) -> None:
    """Run a study in full; store its record and its figure."""
    study = studies.load(name)
    findings, seconds = timed(study, quick=False)
    facts = {"seconds": round(seconds), "machine": machine()}
    with tempfile.TemporaryDirectory() as folder:
        record, _, figure = study.save(findings, folder, **facts)
        for source, target in ((record, stored(name)), (figure, picture(name))):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    print(f"{name}: {findings.verdict}, {seconds:.0f} s")


def stored(name: str) -> Path:
    """Where the record of a study lies."""
    return RECORDS / f"{name}.json"


def picture(name: str) -> Path:
    """Where the figure of a study lies."""
    return FIGURES / f"{name}.png"


def files() -> Iterator[tuple[Path, str]]:
    """Every page and notebook, and what should be in it."""
    records = {n: json.loads(stored(n).read_text()) for n in studies.NAMES}
    for name, record in records.items():
        yield RECORDS / f"{name}.md", page(name, record)
        yield NOTEBOOKS / f"{name}.ipynb", notebook(name, record["claim"])
    yield DOCS / "atlas.md", atlas(records)


def page(name: str, record: dict[str, Any]) -> str:
    """The page of a study, as Markdown."""
    where = record["machine"]
    checks = {
        "title": "What was claimed and what was found",
        "columns": ["statement", "measured", "must exceed", "outcome"],
        "rows": [
            [
                c["statement"],
                f"{c['found']['text']} {c['unit']}".strip(),
                f"{c['margin']:g}",
                c["outcome"],
            ]
            for c in record["checks"]
        ],
    }
    lines = [
        f"# {title(name)}",
        f"*{record['claim']}*",
        f"Verdict: **{record['verdict']}**. {record['conclusion']}",
        f"![{record['claim']}](../figures/studies/{name}.png)",
        table(checks),
        RULE,
        f"## How it was measured\n\n{record['setup']}",
        *map(table, record["tables"]),
        f"The seeds begin at {FIRST}. What is compared, on what and over which ranges "
        "was settled by trial runs on other seeds, with an eye on their results; no "
        "number here is of those runs.",
        "Intervals are 95%, by Student's t over the seeds. A star marks a best setting "
        "at the end of the range that was tried.",
        f"`jopt study {name}` does it again: {record['seconds']} seconds on "
        f"{where['cores']} cores ({where['cpu']}), shared with other work; Python "
        f"{where['python']}, jax {where['jax']}. `--quick` shows in seconds that it "
        f"runs; so does the notebook `notebooks/studies/{name}.ipynb`.",
    ]
    return "\n\n".join(line.strip() for line in lines) + "\n"


def table(given: dict[str, Any]) -> str:
    """A stored table as Markdown."""
    rows = [given["columns"], ["---"] * len(given["columns"]), *given["rows"]]
    body = ("| " + " | ".join(map(shown, row)) + " |" for row in rows)
    return "\n".join((f"**{given['title']}**", "", *body))


def shown(cell: Any) -> str:
    """A cell: an interval by its text, a number to four digits."""
    if isinstance(cell, dict):
        cell = cell["text"]
    return (f"{cell:.4g}" if isinstance(cell, float) else str(cell)).replace("|", "\\|")


def title(name: str) -> str:
    """The name as a heading."""
    return name.replace("_", " ").capitalize()


def atlas(records: dict[str, Any]) -> str:
    """The page that gathers all studies."""
    count = {v: sum(r["verdict"] == v for r in records.values()) for v in VERDICTS}
    rows = [
        f"| [{title(name)}](studies/{name}.md): {record['claim']} "
        f"| {record['verdict']} "
        f"| [![{title(name)}](figures/studies/{name}.png)](studies/{name}.md) "
        f"| `jopt study {name}` |"
        for name, record in records.items()
    ]
    tally = ", ".join(f"{number} {verdict}" for verdict, number in count.items())
    names = "\n".join(f"studies/{name}" for name in records)
    return "\n".join(
        (
            "# Atlas of claims",
            "",
            "What textbooks say of training nets, tested on data small enough for a "
            "laptop: every optimizer and every schedule at its own best learning rate, "
            "several seeds, and a verdict that follows from the numbers by a rule.",
            "",
            f"{RULE} So far: {tally}. The nets are small and the data few; a claim "
            "that does not hold here may hold elsewhere, and the other way round.",
            "",
            "| claim | verdict | figure | command |",
            "|---|---|---|---|",
            *rows,
            "",
            "`jopt study --list` names them; `--quick` makes a run of seconds. The "
            "pages are made by `python -m benchmarks.studies`.",
            "",
            "```{toctree}",
            ":hidden:",
            "",
            names,
            "```",
            "",
        )
    )


VERDICTS = ("holds", "holds partly", "does not hold")


def notebook(name: str, claim: str) -> str:
    """The notebook of a study: the same cells for all, without outputs."""
    cells = [
        ("markdown", f"# {title(name)}\n\n*{claim}* Does it hold?"),
        (
            "code",
            '# Where jopt is not installed, as on Colab, remove the "#":\n'
            '# %pip install "jopt[experiments,notebook]"',
        ),
        (
            "code",
            "from IPython.display import Image\n\n"
            "from jopt.experiments import studies\n\n"
            f'study = studies.load("{name}")\n'
            "findings = study.run(quick=True)",
        ),
        (
            "markdown",
            "A quick run shows that all works and is too small to judge the claim by; "
            "`study.run()` is the full one.",
        ),
        ("code", "Image(findings.png())"),
        ("code", "findings"),
        ("code", "findings.verdict, findings.conclusion"),
    ]
    made = [
        {
            "cell_type": kind,
            "id": f"{name}-{i}",
            "metadata": {},
            **({"execution_count": None, "outputs": []} if kind == "code" else {}),
            "source": text.splitlines(keepends=True),
        }
        for i, (kind, text) in enumerate(cells)
    ]
    whole = {
        "cells": made,
        "metadata": {
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(whole, indent=1) + "\n"


def main() -> None:
    """Run what is asked for, then write all pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--pages", action="store_true", help="run nothing")
    args = parser.parse_args()
    if not args.pages:
        for name in args.names or studies.NAMES:
            run(name)
    for path, text in files():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
