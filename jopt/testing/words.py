"""The laws in words, as Markdown: the part of `docs/laws.md` that is made."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from jopt.testing.law import FAMILIES, Law, LAWS

BEGIN = "<!-- made by `python -m jopt.testing --words docs/laws.md` -->\n"
END = "<!-- end of what is made -->\n"
TITLES = {
    "P": "structure",
    "N": "numbers",
    "A": "algebra",
    "W": "wrappers",
    "C": "resuming",
    "D": "devices",
    "S": "schedules",
}
NOTES = {
    "D": """\
These need eight devices, and are tried where there are: set `JAX_NUM_CPU_DEVICES=8`
before JAX starts. Each is tried on a mesh of 4 by 2 with Auto and with Explicit axes,
with the axes of every parameter split over it; `full=True` tries rows or columns split
alone, and parameters replicated, as well. D3 is tried where two processes share the
mesh.
"""
}


def words(laws: Sequence[Law] | None = None) -> str:
    """All laws, by family: what each says, why, and how to mend a breach."""
    laws = list(LAWS.values()) if laws is None else laws
    parts = []
    for family in FAMILIES:
        own = [law for law in laws if law.id[0] == family]
        if own:
            own.sort(key=lambda law: int(law.id[1:]))
            parts.append(f"### {family}: {TITLES[family]}\n")
            parts += [NOTES[family]] if family in NOTES else []
            parts.append("\n".join(map(_entry, own)) + "\n")
    return "\n".join(parts)


def renewed(page: str) -> str:
    """A page with the part between the marks made anew.

    Raises:
        ValueError: If the page has no marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The page must have the lines {BEGIN!r} and {END!r}.")
    return f"{before}{BEGIN}\n{words()}\n{END}{after}"


def renew(path: Path) -> None:
    """Make the part of a file between the marks anew."""
    path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")


def _entry(law: Law) -> str:
    tag = law.tag.removeprefix("!")
    owner = f"what is not `{tag}`" if law.tag.startswith("!") else f"`{tag}`"
    of = f" (the law of {owner})" if tag else ""
    cure = law.cure[0].lower() + law.cure[1:]
    text = f"- **{law.id}**: {law.statement}{of}. *{law.why}* To mend: {cure}"
    lines = textwrap.TextWrapper(
        106, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return lines.fill(text)
