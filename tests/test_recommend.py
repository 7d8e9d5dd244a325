"""A first optimizer for given parameters."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import jopt

PAGE = Path(__file__).parents[1] / "docs" / "choose.md"


def shapes(*shape, dtype=jnp.float32, name="kernel"):
    return {name: jax.ShapeDtypeStruct(shape, dtype)}


@pytest.mark.parametrize("task", [None, "language", "images", "tabular", "fine-tuning"])
@pytest.mark.parametrize("steps", [None, 50])
def test_it_trains(task, steps):
    params = {"kernel": jnp.ones((4, 4)), "bias": jnp.ones(4)}
    tx = jopt.recommend(params, task, steps=steps).optimizer
    updates, _ = tx.update(params, tx.init(params), params)
    assert jax.tree.structure(updates) == jax.tree.structure(params)


def test_short_memory_is_adafactor():
    advice = jopt.recommend(shapes(8, 8), memory="short")
    assert advice.optimizer.spec.name == "adafactor"


@pytest.mark.parametrize("steps, name", [(None, "schedule_free_adamw"), (9, "prodigy")])
def test_without_tuning_no_rate_is_asked_for(steps, name):
    assert jopt.recommend(
        shapes(8, 8), steps=steps, tune=False
    ).optimizer.spec.name == (name)


def test_narrow_parameters_are_compensated():
    advice = jopt.recommend(shapes(8, 8, dtype=jnp.bfloat16))
    assert advice.optimizer.spec.name == "kahan" and "16-bit" in str(advice)


def test_matrices_suggest_muon_and_embeddings_do_not():
    assert "muon" in str(jopt.recommend(shapes(8, 8)))
    assert "muon" not in str(jopt.recommend(shapes(8, 8, name="embedding")))


def test_lines_are_short():
    advice = str(jopt.recommend(shapes(8, 8), "language", steps=10))
    reasons = advice.partition("Why")[2]
    assert max(map(len, reasons.splitlines())) <= 88


def test_an_unknown_task_names_the_known_ones():
    with pytest.raises(ValueError, match="'language', 'images'"):
        jopt.recommend(shapes(2), "vision")


def test_nothing_to_optimize_is_told():
    with pytest.raises(ValueError, match="no floating point parameters"):
        jopt.recommend({"steps": jnp.zeros((), jnp.int32)})


def rows_of_the_page():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows]


@pytest.mark.parametrize(
    "situation, options, names",
    [
        ("nothing known", {}, ["adamw"]),
        ("a language model", {"task": "language"}, ["adamw", "muon"]),
        ("images with a transformer", {"task": "images"}, ["adamw"]),
        ("images with a ConvNet", {"task": "images"}, ["sgd"]),
        ("fine-tuning", {"task": "fine-tuning"}, ["adamw"]),
        ("memory is short", {"memory": "short"}, ["adafactor"]),
        ("length of training not", {"tune": False}, ["schedule_free_adamw"]),
        ("no time to search", {"tune": False, "steps": 9}, ["prodigy"]),
    ],
)
def test_the_page_of_choices_says_the_same(situation, options, names):
    advice = str(jopt.recommend(shapes(8, 8), **options))
    (row,) = [row for row in rows_of_the_page() if row[0].startswith(situation)]
    assert all(f"{name}(" in advice for name in names)
    assert all(f"`{name}" in row[1] for name in names)


def test_what_the_page_calls_absent_is_absent():
    absent = [row for row in rows_of_the_page() if row[-1] == "not in jopt yet"]
    titles = [row[1] if row[0][0].isdigit() else row[0] for row in absent]
    words = {word for title in titles for word in title.lower().split()}
    assert absent and words & set(jopt.list_optimizers()) == set()
