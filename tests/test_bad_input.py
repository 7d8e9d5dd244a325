"""What bad input gets: the rows of `bad_input_table`, one by one."""

import contextlib
import re
import warnings

import jax
import jax.numpy as jnp
import pytest

import jopt
from jopt._core.warn import JoptWarning
from tests import bad_input_row, bad_input_update
from tests.bad_input_table import PAGE, ROWS
from tests.bad_input_update import CURES, P, small

REFUSED = [row for row in ROWS if row.when in ("construction", "init", "trace")]
ACCEPTED = [row for row in ROWS if row.when == "accepted"]
WARNED = [row for row in ROWS if row.when == "warning"]

COMPILING = re.compile(r"mlir|backend_compile")


@contextlib.contextmanager
def compilations():
    """The names of what JAX lowers and compiles meanwhile."""
    seen = []

    def listen(name, duration, **kwargs):
        if COMPILING.search(name):
            seen.append(name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield seen
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


@pytest.fixture(autouse=True)
def moved():
    """Have JAX lower its copy of NumPy arrays of each shape before a row counts."""
    rows = [P, bad_input_update.INTEGERS, bad_input_update.ONE]
    jax.block_until_ready(jax.tree.map(jnp.asarray, rows))


def given(row):
    return row.given.replace("`", "")


@pytest.mark.parametrize("row", REFUSED, ids=given)
def test_is_refused_before_anything_is_compiled(row):
    with compilations() as seen, pytest.raises(row.error, match=row.says):
        row.call()
    assert row.runs or seen == []


@pytest.mark.parametrize("row", ACCEPTED, ids=given)
def test_is_accepted_and_right(row):
    assert row.call()


@pytest.mark.parametrize("row", WARNED, ids=given)
def test_warns(row):
    with pytest.warns(JoptWarning, match=row.says):
        row.call()


@pytest.mark.parametrize("name", CURES)
def test_the_cure_is_quiet(name):
    CURES[name]()


def test_the_hook_sees_a_compilation():
    with compilations() as seen:
        jax.jit(lambda x: x + 3)(jnp.ones(7))
    assert len(seen) >= 2


def test_every_disaster_has_a_row():
    assert {row.number for row in ROWS} - {None} == set(range(1, 83))


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == bad_input_row.page(ROWS), (
        "run `./dev python -m tests.bad_input_table`"
    )


def test_each_warning_is_shown_once():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            jopt.masked(jopt.adam(0.1), "w").init(P)
    assert len(caught) == 1


def test_a_warning_points_at_the_line_of_the_user():
    with pytest.warns(JoptWarning) as caught:
        jopt.chain(jopt.clip(1.0), small).init({"scale": jnp.ones(3, jnp.bfloat16)})
    assert caught[0].filename == __file__


def test_a_checked_update_compiles_to_the_unchecked_one():
    tx = jopt.adamw(0.1, weight_decay=0.1)
    args = P, tx.init(P), P
    checked = jax.jit(lambda *a: tx.update(*a)).lower(*args).as_text()
    assert checked == jax.jit(lambda *a: tx.raw.update(*a)).lower(*args).as_text()
