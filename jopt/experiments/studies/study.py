"""A study: a claim of the textbooks, what was measured, and what follows from it."""

import dataclasses
import io
import json
import math
import os
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from jopt.experiments.studies.statistics import Interval

Verdict = Literal["holds", "holds partly", "does not hold"]

RULE = (
    "A statement holds where the 95% interval of the paired difference over seeds lies "
    "wholly on its side. The claim holds if all its statements do, holds partly if "
    "some do, and does not hold if none does."
)


@dataclasses.dataclass(frozen=True)
class Check:
    """One statement that the claim makes, and the number that decides it.

    Attributes:
        statement: A sentence.
        found: What was measured, such that more of it speaks for the statement.
        margin: What it has to exceed; negative where the statement is "no worse than".
        unit: What it is measured in.
    """

    statement: str
    found: Interval
    margin: float = 0.0
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether the whole interval lies beyond the margin."""
        return self.found.low > self.margin

    @property
    def outcome(self) -> str:
        """Whether the statement holds, fails, or is left open by so many seeds."""
        if self.holds:
            return "holds"
        return "fails" if self.found.high <= self.margin else "not shown"


def verdict(checks: Sequence[Check]) -> Verdict:
    """What the statements say of the claim, by `RULE`.

    Args:
        checks: The statements.

    Returns:
        The verdict.

    Raises:
        ValueError: If there are no statements.

    Example:
        >>> yes, no = Interval(1.0, 0.5, 1.5, 5), Interval(1.0, -0.5, 2.5, 5)
        >>> verdict([Check("Twice is more than once.", yes), Check("So it is.", no)])
        'holds partly'
    """
    if not checks:
        raise ValueError("`checks` is empty: a claim has at least one statement.")
    found = [check.holds for check in checks]
    return "holds" if all(found) else "holds partly" if any(found) else "does not hold"


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of numbers.

    Attributes:
        title: What they are.
        columns: The heads.
        rows: A row each: text, numbers, or intervals.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def markdown(self) -> str:
        """The table as Markdown."""
        lines = [self.columns, ("---",) * len(self.columns), *self.rows]
        body = [
            "| " + " | ".join(_shown(cell) for cell in line) + " |" for line in lines
        ]
        return "\n".join([f"**{self.title}**", "", *body, ""])


@dataclasses.dataclass(frozen=True)
class Findings:
    """What a study found.

    Attributes:
        tables: What was measured.
        checks: The statements the claim comes down to; they decide the verdict.
        conclusion: What follows, in plain words.
        draw: Draws the figure: a `matplotlib.figure.Figure`.
        setup: What was trained on what, and how it was tuned, in a sentence or two.
    """

    tables: tuple[Table, ...]
    checks: tuple[Check, ...]
    conclusion: str
    draw: Callable[[], Any]
    setup: str

    @property
    def verdict(self) -> Verdict:
        """What the statements say of the claim."""
        return verdict(self.checks)

    def markdown(self) -> str:
        """Verdict, statements, tables and conclusion as Markdown."""
        rows = tuple(
            (c.statement, f"{c.found} {c.unit}".strip(), _limit(c), c.outcome)
            for c in self.checks
        )
        columns = ("statement", "measured", "must exceed", "outcome")
        found = Table("What was claimed and what was found", columns, rows)
        parts = [f"Verdict: **{self.verdict}**. {self.conclusion}", self.setup]
        parts += [table.markdown() for table in (found, *self.tables)]
        return "\n\n".join(part.strip() for part in parts) + "\n"

    _repr_markdown_ = markdown

    def png(self) -> bytes:
        """The figure as a PNG, of 128 colours so that it stays small."""
        stream, small = io.BytesIO(), io.BytesIO()
        try:
            from PIL import Image

            self.draw().savefig(stream, format="png", dpi=80, metadata={"Software": ""})
        except ImportError:
            raise ImportError(
                "The figure needs matplotlib: pip install 'jopt[notebook]'."
            ) from None
        with Image.open(stream) as image:
            image.convert("RGB").quantize(128).save(small, format="png", optimize=True)
        return small.getvalue()

    def to_dict(self) -> dict[str, Any]:
        """The findings as JSON has them, but for the figure."""
        return {
            "verdict": self.verdict,
            "conclusion": self.conclusion,
            "setup": self.setup,
            "checks": [
                {
                    "statement": c.statement,
                    "found": _plain(c.found),
                    "margin": c.margin,
                    "unit": c.unit,
                    "outcome": c.outcome,
                }
                for c in self.checks
            ],
            "tables": [_plain(dataclasses.asdict(table)) for table in self.tables],
        }


@dataclasses.dataclass(frozen=True)
class Study:
    """A claim and the experiment that tests it.

    Attributes:
        name: The study's name.
        claim: One sentence, as textbooks have it.
        measure: `measure(quick)`: runs the experiment; with `quick` a small one, which
            shows that all works and is too small to judge the claim.
    """

    name: str
    claim: str
    measure: Callable[[bool], Findings]

    def run(self, quick: bool = False) -> Findings:
        """Run the experiment."""
        return self.measure(quick)

    def save(
        self, findings: Findings, folder: str | os.PathLike[str], **facts: Any
    ) -> list[pathlib.Path]:
        """Write `findings.json`, `table.md` and `figure.png`.

        Args:
            findings: What was found.
            folder: It is made if need be; files of these names are replaced.
            **facts: More to be noted in the JSON, such as the seconds it took.

        Returns:
            The three paths.
        """
        path = pathlib.Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        record = {
            "study": self.name,
            "claim": self.claim,
            **findings.to_dict(),
            **facts,
        }
        names = [path / n for n in ("findings.json", "table.md", "figure.png")]
        names[0].write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        text = f"# {self.claim}\n\n{findings.markdown()}"
        names[1].write_text(text, encoding="utf-8")
        names[2].write_bytes(findings.png())
        return names


def timed(study: Study, quick: bool) -> tuple[Findings, float]:
    """Run a study; the findings, and the seconds it took."""
    start = time.perf_counter()
    findings = study.run(quick)
    return findings, time.perf_counter() - start


def _limit(check: Check) -> str:
    return f"{check.margin:g}"


def _shown(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return str(cell).replace("|", "\\|")


def _plain(value: Any) -> Any:
    """Only what JSON knows: intervals as dictionaries, no infinities."""
    if isinstance(value, Interval):
        return {k: _plain(v) for k, v in value._asdict().items()} | {"text": str(value)}
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
