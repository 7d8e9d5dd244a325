"""The pages about the laws: the words are current, the table is readable."""

from pathlib import Path

import pytest

import jopt
from jopt.testing import check_schedule, check_transform, LAWS, store
from jopt.testing.__main__ import main
from jopt.testing.table import page
from jopt.testing.words import renewed, words

PAGE = Path(__file__).parents[1] / "docs" / "laws.md"


def test_the_laws_in_words_are_current():
    text = PAGE.read_text(encoding="utf-8")
    cure = "Run `python -m jopt.testing --words docs/laws.md`."
    assert renewed(text) == text, cure


def test_every_law_has_words():
    text = words()
    assert all(f"**{law.id}**: {law.statement[:20]}" in text for law in LAWS.values())


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="must have the lines"):
        renewed("# The laws")


@pytest.fixture(scope="module")
def table():
    rows = {
        "sgd": [check_transform(jopt.sgd(0.1), laws="P", tags=["complex"])],
        "some": [
            check_transform(jopt.scale(0.1), laws=["A4", "A5"], tags=["odd"]),
            check_transform(jopt.scale_by_sign(), laws=["A4", "A5"], tags=["odd"]),
        ],
        "ramp": [check_schedule(jopt.linear_schedule(0.0, 1.0, 5), laws=["S1"])],
    }
    return page(rows, [("some", "A6", "it reads the time")], 1.5)


def row(table, name):
    lines = [line for line in table.splitlines() if line.startswith(f"| `{name}`")]
    return [[cell.strip() for cell in line.split("|")[2:-1]] for line in lines]


def test_the_table_has_a_mark_for_each_law(table):
    assert row(table, "sgd")[0][:5] == ["✓"] * 5
    assert row(table, "ramp") == [["✓"] + ["skip"] * 8]


def test_the_table_tells_of_failures(table):
    assert "| **FAILS** |" in row_text(table, "some")
    assert "**1**" in table.split("## ")[0]


def test_the_table_gives_the_reason_of_a_skip(table):
    assert "- `some`, A6: it reads the time." in table


def row_text(table, name):
    return "\n".join(line for line in table.splitlines() if f"`{name}`" in line)


def test_the_command_prints_counts_and_writes_the_table(tmp_path, capsys):
    out = tmp_path / "table.md"
    status = main(["--only", "constant_schedule", "--table", str(out), "--jobs", "1"])
    assert status == 0
    assert "1 names, 2 configurations" in capsys.readouterr().out
    assert "| `constant_schedule` |" in out.read_text(encoding="utf-8")


def test_a_sweep_that_was_stopped_is_taken_up_again(tmp_path):
    file = tmp_path / "kept"
    report = check_transform(jopt.scale(0.1), laws=["A4", "A5"])
    store.add(file, "scale", [report])
    whole = file.read_text(encoding="utf-8")
    file.write_text(whole + whole[:-5], encoding="utf-8")
    assert store.read(file) == {"scale": [report]}


def test_names_that_passed_are_not_tried_again(tmp_path, capsys):
    file = tmp_path / "kept"
    for told in (["1/1 constant_schedule"], []):
        assert (
            main(["--only", "constant_schedule", "--keep", str(file), "--jobs=1"]) == 0
        )
        lines = capsys.readouterr().out.splitlines()
        assert [line for line in lines if line.startswith("1/")] == told
