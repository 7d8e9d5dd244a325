"""The stored runs of the packages, and the paths of the files that are made."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

FOLDER = Path(__file__).parent / "data"
OPTIMIZERS = FOLDER / "optimizers.json"
SCHEDULES = FOLDER / "schedules.json"
PAGE = Path(__file__).parents[2] / "docs" / "certificates.md"
KEPT = (0, 2, 5, -1)  # of the steps of each run
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


def kept(path: list[Any]) -> list[Any]:
    """Of the parameters after each step, those that are stored."""
    return [path[step] for step in KEPT]


def packed(trees: list[Any]) -> str:
    """The numbers of some trees as text."""
    flat = [np.ravel(leaf) for leaf in jax.tree.leaves(trees)]
    return base64.b64encode(np.concatenate(flat).astype("<f8")).decode()


def unpacked(text: str, like: Any) -> list[Any]:
    """The trees of a text, each shaped like the first parameters."""
    numbers = np.frombuffer(base64.b64decode(text), "<f8")
    leaves, structure = jax.tree.flatten(like)
    ends = np.cumsum([leaf.size for leaf in leaves])
    rows = numbers.reshape(-1, ends[-1])
    return [
        structure.unflatten(
            part.reshape(leaf.shape)
            for part, leaf in zip(np.split(row, ends[:-1]), leaves, strict=True)
        )
        for row in rows
    ]


def write(file: Path, data: Any) -> None:
    """Write what is stored."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(data, separators=(",", ":")) + "\n")


def read(file: Path) -> Any:
    """Read what is stored."""
    return json.loads(file.read_text())
