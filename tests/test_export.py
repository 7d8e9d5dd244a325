"""`jopt export` and `jopt predict`: a model goes out and says what it said."""

import dataclasses
import json
import os
import pathlib
import pickle
import shutil
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jopt
from jopt import release
from jopt.experiments import cli, tasks
from jopt.experiments.export import export
from jopt.experiments.train_config import TrainConfig
from jopt.experiments.train_run import run

ROOT = pathlib.Path(jopt.__file__).parent.parent


class Net(nnx.Module):
    """All kinds of state: parameters, averages, keys, and an array in 16 bits."""

    def __init__(self, rngs, asks_for_rows):
        self.hidden = nnx.Linear(64, 16, rngs=rngs)
        self.norm = nnx.BatchNorm(16, rngs=rngs)
        self.dropout = nnx.Dropout(0.3, rngs=rngs)
        self.head = nnx.Linear(16, 10, rngs=rngs)
        self.half = nnx.Variable(jnp.ones(10, jnp.bfloat16))
        self.asks_for_rows = asks_for_rows

    def __call__(self, x):
        rows = len(x) if self.asks_for_rows else x.shape[0]
        x = nnx.relu(self.norm(self.hidden(x.reshape(rows, 64))))
        logits = self.head(self.dropout(x)) * self.half.astype(jnp.float32)[None]
        return {"logits": logits, "mean": x.mean(-1)}


def net(folder=None, asks_for_rows=False):
    plain = tasks.vision.digits()
    return dataclasses.replace(
        plain,
        make=lambda rngs: Net(rngs, asks_for_rows),
        loss=lambda said, rows: plain.loss(said["logits"], rows),
        judge=lambda said, rows: plain.judge(said["logits"], rows),
    )


@pytest.fixture(scope="module", params=[False, True], ids=["any size", "blocks"])
def released(request, tmp_path_factory):
    """A run, what it released, and its task."""
    folder = tmp_path_factory.mktemp("released")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tasks.TASKS, "net", net)
        config = TrainConfig(
            f"net(asks_for_rows={request.param})", steps=20, eval_every=10, ema=0.5
        )
        found, result = run(config, folder / "run", quiet=True)
        export(folder / "run", folder / "model")
        export(folder / "run", folder / "last", last=True)
    return folder, net(asks_for_rows=request.param), found, result


@pytest.fixture
def model(released, tmp_path):
    return shutil.copytree(released[0] / "model", tmp_path / "model")


def same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 256, 360])
def test_it_says_what_the_best_weights_say(released, rows):
    folder, task, found, _ = released
    part = {name: x[:rows] for name, x in task.parts["test"].items()}
    wanted = task.predict(found.best_params, found.best_rest, part)
    said = release.load(folder / "model").predict(part)
    same(said, {f"['{name}']": x for name, x in wanted.items()})


def test_the_last_weights_can_be_had_too(released):
    folder, task, found, _ = released
    params = jopt.averaged_params(found.state, found.params)
    wanted = task.predict(params, found.rest, task.parts["test"])
    said = release.load(folder / "last").predict(task.parts["test"])
    same(said, {f"['{name}']": x for name, x in wanted.items()})


def test_the_score_is_that_of_the_card(released):
    folder, task, _, result = released
    said = release.load(folder / "model").predict(task.parts["test"])
    assert task.judge({"logits": said["['logits']"]}, task.parts["test"]) == result.test
    card = (folder / "model" / "model_card.md").read_text()
    assert f"- test accuracy: {100 * result.test:.1f}%" in card
    assert result.data in card and 'optimizer = "adamw(3e-3)"' in card


def test_labels_are_not_asked_for(released):
    assert list(release.load(released[0] / "model").told["rows"]) == ["x"]


def test_a_program_takes_any_number_of_rows_if_the_model_does(released):
    folder, task, *_ = released
    asks = task.make(nnx.Rngs(0)).asks_for_rows
    assert release.load(folder / "model").told["any_size"] is not asks


def test_predict_needs_neither_flax_nor_the_training_code(released, tmp_path):
    folder, task, *_ = released
    rows = task.parts["test"]
    np.savez(tmp_path / "rows.npz", **rows)
    blocked = "".join(
        f"sys.modules[{name!r}] = None; "
        for name in ("flax", "orbax", "sklearn", "tyro")
    )
    words = ["jopt", "predict", str(folder / "model")]
    words += ["--input", "rows.npz", "--out", "said.npz"]
    code = (
        f"import sys; {blocked}sys.argv = {words!r}; from jopt.__main__ import main\n"
        "try: main()\n"
        "finally: assert 'jopt.experiments' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = release.read_rows(tmp_path / "said.npz")
    same(said, release.load(folder / "model").predict(rows))


@pytest.mark.parametrize("name", [release.PROGRAM, release.PARAMS, release.TOLD])
def test_a_changed_or_missing_file_is_found(model, name):
    path = model / name
    good = bytearray(path.read_bytes())
    good[len(good) // 2] ^= 4
    for bad in (good[:-3], good[: len(good) // 2], good, b""):
        if name == release.TOLD and bad is good:
            continue  # a word in it may change and it still be JSON
        path.write_bytes(bad)
        with pytest.raises(release.BadReleaseError, match=r"not as it was written"):
            release.load(model)
    path.unlink()
    with pytest.raises(release.BadReleaseError, match=f"{name}: No such file"):
        release.load(model)


def test_a_newer_format_is_left_to_the_newer_version(model):
    path = model / release.TOLD
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(release.BadReleaseError, match="newer version"):
        release.load(model)


def test_pickles_are_not_read(tmp_path):
    for path, content in [
        ("a.npz", pickle.dumps({"x": 1})),
        ("b.npz", b"no file of arrays"),
    ]:
        (tmp_path / path).write_bytes(content)
        with pytest.raises(ValueError, match="Pickles are not read"):
            release.read_rows(tmp_path / path)
    np.savez(tmp_path / "c.npz", x=np.array([{}]))
    with pytest.raises(ValueError, match="Pickles are not read"):
        release.read_rows(tmp_path / "c.npz")


WRONG = [
    ({"y": np.zeros(3)}, "`x` is missing; there are y"),
    ({"x": np.zeros((3, 8, 8))}, r"`x` must have rows of shape \(8, 8, 1\)"),
    ({"x": np.zeros((3, 8, 8, 1), complex)}, "`x` must be float32, got complex128"),
    ({"x": np.zeros((0, 8, 8, 1))}, "no rows"),
    ({"x": np.zeros(())}, "must have rows"),
]


@pytest.mark.parametrize(("rows", "says"), WRONG)
def test_rows_that_do_not_fit_are_refused(released, rows, says):
    with pytest.raises(ValueError, match=says):
        release.load(released[0] / "model").predict(rows)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["predict", "none", "--input", "a", "--out", "b"], "No such file"),
        (["predict", "none"], "are required: --input, --out"),
        (["export", "none", "--out", "b"], "none holds no run"),
        (["export", "none", "--out", "here"], "here is there already"),
        (["export", "none"], "are required: --out"),
    ],
)
def test_wrong_input_is_one_line(words, says, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    assert cli.main(words) == 2
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["here"]


def test_a_run_without_a_checkpoint_is_told_so(released, tmp_path):
    shutil.copytree(released[0] / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(FileNotFoundError):
        patch.setitem(tasks.TASKS, "net", net)
        export(tmp_path / "run", tmp_path / "model")
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
