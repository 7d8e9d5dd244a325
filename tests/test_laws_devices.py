"""The laws of devices: over the catalogue, on eight devices and in two processes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import jopt
from jopt.testing import check_transform, LAWS
from jopt.testing.devices import collectives
from tests.cases import TRANSFORMS
from tests.devices_breaches import BREACHES, IN_PROCESSES
from tests.devices_run import PROCESSES

ON_A_MESH = ["D1", "D2", "D4", "D6"]
NEWEST = ("adam", "lamb", "muon")  # tried on every version of JAX
EVERYDAY = (
    "accumulate",
    "adafactor",
    "add_noise",
    "apply_if_finite",
    "clip_by_global_norm",
    "dynamic_loss_scale",
    "expose",
    "foreign",
    "kahan",
    "lars",
    "lookahead",
    "master_weights",
    "partition",
    "prodigy",
    "round_stochastically",
    "schedule_free_adamw",
    "set_to_zero",
)
IN_TWO = ("add_noise", "lamb")


def check(case, full=False):
    return check_transform(
        case.tx,
        needs=case.needs,
        tags=case.tags,
        params=case.like,
        full=full,
        laws=[law for law in ON_A_MESH if law not in case.skips],
    )


@pytest.mark.multidevice
@pytest.mark.parametrize(
    "name", [*(pytest.param(n, marks=pytest.mark.smoke) for n in NEWEST), *EVERYDAY]
)
def test_transform_is_the_same_on_eight_devices(name):
    check(TRANSFORMS[name][0]).assert_ok()


@pytest.mark.slow
@pytest.mark.multidevice
@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_every_configuration_is_the_same_on_eight_devices(name):
    every, (first, *_) = TRANSFORMS[name], TRANSFORMS[name]
    for case in every:
        check(case, full=case is first).assert_ok()  # the first, in every layout


def in_processes(names, timeout):
    """The verdicts on law D3 of two processes, by name."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    own = {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(8 // PROCESSES)}
    env = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"} | own
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.devices_run", port, str(process), *names],
            cwd=Path(__file__).parents[1],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for process in range(PROCESSES)
    ]
    try:
        ended = [run.communicate(timeout=timeout) for run in runs]
    finally:
        for run in runs:
            run.kill()
    for run, (_, errors) in zip(runs, ended, strict=True):
        assert run.returncode == 0, errors[-3000:]
    lines = ([x for x in out.splitlines() if x[:1] == "{"] for out, _ in ended)
    found = [list(map(json.loads, own)) for own in lines]  # Gloo prints as well
    return {
        name: [(row["verdict"], row["witness"]) for row in rows]
        for name, *rows in zip(names, *found, strict=True)
    }


def test_two_processes_are_one():
    verdicts = in_processes([*IN_TWO, *IN_PROCESSES], timeout=300)
    broken = verdicts.pop("D3")
    assert "FAILS" in [verdict for verdict, _ in broken]
    assert verdicts == dict.fromkeys(IN_TWO, [("holds", "")] * PROCESSES)


@pytest.mark.slow
def test_two_processes_are_one_for_everything():
    names = [n for n, cases in TRANSFORMS.items() if "D3" not in cases[0].skips]
    verdicts = in_processes(names, timeout=3000)
    assert verdicts == dict.fromkeys(names, [("holds", "")] * PROCESSES)


@pytest.mark.multidevice
@pytest.mark.parametrize("law", sorted(BREACHES))
def test_a_breach_is_found(law):
    with jax.numpy_dtype_promotion("standard"):
        report = check_transform(BREACHES[law], laws=[law])
    assert [v.law.id for v in report.failures] == [law]
    assert "Error: " not in report[law].witness, report


def test_every_law_of_devices_has_a_witness():
    assert {id for id in LAWS if id[0] == "D"} == {*BREACHES, *IN_PROCESSES}


def test_too_few_devices_are_told(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    report = check_transform(jopt.sgd(0.1), laws="D")
    assert {v.verdict for v in report} == {"does not apply"}
    assert "needs 8 devices, there are 1: set" in report["D1"].witness
    assert "needs 2 processes" in report["D3"].witness


def test_communications_are_found_in_a_program():
    program = (
        "  %a = f32[8,4]{1,0} all-gather(%x), dimensions={0}\n"
        "  %b = (f32[], s32[]) all-reduce(%y, %z), to_apply=%add\n"
        "  %c = f32[8]{0} add(%p, %q)\n"
    )
    assert collectives(program) == [
        ("all-gather", "f32[8,4]{1,0}"),
        ("all-reduce", "(f32[], s32[])"),
    ]
