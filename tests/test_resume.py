"""Law C1: a run saved and restored in a new process is the run itself, bit by bit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import jopt
from jopt.testing.subject import Subject
from tests.cases import TRANSFORMS
from tests.resume_run import CUT, STEPS, written

EVERYDAY = ("adam", "add_noise", "accumulate", "prodigy", "reduce_on_plateau")


def differences(names, folder):
    """The names of those that end otherwise in a new process."""
    rows, ends = {}, {}
    for name in names:
        case = TRANSFORMS[name][0]
        run = Subject(case.tx, case.needs, case.tags).run(
            Subject(case.tx).gradients(STEPS)
        )
        rows[name] = {
            "config": jopt.to_dict(case.tx),
            "needs": sorted(case.needs),
            "params": written(run.params[CUT - 1]),
            "state": written(run.states[CUT - 1]),
        }
        end = {"params": written(run.params[-1]), "state": written(run.states[-1])}
        ends[name] = json.loads(json.dumps(end))
    (folder / "run.json").write_text(json.dumps(rows), encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "tests.resume_run", str(folder)],
        cwd=Path(__file__).parents[1],
        check=True,
    )
    files = {name: folder / f"{name}.json" for name in names}
    found = {name: json.loads(f.read_text("utf-8")) for name, f in files.items()}
    return [name for name in names if found[name] != ends[name]]


def can_be_saved(name):
    case = TRANSFORMS[name][0]
    try:
        json.dumps(jopt.to_dict(case.tx))
    except (TypeError, ValueError):
        return False
    return case.like is None


def test_a_run_goes_on_in_a_new_process(tmp_path):
    assert differences(EVERYDAY, tmp_path) == []


@pytest.mark.slow
def test_every_run_goes_on_in_a_new_process(tmp_path):
    names = [name for name in sorted(TRANSFORMS) if can_be_saved(name)]
    assert len(names) > 0.8 * len(TRANSFORMS)
    assert differences(names, tmp_path) == []
