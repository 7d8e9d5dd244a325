"""The tasks: data, loss and score of each; what runs by its recipe, and how well."""

import os
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jopt
from jopt.experiments import data
from jopt.experiments.tasks import (
    detection,
    imbalanced,
    kinds,
    load,
    ratings,
    scores,
    segmentation,
    series,
    tabular,
    TASKS,
    vision,
)
from jopt.experiments.tasks.grid import Grid
from jopt.experiments.training import train
from tests import task_files as files

RANDOM = np.random.default_rng(0)

# task: rows of its parts, and the score of what knows nothing but the training part
FREE = {
    "breast_cancer": (343, 113, 113),
    "diabetes": (284, 70, 88),
    "digits": (1077, 360, 360),
    "rare_digit": (980, 360, 360),
    "wine": (108, 35, 35),
}
MADE = {
    "bccd": (files.bccd, (2, 2, 2)),
    "california_housing": (files.housing, (20, 4, 6)),
    "etth1": (files.etth1, (8209, 2785, 2785)),
    "membranes": (files.membranes, (320, 80, 80)),
    "movielens100k": (files.movielens, (48, 6, 6)),
    "ridership": (files.ridership, (152, 359, 724)),
    "tinyimagenet10": (files.tiny_imagenet, (20, 500, 9)),
    "tinyimagenet10_boxes": (files.tiny_imagenet, (20, 500, 9)),
    "uci_boston": (files.uci, (33, 3, 4)),
}
OF_FOLDER = {
    "bccd": (205, 87, 72),
    "california_housing": (13210, 3302, 4128),
    "etth1": (8209, 2785, 2785),
    "membranes": (320, 80, 80),
    "movielens100k": (80000, 10000, 10000),
    "ridership": (5782, 359, 724),
    "tinyimagenet10": (4500, 500, 500),
    "tinyimagenet10_boxes": (4500, 500, 500),
    "uci_boston": (410, 45, 51),
    "uci_concrete": (835, 92, 103),
    "uci_energy": (622, 69, 77),
    "uci_naval": (9667, 1074, 1193),
    "uci_power": (7750, 861, 957),
    "uci_wine_quality": (1296, 143, 160),
    "uci_yacht": (250, 27, 31),
}
SLOW = {"bccd", "tinyimagenet10", "tinyimagenet10_boxes"}  # photographs are unpacked


def counts(task):
    parts = ("train", "valid", "test")
    lengths = [{len(a) for a in task.parts[part].values()} for part in parts]
    assert all(len(found) == 1 for found in lengths)
    return tuple(found.pop() for found in lengths)


def trained(task, **more):
    params, rest = task.init(jax.random.key(0))
    recipe = task.recipe
    return train(
        more.pop("loss", task.train_loss),
        params,
        jopt.parse(recipe.optimizer),
        task.batches(min(recipe.batch_size, counts(task)[0])),
        recipe.steps,
        rest=rest,
        **more,
    )


def trivial(name, rows):
    """The score of what knows nothing but the classes' shares, or the mean."""
    if name == "diabetes":
        return rows["target"].std()
    share = np.bincount(rows["y"]) / len(rows["y"])
    return share[1] if name == "rare_digit" else share.max()


@pytest.mark.parametrize("name", FREE)
def test_what_needs_no_folder_learns(name):
    task, calls = load(name, quick=True), []

    def loss(*args):
        calls.append(1)
        return task.train_loss(*args)

    found = trained(task, loss=loss)
    losses = [line["loss"] for line in found.log if "loss" in line]
    assert np.mean(losses[-2:]) < losses[0]
    assert len(calls) == 1  # traced, and so compiled, once
    score = task.score(found.params, found.rest, "test")
    known = trivial(name, task.parts["test"])
    assert score > known if task.higher_is_better else score < known


@pytest.mark.parametrize("name", FREE)
def test_parts_of_what_needs_no_folder(name):
    assert counts(load(name)) == FREE[name]


def abstract(task):
    """Trace the loss of a minibatch: shapes and dtypes, without a compilation."""
    params, rest = jax.eval_shape(task.init, jax.random.key(0))
    batch = task.batches(2)(0)
    return jax.eval_shape(task.train_loss, params, rest, batch)


@pytest.mark.parametrize("name", MADE)
def test_files_laid_out_as_the_originals(name, monkeypatch):
    make, lengths = MADE[name]
    monkeypatch.delenv("JOPT_DATA", raising=False)
    monkeypatch.setattr(data.Original, "read", lambda *_: make())
    task = load(name)
    assert counts(task) == lengths
    value, _ = abstract(task)
    assert (value.shape, value.dtype) == ((), jnp.float32)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in SLOW else ())
        for name in OF_FOLDER
    ],
)
def test_originals_of_the_folder(name):
    if not os.environ.get("JOPT_DATA"):
        pytest.skip("JOPT_DATA is not set")
    try:
        task = load(name)
    except data.MissingData as error:
        pytest.skip(str(error))
    assert counts(task) == OF_FOLDER[name]


@pytest.mark.parametrize("name", [*OF_FOLDER, "images"])
def test_missing_file_is_one_line_with_a_cure(name, tmp_path):
    with pytest.raises(data.MissingData) as caught:
        load(name, tmp_path)
    text = str(caught.value)
    assert "\n" not in text
    assert name in text and (
        "https://" in text or "http://" in text or name == "images"
    )


@pytest.mark.parametrize(
    "name, options, words",
    [
        ("digit", {}, "`task`: .* Did you mean `digits`"),
        ("digits", {"model": "mpl"}, "`model`: .* Did you mean `mlp`"),
        ("rare_digit", {"loss": "focl"}, "`loss`: .* Did you mean `focal`"),
        ("uci_yacht", {"split": 20}, "`split` must be from 0 to 19, got 20"),
    ],
    ids=str,
)
def test_wrong_names_are_told(name, options, words):
    with pytest.raises(ValueError, match=words):
        load(name, **options)


def test_every_recipe_can_be_parsed():
    many = (vision, detection, series, tabular)
    made = [recipe for module in many for recipe in module.RECIPES.values()]
    for recipe in [*made, ratings.RECIPE, imbalanced.RECIPE, segmentation.RECIPE]:
        assert str(recipe.steps) in repr(jopt.parse(recipe.optimizer))


# -- the rest of a model's state


def test_norm_and_dropout_are_on_in_training_alone():
    task = load("digits", normalisation="batch", dropout=0.3, width=8)
    params, rest = task.init(jax.random.key(0))
    batch, step = task.batches(16)(0), jax.jit(task.train_loss)
    (first, after), (again, _) = (step(params, rest, batch) for _ in "ab")
    assert first == again
    second, _ = step(params, after, batch)
    assert second != first  # another mask
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), rest, after)
    assert any(jax.tree.leaves(changed))
    rows = task.parts["valid"]
    one, two = (task.predict(params, rest, rows) for _ in "ab")
    np.testing.assert_array_equal(one, two)


# -- parts and scales


def test_uci_test_rows_are_the_published_ones(monkeypatch):
    monkeypatch.setattr(data.Original, "read", lambda *_: files.uci())
    tests = [load("uci_yacht", split=s).parts["test"]["target"] for s in (0, 1)]
    np.testing.assert_array_equal(tests[0][1:], tests[1][:-1])  # rows 0-3 and 1-4


def test_regression_is_scored_in_its_own_unit():
    task = load("diabetes")
    rows = task.parts["test"]
    assert task.judge(rows["y"], rows) < 1e-3
    mean = np.zeros_like(rows["y"])
    spread = np.sqrt(np.mean((rows["target"] - load_mean()) ** 2))
    np.testing.assert_allclose(task.judge(mean, rows), spread, rtol=1e-5)


def load_mean():
    return load("diabetes").parts["train"]["target"].mean(dtype=np.float64)


def test_too_few_rows_are_named():
    with pytest.raises(data.MissingData, match="`mine`: 2 rows are too few"):
        kinds.shares("mine", {"x": np.zeros(2)}, 1, 1)


def test_windows_end_where_the_part_does():
    cut = series.Windows(window=3, horizon=2)
    values = np.arange(20.0)[:, None]
    train_rows, test_rows = cut.of(values, 3, 10), cut.of(values, 10, 14)
    assert train_rows["x"][0].tolist() == [[0, 1, 2]]
    assert train_rows["y"][-1].tolist() == [[8, 9]]
    assert test_rows["y"][0].tolist() == [[10, 11]]  # what is seen lies before
    assert test_rows["y"][-1].tolist() == [[12, 13]]


def test_ridership_drops_the_month_that_is_there_twice(monkeypatch):
    monkeypatch.setattr(data.Original, "read", lambda *_: files.ridership())
    task = load("ridership")
    assert series.naive(task, back=7) < 1e-12  # it is the same every week
    assert series.naive(task) > 1e-7


def test_wheel_of_another_content_is_refused(tmp_path):
    (tmp_path / "ratings").mkdir()
    with zipfile.ZipFile(tmp_path / ratings.WHEEL, "w") as archive:
        archive.writestr(ratings.MEMBER, b"head\n1\t2\t3\t4")
    with pytest.raises(data.MissingData, match="is not what the task `movielens100k`"):
        load("movielens100k", tmp_path)


# -- augmentation


def test_shift_keeps_what_is_in_the_middle():
    x = np.zeros((50, 16, 16, 1), np.float32)
    x[:, 4:12, 4:12] = 1.0
    rows = {"x": x, "y": np.arange(50)}
    out = vision.shifted_and_flipped(rows, np.random.default_rng(0))
    np.testing.assert_array_equal(out["x"].sum((1, 2, 3)), 64.0)
    assert len({tuple(map(int, np.argwhere(image)[0])) for image in out["x"]}) > 20
    assert out["y"] is rows["y"]


def test_mirrored_boxes_stay_on_their_things():
    x = np.zeros((30, 8, 8, 1), np.float32)
    x[:, 2:4, 1:3] = 1.0
    box = np.tile(np.array([1, 2, 3, 4], np.float32) / 8, (30, 1))
    out = detection.mirrored({"x": x, "box": box}, np.random.default_rng(0))
    for image, corners in zip(out["x"], out["box"], strict=True):
        left, top, right, bottom = (corners * 8).round().astype(int)
        assert image[top:bottom, left:right].sum() == image.sum() == 4.0
    assert len(np.unique(out["box"][:, 0])) == 2


def test_turned_tiles_keep_their_labels():
    y = RANDOM.integers(0, 2, (3, 6, 6)).astype(np.int32)
    rows = {"x": y[..., None].astype(np.float32), "y": y}
    seen = set()
    for seed in range(60):
        out = segmentation.mirrored_and_turned(rows, np.random.default_rng(seed))
        np.testing.assert_array_equal(out["x"][..., 0], out["y"])
        seen.add(out["y"].tobytes())
    assert len(seen) == 8


def test_augmented_minibatches_depend_on_the_step_alone(monkeypatch):
    monkeypatch.setattr(data.Original, "read", lambda *_: files.membranes())
    task = load("membranes")
    one, two = task.batches(4), task.batches(4)
    two(0)
    for a, b in zip(one(1).values(), two(1).values(), strict=True):
        np.testing.assert_array_equal(a, b)


# -- scores, by hand


def test_average_precision_of_scikit_learn():
    from sklearn.metrics import average_precision_score

    hits = RANDOM.integers(0, 2, 60)
    values = RANDOM.integers(0, 9, 60) / 9  # with ties
    ours = scores.average_precision(values, hits)
    np.testing.assert_allclose(ours, average_precision_score(hits, values), rtol=1e-12)


def test_average_precision_by_hand():
    sure, hits = np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 0, 0, 1])
    # precision 1 and 1/2 where a third each of three is found
    assert scores.average_precision(sure, hits, 3) == pytest.approx((1 + 0.5) / 3)
    sure, hits = np.array([0.9, 0.8, 0.7]), np.array([0, 1, 1])
    found = scores.average_precision(sure, hits, envelope=True)
    assert found == pytest.approx(2 / 3)  # the best at any higher recall
    assert scores.average_precision(np.zeros(0), np.zeros(0), 4) == 0.0


def test_overlap_by_hand():
    a = np.array([[0.0, 0.0, 4.0, 2.0], [0.0, 0.0, 0.0, 0.0], [3.0, 3.0, 1.0, 1.0]])
    b = np.array([[2.0, 0.0, 6.0, 2.0], [0.0, 0.0, 4.0, 2.0]])
    np.testing.assert_allclose(scores.iou(a, b), [[1 / 3, 1.0], [0, 0], [0, 0]])


def test_a_second_box_on_a_thing_is_wrong():
    boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 3], [9, 9, 12, 12]], float)
    truth = np.array([[0, 0, 4, 4], [20, 20, 30, 30]], float)
    sure, hits = scores.matched(boxes, np.array([0.5, 0.9, 0.7]), truth)
    assert sure.tolist() == [0.9, 0.7, 0.5]
    assert hits.tolist() == [True, False, False]


GRID = Grid(4, 6, cell=8, anchor=16.0, classes=2)
TRUTH = np.array([[1, 2, 3, 12, 9], [2, 20, 10, 44, 30], [0, 0, 0, 0, 0]], np.float32)


def told(truth):
    """What a grid says that knows the truth."""
    kind, box = GRID.encoded(truth)
    logits = 20.0 * np.eye(3)[kind]
    return np.concatenate([box, logits], -1)


def test_boxes_come_back_out_of_the_grid():
    boxes, shares = GRID.decoded(told(TRUTH))
    for kind, *corners in TRUTH[:2]:
        cell = int(shares[:, int(kind) - 1].argmax())
        np.testing.assert_allclose(boxes[cell], corners, atol=1e-4)
    assert (shares > 0.5).sum() == 2


def test_a_perfect_grid_has_precision_one_and_an_empty_one_none():
    said = told(TRUTH)[None]
    assert GRID.mean_average_precision(said, TRUTH[None]) == 1.0
    nothing = told(np.zeros((1, 5), np.float32))[None]
    assert GRID.mean_average_precision(nothing, TRUTH[None]) == 0.0


def test_one_kind_of_two_missed_is_a_precision_of_one_half():
    said = told(TRUTH[:1])[None]
    assert GRID.mean_average_precision(said, TRUTH[None]) == 0.5


def test_the_page_has_a_row_for_each_task():
    from benchmarks.tasks import OWN, PAGE, rows_of

    rows = rows_of(PAGE.read_text(encoding="utf-8"))
    assert set(rows) == set(TASKS) - set(OWN)


@pytest.mark.slow
@pytest.mark.parametrize("name", FREE)
def test_the_reference_score_is_reached(name):
    from benchmarks.tasks import measure

    found = measure(name, seeds=3)
    known = found.task.recipe.score
    np.testing.assert_allclose(np.mean(found.scores), known, rtol=0.03)
