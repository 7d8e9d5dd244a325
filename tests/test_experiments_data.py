"""The data sets: splits, scaling, and what is said when one is missing."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from jopt.experiments import data


@pytest.fixture
def folder(tmp_path):
    """Two classes of ten plain images, red and blue."""
    for name, colour in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        (tmp_path / name).mkdir()
        for i in range(10):
            Image.new("RGB", (40, 20 + i), colour).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_digits_are_split_without_overlap():
    digits = data.load("digits")
    parts = [digits.train, digits.valid, digits.test]
    assert [len(labels) for _, labels in parts] == [1077, 360, 360]
    rows = np.concatenate([x.reshape(len(x), -1) for x, _ in parts])
    assert len(np.unique(rows, axis=0)) == 1797


def test_training_images_have_mean_zero_and_spread_one():
    x, _ = data.load("digits").train
    assert x.dtype == np.float32
    np.testing.assert_allclose([x.mean(), x.std()], [0.0, 1.0], atol=1e-5)


def test_images_of_a_folder(folder):
    found = data.load("images", folder)
    assert (found.shape, found.classes) == ((32, 32, 3), 2)
    parts = (found.train, found.valid, found.test)
    assert [len(labels) for _, labels in parts] == [16, 2, 2]
    x, y = found.train
    red = x[..., 0].mean((1, 2)) > 0  # label 1: "blue" comes before "red"
    np.testing.assert_array_equal(red, y == 1)


def test_images_in_train_and_test_folders(folder, tmp_path_factory):
    parted = tmp_path_factory.mktemp("parted")
    for part in ("train", "test"):
        (parted / part).symlink_to(folder)
    found = data.load("images", parted)
    parts = (found.train, found.valid, found.test)
    assert [len(labels) for _, labels in parts] == [18, 2, 20]


def test_folder_may_come_from_the_environment(folder, monkeypatch):
    monkeypatch.setenv("JOPT_DATA", str(folder))
    assert data.load("images").classes == 2


def test_damaged_image_is_named(folder):
    (folder / "red" / "0.png").write_bytes(b"no image")
    with pytest.raises(data.MissingData, match=r"0\.png cannot be read as an image"):
        data.load("images", folder)


def test_class_without_images_is_named(folder):
    (folder / "white").mkdir()
    with pytest.raises(data.MissingData, match=r"white holds no \.png"):
        data.load("images", folder)


def test_one_class_is_too_few(folder):
    with pytest.raises(data.MissingData, match=r"two or more classes; .* holds 0"):
        data.load("images", folder / "red")


def archive(images):
    """A file laid out as the ten classes of Tiny ImageNet are."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:

        def add(name, content):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))

        lines = ["path\tlabel\txmin\tymin\txmax\tymax"]
        for name, label in images:
            picture = io.BytesIO()
            Image.new("RGB", (64, 64), (20 * label, 9, 9)).save(picture, "JPEG")
            add(name, picture.getvalue())
            lines.append(f"{name}\t{label}\t0\t0\t9\t9")
        add("boxes.tsv", "\n".join(lines).encode())
    return raw.getvalue()


def test_tinyimagenet10_reads_the_archive(monkeypatch):
    rows = [(f"train/{i}.JPEG", i % 10) for i in range(520)]
    content = archive([*rows, *((f"val/{i}.JPEG", i) for i in range(10))])
    monkeypatch.setattr(data.Original, "read", lambda *_: content)
    found = data.load("tinyimagenet10")
    assert found.shape == (32, 32, 3)
    parts = (found.train, found.valid, found.test)
    assert [len(labels) for _, labels in parts] == [20, 500, 10]
    np.testing.assert_array_equal(found.test[1], np.arange(10))


def test_archive_with_another_digest_is_refused(tmp_path):
    (tmp_path / "vision").mkdir()
    (tmp_path / data.TINY_IMAGENET.path).write_bytes(b"something else")
    with pytest.raises(data.MissingData, match="expected 324b5a85607fb7e8"):
        data.load("tinyimagenet10", tmp_path)


def test_missing_archive_says_where_the_original_is(tmp_path):
    with pytest.raises(data.MissingData, match=r"original is http://cs231n\.stanford"):
        data.load("tinyimagenet10", tmp_path)


@pytest.mark.slow
def test_tinyimagenet10_itself(tmp_path):
    import os
    import pathlib

    folder = os.environ.get("JOPT_DATA")
    if not folder or not (pathlib.Path(folder) / data.TINY_IMAGENET.path).exists():
        pytest.skip("JOPT_DATA does not hold the archive")
    found = data.load("tinyimagenet10")
    parts = (found.train, found.valid, found.test)
    assert [len(labels) for _, labels in parts] == [4500, 500, 500]
    assert np.bincount(found.test[1]).tolist() == [50] * 10
