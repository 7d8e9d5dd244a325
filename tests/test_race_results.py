"""What a race leaves: the file, the report, the figure, and going on with it."""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree

import jax.numpy as jnp
import numpy as np
import pytest

from jopt.experiments import race, RaceResult, report, results, svg, terminal, wording

X = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)


def loss(w, batch):
    return jnp.mean((batch @ (w - jnp.array([1.0, -1.0]))) ** 2)


def run(optimizers=("sgd", "adam"), data=X, **changes):
    settings = {"rates": [0.1, 1e30], "seeds": 2, "steps": 6, "batch_size": 8}
    settings |= {"optimizers": optimizers, "quiet": True, **changes}
    return race(loss, jnp.zeros(2), data, **settings)


@pytest.fixture(scope="module")
def result():
    return run(["sgd", "chain(clip_by_global_norm(1.0), adam)"])


@pytest.fixture
def folder(tmp_path):
    run(["sgd"], out=tmp_path / "out")
    return tmp_path / "out"


def test_file_is_strict_json(result):
    def refuse(constant):
        raise AssertionError(constant)

    text = json.dumps(result.to_dict(), allow_nan=False)
    record = json.loads(text, parse_constant=refuse)
    assert record["entries"][0]["valid"][1][0][-1] is None


def test_result_survives_the_file(result, tmp_path):
    result.save(tmp_path)
    loaded = RaceResult.load(tmp_path)
    assert loaded.to_dict() == result.to_dict()
    assert str(loaded) == str(result)


def test_file_has_settings_versions_and_every_curve(folder):
    record = json.loads((folder / "results.json").read_text())
    assert record["config"]["steps"] == 6
    assert {"python", "jax", "optax", "jopt", "device"} <= record["versions"].keys()
    entry = record["entries"][0]
    assert np.shape(entry["train"]) == (2, 2, 6)
    assert np.shape(entry["valid"]) == (2, 2, 7)


def test_write_replaces_in_one_piece(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(results.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        results.write(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": 2}', "\ud800"])
def test_damaged_file(tmp_path, text):
    (tmp_path / "results.json").write_bytes(text.encode("utf8", "surrogatepass"))
    with pytest.raises(ValueError, match="is damaged"):
        RaceResult.load(tmp_path)


def test_missing_file(tmp_path):
    with pytest.raises(ValueError, match=r"holds no readable results\.json"):
        RaceResult.load(tmp_path)


def test_resume_keeps_what_is_finished(folder):
    before = RaceResult.load(folder)
    after = run(["sgd", "adam"], out=folder, resume=True)
    assert [entry.name for entry in after.entries] == ["sgd", "adam"]
    assert after.entries[0].run_seconds == before.entries[0].run_seconds
    assert RaceResult.load(folder).complete


def test_resumed_race_equals_an_uninterrupted_one(folder):
    after = run(["sgd", "adam"], out=folder, resume=True)
    whole = run(["sgd", "adam"])
    for a, b in zip(after.entries, whole.entries, strict=True):
        np.testing.assert_array_equal(a.valid, b.valid)


def test_resume_runs_a_changed_optimizer_again(tmp_path):
    run({"mine": "sgd"}, out=tmp_path)
    after = run({"mine": "sgd(momentum=0.5)"}, out=tmp_path, resume=True)
    assert after.entries[0].chains[0] == "sgd(learning_rate=0.1, momentum=0.5)"


def test_resume_keeps_optimizers_that_are_not_named_again(folder):
    after = run(["adam"], out=folder, resume=True)
    assert [entry.name for entry in after.entries] == ["adam", "sgd"]


def test_resume_refuses_other_settings(folder):
    with pytest.raises(ValueError, match="other settings: steps was 6, now 8"):
        run(["sgd"], steps=8, out=folder, resume=True)


def test_resume_refuses_other_data(folder):
    with pytest.raises(ValueError, match="other settings: data was"):
        run(["sgd"], data=X + 1, out=folder, resume=True)


def test_resume_needs_a_race(tmp_path):
    with pytest.raises(ValueError, match=r"holds no results\.json to go on with"):
        run(out=tmp_path, resume=True)


def test_folder_with_anything_in_it_is_refused(tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(ValueError, match="is not empty"):
        run(out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_wrong_input_makes_no_folder(tmp_path):
    with pytest.raises(ValueError, match="`seeds`"):
        run(out=tmp_path / "new", seeds=0)
    assert not (tmp_path / "new").exists()


def test_report_is_self_contained(folder):
    page = (folder / "report.html").read_text("utf8")
    assert not re.search(r"<script|<link|src=|@import|url\(|https?://", page)


def test_report_is_well_formed(result):
    page = report.page(result).removeprefix("<!doctype html>\n")
    page = re.sub(r"<meta [^>]*>", "", page)
    root = ElementTree.fromstring(page)
    assert len(root.findall(".//article")) == 2
    assert len(root.findall(".//svg")) == 8  # 2 test scores, 2 charts, 2 x 2 small


def test_report_prints_every_chain(result):
    page = report.page(result)
    for row in result.leaderboard():
        assert f"<pre>{row.chain}</pre>" in page


def test_report_escapes_names():
    page = report.page(run({"<b>&": "sgd"}))
    assert "<b>&" not in page
    assert "&lt;b&gt;&amp;" in page


def test_report_of_nothing_but_divergence():
    lost = run(["sgd"], rates=[1e30, 1e31])
    assert "No optimizer finished without diverging." in report.page(lost)
    with pytest.raises(ValueError, match="No entrant finished"):
        lost.best()


def test_notebook_shows_the_leaderboard(result):
    shown = result._repr_html_()
    assert shown.count("<tr") == 3
    assert "<html" not in shown


def test_plot_draws_a_line_for_each_entrant(result):
    import matplotlib

    matplotlib.use("agg")
    figure = result.plot()
    assert [len(axes.lines) for axes in figure.axes] == [2, 4]


def test_plot_without_matplotlib_names_the_extra(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'jopt\[notebook\]'"):
        result.plot()


def test_table_has_a_row_for_each_entrant(result):
    lines = str(result).splitlines()
    assert lines[0] == "own loss: 2 optimizers x 2 rates x 2 seeds, 6 steps"
    assert lines[2].split() == [
        *("#", "optimizer", "best", "rate", "test", "loss", "steps", "to", "target"),
        *("robust", "B/param", "compile", "s", "run", "s"),
    ]
    assert sum("1/2" in line for line in lines) == 2


def test_rich_table_has_a_row_for_each_entrant(result):
    table = terminal.rich_table(result)
    assert (table.row_count, len(table.columns)) == (2, len(wording.HEADERS))


def test_text_for_a_stream_without_unicode():
    class Ascii:
        encoding = "ascii"

    assert terminal.plain("1 ± 2", Ascii()) == "1 +- 2"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.4, "4 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s"), (4200, "1 h 10 min")],
)
def test_duration(seconds, text):
    assert wording.duration(seconds) == text


def test_unknown_entrant_is_told():
    with pytest.raises(KeyError, match="No entrant is named `lion`"):
        run(["sgd"]).entry("lion")


@pytest.mark.parametrize("make", [svg.linear, svg.log, svg.accuracy])
@pytest.mark.parametrize("values", [[], [0.5], [0.2, 0.9], [float("nan"), 0.3]])
def test_scales_take_any_values(make, values):
    scale = make(values)
    assert scale.low < scale.high
    assert all(0.0 <= scale.at(tick) <= 1.0 for tick, _ in scale.ticks)


def test_log_ticks_are_powers_of_ten():
    assert [text for _, text in svg.log([1e-4, 1e-1]).ticks] == [
        *("0.0001", "0.001", "0.01", "0.1")
    ]
