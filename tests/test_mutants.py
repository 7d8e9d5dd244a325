"""The seeded bugs: that they can be seeded, and that all are noticed."""

import shlex

import pytest

from tests import mutants
from tests.mutants_table import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_text_to_change_stands_there_once(mutant):
    text = (mutants.ROOT / mutant.file).read_text(encoding="utf-8")
    compile(mutants.mutated(text, mutant), mutant.file, "exec")


def test_names_are_unique():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_the_page_lists_every_bug():
    page = mutants.PAGE.read_text(encoding="utf-8")
    rows = [mutants.row(mutant, "").rsplit("|", 2)[0] for mutant in MUTANTS]
    assert [row for row in rows if row not in page] == []


def test_the_tests_that_are_to_notice_are_there():
    words = {word for mutant in MUTANTS for word in shlex.split(mutant.tests)}
    wanted = sorted(word for word in words if word.startswith("tests/"))
    code, output = mutants.pytest(mutants.ROOT, ["--collect-only", *wanted])
    assert code == mutants.PASSED, output[-2000:]


@pytest.mark.slow
def test_every_bug_is_noticed():
    assert [name for name, by in mutants.run(MUTANTS).items() if not by] == []
