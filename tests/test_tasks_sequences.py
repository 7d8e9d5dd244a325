"""Tasks on text: their data, their scores, and that they are learned."""

import functools as ft
import gzip
import hashlib
import os
import re

import jax
import numpy as np
import pytest

import jopt
from jopt.experiments import text
from jopt.experiments.data import MissingData, Original
from jopt.experiments.task import Recipe
from jopt.experiments.tasks import language, load, polarity, tagging, translation

NAMES = ["names", "polarity", "shakespeare", "tagging", "translation"]


def trained(task, seed=0):
    """Train as the recipe says, in one program; the number of its compilations."""
    recipe, traces = task.recipe, [0]
    tx, batches = jopt.parse(recipe.optimizer), task.batches(recipe.batch_size, seed)
    params, rest = task.init(jax.random.key(seed))

    @jax.jit
    def step(params, rest, state, batch):
        traces[0] += 1
        grads, rest = jax.grad(task.train_loss, has_aux=True)(params, rest, batch)
        updates, state = tx.update(grads, state, params)
        return jopt.apply_updates(params, updates), rest, state

    state = tx.init(params)
    for number in range(recipe.steps):
        params, rest, state = step(params, rest, state, batches(number))
    return params, rest, traces[0]


RECIPE = Recipe("adamw(1e-2)", steps=80, batch_size=32)


def running_text(**options):
    whole = "the cat sat on the mat. " * 200
    small = {"body": "gru", "width": 16} | options
    return language.running_text("cats", whole, 16, RECIPE, small)


@ft.cache
def cats():
    task = running_text()
    return task, *trained(task)


def test_a_text_that_repeats_is_foretold():
    task, params, rest, _ = cats()
    assert task.score(params, rest, "test") < 0.2 < 1.0 < np.log(15)


def test_training_is_one_compilation():
    assert cats()[-1] == 1


def test_nats_of_equal_logits_are_the_logarithm():
    logits = np.zeros((2, 3, 8), np.float32)
    rows = {"x": np.array([[1, 5, 6, 2], [1, 5, 2, 0]])}
    np.testing.assert_allclose(language.nats(logits, rows), np.log(8.0), rtol=1e-6)


def test_nats_count_no_padding():
    logits = np.zeros((1, 3, 4), np.float32)
    logits[0, 2] = [-50.0, 0.0, 0.0, 50.0]  # here nothing is to be foretold
    rows = {"x": np.array([[1, 3, 2, 0]])}
    np.testing.assert_allclose(language.nats(logits, rows), np.log(4.0), rtol=1e-6)


def test_nats_are_safe_from_overflow():
    logits = np.array([[[1e4, 0.0]]], np.float32)
    assert language.nats(logits, {"x": np.array([[0, 1]])}) == 1e4


def test_windows_of_the_parts_do_not_overlap():
    parts = running_text().parts
    whole = len("the cat sat on the mat. ") * 200
    assert parts["train"]["x"].shape == (int(0.85 * whole) - 16, 17)
    held = [parts[part]["x"] for part in ("valid", "test")]
    assert all((rows[1:, 0] == rows[:-1, -1]).all() for rows in held)
    assert 16 * sum(map(len, held)) > 0.9 * 0.15 * whole


def test_rows_of_names_begin_and_end():
    rows = ["anna", "bo", *["eve"] * 8]
    task = language.lines("names", rows, RECIPE, {"body": "gru", "width": 8})
    whole = np.concatenate([task.parts[part]["x"] for part in task.parts])
    assert len(whole) == 10 and (whole[:, 0] == text.BOS).all()
    assert ((whole == text.EOS).sum(1) == 1).all()


def sentence(random):
    """Words that tell their tag, but for one that the word before it tells."""
    found = []
    for _ in range(random.integers(2, 40)):
        first, tag = [("the", "NOUN"), ("to", "VERB")][random.integers(2)]
        found += [(first, "DET" if first == "the" else "PART"), ("walk", tag)]
    return found


@pytest.fixture(scope="module")
def walks():
    random = np.random.default_rng(0)
    parts = {part: [sentence(random) for _ in range(60)] for part in tagging.FILES}
    recipe = Recipe("adamw(2e-2)", steps=30, batch_size=32)
    return parts, tagging.tagged("walks", parts, recipe, {"body": "gru", "width": 16})


def test_a_word_is_tagged_by_the_word_before_it(walks):
    _, task = walks
    params, rest, _ = trained(task)
    assert task.score(params, rest, "test") == 1.0
    assert 0.7 < tagging.most_frequent_tag(task) < 0.8


def test_every_word_of_a_long_sentence_is_there_once(walks):
    parts, task = walks
    for part, sentences in parts.items():
        tags = task.parts[part]["tag"]
        assert tags.shape[1] == tagging.LENGTH
        assert (tags != text.PAD).sum() == sum(map(len, sentences))


def test_accuracy_counts_words_and_no_padding():
    logits = np.eye(4, dtype=np.float32)[[[1, 2, 3], [1, 1, 1]]]
    rows = {"tag": np.array([[1, 2, 0], [1, 3, 0]])}
    assert tagging.accuracy(logits, rows) == 0.75


@pytest.mark.parametrize(
    ("word", "shape"),
    [
        ("B2B", "digit"),
        ("...", "sign"),
        ("NATO", "capitals"),
        ("I", "capital"),
        ("it's", "letters"),
    ],
)
def test_how_a_word_is_written(word, shape):
    assert tagging.features([(word, "X")])[2] == [shape]


def test_praise_is_told_by_its_words():
    random = np.random.default_rng(0)
    words = (["dull", "boring", "film"], ["great", "moving", "film"])
    rows = [(" ".join(random.choice(words[i % 2], 6)), i % 2) for i in range(400)]
    recipe = Recipe("adamw(3e-2)", steps=30, batch_size=32)
    task = polarity.judged("films", rows, recipe, {"body": "bag", "width": 8})
    params, rest, _ = trained(task)
    assert task.score(params, rest, "test") > 0.95


NUMBERS = {"eins": "one", "zwei": "two", "drei": "three", "vier": "four"}


@pytest.fixture(scope="module")
def counting():
    random = np.random.default_rng(0)

    def pair():
        said = random.choice(list(NUMBERS), random.integers(2, 5)).tolist()
        there = [NUMBERS[word] for word in said]
        return f"{' '.join(said)}!", f"{' '.join(there)}!"

    parts = {part: [pair() for _ in range(500)] for part in ("train", "valid", "test")}
    recipe = Recipe("adamw(1e-2)", steps=250, batch_size=32)
    options = {"width": 32, "depth": 1, "dropout": 0.0, "positions": "learned"}
    return parts, translation.translated("count", parts, recipe, options, length=8)


def test_who_knows_nothing_translates_badly(counting):
    _, task = counting
    assert task.score(*task.init(jax.random.key(0)), "test") < 20.0


@pytest.mark.slow
def test_numbers_are_translated(counting):
    _, task = counting
    params, rest, _ = trained(task)
    assert task.score(params, rest, "test") > 95.0


def test_the_right_words_have_a_bleu_of_100(counting):
    _, task = counting
    for part, rows in task.parts.items():
        assert task.judge(rows["y"], rows) == pytest.approx(100.0), part
        some = {name: x[3:9] for name, x in rows.items()}
        assert task.judge(some["y"], some) == pytest.approx(100.0)


def test_another_translation_has_a_lower_bleu():
    right = ["A man sleeps on a green sofa."]
    assert translation.bleu(["A man sits on a green sofa."], right) < 70.0


def test_bleu_is_in_lower_case():
    right = ["A man sleeps on a green sofa."]
    assert translation.bleu([right[0].lower()], right) == pytest.approx(100.0)


def test_training_rows_that_are_too_long_are_left_out():
    parts = {"train": [("a b", "c"), ("a " * 9, "c")], "valid": [("a", "c " * 20)]}
    parts["test"] = parts["valid"]
    task = translation.translated("t", parts, RECIPE, {}, length=8, min_count=1)
    shapes = {part: rows["x"].shape for part, rows in task.parts.items()}
    assert shapes == {"train": (1, 8), "valid": (1, 24), "test": (1, 24)}


@pytest.mark.parametrize("module", [language, polarity, tagging, translation])
def test_the_schedule_of_a_recipe_is_as_long_as_its_run(module):
    for recipe in module.RECIPES.values():
        said = repr(jopt.parse(recipe.optimizer))
        assert re.search(rf"decay_steps={recipe.steps}\b", said)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_folder_it_is_said_where_the_data_are(name, monkeypatch):
    monkeypatch.delenv("JOPT_DATA", raising=False)
    with pytest.raises(MissingData, match=f"task `{name}` reads .*JOPT_DATA.*https://"):
        load(name)


def test_a_gzipped_file_is_known_by_its_content(tmp_path):
    content = b"to be or not to be"
    file = Original("a.gz", hashlib.sha256(content).hexdigest(), "")
    for level in (1, 9):
        (tmp_path / "a.gz").write_bytes(gzip.compress(content, level))
        assert file.read("a", tmp_path) == content


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"to be " * 99)[:-9]])
def test_a_damaged_gzipped_file_is_named(content, tmp_path):
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(MissingData, match=r"cannot read .*a\.gz"):
        Original("a.gz", "", "").read("a", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_quick_mode_on_the_data_themselves(name):
    if not os.environ.get("JOPT_DATA"):
        pytest.skip("JOPT_DATA is not set")
    task = load(name, quick=True)
    start = task.score(*task.init(jax.random.key(0)))
    params, rest, _ = trained(task)
    better = task.score(params, rest)
    assert better > start if task.higher_is_better else better < start
