"""Checkpoints come back whole, bit for bit, or are told to be broken."""

import errno
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jopt._core.warn import JoptWarning
from jopt.experiments import checkpoints
from jopt.experiments.checkpoints import (
    Checkpoints,
    CorruptCheckpointError,
    RunInUseError,
    SaveFailedError,
)

SPECIAL = np.array([np.nan, np.inf, -0.0, 1e-45, 3e38], np.float32)


def tree(step=0):
    """Leaves of every kind."""
    return {
        "params": {
            "w": jnp.arange(6.0).reshape(2, 3) + step,
            "b": jnp.asarray(SPECIAL),
        },
        "half": jnp.full(3, 1.0 + step, jnp.bfloat16),
        "complex": jnp.asarray(1j * step, jnp.complex64),
        "count": jnp.asarray(step, jnp.int32),
        "key": jax.random.key(step),
        "empty": jnp.zeros((0, 3)),
        "host": np.full(2, step, np.int64),
        "rate": 0.5 + step,
        "on": True,
        "none": None,
    }


def raw(leaf):
    if isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(
        leaf.dtype, jax.dtypes.prng_key
    ):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf)


def assert_same(ours, theirs):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert raw(a).dtype == raw(b).dtype
        assert raw(a).tobytes() == raw(b).tobytes()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with steps 1 and 2."""
    folder = tmp_path_factory.mktemp("written")
    with Checkpoints(folder) as kept:
        for step in (1, 2):
            kept.save(step, tree(step), {"at": step})
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return pathlib.Path(shutil.copytree(written, tmp_path / "copy"))


def files(step_folder):
    return [path for path in sorted(step_folder.rglob("*")) if path.is_file()]


def test_every_kind_of_leaf_comes_back_bit_for_bit(written):
    found = checkpoints.restore(written, tree())
    assert found.step == 2
    assert found.notes == {"at": 2}
    assert_same(found.tree, tree(2))


def test_an_earlier_step_can_be_asked_for(written):
    assert_same(checkpoints.restore(written, tree(), step=1).tree, tree(1))


def test_arrays_come_back_as_they_were_laid_out(written):
    like = tree()
    found = checkpoints.restore(written, like).tree
    assert found["params"]["w"].sharding == like["params"]["w"].sharding


def test_only_the_newest_are_kept(tmp_path):
    with Checkpoints(tmp_path, keep=2) as kept:
        for step in range(4):
            kept.save(step, {"a": jnp.zeros(1)})
        assert kept.steps() == [2, 3]


@pytest.mark.parametrize("fault", ["flip", "cut"])
def test_every_flip_of_a_bit_and_every_cut_is_found(folder, fault):
    random = np.random.default_rng(0)
    every = files(folder / "step-0000000002")
    for trial in range(200):
        path = every[trial % len(every)]
        good = path.read_bytes()
        at = int(random.integers(len(good)))
        bad = bytearray(good[:at] if fault == "cut" else good)
        if fault == "flip":
            bad[at] ^= 1 << int(random.integers(8))
        path.write_bytes(bad)
        with pytest.raises(CorruptCheckpointError, match=path.name):
            checkpoints.restore(folder, tree(), step=2)
        path.write_bytes(good)
    assert_same(checkpoints.restore(folder, tree()).tree, tree(2))


@pytest.mark.parametrize("which", range(4))
def test_a_broken_step_is_passed_over_with_a_warning(folder, which):
    every = files(folder / "step-0000000002")
    every[which * len(every) // 4].unlink()
    with pytest.warns(JoptWarning, match=r"is missing. Going on from step 1"):
        found = checkpoints.restore(folder, tree())
    assert_same(found.tree, tree(1))


def test_the_files_of_another_step_are_found_out(folder):
    shutil.rmtree(folder / "step-0000000002" / "arrays")
    shutil.copytree(
        folder / "step-0000000001" / "arrays", folder / "step-0000000002" / "arrays"
    )
    with pytest.raises(CorruptCheckpointError):
        checkpoints.restore(folder, tree(), step=2)


def test_a_link_is_no_checkpoint(folder, tmp_path):
    os.rename(folder / "step-0000000002", tmp_path / "elsewhere")
    (folder / "step-0000000002").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CorruptCheckpointError, match="not a folder"):
        checkpoints.restore(folder, tree(), step=2)


def test_a_file_may_not_lie_elsewhere(folder, tmp_path):
    arrays = folder / "step-0000000002" / "arrays"
    os.rename(arrays, tmp_path / "elsewhere")
    arrays.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CorruptCheckpointError, match=r"lies elsewhere|is missing"):
        checkpoints.restore(folder, tree(), step=2)


def test_a_file_that_was_not_written_is_found(folder):
    (folder / "step-0000000002" / "arrays" / "more").touch()
    with pytest.raises(CorruptCheckpointError, match="more is not of it"):
        checkpoints.restore(folder, tree(), step=2)


def test_what_is_not_named_as_a_step_is_none(folder):
    for name in ("step-7", "step-1e3", "step-00000000071", "007", ".tmp-7", "step-"):
        (folder / name).mkdir()
    assert checkpoints.steps_in(folder) == [1, 2]


def test_a_relative_folder_is_found_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Checkpoints("run") as kept:
        (tmp_path / "other").mkdir()
        monkeypatch.chdir(tmp_path / "other")
        kept.save(1, {"a": jnp.zeros(1)})
    assert checkpoints.steps_in(tmp_path / "run") == [1]


def test_a_folder_that_may_not_be_read_is_no_empty_one(folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(pathlib.Path, "iterdir", refuse)
    with pytest.raises(PermissionError, match="Permission denied"):
        checkpoints.restore(folder, tree())


def test_if_no_step_is_whole_nothing_comes_back(folder):
    for step in (1, 2):
        (folder / f"step-000000000{step}" / "manifest.json").unlink()
    with pytest.raises(CorruptCheckpointError, match=r"000001 .*manifest.json"):
        checkpoints.restore(folder, tree())


def test_a_broken_step_is_written_anew(folder):
    (folder / "step-0000000002" / "manifest.json").unlink()
    with Checkpoints(folder) as kept:
        kept.save(2, tree(5))
        assert_same(kept.restore(tree()).tree, tree(5))


def test_a_whole_step_is_never_written_over(folder):
    with Checkpoints(folder) as kept, pytest.raises(ValueError, match="already"):
        kept.save(2, tree(5))


class Killed(BaseException):
    """Stands for the end of the process: nothing cleans up after it."""


class System:
    """The system as the module sees it, which fails at the call of a number."""

    def __init__(self, at, error):
        self.count, self.at, self.error = 0, at, error

    def __getattr__(self, name):
        real = getattr(os, name)
        return self.watched(real) if name in ("fsync", "rename", "open") else real

    def watched(self, function):
        def call(*args, **kwargs):
            self.count += 1
            if self.count == self.at:
                raise self.error
            return function(*args, **kwargs)

        return call


def interrupted(monkeypatch, at, error):
    system = System(at, error)
    write = system.watched(checkpoints.leaves.write)
    monkeypatch.setattr(checkpoints, "os", system)
    monkeypatch.setattr(checkpoints.leaves, "write", write)
    return system


def test_an_end_at_any_call_loses_no_step_and_leaves_nothing(folder):
    for at in itertools.count(1):  # how many calls there are is not always the same
        kept = Checkpoints(folder)
        try:
            with pytest.MonkeyPatch.context() as patch:
                interrupted(patch, at, Killed())
                kept.save(3, tree(3))
            break
        except Killed:
            pass
        finally:
            kept.close()  # as the system does
        with Checkpoints(folder) as after:
            assert not list(folder.glob(".tmp*"))
            found = after.restore(tree())
            assert_same(found.tree, tree(found.step))
            assert found.step in (2, 3)
            if found.step == 3:
                shutil.rmtree(folder / "step-0000000003")
    assert at > 15


@pytest.mark.parametrize("at", range(1, 14))
def test_a_disk_that_fails_keeps_the_step_before_and_cleans_up(folder, monkeypatch, at):
    number = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT)[at % 4]
    with Checkpoints(folder) as kept:
        with monkeypatch.context() as patch:
            interrupted(patch, at, OSError(number, os.strerror(number)))
            says = rf"{os.strerror(number)}.*step 2 is as it was"
            with pytest.raises(SaveFailedError, match=says):
                kept.save(3, tree(3))
        assert not list(folder.glob(".tmp*"))
        assert_same(kept.restore(tree()).tree, tree(2))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what was synced")
def test_all_is_on_the_disk_before_the_step_is_there_and_then_its_name(
    tmp_path, monkeypatch
):
    events = []

    class Watched:
        def __getattr__(self, name):
            return getattr(os, name)

        def fsync(self, handle):
            os.fsync(handle)
            events.append(pathlib.Path(os.readlink(f"/proc/self/fd/{handle}")))

        def rename(self, old, new):
            written = {p.relative_to(old) for p in [old, *pathlib.Path(old).rglob("*")]}
            synced = {p.relative_to(old) for p in events if p.is_relative_to(old)}
            events[:] = [written - synced]
            os.rename(old, new)

    with Checkpoints(tmp_path) as kept:
        monkeypatch.setattr(checkpoints, "os", Watched())
        kept.save(3, tree(3))
        monkeypatch.undo()
    assert events == [set(), tmp_path]  # nothing was left to sync; then the folder is


def test_a_second_writer_is_refused(folder):
    with Checkpoints(folder), pytest.raises(RunInUseError, match=f"{os.getpid()}"):
        Checkpoints(folder)


def test_a_writer_of_another_process_is_refused_until_it_ends(folder):
    code = (
        "import fcntl, sys, time; lock = open(sys.argv[1], 'r+'); "
        "fcntl.flock(lock, fcntl.LOCK_EX); print('ready', flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-S", "-c", code, str(folder / "lock")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline()
        with pytest.raises(RunInUseError):
            Checkpoints(folder)
        other.kill()
        other.wait()
        Checkpoints(folder).close()


def test_a_closed_folder_can_be_opened_again(folder):
    Checkpoints(folder).close()
    Checkpoints(folder).close()


def test_each_place_without_a_checkpoint_is_told_apart(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name, error, says in [
        ("nowhere", FileNotFoundError, "no folder"),
        ("empty", FileNotFoundError, "no checkpoint"),
        ("file", NotADirectoryError, "is a file"),
    ]:
        with pytest.raises(error, match=says):
            checkpoints.restore(tmp_path / name, tree())


def test_a_step_that_is_not_there_is_told_with_those_that_are(written):
    with pytest.raises(FileNotFoundError, match=r"no step 7 .*\[1, 2\]"):
        checkpoints.restore(written, tree(), step=7)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"more": jnp.zeros(2)}, r"\['more'\]: asked for float32\[2\], not stored"),
        ({"count": None}, r"\['count'\]: stored int32\[\], not asked for"),
        ({"half": jnp.zeros(3)}, r"stored bfloat16\[3\], asked for float32\[3\]"),
        ({"host": np.zeros(3, np.int64)}, r"stored int64\[2\], asked for int64\[3\]"),
        ({"rate": jnp.zeros(())}, r"stored float, asked for float32\[\]"),
    ],
)
def test_another_tree_is_refused_with_the_difference(written, change, says):
    with pytest.raises(ValueError, match=says):
        checkpoints.restore(written, tree() | change)


def test_a_newer_format_is_left_to_the_newer_version(folder):
    path = folder / "step-0000000002" / "manifest.json"
    told = json.loads(path.read_bytes().partition(b"\n")[2]) | {"format": 99}
    body = json.dumps(told).encode()
    path.write_bytes(checkpoints._digest(body) + b"\n" + body)
    with pytest.raises(ValueError, match="newer version"):
        checkpoints.restore(folder, tree())


def test_a_leaf_that_is_no_array_is_refused(tmp_path):
    with Checkpoints(tmp_path) as kept, pytest.raises(TypeError, match=r"\['a'\]"):
        kept.save(0, {"a": "text"})


@pytest.mark.parametrize("keep", [0, -1])
def test_at_least_one_is_kept(tmp_path, keep):
    with pytest.raises(ValueError, match="`keep`"):
        Checkpoints(tmp_path, keep)


@pytest.mark.parametrize("step", [-1, 10**10])
def test_a_step_has_a_number(tmp_path, step):
    with Checkpoints(tmp_path) as kept, pytest.raises(ValueError, match="`step`"):
        kept.save(step, tree())


def test_donated_buffers_were_saved_as_they_were(tmp_path):
    with Checkpoints(tmp_path) as kept:
        x = jnp.arange(4.0)
        kept.save(0, {"x": x})
        jax.jit(lambda x: x * 2, donate_argnums=0)(x)
        found = kept.restore({"x": jnp.zeros(4)})
    np.testing.assert_array_equal(found.tree["x"], jnp.arange(4.0))
