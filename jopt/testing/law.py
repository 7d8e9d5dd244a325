"""What a law is: a statement, why it matters, how to mend a breach, and a check."""

import dataclasses
from collections.abc import Callable
from typing import Any

Check = Callable[[Any], None]


class Broken(Exception):
    """A law does not hold; the message is the witness."""


class NotApplicable(Exception):
    """A law says nothing about this subject; the message says why."""


@dataclasses.dataclass(frozen=True)
class Law:
    """One law of optimizers.

    Attributes:
        id: Its name, such as `"P1"`.
        statement: What it says, in one line.
        why: What goes wrong where it is broken.
        cure: How to mend a transform that breaks it.
        check: Takes the subject; raises `Broken` or `NotApplicable`.
        tag: If given, the law is what the tag means: it must hold where the tag is
            declared, and must not hold where it is not. `"!x"` is the law of those
            without the tag `x`.
        kind: What it is about: `"transform"` or `"schedule"`.
    """

    id: str
    statement: str
    why: str
    cure: str
    check: Check
    tag: str = ""
    kind: str = "transform"

    def expected(self, tags: frozenset[str]) -> bool:
        """Whether the law is to hold for something so tagged."""
        if not self.tag:
            return True
        return (self.tag.removeprefix("!") in tags) != self.tag.startswith("!")


LAWS: dict[str, Law] = {}
FAMILIES = "PNAWCDS"
"""Structure, numbers, algebra, wrappers, resuming, devices; and schedules."""


def law(
    id: str,
    statement: str,
    *,
    why: str,
    cure: str,
    tag: str = "",
    kind: str = "transform",
) -> Callable[[Check], Check]:
    """Register a check as a law."""

    def register(check: Check) -> Check:
        if id in LAWS:
            raise ValueError(f"There is a law `{id}` already: {LAWS[id].statement}")
        LAWS[id] = Law(id, statement, why, cure, check, tag, kind)
        return check

    return register


def chosen(laws: Any, kind: str = "transform") -> list[Law]:
    """The laws of a kind that are asked for: by id, or by family such as `"N"`.

    Raises:
        ValueError: If there is no such law.
    """
    own = [law for law in LAWS.values() if law.kind == kind]
    own.sort(key=lambda law: (FAMILIES.index(law.id[0]), int(law.id[1:])))
    if laws is None:
        return own
    wanted = [laws] if isinstance(laws, str) else list(laws)
    for name in wanted:
        if name not in LAWS and not any(law.id.startswith(name) for law in own):
            known = ", ".join(law.id for law in own)
            raise ValueError(f"`laws` has no law {name!r}. Known: {known}.")
    return [
        law
        for law in own
        if any(law.id == n or (n.isalpha() and law.id.startswith(n)) for n in wanted)
    ]
