"""Law C1: a state restored in a new process goes on as if nothing had been."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jopt
from tests.case import FADING, RATE
from tests.cases import OPTIMIZERS, WRAPPERS
from tests.resume_elsewhere import leave, load

ROOT = Path(__file__).parents[1]
FEW = {
    "adam": jopt.adam(FADING),
    "noise": jopt.chain(jopt.add_noise(0.1, 0.5, key=0), jopt.sgd(RATE)),
    "lookahead": jopt.lookahead(jopt.adam(RATE), sync_period=2),
    "exposed": jopt.expose(jopt.sgd(FADING, momentum=0.9)),
}


def resumed(folder, runs):
    """The ends of some runs, made here and made in a new process."""
    here = {name: leave(folder, name, *run) for name, run in runs.items()}
    command = [sys.executable, "-W", "ignore", "-m", "tests.resume_elsewhere"]
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    subprocess.run([*command, str(folder)], cwd=ROOT, env=environment, check=True)
    return {name: (here[name], load(folder / f"{name}.end.npz")) for name in runs}


def assert_same_bits(ours, theirs):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    runs = {name: (tx, ["params"]) for name, tx in FEW.items()}
    return resumed(tmp_path_factory.mktemp("few"), runs)


@pytest.mark.parametrize("name", sorted(FEW))
def test_a_new_process_resumes_bit_by_bit(few, name):
    assert_same_bits(*few[name])


@pytest.mark.slow
def test_a_new_process_resumes_every_optimizer_and_wrapper(tmp_path):
    runs = {}
    for name, cases in (OPTIMIZERS | WRAPPERS).items():
        try:
            jopt.to_dict(cases[0].tx)
        except (TypeError, ValueError):
            continue  # it holds a function, which no file can
        runs[name] = (cases[0].tx, cases[0].needs)
    assert len(runs) > len(OPTIMIZERS) // 2
    for ours, theirs in resumed(tmp_path, runs).values():
        assert_same_bits(ours, theirs)
