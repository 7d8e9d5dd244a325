"""The harness of the laws: choosing them, reporting, and the pytest mark."""

import jax
import jax.numpy as jnp
import optax
import pytest

import jopt
from jopt.testing import check_schedule, check_transform, LAWS, parametrize
from jopt.testing.law import law


@pytest.fixture(scope="module")
def report():
    with jax.numpy_dtype_promotion("standard"):  # which optax relies on
        return check_transform(optax.adam(0.1), laws=["P3", "N4", "P12"])


def test_a_report_has_the_laws_in_order(report):
    assert [verdict.law.id for verdict in report] == ["P3", "P12", "N4"]


def test_a_report_tells_what_failed(report):
    assert [failure.law.id for failure in report.failures] == ["N4"] and not report


def test_a_report_prints_law_verdict_witness_and_cure(report):
    words = " ".join(str(report).split())
    for part in (
        "N4 FAILS after one",
        "has inf",
        "Fix: Hold squares",
        "1 hold, 1 fail",
    ):
        assert part in words


def test_a_report_is_a_table_in_a_notebook(report):
    page = report._repr_html_()
    assert page.count("<tr") == 4 and "Hold squares" in page


def test_assert_ok_raises_the_witness_and_the_cure(report):
    with pytest.raises(AssertionError, match=r"N4 fails[^$]*has inf[^$]*Hold squares"):
        report.assert_ok()


def test_assert_ok_passes_what_holds():
    assert check_transform(jopt.sgd(0.1), laws=["P3"]).assert_ok() is None


def test_a_verdict_is_found_by_its_law(report):
    assert report["P12"].verdict == "does not apply" and "2" in report["P12"].witness


def test_an_unknown_verdict_names_those_there_are(report):
    with pytest.raises(KeyError, match="P3, P12, N4"):
        report["N1"]


def test_a_family_is_chosen_by_its_letter():
    laws = [v.law.id for v in check_transform(jopt.sgd(0.1), laws="C")]
    assert laws == ["C2", "C5"]


def test_a_wrong_state_multiple_is_told():
    report = check_transform(jopt.adam(0.1), laws=["P12"], state_multiple=1.0)
    assert report["P12"].witness == "2 per parameter, not 1"


def test_properties_are_found_where_none_are_claimed():
    report = check_transform(jopt.scale_by_sign(), laws=["A4", "A5", "A14"])
    assert report.tags == {"odd", "scale_invariant"} and bool(report)


def test_what_the_update_needs_is_given():
    tx = jopt.reduce_on_plateau()
    assert check_transform(tx, needs=["value"], laws=["P3", "A16"])


def test_a_tree_of_your_own_is_used():
    params = {"only": jnp.zeros((2, 5))}
    tx = jopt.scale_by_muon()
    assert check_transform(tx, laws=["P3", "N1"], params=params)


def test_an_error_of_the_transform_is_a_witness():
    def init(params):
        raise RuntimeError("no room")

    tx = optax.GradientTransformation(init, jopt.identity().update)
    report = check_transform(tx, laws=["P3"])
    assert report["P3"].witness == "RuntimeError: no room"


def test_the_laws_change_no_setting():
    before = jax.config.jax_enable_x64
    check_transform(jopt.sgd(0.1), laws=["P8", "N6"])
    assert jax.config.jax_enable_x64 == before


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"laws": ["N99"]}, ValueError, "no law 'N99'. Known: P1"),
        ({"tags": ["od"]}, ValueError, "`tags` has 'od'. Known: .*odd"),
        (
            {"needs": ["loss"]},
            ValueError,
            "`needs` has 'loss'. Known: grad_fn, params",
        ),
    ],
)
def test_wrong_options_name_the_known_ones(changes, error, message):
    with pytest.raises(error, match=message):
        check_transform(jopt.sgd(0.1), **changes)


def test_no_transform_is_a_type_error():
    with pytest.raises(TypeError, match="must be a pair"):
        check_transform(jopt.sgd)


def test_no_schedule_is_a_type_error():
    with pytest.raises(TypeError, match="must map a step"):
        check_schedule(0.1)


def test_two_laws_of_one_name_are_refused():
    with pytest.raises(ValueError, match="a law `P1` already"):
        law("P1", "", why="", cure="")(print)


def test_every_law_says_why_and_how_to_mend():
    assert all(law.statement and law.why and law.cure for law in LAWS.values())


@parametrize(jopt.sgd(0.1), jopt.adam(0.1), laws=["P3", "N1"])
def test_the_mark_runs_each_law(law):
    law()


def test_the_mark_fails_with_the_report():
    trial = parametrize(optax.adam(0.1), laws=["N1"]).args[1][0].values[0]
    with (
        jax.numpy_dtype_promotion("standard"),
        pytest.raises(AssertionError, match="N1 fails"),
    ):
        trial()
