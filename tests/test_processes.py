"""Two processes train one model; one that is lost or asked to end ends both."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from jopt.experiments import checkpoints
from jopt.experiments.training import train
from tests.test_training import BATCHES, EVERYTHING, first, loss, score
from tests.training_processes import PROCESSES

pytestmark = pytest.mark.slow


def begin(folder, steps):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    own = {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(8 // PROCESSES)}
    env = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"} | own
    words = [sys.executable, "-m", "tests.training_processes", port]
    return [
        subprocess.Popen(
            [*words, str(process), str(folder), str(steps)],
            cwd=pathlib.Path(__file__).parents[1],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # XLA says much when it ends
            text=True,
        )
        for process in range(PROCESSES)
    ]


def until_step(run, step):
    """Read what it prints until it takes a step."""
    for line in run.stdout:
        if line.strip().isdigit() and int(line) >= step:
            return
    raise AssertionError("it ended before")


def ends(runs, timeout=120):
    """The exit codes, and what was printed last."""
    try:
        out = [run.communicate(timeout=timeout)[0] for run in runs]
    finally:
        for run in runs:
            run.kill()
    said = [[x for x in text.splitlines() if x[:1] == "{"] for text in out]
    return [run.returncode for run in runs], [json.loads(x[-1]) for x in said if x]


def assert_same(log, other):
    assert [line["step"] for line in log] == [line["step"] for line in other]
    for name in ("loss", "value"):
        ours, theirs = ([x[name] for x in each if name in x] for each in (log, other))
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.fixture(scope="module")
def alone():
    more = {"evaluate": score, "eval_every": 9}
    return train(loss, first(), EVERYTHING, BATCHES, 60, **more).log


def test_two_processes_find_what_one_does(tmp_path, alone):
    codes, said = ends(begin(tmp_path / "run", 60))
    assert codes == [0, 0]
    for each in said:
        assert_same(each["log"], alone)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == said[0]["log"]


@pytest.mark.parametrize("lost", range(PROCESSES))
def test_without_one_the_other_ends_and_no_step_is_lost(tmp_path, lost):
    folder = tmp_path / "run"
    runs = begin(folder, 1_000_000)
    until_step(runs[lost], 25)
    start = time.monotonic()
    runs[lost].kill()
    codes, _ = ends(runs)
    assert time.monotonic() - start < 60
    assert codes[1 - lost] != 0
    assert checkpoints.steps_in(folder / "checkpoints")[-1] >= 20


def test_a_lost_run_goes_on_as_if_nothing_had_been(tmp_path, alone):
    folder = tmp_path / "run"
    codes, _ = ends(begin(folder, 40))
    assert codes == [0, 0]
    codes, said = ends(begin(folder, 60))
    assert codes == [0, 0]
    log = [line for line in said[0]["log"] if line.get("step") != 40 or "loss" in line]
    assert_same(log, [x for x in alone if x["step"] != 40 or "loss" in x])


def test_one_that_is_asked_to_end_ends_both(tmp_path):
    runs = begin(tmp_path / "run", 1_000_000)
    until_step(runs[1], 15)
    runs[1].send_signal(signal.SIGTERM)
    codes, said = ends(runs)
    assert codes == [0, 0]
    assert [each["stopped"] for each in said] == ["signal", "signal"]
