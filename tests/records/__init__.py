"""Records of the catalogue: a module for each optimizer or family, found by itself.

A module has `CASES`, what the laws are to find of each name (see `tests.case`), and
`CERTIFICATES`, what each name is compared with (see `tests.certificates.record`). It
may have `PEERS` and `UNSOUND` of `tests.certificates.peer`.
"""

import importlib
import pkgutil
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
    found: dict[str, Any] = {}
    for module in MODULES:
        twice = found.keys() & module.CASES.keys()
        assert not twice, f"{module.__name__} has {twice} again"
        found |= module.CASES
    return found
