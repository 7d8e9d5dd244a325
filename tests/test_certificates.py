"""Every optimizer and schedule against its source: stored runs, and live ones.

The records are in tests/certificates; `python -m tests.certificates.make` makes the
stored runs and docs/certificates.md.
"""

import numpy as np
import optax
import pytest

import jopt
from jopt._core import registry
from tests.certificates import catalogue, packages, peers, schedules, stored
from tests.certificates.page import shown
from tests.references.problem import PROBLEMS, relative_error, trajectory

BOUND = 1e-9
DECAYS = {"weight_decay", "weight_decay_rate"}
DATA = stored.read(stored.OPTIMIZERS)
VALUES = stored.read(stored.SCHEDULES)["values"]
KNOWN = {c.id: c for c in catalogue.CERTIFICATES}

ids = pytest.mark.parametrize
packaged = ids("certificate", catalogue.PACKAGED, ids=lambda c: c.id)
scheduled = ids("certificate", schedules.SCHEDULES, ids=lambda c: c.id)


def source_of(certificate):
    if certificate.transcription:
        return stored.kept(certificate.transcribed())
    run = DATA["runs"][certificate.id]["path"]
    return stored.unpacked(run, certificate.start()[0])


def values_of(certificate):
    """All values of the source, or those of a package that are stored."""
    if certificate.curve:
        return certificate.transcribed()
    like = np.zeros(len(certificate.kept))
    return stored.unpacked(VALUES[certificate.id], like)[0]


def schedule_error(certificate, values):
    kept = slice(None) if certificate.curve else certificate.kept
    return schedules.schedule_error(values[kept], values_of(certificate))


def error(certificate, path):
    first, grads = certificate.start()
    more = {"extra": certificate.extra, "read": certificate.read}
    ours, _ = trajectory(certificate.tx, first, grads, **more)
    return relative_error(stored.kept(ours), path, first)


@packaged
def test_equals_the_stored_run_of_the_package(certificate):
    assert error(certificate, source_of(certificate)) < BOUND


def daily(certificates):
    """The first and last setting of each optimizer; the slow tests have the rest."""
    own = {}
    for certificate in certificates:
        own.setdefault(certificate.optimizer, []).append(certificate.id)
    ends = {id for every in own.values() for id in (every[0], every[-1])}
    for c in certificates:
        marks = () if c.id in ends else pytest.mark.slow
        yield pytest.param(c, marks=marks, id=c.id)


@ids("certificate", list(daily(catalogue.EXTRA)))
def test_equals_the_transcription(certificate):
    assert error(certificate, source_of(certificate)) < BOUND


@scheduled
def test_schedule_equals_its_source(certificate):
    assert schedule_error(certificate, certificate.values()) < BOUND


def test_a_decay_rate_that_is_off_by_a_ten_thousandth_is_noticed():
    certificate = KNOWN["adam-0"]._replace(tx=jopt.adam(0.1, b1=0.9001))
    assert error(certificate, source_of(certificate)) > 1e5 * BOUND


@ids("name", jopt.list_optimizers())
def test_every_optimizer_has_three_certificates(name):
    own = [c for c in catalogue.CERTIFICATES if c.optimizer == name]
    assert len(own) >= 3
    assert all(len(c.start()[1]) >= 8 for c in own)


@ids("name", jopt.list_optimizers())
def test_every_optimizer_is_certified_with_a_schedule_and_a_decay(name):
    calls = [repr(c.tx) for c in catalogue.CERTIFICATES if c.optimizer == name]
    assert any(repr(catalogue.RAMP) in call for call in calls)
    takes = set(registry.get(name).factory.signature.parameters) & DECAYS
    assert not takes or any(f"{word}=" in call for call in calls for word in DECAYS)


@ids("name", [made.name for made in registry.entries("schedule")])
def test_every_schedule_has_three_certificates(name):
    if name in OWN_SCHEDULES:
        pytest.skip("registered by another test")
    assert len([c for c in schedules.SCHEDULES if c.schedule == name]) >= 3


OWN_SCHEDULES = {
    made.name
    for made in registry.entries("schedule")
    if not made.function.__module__.startswith("jopt.")
}


def test_what_is_stored_is_what_is_certified():
    assert set(DATA["runs"]) == {c.id for c in catalogue.PACKAGED}
    assert set(VALUES) == {c.id for c in schedules.PACKAGED}


@ids("name", ["vector", "tree"])
def test_the_stored_problem_is_the_one_of_the_code(name):
    first, grads = DATA["problems"][name]
    problem = PROBLEMS[name]()
    path = [stored.arrays(tree) for tree in [first, *grads]]
    assert relative_error(path, [problem[0], *problem[1]], problem[0]) < 1e-12


def test_the_stored_runs_are_small():
    files = stored.FOLDER.iterdir()
    assert sum(file.stat().st_size for file in files) < 300_000
    assert stored.SCHEDULES.stat().st_size < 60_000


def test_the_page_lists_every_certificate():
    page = stored.PAGE.read_text()
    calls = [shown(c.tx) for c in catalogue.CERTIFICATES]
    calls += [repr(c.made) for c in schedules.SCHEDULES]
    assert [call for call in calls if f"| `{call}` |" not in page] == []


told = pytest.mark.skipif(
    optax.__version__ != peers.MEASURED, reason=f"told of optax {peers.MEASURED}"
)


@told
def test_schedules_of_optax_are_where_the_page_says_so():
    errors = {}
    for c in schedules.SCHEDULES:
        theirs = schedules.optax_values(c)
        if theirs is not None:
            errors[c.id] = schedule_error(c, theirs)
    off = {name: size for name, size in errors.items() if not size < BOUND}
    assert set(off) == {"polynomial_schedule-2", "polynomial_schedule-6"}
    assert np.isnan(list(off.values())).all()


@told
@ids("peer", peers.PEERS, ids=lambda peer: peer.certificate)
def test_optax_differs_where_the_page_says_so(peer):
    certificate = KNOWN[peer.certificate]
    size = peer.error(source_of(certificate), certificate)
    assert size < peer.bound if peer.bound else size > 1e-5


# -- with the packages ---------------------------------------------------------------


def need(source):
    if not packages.installed(source):
        pytest.skip(f"needs {source}")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@packaged
def test_equals_the_live_package(certificate):
    need(certificate.source)
    live = stored.kept(packages.run(certificate)["path"])
    assert relative_error(live, source_of(certificate), certificate.start()[0]) < 1e-12
    assert error(certificate, live) < BOUND


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@ids("certificate", schedules.PACKAGED, ids=lambda c: c.id)
def test_schedule_equals_the_live_package(certificate):
    need(certificate.source)
    from tests.certificates import schedule_packages

    live = schedule_packages.run(certificate)
    kept = live[certificate.kept]
    assert schedules.schedule_error(values_of(certificate), kept) < 1e-12
    assert schedules.schedule_error(certificate.values(), live) < BOUND


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@ids("case", peers.UNSOUND, ids=lambda case: case.source)
def test_what_is_no_reference_differs_from_the_paper(case):
    need(case.source)
    assert case.error(packages.run(case.certificate())["path"]) > 1e-3
