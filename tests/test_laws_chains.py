"""Laws of random chains: stages that obey the laws must obey them together."""

import pytest
from hypothesis import given, settings

from jopt.testing import check_transform
from tests.case import Case
from tests.chains import chains, LAWS, ON_MESHES


def obeys(case: Case) -> None:
    # Each leaf draws its own noise; and of a matrix that the stage before has made
    # nearly singular the orthogonal factor is a matter of rounding.
    left = {"A3"} if case.tags else set()
    laws = [law for law in LAWS if law not in left]
    check_transform(case.tx, needs=case.needs, params=case.like, laws=laws).assert_ok()


@settings(derandomize=True, deadline=None, max_examples=8)
@given(chains())
def test_a_random_chain_obeys_the_laws(case):
    obeys(case)


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=80)
@given(chains())
def test_many_random_chains_obey_the_laws(case):
    obeys(case)


def obeys_on_a_mesh(case: Case) -> None:
    check_transform(case.tx, needs=case.needs, params=case.like, laws="D1").assert_ok()


@pytest.mark.multidevice
@settings(derandomize=True, deadline=None, max_examples=3)
@given(chains(ON_MESHES))
def test_a_random_chain_is_the_same_on_eight_devices(case):
    obeys_on_a_mesh(case)


@pytest.mark.slow
@pytest.mark.multidevice
@settings(derandomize=True, deadline=None, max_examples=40)
@given(chains(ON_MESHES))
def test_many_random_chains_are_the_same_on_eight_devices(case):
    obeys_on_a_mesh(case)
