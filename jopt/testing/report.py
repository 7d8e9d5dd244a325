"""The outcome of the laws: a table that prints."""

import dataclasses
import html
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

from jopt.testing.law import Law

FAILED = "FAILS"


class Verdict(NamedTuple):
    """What became of one law."""

    law: Law
    verdict: str  # "holds", "FAILS", "does not apply", "skipped", "has it", "lacks it"
    witness: str = ""
    seconds: float = 0.0

    @property
    def cure(self) -> str:
        """How to mend it, where it failed."""
        if self.verdict != FAILED:
            return ""
        if self.witness.startswith("it holds"):
            return "Change the declared tags."
        return self.law.cure


@dataclasses.dataclass(frozen=True)
class Report:
    """What the laws found about one transform.

    It prints as a table. `bool(report)` is true if no law fails.

    Attributes:
        name: The transform.
        verdicts: One for each law, in order.
    """

    name: str
    verdicts: tuple[Verdict, ...]

    @property
    def failures(self) -> tuple[Verdict, ...]:
        """The laws that fail."""
        return tuple(v for v in self.verdicts if v.verdict == FAILED)

    @property
    def tags(self) -> frozenset[str]:
        """The tags that the transform was found to have."""
        found = set()
        for v in self.verdicts:
            inverse, tag = v.law.tag.startswith("!"), v.law.tag.removeprefix("!")
            if tag and v.verdict == ("lacks it" if inverse else "has it"):
                found.add(tag)
        return frozenset(found)

    def __bool__(self) -> bool:
        return not self.failures

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.verdicts)

    def __getitem__(self, id: str) -> Verdict:
        """The verdict of the law of that name."""
        for verdict in self.verdicts:
            if verdict.law.id == id:
                return verdict
        known = ", ".join(v.law.id for v in self.verdicts)
        raise KeyError(f"No verdict of a law {id!r}. There are: {known}.")

    def assert_ok(self) -> None:
        """Raise if a law fails.

        Raises:
            AssertionError: With the failures, their witnesses and cures.
        """
        if self.failures:
            raise AssertionError(f"{self.name}\n{_blocks(self.failures)}")

    def __str__(self) -> str:
        lines = [self.name, ""]
        for v in self.verdicts:
            lines.append(f"{v.law.id:<4} {v.verdict:<15} {v.law.statement}")
            for note in filter(None, (v.witness, v.cure and f"Fix: {v.cure}")):
                lines += [" " * 21 + line for line in textwrap.wrap(note, 67)]
        held = sum(v.verdict == "holds" for v in self.verdicts)
        lines += ["", f"{held} hold, {len(self.failures)} fail."]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr{_shade(v)}>"
            + "".join(
                f"<td style='text-align:left'>{html.escape(cell)}</td>"
                for cell in (v.law.id, v.law.statement, v.verdict, v.witness, v.cure)
            )
            + "</tr>"
            for v in self.verdicts
        )
        heads = "".join(
            f"<th style='text-align:left'>{head}</th>"
            for head in ("", "law", "verdict", "witness", "how to fix")
        )
        return (
            f"<p><code>{html.escape(self.name)}</code></p>"
            f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        )


def _shade(verdict: Verdict) -> str:
    return " style='background:#c0392b22'" if verdict.verdict == FAILED else ""


def _blocks(failures: tuple[Verdict, ...]) -> str:
    return "\n".join(
        f"{v.law.id} fails: {v.law.statement}\n  {v.witness}\n  {v.cure}"
        for v in failures
    )
