"""A task that tells something of each pixel."""

import io
import pathlib
import tarfile
from typing import Any

import jax
import numpy as np

from jopt.experiments import data, models
from jopt.experiments.task import Recipe, Rows, Task
from jopt.experiments.tasks import kinds

MEMBRANE = data.Original(
    "vision/membrane_isbi2012.tar.gz",
    "34f76c9302f5b1485b3b90c3b43cc2da5eda5a3590ab7c4f5cbbef9d9770819e",
    "It holds train/image and train/label, 30 PNG files each, of the ISBI 2012 "
    "challenge (for research; of https://github.com/zhixuhao/unet).",
)
IMAGES, SIZE, TILE = 30, 256, 64
ENDS = {"train": (0, 20), "valid": (20, 25), "test": (25, 30)}
RECIPE = Recipe(
    "adamw(cosine_decay_schedule(3e-3, 250))",
    steps=250,
    batch_size=16,
    score=0.0987,
    minutes=0.9,
    published="0.0611 (U-net, of other images: the hidden test part, at full size; "
    "Ronneberger et al., MICCAI 2015, Table 1)",
)


def membranes(
    folder: pathlib.Path | None = None,
    quick: bool = False,
    augmented: bool = True,
    **options: Any,
) -> Task:
    """Which pixels are cell membranes: 30 slices of a larva's brain, by electrons.

    The slices are halved to 256x256 pixels and cut into tiles of 64x64: 20 slices for
    training, 5 for validation, 5 for the test.

    Args:
        folder: The data folder; it holds `vision/membrane_isbi2012.tar.gz`.
        quick: Fewer rows and steps.
        augmented: Whether tiles are mirrored and turned.
        options: Options of `jopt.experiments.models.UNet`.

    Returns:
        The task: the score is the pixel error, the share of pixels told wrongly.
    """
    x, y = _tiles(MEMBRANE.read("membranes", folder))
    scale = kinds.Scale.of(x[: ENDS["train"][1]].reshape(-1))
    parts = {
        part: {"x": _flat(scale(x[a:b]))[..., None], "y": _flat(y[a:b])}
        for part, (a, b) in ENDS.items()
    }

    def loss(logits: jax.Array, rows: Rows) -> jax.Array:
        return models.cross_entropy(logits.reshape(-1, 2), rows["y"].reshape(-1))

    task = Task(
        name="membranes",
        parts=parts,
        make=lambda rngs: models.UNet((TILE, TILE, 1), 2, rngs=rngs, **options),
        outputs=lambda model, rows: model(rows["x"]),
        loss=loss,
        judge=lambda logits, rows: float((logits.argmax(-1) != rows["y"]).mean()),
        metric="pixel error",
        higher_is_better=False,
        recipe=RECIPE,
        augment=mirrored_and_turned if augmented else None,
    )
    return kinds.quickened(task, quick, rows=48, steps=20)


def mirrored_and_turned(rows: Rows, random: np.random.Generator) -> Rows:
    """All tiles of a minibatch as one of the eight ways a square lies.

    Args:
        rows: Rows with square images `x` and, for each pixel, `y`.
        random: Where chance comes from.

    Returns:
        The rows, of the same shapes.
    """
    turns, mirror = int(random.integers(4)), random.random() < 0.5

    def change(a: np.ndarray) -> np.ndarray:
        a = np.rot90(a, turns, (1, 2))
        return np.ascontiguousarray(a[:, :, ::-1] if mirror else a)

    return {name: change(a) for name, a in rows.items()}


def _tiles(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Tiles (slice, tile, row, column), and whether each pixel is membrane."""
    found: dict[str, list[np.ndarray]] = {"image": [], "label": []}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        read = data.reader(archive)
        for kind, images in found.items():
            for number in range(IMAGES):
                name = f"train/{kind}/{number}.png"
                file = io.BytesIO(read(name))
                image = data.pixels("membranes", name, file, (SIZE, SIZE), "L")
                images.append(image)
    image, label = (np.stack(images) for images in found.values())
    return _cut(image), _cut((label < 128).astype(np.int32))  # membranes are black


def _cut(images: np.ndarray) -> np.ndarray:
    side = SIZE // TILE
    blocks = images.reshape(-1, side, TILE, side, TILE).swapaxes(2, 3)
    return blocks.reshape(-1, side * side, TILE, TILE)


def _flat(tiles: np.ndarray) -> np.ndarray:
    return tiles.reshape(-1, TILE, TILE)
