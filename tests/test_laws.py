"""The laws over the whole catalogue."""

import zlib

import pytest

from jopt._core import registry
from jopt._core.types import Child
from jopt.testing import check_schedule, LAWS
from jopt.testing.law import chosen
from tests.case import check
from tests.cases import OPTIMIZERS, SCHEDULE_SKIPS, SCHEDULES, TRANSFORMS

# The laws that take long. Each is tried every day on a twelfth of the names, each name
# with one of them; the sweep of all configurations has the rest.
LONG = ["A1", "A9", "A10", "N1", "N6", "N8", "P5", "P6", "P7", "P9", "W1", "W4"]

# A fault of the core shows in these: they are tried with all laws.
WHOLE = {"adam", "adamw", "chain", "sgd"}

# Steps with loops or decompositions take so long that a day has the short laws alone.
HEAVY = {
    *("constraints", "curvature", "interop", "nonsmooth", "objectives"),
    "second_order",
}

# the laws of a step that is compiled once: for stages, whose optimizers have all
SHORT = [
    *("P1", "P2", "P3", "P4", "P12", "P13", "N4", "N9", "N11"),
    *("A2", "A4", "A5", "A6", "A7", "A8", "A15", "A16", "C2"),
]


def factories(tx) -> set[str]:
    inner = [child for _, child in tx.spec.children()]
    return {tx.spec.name}.union(*map(factories, inner))


def is_stage(name: str) -> bool:
    """Whether it is neither an optimizer nor takes other transforms."""
    factory = registry.get(name).factory
    takes = [type(mark) for mark in factory.marks.values()]
    return factory.kind == "transform" and Child not in takes


def parts(tx) -> set[str]:
    """The factories of an optimizer's stages, or of those of a wrapper."""
    return factories(tx.spec.built if tx.spec.factory.kind == "optimizer" else tx)


PARTS = set().union(*(parts(cases[0].tx) for cases in OPTIMIZERS.values()))
WITHIN = {name for name in PARTS & TRANSFORMS.keys() if is_stage(name)}


def daily(name: str) -> list[str]:
    """The laws that a name is tried with every day."""
    package = registry.get(name).factory.function.__module__.split(".")[1]
    if package in HEAVY:
        return SHORT
    turn = LONG[zlib.crc32(name.encode()) % len(LONG)]
    late = set() if name in WHOLE else set(LONG) - {turn}
    return [law.id for law in chosen(None) if law.id not in late]


@pytest.mark.parametrize("name", sorted(TRANSFORMS.keys() - WITHIN))
def test_transform_obeys_the_laws(name):
    check(TRANSFORMS[name][0], laws=daily(name)).assert_ok()


def test_every_law_is_tried_every_day():
    names = [daily(name) for name in TRANSFORMS.keys() - WITHIN]
    for law in chosen(None):
        assert sum(law.id in laws for laws in names) > len(names) // 20


def is_own(name: str) -> bool:
    """Whether it is the rule of one optimizer, which is tried with all laws."""
    return name.startswith("scale_by_") and name != "scale_by_learning_rate"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if is_own(name) else ())
        for name in sorted(WITHIN)
    ],
)
def test_stage_of_an_optimizer_obeys_the_short_laws(name):
    """All laws are tried on the optimizer, and on the stage by the slow sweep."""
    check(TRANSFORMS[name][0], laws=SHORT).assert_ok()


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_schedule_obeys_the_laws(name):
    skips = SCHEDULE_SKIPS.get(name, {})
    wanted = [law.id for law in chosen(None, "schedule") if law.id not in skips]
    for schedule in SCHEDULES[name]:
        check_schedule(schedule, laws=wanted).assert_ok()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_every_configuration_obeys_the_laws(name):
    for case in TRANSFORMS[name]:
        check(case, full=True).assert_ok()


def test_everything_registered_has_a_record():
    known = set(TRANSFORMS) | set(SCHEDULES)
    ours = {f.name for f in registry.entries() if is_jopt(f)}
    assert ours == known


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_a_record_has_configurations_enough(name):
    cases = TRANSFORMS[name]
    takes = registry.get(name).factory.signature.parameters
    least = 5 if name in OPTIMIZERS else 2 if takes else 1
    assert len({repr(case.tx) for case in cases}) >= least


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_a_record_is_of_what_it_says(name):
    assert all(name in factories(case.tx) for case in TRANSFORMS[name])


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_a_schedule_record_is_of_what_it_says(name):
    assert all(schedule.spec.name == name for schedule in SCHEDULES[name])


def test_few_checks_are_skipped():
    cases = [case for cases in TRANSFORMS.values() for case in cases]
    skips = sum(len(case.skips) for case in cases)
    skips += sum(len(laws) for laws in SCHEDULE_SKIPS.values())
    assert skips <= 0.02 * len(cases) * len(LAWS)


def test_every_skip_has_a_reason():
    every = [case.skips for cases in TRANSFORMS.values() for case in cases]
    every += SCHEDULE_SKIPS.values()
    assert all(
        law in LAWS and reason for skips in every for law, reason in skips.items()
    )


def is_jopt(factory) -> bool:
    return factory.function.__module__.startswith("jopt.")
