"""The table of all laws on a whole catalogue, as a Markdown page."""

from collections import Counter

import jax
import optax

import jopt
from jopt.testing.law import chosen, FAMILIES
from jopt.testing.report import FAILED, Report
from jopt.testing.words import TITLES

Rows = dict[str, list[Report]]
Skips = list[tuple[str, str, str]]

HOLDS, LACKS, VOID, SOME, SKIPPED = "✓", "–", "·", "±", "skip"
MARKS = {"holds": HOLDS, "not claimed": LACKS, FAILED: FAILED, "does not apply": VOID}
HEAD = f"""# Every law on everything

Each row is a name of jopt, each column a [law](laws.md); a mark is for all
configurations of the name's record.

- **{HOLDS}:** the law holds
- **{LACKS}:** a property that the name does not claim, and was seen not to have
- **{SOME}:** a property that some configurations claim, each rightly
- **{VOID}:** the law says nothing about it
- **{SKIPPED}:** left out, for the reason below
- **{FAILED}:** the law is broken

The laws D are here if there were eight devices. Written by
`python -m jopt.testing --table docs/laws_table.md`."""


def page(rows: Rows, skips: Skips, seconds: float) -> str:
    """The page: a summary, a table for each family of laws, and what was skipped."""
    parts = [HEAD, _summary(rows, skips, seconds)]
    for kind in ("transform", "schedule"):
        own = {n: r for n, r in rows.items() if r and r[0].verdicts[0].law.kind == kind}
        for family in FAMILIES:
            ids = [law.id for law in chosen(None, kind) if law.id[0] == family]
            if own and any(_tried(law, own) for law in ids):
                parts.append(_table(family, ids, own))
    parts.append("## Skipped")
    each = [f"- `{n}`, {law}: {why}." for n, law, why in dict.fromkeys(skips)]
    parts.append("\n".join(each) or "Nothing.")
    return "\n\n".join(parts) + "\n"


def _summary(rows: Rows, skips: Skips, seconds: float) -> str:
    total = Counter(v.verdict for reports in rows.values() for r in reports for v in r)
    checks = total.total() + len(skips)
    lines = [
        ("names", len(rows)),
        ("configurations", sum(map(len, rows.values()))),
        ("checks", checks),
        ("hold", total["holds"]),
        ("properties not claimed, seen not to hold", total["not claimed"]),
        ("do not apply", total["does not apply"]),
        ("skipped, for a reason", f"{len(skips)} ({len(skips) / checks:.2%})"),
        ("**fail**", f"**{total[FAILED]}**"),
    ]
    head = [" | ".join(map(str, column)) for column in zip(*lines, strict=True)]
    versions = (
        f"{seconds:.0f} s of CPU time; jopt {jopt.__version__}, jax {jax.__version__}, "
        f"optax {optax.__version__}."
    )
    rule = "|---" * len(lines) + "|"
    return f"| {head[0]} |\n{rule}\n| {head[1]} |\n\n{versions}"


def _table(family: str, ids: list[str], rows: Rows) -> str:
    lines = [f"## {family}: {TITLES[family]}", "", f"| | {' | '.join(ids)} |"]
    lines.append("|---" + "|:-:" * len(ids) + "|")
    for name, reports in rows.items():
        cells = " | ".join(_cell(reports, law) for law in ids)
        lines.append(f"| `{name}` | {cells} |")
    return "\n".join(lines)


def _tried(law: str, rows: Rows) -> bool:
    """Whether a law said something about anything, as none of devices does on one."""
    return any(_cell(reports, law) not in (VOID, SKIPPED) for reports in rows.values())


def _cell(reports: list[Report], law: str) -> str:
    marks = {MARKS[v.verdict] for report in reports for v in report if v.law.id == law}
    if FAILED in marks:
        return f"**{FAILED}**"
    if len(marks) > 1:
        marks.discard(VOID)
    return marks.pop() if len(marks) == 1 else SOME if marks else SKIPPED
