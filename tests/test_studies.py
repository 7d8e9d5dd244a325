"""Studies: statistics, verdicts, what is written, and every study in its quick mode."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from benchmarks import studies as pages
from jopt.experiments import cli, studies
from jopt.experiments.studies import Check, Findings, statistics, Study, Table
from jopt.experiments.studies.statistics import Interval
from jopt.experiments.studies.study import verdict
from jopt.experiments.studies.sweep import epochs

VALUES = np.array([0.91, 0.95, 0.93, 0.97, 0.90])
OTHERS = np.array([0.90, 0.93, 0.92, 0.95, 0.91])
EVERYDAY = ("learning_rate",)


def check(low, high, margin=0.0):
    return Check("More is more.", Interval((low + high) / 2, low, high, 5), margin)


def test_interval_is_students():
    found = statistics.interval(VALUES)
    theirs = stats.t.interval(0.95, 4, VALUES.mean(), stats.sem(VALUES))
    assert found[:3] == pytest.approx((VALUES.mean(), *theirs), rel=1e-9)


def test_difference_is_that_of_the_paired_test():
    found = statistics.difference(VALUES, OTHERS)
    theirs = stats.ttest_rel(VALUES, OTHERS).confidence_interval(0.95)
    assert found[1:3] == pytest.approx((theirs.low, theirs.high), rel=1e-9)


def test_log_ratio_counts_powers_of_ten():
    found = statistics.log_ratio([1.0, 20.0], [0.01, 0.2])
    assert found[:3] == pytest.approx((2.0, 2.0, 2.0))


def test_one_seed_says_nothing_of_the_spread():
    assert statistics.interval([1.0]) == (1.0, -math.inf, math.inf, 1)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_value_that_is_not_finite_decides_nothing(bad):
    found = statistics.interval([1.0, bad])
    assert str(found) == "diverged"
    assert not Check("It is more.", found).holds


def test_unpaired_runs_are_an_error():
    with pytest.raises(ValueError, match="`a` and `b` must be paired"):
        statistics.difference([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("one", "outcome"),
    [
        (check(0.1, 0.3), "holds"),
        (check(-0.1, 0.3), "not shown"),
        (check(-0.3, -0.1), "fails"),
        (check(-0.01, 0.3, margin=-0.02), "holds"),
        (check(0.1, 0.3, margin=0.2), "not shown"),
    ],
)
def test_outcome_of_a_statement(one, outcome):
    assert one.outcome == outcome
    assert one.holds == (outcome == "holds")


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ((1, 1), "holds"),
        ((1, -1), "holds partly"),
        ((-1, 0), "does not hold"),
    ],
)
def test_verdict_counts_the_statements_that_hold(signs, expected):
    assert verdict([check(s - 0.5, s + 0.5) for s in signs]) == expected


def test_a_claim_without_statements_is_an_error():
    with pytest.raises(ValueError, match="`checks` is empty"):
        verdict([])


def test_numbers_are_shown_to_what_is_known():
    assert str(Interval(0.97654, 0.96, 0.99, 5)) == "0.977 [0.960, 0.990]"


def test_epochs_show_every_row_once():
    order = epochs(rows=12, batch_size=4, steps=6, seeds=2)
    assert order.shape == (2, 6, 4)
    assert [sorted(half.ravel().tolist()) for half in np.split(order[1], 2)] == (
        [list(range(12))] * 2
    )


def test_names_are_those_of_the_studies():
    for name in studies.NAMES:
        assert studies.load(name).name == name


def made_up():
    def draw():
        from matplotlib.figure import Figure

        return Figure(figsize=(1, 1))

    found = Interval(0.2, 0.1, 0.3, 3)
    table = Table("Scores", ("", "score"), (("a|b", found), ("c", math.inf)))
    return Findings((table,), (check(0.1, 0.3),), "So it is.", draw, "Made up.")


def test_saving_writes_three_files(tmp_path):
    study = Study("made_up", "More is more.", lambda quick: made_up())
    paths = study.save(study.run(), tmp_path / "new", seconds=1.0)
    record = json.loads(paths[0].read_text())
    assert record["verdict"] == "holds"
    assert record["tables"][0]["rows"][1] == ["c", None]
    assert "| a\\|b | 0.20 [0.10, 0.30] |" in paths[1].read_text()
    assert paths[2].read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", studies.NAMES)
def test_study_was_run_in_full_and_stored(name):
    record = json.loads(pages.stored(name).read_text(encoding="utf-8"))
    checks = [
        Check(c["statement"], _interval(c["found"]), c["margin"])
        for c in record["checks"]
    ]
    assert record["claim"] == studies.load(name).claim
    assert record["verdict"] == verdict(checks)
    assert pages.picture(name).stat().st_size < 100_000


def _interval(found):
    ends = [math.nan if found[k] is None else found[k] for k in ("mean", "low", "high")]
    return Interval(*ends, found["seeds"])


def test_pages_and_notebooks_are_up_to_date():
    stale = [
        path.name
        for path, text in pages.files()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    assert stale == [], "run `python -m benchmarks.studies --pages`"


def test_there_is_a_notebook_a_study_and_no_other():
    found = {path.stem for path in pages.NOTEBOOKS.glob("*.ipynb")}
    assert found == set(studies.NAMES)


def test_list_has_a_line_a_study(capsys):
    assert cli.main(["study", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(studies.NAMES)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lerning_rate"], "Did you mean `learning_rate`?"),
        ([], "NAME is missing; `jopt study --list` names all."),
        (["learning_rate", "--quik"], "Did you mean --quick?"),
    ],
)
def test_wrong_input_is_one_line(words, message, capsys):
    assert cli.main(["study", *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith("jopt study: ")
    assert message in err
    assert err.count("\n") == 1


QUICK_RUNS = [
    pytest.param(name, marks=[] if name in EVERYDAY else [pytest.mark.slow])
    for name in studies.NAMES
]


@pytest.mark.parametrize("name", QUICK_RUNS)
def test_quick_run_writes_its_findings(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["study", name, "--quick"]) == 0
    assert "A quick run: too small to judge the claim by." in capsys.readouterr().out
    folder = tmp_path / f"study-{name}"
    assert json.loads((folder / "findings.json").read_text())["quick"] is True
    assert (folder / "figure.png").stat().st_size < 200_000
