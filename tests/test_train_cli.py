"""`jopt train`: what it takes, writes and returns."""

import functools as ft
import json
import math
import os
import pathlib
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

import jopt
from jopt.experiments import (
    checkpoints,
    cli,
    tasks,
    train_config,
    train_plan,
    training,
)
from jopt.experiments.task import Task
from jopt.experiments.train_config import ConfigError, TrainConfig

ROOT = pathlib.Path(jopt.__file__).parent.parent
KILLS = int(os.environ.get("JOPT_KILLS", "20"))
LOAD = ft.cache(tasks.load)
TINY = [
    "--optimizer",
    "adamw(3e-3)",
    "--steps",
    "12",
    "--eval-every",
    "4",
    "--save-every",
    "5",
    "--log-every",
    "2",
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JOPT_DATA", raising=False)
    monkeypatch.setattr(tasks, "load", LOAD)  # so that each is compiled but once


def go(*words):
    return cli.main(["train", *words])


def files(run):
    return {path.name for path in pathlib.Path(run).iterdir()}


def log(run):
    return (pathlib.Path(run) / "metrics.jsonl").read_text()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "load", LOAD)
        assert go(*TINY, "--out", str(folder), "--quiet") == 0
    return folder


def test_a_run_writes_its_settings_log_checkpoints_result_and_report(whole):
    assert files(whole) == {
        *("config.toml", "metrics.jsonl", "checkpoints", "result.json", "report.html")
    }
    result = json.loads((whole / "result.json").read_text())
    assert (result["stopped"], result["step"]) == ("steps", 12)
    assert 0.0 < result["test"] <= 1.0


def test_it_says_how_it_went(tmp_path, capsys):
    assert go(*TINY, "--out", "run") == 0
    out, err = capsys.readouterr()
    assert out.startswith("valid accuracy ") and out.endswith("run/report.html\n")
    assert err.splitlines()[-1].startswith("step 12/12  loss ")


def test_quiet_prints_nothing_and_numbers_its_folder(capsys):
    for _ in range(2):
        assert go(*TINY, "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert files(".") == {"train-digits", "train-digits-2"}


def test_the_saved_settings_make_the_same_run(whole):
    assert go("--config", str(whole / "config.toml"), "--out", "run", "--quiet") == 0
    assert log("run") == log(whole)
    saved = [(run / "config.toml").read_text() for run in (whole, pathlib.Path("run"))]
    assert saved[0] == saved[1]


def test_flags_win_over_the_file(tmp_path):
    (tmp_path / "a.toml").write_text("steps = 2\nbatch_size = 32\n")
    assert go("--config", "a.toml", "--steps", "3", "--out", "run", "--quiet") == 0
    found = train_config.read("run/config.toml")
    assert (found.steps, found.batch_size) == (3, 32)


def test_settings_come_back_from_their_file(tmp_path):
    config = TrainConfig(
        *("digits", 'mlp(width="8\\"\x7f ü\U0001f600")', None, 1e-5, "cosine"),
        guard=False,
        data="a\nb",
    )
    train_config.write(config, tmp_path / "a.toml")
    assert train_config.read(tmp_path / "a.toml") == config


@pytest.mark.parametrize(
    "settings",
    [
        {"clip": 1.0, "ema": 0.9, "plateau": 2, "schedule": "cosine", "warmup": 2},
        {"accumulate": 2, "loss_scale": True, "schedule": "wsd"},
        pytest.param(
            {"patience": 1, "min_delta": 1.0, "data_parallel": True},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"model": "convnet", "optimizer": "sgd", "learning_rate": 0.1},
            marks=pytest.mark.slow,
        ),
        {
            "schedule": "step_decay(0.1, 5, 0.5)",
            "optimizer": "sgd",
            "tensorboard": True,
        },
    ],
)
def test_each_setting_has_its_effect(settings, tmp_path):
    settings = {"optimizer": "adamw(3e-3)"} | settings
    config = TrainConfig(steps=12, eval_every=4, log_every=2, **settings)
    found, result = training_run(config, tmp_path / "run")
    wanted = "patience" if "patience" in settings else "steps"
    assert result.stopped == wanted
    assert all(math.isfinite(line.get("loss", 0.0)) for line in found.log)
    chain = str(train_plan.plan(config).tx)
    for setting, name in [
        *(("clip", "clip_by_global_norm"), ("ema", "ema_params")),
        *(("plateau", "reduce_on_plateau"), ("loss_scale", "dynamic_loss_scale")),
        *(("accumulate", "accumulate"), ("warmup", "warmup(")),
    ]:
        assert (name in chain) == (setting in settings)
    assert ("tensorboard" in files(tmp_path / "run")) == ("tensorboard" in settings)


def training_run(config, out):
    from jopt.experiments.train_run import run

    return run(config, out, quiet=True)


@pytest.mark.parametrize(
    ("shape", "ends"),
    [
        ("constant", (0.1, 0.1)),
        ("linear", (0.1, 0.01)),
        ("cosine", (0.1, 0.1 * (1 + math.cos(0.9 * math.pi)) / 2)),
        ("wsd", (0.1, 0.05)),
    ],
)
def test_a_schedule_goes_over_all_updates(shape, ends):
    config = TrainConfig(
        optimizer="sgd", learning_rate=0.1, schedule=shape, steps=20, accumulate=2
    )
    rate = train_plan.plan(config).rate
    found = [rate(0), rate(9)] if callable(rate) else [rate, rate]
    np.testing.assert_allclose(found, ends, rtol=1e-5)


FILES = {
    "stepz = 3": "line 1: Nothing is named `stepz`. Did you mean `steps`?",
    "steps = 3\nsteps = 4\n": "is no TOML: Cannot overwrite a value (at line 2",
    "seed = 1\nsteps = '3'": "line 2: `steps` must be a whole number, got '3'",
    "steps = true": "line 1: `steps` must be a whole number, got True",
    "steps = 3.0": "`steps` must be a whole number, got 3.0",
    "guard = 1": "`guard` must be true or false, got 1",
    "learning_rate = nan": "`learning_rate` must be finite, got nan",
    "learning_rate = inf": "`learning_rate` must be finite",
    "learning_rate = '1e-3'": "`learning_rate` must be a number, got '1e-3'",
    "\n[optimizer]\nname = 'adam'": "line 2: `optimizer` must be a text",
    "[model.options]\nwidth = 3": "line 1: `model` must be a text",
    "task = ['digits']": "`task` must be a text",
    "steps = ": "is no TOML",
    "ema = 1.0": "`ema` must lie between 0 and 1, got 1",
    "clip = -1.0": "`clip` must be above 0, got -1",
    "seed = -1": "`seed` must be at least 0, got -1",
}


@pytest.mark.parametrize("content", FILES)
def test_a_wrong_file_is_told_with_line_and_key(content, tmp_path, capsys):
    (tmp_path / "a.toml").write_text(content)
    assert go("--config", "a.toml") == 2
    err = capsys.readouterr().err
    assert err.startswith("jopt train: a.toml") and FILES[content] in err
    assert files(".") == {"a.toml"}


WRONG = {
    "--stepz 3": "--steps",
    "--steps 0": "`steps` must be at least 1, got 0",
    "--steps x": "invalid literal for int() with base 10: 'x'",
    "--steps 3 --steps 4": "--steps is given twice",
    "--learning-rate nan": "`learning_rate` must be finite, got nan",
    "--task digit": "`task`: Nothing is named `digit`. Did you mean `digits`?",
    "--task digits(1)": "`task` must be a name, or a name with options",
    "--model cnvnet": "Nothing is named",
    "--model mlp(wdth=3)": "Did you mean `width`",
    "--model open('x')": "`model` must be a name",
    "--optimizer adamq": "Nothing is named `adamq`. Did you mean `adam`?",
    "--optimizer open('x')": "Nothing is named `open`",
    "--optimizer sgd": "`learning_rate` is needed: `sgd` has none",
    "--optimizer clip(1.0)": "has no learning rate",
    "--optimizer adamw(b1=2)": "`b1` must lie in [0, 1), got 2",
    "--optimizer cosine_decay_schedule(0.1,5)": "is a schedule",
    "--schedule cosin": "Or one of constant, linear",
    "--schedule adam(0.1)": "`schedule` is no schedule",
    "--schedule step_decay(0.1,5) --learning-rate 1": "has its own numbers",
    "--optimizer sgd(cosine_decay_schedule(0.1,5)) --schedule linear": "has one",
    "--optimizer adam(0.1) --steps 9 --warmup 9": "`warmup` must be below the 9",
    "--batch-size 5000": "`batch_size` must be from 1 to 1077, got 5000",
    "--batch-size 63 --data-parallel": "must be a multiple of the",
    "--out full": "full is not empty",
    "--out full/file": "cannot be made",
    "--config none.toml": "none.toml cannot be read",
    "--resume full": "full holds no run",
    "--resume full --steps 3": "leave out --steps",
    "--resume full --out b": "leave out --out",
    "--resume": "expected one argument",
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_input_writes_nothing(line, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert go(*line.split()) == 2
    err = capsys.readouterr().err
    assert WRONG[line] in " ".join(err.replace("│", " ").split())
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "full"]


def ask_at(monkeypatch, place, number=signal.SIGTERM, times=1):
    """Send a signal at a place of the run: once, or twice at once."""
    sent = []

    def asking(real):
        def call(*args, **kwargs):
            if not sent:
                sent.append(1)
                for _ in range(times):
                    signal.raise_signal(number)
            return real(*args, **kwargs)

        return call

    owner, name = {
        "start": (train_plan, "plan"),
        "first weights": (Task, "init"),
        "compile": (Task, "train_loss"),
        "step": (training.Run, "take"),
        "evaluation": (Task, "score"),
        "save": (checkpoints, "_to_disk"),
    }[place]
    if place == "start":
        from jopt.experiments import train_run as owner
    monkeypatch.setattr(owner, name, asking(getattr(owner, name)))


STEPS = {"compile": 1, "step": 1, "evaluation": 4, "save": 5}


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("place", ["start", "first weights", *STEPS])
def test_sigterm_anywhere_ends_with_a_checkpoint(
    place, times, whole, monkeypatch, capsys
):
    with monkeypatch.context() as patch:
        ask_at(patch, place, times=times)
        assert go(*TINY, "--out", "run", "--quiet") == 143
    assert "go on by: jopt train --resume run" in capsys.readouterr().err
    assert checkpoints.steps_in("run/checkpoints")[-1] == STEPS.get(place, 0)
    assert go("--resume", "run", "--quiet") == 0
    assert log("run") == log(whole)


def test_ctrl_c_too_but_a_second_one_ends_it_at_once(monkeypatch, capsys):
    for times, says in [(1, "go on by"), (2, "interrupted")]:
        with monkeypatch.context() as patch:
            ask_at(patch, "step", signal.SIGINT, times)
            assert go(*TINY, "--out", f"run{times}", "--quiet") == 130
        assert says in capsys.readouterr().err


def test_a_run_that_fails_says_so_with_another_code(monkeypatch, capsys):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "_to_disk", full)
    assert go(*TINY, "--out", "run", "--quiet") == 1
    assert "No space left on device" in capsys.readouterr().err


def test_a_finished_run_resumes_to_itself(whole, capsys):
    before = log(whole)
    assert go("--resume", str(whole), "--quiet") == 0
    assert log(whole) == before


def process(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "jopt", "train", *words],
        env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        stderr=subprocess.PIPE,
        text=True,
    )


LONG = [
    "--optimizer",
    "adamw(3e-3)",
    "--steps",
    "200000",
    "--eval-every",
    "20",
    "--save-every",
    "1000000",
]


@pytest.mark.parametrize(
    ("number", "times", "code"),
    [
        (signal.SIGTERM, 1, 143),
        pytest.param(signal.SIGTERM, 2, 143, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 50, 143, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 1, 130, marks=pytest.mark.slow),
    ],
)
def test_a_process_that_is_asked_to_end(number, times, code):
    with process(*LONG, "--out", "run") as running:
        assert running.stderr.readline().startswith("step 20/")
        for _ in range(times):
            running.send_signal(number)
        assert running.wait(60) == code
    steps = checkpoints.steps_in("run/checkpoints")
    assert len(steps) == 1 and steps[0] >= 20
    assert json.loads(log("run").splitlines()[-1])["step"] <= steps[0]


@pytest.mark.slow
def test_a_process_killed_twenty_times_ends_as_one_that_never_was():
    words = [
        "--optimizer",
        "adamw(3e-3)",
        "--steps",
        "3000",
        "--save-every",
        "25",
        "--eval-every",
        "50",
        "--quiet",
    ]
    random, kills = np.random.default_rng(0), 0
    with process(*words, "--out", "whole") as running:
        assert running.wait(300) == 0
    folder = pathlib.Path("run")
    while True:
        resumed = (folder / "config.toml").exists()
        more = ["--resume", "run"] if resumed else [*words, "--out", "run"]
        if not resumed and folder.exists():
            folder.rmdir()
        with process(*more) as running:
            if kills < KILLS:
                wait_for_a_save(folder, running)
                running_time = random.uniform(0.0, 0.25)
                try:
                    running.wait(running_time)
                except subprocess.TimeoutExpired:
                    running.kill()
                    kills += 1
                    continue
            code = running.wait(300)
        assert code == 0
        break
    assert kills == KILLS
    assert log("run") == log("whole")
    ends = [
        json.loads((pathlib.Path(r) / "result.json").read_text())
        for r in ("run", "whole")
    ]
    assert ends[0]["test"] == ends[1]["test"]


def wait_for_a_save(folder, running):
    """Until the process has saved a step, or ended."""
    import time

    def newest():
        saved = folder / "checkpoints"
        return max(checkpoints.steps_in(saved), default=-1) if saved.exists() else -1

    first = newest()
    while running.poll() is None and newest() == first:
        time.sleep(0.01)


def test_help_tells_of_exit_codes(capsys):
    assert go("--help") == 0
    assert "143 after SIGTERM" in " ".join(capsys.readouterr().out.split())


def test_the_report_is_one_file_with_all_curves(whole):
    page = (whole / "report.html").read_text()
    for title in ("Loss", "Validation accuracy", "Learning rate", "Update ratios"):
        assert f"<b>{title}</b>" in page
    assert "<script" not in page and "http" not in page


def test_a_setting_of_python_is_checked_too():
    with pytest.raises(ConfigError, match="`steps` must be a whole number, got '3'"):
        TrainConfig(steps="3")  # pyright: ignore


def test_devices_are_more_than_one():
    assert jax.device_count() > 1  # or the test of `data_parallel` says little
