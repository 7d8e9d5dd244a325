"""The papers behind an optimizer, as BibTeX, read from the docstrings."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from jopt._core import registry

_PAPER = re.compile(
    r'(?P<authors>[^"]+?),\s*"(?P<title>[^"]+?),?"[,.]?\s*(?P<rest>.*)', re.DOTALL
)


class Paper(NamedTuple):
    """One entry of a docstring's `Reference` section."""

    authors: str
    title: str
    rest: str  # venue, year, arXiv id, algorithm

    @property
    def year(self) -> str:
        found = re.search(r"\b(19|20)\d\d\b", self.rest)
        return found.group() if found else ""

    @property
    def key(self) -> str:
        first = re.split(r",| and | et al", self.authors)[0].split()[-1]
        word = re.sub(r"\W", "", self.title.split()[0])
        return f"{first}{self.year}{word}".lower()

    def bibtex(self) -> str:
        """The paper as a BibTeX entry."""
        arxiv = re.search(r"arXiv:([\w.\-/]+\w)", self.rest)
        venue = re.split(r",?\s*(?:arXiv:|\b(?:19|20)\d\d\b)", self.rest)[0]
        authors = " and ".join(
            name.strip()
            for name in re.split(r",\s*|\s+and\s+", self.authors)
            if name.strip()
        )
        authors = authors.replace(" et al.", " and others").replace(
            " et al", " and others"
        )
        fields = {
            "author": authors,
            "title": f"{{{self.title}}}",
            "year": self.year,
            "booktitle": " ".join(venue.split()).rstrip(",."),
            "eprint": arxiv.group(1) if arxiv else "",
            "archiveprefix": "arXiv" if arxiv else "",
        }
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        kind = "inproceedings" if fields["booktitle"] else "misc"
        return "\n".join([f"@{kind}{{{self.key},", *lines, "}"])


def papers(docstring: str | None) -> list[Paper]:
    """The papers of a docstring's `Reference` section, one a paragraph."""
    found = re.search(
        r"^\s*References?:\s*\n(.*?)(?=^\s*[A-Z]\w+( from [\w ]+)?:\s*$|\Z)",
        docstring or "",
        re.DOTALL | re.MULTILINE,
    )
    if not found:
        return []
    out = []
    for paragraph in re.split(r"\n\s*\n", found.group(1)):
        match = _PAPER.match(" ".join(paragraph.split()))
        if match:
            out.append(Paper(**match.groupdict()))
    return out


def cite(tx: Any) -> str:
    """The papers behind a transform and all its stages, as BibTeX.

    Args:
        tx: A transform or schedule of jopt.

    Returns:
        BibTeX entries, the outermost stage's first; empty if no stage has a paper.

    Example:
        >>> import jopt
        >>> print(jopt.cite(jopt.lion(1e-4)).splitlines()[0])
        @inproceedings{chen2023symbolic,
    """
    entries = {p.key: p.bibtex() for doc in _docstrings(tx) for p in papers(doc)}
    return "\n\n".join(entries.values())


def _docstrings(tx: Any) -> Iterator[str | None]:
    spec = tx.spec
    yield spec.factory.function.__doc__
    if (family := spec.name.removeprefix("scale_by_")) in registry.names("optimizer"):
        yield registry.get(family).__doc__  # a stage leaves its papers to its optimizer
    for _, child in spec.children():
        yield from _docstrings(child)
    if spec.factory.kind == "optimizer":
        yield from _docstrings(spec.built)
    for _, value in spec.hyper():
        if hasattr(value, "spec"):
            yield from _docstrings(value)
