"""The command line: what it prints, writes and returns."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

import jopt
from jopt.experiments import cli, outdir

ROOT = pathlib.Path(jopt.__file__).parent.parent
TINY = ["--rates", "0.003,0.03", "--seeds", "2", "--steps", "10"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JOPT_DATA", raising=False)


def test_race_prints_a_table_and_writes_two_files(tmp_path, capsys):
    assert cli.main(["race", *TINY, "--optimizers", "adamw,sgd", "--out", "o"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("task digits, model mlp: 2 optimizers x 2 rates x 2 seeds")
    assert out.endswith("o/report.html\no/results.json\n")
    assert "[2/2] sgd" in err
    assert {path.name for path in (tmp_path / "o").iterdir()} == {
        "results.json",
        "report.html",
    }


def test_quiet_race_prints_nothing_and_numbers_its_folder(tmp_path, capsys):
    for _ in range(2):
        assert cli.main(["race", *TINY, "--optimizers", "sgd", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert {path.name for path in tmp_path.iterdir()} == {
        "race-digits-mlp",
        "race-digits-mlp-2",
    }


def test_same_command_gives_the_same_numbers(tmp_path):
    def numbers(out):
        cli.main(["race", *TINY, "--optimizers", "sgd", "--quiet", "--out", out])
        record = json.loads((tmp_path / out / "results.json").read_text())
        return [record["entries"][0][key] for key in ("train", "valid", "test")]

    assert numbers("a") == numbers("b")


def test_chain_from_text(tmp_path):
    text = "chain(clip_by_global_norm(1.0), adamw(b2=0.95)),sgd"
    assert cli.main(["race", *TINY, "--optimizers", text, "--quiet", "--out", "o"]) == 0
    record = json.loads((tmp_path / "o" / "results.json").read_text())
    assert record["entries"][0]["chains"][0] == (
        "chain(clip_by_global_norm(max_norm=1.0), adamw(learning_rate=0.003, b2=0.95))"
    )


WRONG = {
    "": "jopt: the following arguments are required: command",
    "race --optimizers adamq": "Nothing is named `adamq`. Did you mean `adam`?",
    "race --optimizers adamw,": "--optimizers has an empty item",
    "race --optimizers adamw(b1=2)": "`b1` must lie in [0, 1), got 2",
    "race --optimizers adamw(rate=2)": "`adamw` has no argument `rate`",
    "race --optimizers open('x')": "Nothing is named `open`",
    "race --optimizers adamw.x": "must be a name or a call",
    "race --optimizers clip(1.0)": "exactly one `learning_rate`",
    "race --optimisers adamw": "unknown option --optimisers. Did you mean --opt",
    "race --optim adamw": "unknown option --optim. Did you mean --optimizers?",
    "race adamw": "unexpected argument 'adamw'",
    "race --task digit": "--task: Nothing is named `digit`. Did you mean `digits`?",
    "race --task own": "--task: Nothing is named `own`",
    "race --model cnvnet": "--model: Nothing is named `cnvnet`. Did you mean `conv",
    "race --rates 0": "--rates must be at least 1, got 0",
    "race --rates 0.1,0": "--rates must be positive and finite, got 0",
    "race --rates=-0.1,1": "--rates must be positive and finite, got -0.1",
    "race --rates inf,1": "--rates must be positive and finite, got inf",
    "race --rates x": "--rates must be a number, got 'x'",
    "race --seeds 0": "--seeds must be at least 1, got 0",
    "race --seeds two": "--seeds must be a whole number, got 'two'",
    "race --seed=-1": "--seed must be at least 0, got -1",
    "race --steps 0": "--steps must be at least 1, got 0",
    "race --batch 0": "--batch must be at least 1, got 0",
    "race --batch-size 2000": "--batch-size must be at most 1077, the rows, got 2000",
    "race --target x": "--target must be a number, got 'x'",
    "race --out full": "--out: full is not empty; name another folder, or empty it",
    "race --out full/file": "--out: full/file is a file; name a folder",
    "race --out full/file/x": "is a file",
    "race --resume": "--resume needs --out DIR",
    "race --resume --out full": "--resume: full holds no results.json to go on with",
    "race --task tinyimagenet10": "give --data DIR or set JOPT_DATA",
    "race --task tinyimagenet10 --data full": "No such file or directory",
    "race --task images": "give --data DIR",
    "race --task images --data none": "No such file or directory",
    "race --task": "expected one argument",
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_input_is_one_line_and_writes_nothing(line, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert cli.main(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("jopt") and err.count("\n") == 1
    assert WRONG[line] in err
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "full"]


def test_unwritable_folder(tmp_path, capsys, monkeypatch):
    def refuse(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(outdir.tempfile, "TemporaryFile", refuse)
    (tmp_path / "locked").mkdir()
    assert cli.main(["race", "--out", "locked/new"]) == 2
    assert "locked: Permission denied" in capsys.readouterr().err
    assert not (tmp_path / "locked" / "new").exists()


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"jopt {jopt.__version__}\n"


def test_help_names_every_option(capsys):
    assert cli.main(["race", "--help"]) == 0
    shown = capsys.readouterr().out
    for option in ("task", "model", "optimizers", "rates", "seeds", "steps", "out"):
        assert f"--{option}" in shown


def command(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "jopt", *arguments],
        cwd=os.getcwd(),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_module_runs_as_a_command():
    with command("race", *TINY, "--optimizers", "sgd", "--out", "o") as process:
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert out.endswith("o/report.html\no/results.json\n")


@pytest.mark.slow
def test_interrupt_writes_what_is_finished_and_says_how_to_resume(tmp_path):
    options = ["--rates", "2", "--seeds", "1", "--out", "o"]
    line = ["race", "--optimizers", "sgd,muon", *options, "--steps", "40000"]
    with command(*line) as process:
        file = tmp_path / "o" / "results.json"
        deadline = time.monotonic() + 120
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "1 of 2 optimizers finished" in err
    assert err.endswith(f"Go on with: python -m jopt {' '.join(line)} --resume\n")
    assert "Traceback" not in err
    assert json.loads(file.read_text())["complete"] is False
    assert (tmp_path / "o" / "report.html").exists()
