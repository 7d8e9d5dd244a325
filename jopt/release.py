"""Released models: what `jopt export` writes, loaded without the training code.

A folder holds `model.stablehlo`, the function in the versioned format of `jax.export`;
`params.npz`, its arrays; `model.json`, which tells of both with their digests; and
`model_card.md`. Nothing in it is executed but the StableHLO program, and no pickle is
read.
"""

import argparse
import hashlib
import json
import os
import pathlib
import sys
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import jax
import ml_dtypes  # noqa: F401  # NumPy then knows bfloat16 by name
import numpy as np

__all__ = ["BadReleaseError", "Model", "load"]

FORMAT = 1
PROGRAM, PARAMS, TOLD, CARD = (
    "model.stablehlo",
    "params.npz",
    "model.json",
    "model_card.md",
)
BLOCK = 256  # rows at a time

Rows = Mapping[str, Any]


class BadReleaseError(ValueError):
    """A released model is not as it was written, or of another format."""


class Model:
    """A released model.

    Attributes:
        told: What `model.json` tells: the rows it takes, the task, the versions.
    """

    def __init__(self, told: dict[str, Any], program: Any, arrays: list[np.ndarray]):
        self.told = told
        self._program, self._arrays = program, arrays
        self._call = jax.jit(program.call)

    def predict(self, rows: Rows) -> dict[str, np.ndarray]:
        """What the model says of rows.

        Args:
            rows: Arrays by name, with a common first axis; others than the model takes
                are passed over.

        Returns:
            Arrays by name; `outputs`, if the model has but one.

        Raises:
            ValueError: If an array is missing, or of another shape or dtype.
        """
        taken = {name: _fitting(name, rows, wanted) for name, wanted in self._wanted()}
        counts = {name: len(array) for name, array in taken.items()}
        if len(set(counts.values())) != 1:
            raise ValueError(f"The arrays have no common first axis: {counts}.")
        count = next(iter(counts.values()))
        if not count:
            raise ValueError("There are no rows.")
        blocks = [self._block(taken, at, count) for at in range(0, count, BLOCK)]
        joined = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
        return dict(zip(self.told["outputs"], joined, strict=True))

    def _wanted(self) -> list[tuple[str, dict[str, Any]]]:
        return list(self.told["rows"].items())

    def _block(self, rows: Rows, at: int, count: int) -> list[np.ndarray]:
        size = min(BLOCK, count - at)
        block = {name: array[at : at + size] for name, array in rows.items()}
        if not self.told["any_size"]:  # the program takes whole blocks only
            block = {name: _padded(array) for name, array in block.items()}
        said = self._call(self._arrays, block)
        return [np.asarray(leaf)[:size] for leaf in said]


def load(folder: str | os.PathLike[str]) -> Model:
    """Load a released model; it needs JAX and flatbuffers, not Flax or the task.

    Args:
        folder: What `jopt export` wrote.

    Returns:
        The model.

    Raises:
        BadReleaseError: If a file is missing, or not as it was written, or of a newer
            format.
        ImportError: If flatbuffers is not installed.
    """
    folder = pathlib.Path(folder)
    try:
        told = json.loads((folder / TOLD).read_bytes())
        if told["format"] > FORMAT:
            raise BadReleaseError(
                f"{folder} was written by jopt {told['jopt']}, a newer version."
            )
        content = {name: (folder / name).read_bytes() for name in (PROGRAM, PARAMS)}
        for name, data in content.items():
            if digest(data) != told["files"][name]:
                raise BadReleaseError(f"{folder / name} is not as it was written.")
        program = jax.export.deserialize(bytearray(content[PROGRAM]))
        return Model(told, program, _arrays(folder / PARAMS, told["arrays"]))
    except OSError as error:
        reason = error.strerror or "not readable"
        raise BadReleaseError(f"{error.filename}: {reason}.") from None
    except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadReleaseError(f"{folder / TOLD} is not as it was written.") from error


def digest(content: bytes) -> str:
    """What tells a file from a changed one."""
    return hashlib.blake2b(content, digest_size=32).hexdigest()


def raw(array: np.ndarray) -> np.ndarray:
    """An array of a kind that `.npz` files hold: bfloat16 and its like as bits."""
    if array.dtype.kind == "V" or array.dtype.name not in np.sctypeDict:
        return array.view(f"uint{8 * array.dtype.itemsize}")
    return array


def read_rows(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file.

    Raises:
        ValueError: If it is none, or holds objects, which are pickles.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("it holds one array")
            return {name: file[name] for name in file.files}
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or 'no .npz file'}.") from None
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is no .npz file of plain arrays ({error}); write it by "
            "numpy.savez. Pickles are not read."
        ) from None


def main(argv: Sequence[str]) -> int:
    """Run `jopt predict`.

    Args:
        argv: The arguments after `predict`.

    Returns:
        0, or 2 for wrong input.
    """
    try:
        given = _parser().parse_args(argv)
        said = load(given.model).predict(read_rows(given.input))
        with pathlib.Path(given.out).open("wb") as file:
            np.savez(file, allow_pickle=False, **said)
    except SystemExit as stop:
        return int(stop.code or 0)
    except (ValueError, OSError, ImportError) as error:
        print(f"jopt predict: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    shapes = (f"{name} {array.shape}" for name, array in said.items())
    print(f"{given.out}: {', '.join(shapes)}")
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"jopt predict: {' '.join(message.split())}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="jopt predict",
        description="What a released model says of rows.",
        allow_abbrev=False,
    )
    parser.add_argument("model", metavar="DIR", help="what `jopt export` wrote")
    parser.add_argument(
        "--input", metavar="NPZ", required=True, help="arrays by name, of equal length"
    )
    parser.add_argument(
        "--out", metavar="NPZ", required=True, help="where to write what it says"
    )
    return parser


def _arrays(path: pathlib.Path, told: list[dict[str, Any]]) -> list[np.ndarray]:
    stored = read_rows(path)
    out = []
    for number, one in enumerate(told):
        array, dtype = stored[f"{number:04d}"], np.dtype(one["dtype"])
        out.append(array if array.dtype == dtype else array.view(dtype))
    return out


def _fitting(name: str, rows: Rows, wanted: dict[str, Any]) -> np.ndarray:
    """An array of rows as the program takes it."""
    if name not in rows:
        raise ValueError(f"`{name}` is missing; there are {', '.join(rows) or 'none'}.")
    array, dtype = np.asarray(rows[name]), np.dtype(wanted["dtype"])
    if list(array.shape[1:]) != wanted["shape"] or not array.ndim:
        raise ValueError(
            f"`{name}` must have rows of shape {tuple(wanted['shape'])}, got an array "
            f"of shape {array.shape}."
        )
    if not np.can_cast(array.dtype, dtype, "same_kind"):
        raise ValueError(f"`{name}` must be {dtype}, got {array.dtype}.")
    return array.astype(dtype)


def _padded(array: np.ndarray) -> np.ndarray:
    return np.pad(array, [(0, BLOCK - len(array))] + [(0, 0)] * (array.ndim - 1))
