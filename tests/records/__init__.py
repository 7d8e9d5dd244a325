"""Records of the catalogue: a module for each optimizer or family, found by itself.

A module has `CASES`, what the laws are to find of each name (see `tests.case`), and
`CERTIFICATES`, what each name is compared with (see `tests.certificates.record`). It
may have `PEERS` and `UNSOUND` of `tests.certificates.peer`.

A module of schedules has `SCHEDULES`, a few of each name, for the laws, and
`SCHEDULE_CERTIFICATES`, rows as in `tests.certificates.schedule_table`; it may have
`SCHEDULE_SKIPS`, the laws left out, with reasons. Several modules may have schedules
and rows of one name.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

MODULES = [
    importlib.import_module(f"{__name__}.{found.name}")
    for found in pkgutil.iter_modules(__path__)
]


def everything(attribute: str) -> list[Any]:
    """What all modules have under a name, one after the other."""
    return [row for module in MODULES for row in getattr(module, attribute, ())]


def cases() -> dict[str, Any]:
    """The cases of all modules."""
    return merged("CASES")


def merged(attribute: str, first: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What all modules have under a name, by key, after what is in `first`."""
    found = dict(first or {})
    for module in MODULES:
        more = getattr(module, attribute, {})
        twice = found.keys() & more.keys()
        assert not twice, f"{module.__name__} has {twice} again"
        found |= more
    return found


def collected(attribute: str, first: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """What all modules have under a name, by key, one after the other."""
    found = {key: list(rows) for key, rows in first.items()}
    for module in MODULES:
        for key, rows in getattr(module, attribute, {}).items():
            found.setdefault(key, []).extend(rows)
    return found
