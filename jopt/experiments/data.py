"""Real data sets for the race: split, scaled, and checked byte for byte."""

import dataclasses
import gzip
import hashlib
import io
import itertools
import os
import pathlib
import tarfile
import zlib
from collections.abc import Callable
from typing import Any, IO

import numpy as np

Array = np.ndarray
Pair = tuple[Array, Array]

SIZE = 32
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")


class MissingData(ValueError):
    """A data set, or the package that brings it, is not on this machine."""


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images and labels in three parts; images are float32 of mean 0 and spread 1.

    Attributes:
        name: The task's name.
        classes: The number of labels.
        train: What is trained on.
        valid: What the learning rate is chosen on.
        test: What is reported.
    """

    name: str
    classes: int
    train: Pair
    valid: Pair
    test: Pair

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image: height, width, channels."""
        return self.train[0].shape[1:]


def digits(folder: pathlib.Path | None = None) -> Dataset:
    """Scikit-learn's 1797 images of handwritten digits, 8x8 pixels, 10 classes.

    Args:
        folder: Not read: the images come with scikit-learn.

    Returns:
        1077 images for training, 360 for validation, 360 for the test.

    Raises:
        MissingData: If scikit-learn is not installed.
    """
    del folder
    bunch = bundled("digits")
    images = bunch.images[..., None].astype(np.float32)
    labels = bunch.target.astype(np.int32)
    return _dataset("digits", 10, _split((images, labels), 360, 360))


def bundled(task: str) -> Any:
    """One of the sets that come with scikit-learn.

    Args:
        task: Its name there: `load_NAME`.

    Returns:
        What scikit-learn returns.

    Raises:
        MissingData: If scikit-learn is not installed.
    """
    try:
        from sklearn import datasets
    except ImportError:
        raise MissingData(
            f"The task `{task}` needs scikit-learn: pip install 'jopt[experiments]'."
        ) from None
    return getattr(datasets, f"load_{task}")()


@dataclasses.dataclass(frozen=True)
class Original:
    """A file of a data folder: where it lies, its digest, and where it is to be had.

    Of a gzipped file, `.gz`, the content counts: packers differ.
    """

    path: str
    sha256: str
    source: str

    def read(self, task: str, folder: pathlib.Path | None) -> bytes:
        """The bytes of the file, checked."""
        if folder is None:
            raise MissingData(
                f"The task `{task}` reads {self.path} from a data folder: give --data "
                f"DIR or set JOPT_DATA. {self.source}"
            )
        path = folder / self.path
        try:
            content = path.read_bytes()
            if path.name.endswith(".gz") and not path.name.endswith(".tar.gz"):
                content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise MissingData(
                f"The task `{task}` cannot read {path}: {reason}. {self.source}"
            ) from None
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise MissingData(
                f"{path} is not the file the task `{task}` knows: its sha256 is "
                f"{found[:16]}..., expected {self.sha256[:16]}.... {self.source}"
            )
        return content


TINY_IMAGENET = Original(
    "vision/tinyimagenet10.tar.gz",
    "324b5a85607fb7e8f4356c3a02c754366cf89d4801a5b43e9202810943139156",
    "It holds 10 classes of Tiny ImageNet (research and education only; the original "
    "is http://cs231n.stanford.edu/tiny-imagenet-200.zip); the task `images` reads the "
    "original's class folders.",
)


def tinyimagenet10(folder: pathlib.Path | None = None) -> Dataset:
    """Ten classes of Tiny ImageNet: photographs, halved to 32x32 pixels in colour.

    Args:
        folder: The data folder; it holds `vision/tinyimagenet10.tar.gz`.

    Returns:
        4500 images for training, 500 for validation, 500 for the test (the set's own
        validation part).

    Raises:
        MissingData: If the file, or Pillow, is missing, or the file is another one.
    """
    x, y, _, training = tiny_imagenet("tinyimagenet10", folder)
    inside = (x[training], y[training])
    return _dataset(
        "tinyimagenet10", 10, [*_split(inside, 500), (x[~training], y[~training])]
    )


def tiny_imagenet(
    task: str, folder: pathlib.Path | None
) -> tuple[Array, Array, Array, Array]:
    """What the archive of ten classes of Tiny ImageNet holds.

    Args:
        task: What an error names.
        folder: The data folder.

    Returns:
        Images of 32x32 pixels in colour; their labels; the corners of the one box of
        each, left, top, right, bottom, of those pixels; and whether an image is of the
        training part.

    Raises:
        MissingData: As `tinyimagenet10`.
    """
    content = TINY_IMAGENET.read(task, folder)
    found, labels, boxes, training = [], [], [], []
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        read = reader(archive)
        for line in read("boxes.tsv").decode().splitlines()[1:]:
            name, label, *box = line.split("\t")
            found.append(pixels(task, name, io.BytesIO(read(name))))
            labels.append(int(label))
            boxes.append([int(corner) / 2 for corner in box])
            training.append(name.startswith("train/"))
    return (
        np.stack(found),
        np.asarray(labels, np.int32),
        np.asarray(boxes, np.float32),
        np.asarray(training),
    )


def reader(archive: tarfile.TarFile) -> Callable[[str], bytes]:
    """The bytes of a member of an archive, by name."""
    files = {member.name: member for member in archive.getmembers()}

    def read(name: str) -> bytes:
        stream = archive.extractfile(files[name])
        return b"" if stream is None else stream.read()

    return read


def images(folder: pathlib.Path | None = None) -> Dataset:
    """Your own images, 32x32 pixels in colour: a sub-folder for each class.

    Args:
        folder: It holds `CLASS/IMAGE` files; or `train/CLASS/IMAGE` and
            `test/CLASS/IMAGE`.

    Returns:
        A tenth of the training images for validation; the folder `test`, or else
        another tenth, for the test.

    Raises:
        MissingData: If there is no such folder, or it holds no such images.
    """
    if folder is None:
        raise MissingData(
            "The task `images` reads your images: give --data DIR, a folder with a "
            "sub-folder of images for each class."
        )
    parted = (folder / "train").is_dir() and (folder / "test").is_dir()
    train = folder / "train" if parted else folder
    classes = _subfolders(train)
    if len(classes) < 2:
        raise MissingData(
            f"The task `images` needs a sub-folder of images for each of two or more "
            f"classes; {train} holds {len(classes)}."
        )
    pair = _read_classes(train, classes)
    tenth = max(1, len(pair[1]) // 10)
    if parted:
        parts = [*_split(pair, tenth), _read_classes(folder / "test", classes)]
    else:
        parts = _split(pair, tenth, tenth)
    return _dataset("images", len(classes), parts)


TASKS: dict[str, Callable[[pathlib.Path | None], Dataset]] = {
    "digits": digits,
    "images": images,
    "tinyimagenet10": tinyimagenet10,
}


def load(name: str, folder: str | os.PathLike[str] | None = None) -> Dataset:
    """Load a task's data.

    Args:
        name: One of `TASKS`.
        folder: The data folder; by default what the variable `JOPT_DATA` names.

    Returns:
        The data.

    Raises:
        MissingData: If it is not there, or not what it should be.
    """
    folder = folder or os.environ.get("JOPT_DATA") or None
    return TASKS[name](None if folder is None else pathlib.Path(folder))


def _split(pair: Pair, *sizes: int) -> list[Pair]:
    """Shuffle; cut off parts of these sizes; what is left comes first."""
    x, y = pair
    if sum(sizes) >= len(y):
        raise MissingData(f"{len(y)} images are too few to hold any out.")
    order = np.random.default_rng(0).permutation(len(y))
    ends = np.cumsum((0, len(y) - sum(sizes), *sizes)).tolist()
    chosen = [order[a:b] for a, b in itertools.pairwise(ends)]
    return [(x[rows], y[rows]) for rows in chosen]


def pixels(
    task: str,
    name: str,
    file: IO[bytes],
    size: tuple[int, int] = (SIZE, SIZE),
    mode: str = "RGB",
) -> Array:
    """An image as numbers from 0 to 255, averaged to a size.

    Args:
        task: What an error names.
        name: The file, which an error names.
        file: Where it is read from.
        size: Width and height.
        mode: `"RGB"`, or `"L"` for grey.

    Returns:
        An array of height, width and, in colour, 3 channels.

    Raises:
        MissingData: If Pillow is not installed, or the file is no image.
    """
    try:
        from PIL import Image
    except ImportError:
        raise MissingData(
            f"The task `{task}` needs Pillow: pip install 'jopt[experiments]'."
        ) from None
    try:
        with Image.open(file) as image:
            small = image.convert(mode).resize(size, Image.Resampling.BOX)
    except (OSError, ValueError) as error:
        raise MissingData(f"{name} cannot be read as an image: {error}.") from None
    return np.asarray(small, np.float32)


def _subfolders(folder: pathlib.Path) -> list[str]:
    try:
        return sorted(p.name for p in folder.iterdir() if p.is_dir())
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise MissingData(f"The data folder {folder}: {reason}.") from None


def _read_classes(folder: pathlib.Path, classes: list[str]) -> Pair:
    """All images of a folder with a sub-folder for each class."""
    found, labels = [], []
    for label, name in enumerate(classes):
        paths = sorted((folder / name).rglob("*"))
        paths = [path for path in paths if path.suffix.lower() in SUFFIXES]
        if not paths:
            raise MissingData(f"{folder / name} holds no {', '.join(SUFFIXES)} file.")
        for path in paths:
            with path.open("rb") as file:
                found.append(pixels("images", str(path), file))
        labels += [label] * len(paths)
    return np.stack(found), np.asarray(labels, np.int32)


def _dataset(name: str, classes: int, parts: list[Pair]) -> Dataset:
    """Scale all parts by the mean and spread of the training images, per channel."""
    train = parts[0][0].astype(np.float64)
    mean, spread = train.mean((0, 1, 2)), train.std((0, 1, 2)) + 1e-6
    scaled = [(((x - mean) / spread).astype(np.float32), y) for x, y in parts]
    return Dataset(name, classes, *scaled)
