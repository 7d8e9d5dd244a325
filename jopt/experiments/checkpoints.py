"""Checkpoints of a whole run: found again whole, or not at all.

A step is a folder: `arrays/`, which orbax writes, and a manifest with the digest of
each file and the path, shape and dtype of each leaf. It is made under another name,
brought to the disk, and renamed: so it is there whole or not at all, whatever ends the
process.
"""

import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import socket
import uuid
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax

import jopt
from jopt._core.warn import JoptWarning
from jopt.experiments import leaves

PyTree = Any
Notes = dict[str, Any]

FORMAT = 1
ARRAYS, MANIFEST, LOCK = "arrays", "manifest.json", "lock"
STEP = re.compile(r"step-(\d{10})")
UNDER_WAY = ".tmp-"


class CorruptCheckpointError(ValueError):
    """A checkpoint is not as it was written."""


class RunInUseError(RuntimeError):
    """Another process writes to the folder."""


class SaveFailedError(OSError):
    """A checkpoint could not be written; those before it are as they were."""


class Restored(NamedTuple):
    """What `Checkpoints.restore` returns."""

    step: int
    tree: PyTree
    notes: dict[str, Any]


class Checkpoints:
    """The checkpoints in a folder, of which one process is the writer.

    Args:
        folder: Where they are; made if it is not there.
        keep: How many of the newest are kept, at least 1.

    Raises:
        NotADirectoryError: If `folder` is a file.
        RunInUseError: If another process has opened it to write.
        ValueError: If `keep` is below 1.

    Example:
        >>> import tempfile, jax.numpy as jnp
        >>> with Checkpoints(tempfile.mkdtemp()) as kept:
        ...     kept.save(7, {"w": jnp.arange(3)}, {"epoch": 1})
        ...     kept.restore({"w": jnp.zeros(3, int)})
        Restored(step=7, tree={'w': Array([0, 1, 2], dtype=int32)}, notes={'epoch': 1})
    """

    def __init__(self, folder: str | os.PathLike[str], keep: int = 2):
        if keep < 1:
            raise ValueError(f"`keep` must be at least 1, got {keep}.")
        self.folder, self.keep = pathlib.Path(folder).absolute(), keep
        if self.folder.exists() and not self.folder.is_dir():
            raise NotADirectoryError(f"{self.folder} is a file; name a folder.")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self.folder)
        for left in self.folder.glob(f"{UNDER_WAY}*"):  # of a writer that was killed
            shutil.rmtree(left, ignore_errors=True)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def close(self) -> None:
        """Let others write to the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def steps(self) -> list[int]:
        """The steps that are there, the oldest first, whether whole or not."""
        return steps_in(self.folder)

    def save(
        self, step: int, tree: PyTree, notes: dict[str, Any] | None = None
    ) -> None:
        """Write a step; when it returns, the step outlives a crash and a power cut.

        Args:
            step: Its number, 0 or more, not that of a step that is there.
            tree: A pytree of arrays, keys of `jax.random` and Python numbers.
            notes: What else to keep, as JSON has it.

        Raises:
            SaveFailedError: If the disk is full, or read-only, or fails.
            TypeError: If a leaf is none of these.
            ValueError: If the step is there already.
        """
        final = self.folder / _name(step)
        if final.exists() and _is_whole(final):
            raise ValueError(f"Step {step} is there already, in {self.folder}.")
        told, arrays = leaves.encoded(tree)
        made = self.folder / f"{UNDER_WAY}{step}-{uuid.uuid4().hex}"
        try:
            made.mkdir()
            if arrays:
                leaves.write(made / ARRAYS, arrays)
            _write_manifest(made, step, told, notes or {})
            _to_disk(made)
            if final.exists():  # not whole: found so above
                self._remove(final)
            os.rename(made, final)
            _sync(self.folder)
        except Exception as error:
            shutil.rmtree(made, ignore_errors=True)
            if isinstance(error, OSError) or "RESOURCE_EXHAUSTED" in str(error):
                raise SaveFailedError(self._failed(step, error)) from error
            raise
        for old in self.steps()[: -self.keep]:
            self._remove(self.folder / _name(old))

    def restore(self, like: PyTree, step: int | None = None) -> Restored:
        """Read a step: see `restore`."""
        return restore(self.folder, like, step)

    def _remove(self, path: pathlib.Path) -> None:
        """Remove a step, which is never there in part."""
        away = self.folder / f"{UNDER_WAY}old-{uuid.uuid4().hex}"
        os.rename(path, away)
        if away.is_symlink():
            away.unlink()
        else:
            shutil.rmtree(away, ignore_errors=True)

    def _failed(self, step: int, error: Exception) -> str:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        steps = self.steps()
        last = f"step {steps[-1]} is as it was" if steps else "there is none before it"
        return (
            f"step {step} could not be saved in {self.folder}: {reason}; {last}. Make "
            "room, or choose another folder."
        )


def steps_in(folder: str | os.PathLike[str]) -> list[int]:
    """The steps in a folder, the oldest first; whether whole is not looked at."""
    found = (STEP.fullmatch(path.name) for path in pathlib.Path(folder).iterdir())
    return sorted(int(match[1]) for match in found if match)


def restore(
    folder: str | os.PathLike[str], like: PyTree, step: int | None = None
) -> Restored:
    """Read the newest step that is whole.

    A step that is not as it was written is passed over, with a warning.

    Args:
        folder: Where the checkpoints are.
        like: A tree of the same structure, shapes and dtypes; arrays come back with
            its shardings. Its values are not used.
        step: Read this step, and no other.

    Returns:
        The step, the tree and the notes.

    Raises:
        CorruptCheckpointError: If no step is whole.
        FileNotFoundError: If there is no step.
        NotADirectoryError: If `folder` is a file.
        ValueError: If `like` is of another structure, shape or dtype; or the step was
            written by a newer version.
    """
    folder = pathlib.Path(folder).absolute()
    if not folder.exists():
        raise FileNotFoundError(f"There is no folder {folder}.")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; name a folder.")
    steps = steps_in(folder)
    if step is not None and step not in steps:
        raise FileNotFoundError(
            f"There is no step {step} in {folder}; there are {steps or 'none'}."
        )
    if not steps:
        raise FileNotFoundError(f"There is no checkpoint in {folder}.")
    broken = []
    for number in [step] if step is not None else steps[::-1]:
        try:
            manifest = _verified(folder / _name(number))
        except CorruptCheckpointError as error:
            broken.append(str(error))
            continue
        if broken:
            warnings.warn(
                f"{' '.join(broken)} Going on from step {number}.",
                JoptWarning,
                stacklevel=2,
            )
        stored = folder / _name(number) / ARRAYS
        tree = leaves.decoded(stored, manifest["leaves"], like)
        return Restored(number, tree, manifest["notes"])
    raise CorruptCheckpointError(" ".join(broken))


def _name(step: int) -> str:
    if not 0 <= step < 10**10:
        raise ValueError(f"`step` must be from 0 to 10^10 - 1, got {step}.")
    return f"step-{step:010d}"


def _locked(folder: pathlib.Path) -> int:
    """A lock on the folder; the system lets it go when the process ends."""
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(handle, 1000).decode(errors="replace") or "another process"
        os.close(handle)
        raise RunInUseError(
            f"{folder} is written to by {holder}. Stop that, or name another folder."
        ) from error
    os.ftruncate(handle, 0)
    os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
    return handle


def _write_manifest(
    made: pathlib.Path, step: int, told: list[leaves.Told], notes: Notes
) -> None:
    files = {
        str(path.relative_to(made)): {
            "size": path.stat().st_size,
            "blake2b": _sum(path),
        }
        for path in _files(made)
    }
    manifest = {
        "format": FORMAT,
        "jopt": jopt.__version__,
        "jax": jax.__version__,
        "step": step,
        "leaves": told,
        "files": files,
        "notes": notes,
    }
    body = json.dumps(manifest).encode()
    (made / MANIFEST).write_bytes(_digest(body) + b"\n" + body)


def _verified(path: pathlib.Path) -> dict[str, Any]:
    """The manifest of a step whose files are as they were written.

    Raises:
        CorruptCheckpointError: If one is not.
        ValueError: If a newer version wrote them.
    """
    try:
        if path.is_symlink() or not path.is_dir():
            raise _Broken("it is not a folder")
        told = _read_manifest(path)
        more = {str(file.relative_to(path)) for file in _files(path)}
        if more := sorted(more - {*told["files"], MANIFEST}):
            raise _Broken(f"{more[0]} is not of it")
        inside = path.resolve()
        for name, wanted in told["files"].items():
            file = path / name
            if file.is_symlink() or not file.is_file():
                raise _Broken(f"{name} is missing")
            if not file.resolve().is_relative_to(inside):
                raise _Broken(f"{name} lies elsewhere")
            if file.stat().st_size != wanted["size"]:
                raise _Broken(f"{name} is cut off")
            if _sum(file) != wanted["blake2b"]:
                raise _Broken(f"{name} has changed")
    except (_Broken, OSError) as error:
        raise CorruptCheckpointError(
            f"The checkpoint {path} is not as it was written: {error}."
        ) from error
    if told["format"] > FORMAT:
        raise ValueError(
            f"The checkpoint {path} was written by jopt {told['jopt']}, a newer "
            "version: read it with that."
        )
    return told


def _read_manifest(path: pathlib.Path) -> dict[str, Any]:
    file = path / MANIFEST
    if file.is_symlink() or not file.is_file():
        raise _Broken(f"{MANIFEST} is missing")
    digest, _, body = file.read_bytes().partition(b"\n")
    if digest != _digest(body):
        raise _Broken(f"{MANIFEST} has changed")
    return json.loads(body)


class _Broken(Exception):
    """Why a checkpoint is not as it was written."""


def _is_whole(path: pathlib.Path) -> bool:
    try:
        _verified(path)
    except CorruptCheckpointError:
        return False
    return True


def _files(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _sum(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body).hexdigest().encode()


def _to_disk(folder: pathlib.Path) -> None:
    """Bring all files, then the folders that name them, to the disk."""
    for path in _files(folder):
        _sync(path)
    for path in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
        _sync(path)
    _sync(folder)


def _sync(path: pathlib.Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
