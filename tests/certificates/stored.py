"""The stored runs of the packages, and the paths of the files that are made."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "data"
OPTIMIZERS = FOLDER / "optimizers.json"
SCHEDULES = FOLDER / "schedules.json"
PAGE = Path(__file__).parents[2] / "docs" / "certificates.md"
COMMAND = "python -m tests.certificates.make"


def plain(value: Any) -> Any:
    """Arrays as nested lists."""
    return _each(value, lambda x: x.tolist())


def _each(value: Any, function: Callable[[np.ndarray], Any]) -> Any:
    if isinstance(value, dict):
        return {k: _each(v, function) for k, v in value.items()}
    if isinstance(value, list):
        return [_each(v, function) for v in value]
    return function(value)


def arrays(tree: Any) -> Any:
    """A stored array, or dict of arrays."""
    if isinstance(tree, dict):
        return {k: np.asarray(v, np.float64) for k, v in tree.items()}
    return np.asarray(tree, np.float64)


def path(run: dict[str, Any]) -> list[Any]:
    """The stored parameters after each step."""
    return [arrays(tree) for tree in run["path"]]


def write(file: Path, data: Any) -> None:
    """Write what is stored."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(data, separators=(",", ":")) + "\n")


def read(file: Path) -> Any:
    """Read what is stored."""
    return json.loads(file.read_text())
