"""Tasks that tell where things are, by boxes."""

import io
import pathlib
import tarfile
import xml.etree.ElementTree as ET
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jopt.experiments import data, models
from jopt.experiments.models.layers import named
from jopt.experiments.task import Recipe, Rows, Task
from jopt.experiments.tasks import kinds, scores
from jopt.experiments.tasks.grid import Grid
from jopt.objectives.losses import smooth_l1_loss, softmax_focal_loss

BCCD = data.Original(
    "vision/bccd.tar.gz",
    "4dc93d692e1652af3a5f5e7b7ba7078260624c367788ef6e4bd8d266995ea11f",
    "It is the folder BCCD of https://github.com/Shenggan/BCCD_Dataset, packed (MIT).",
)
CELLS = ("RBC", "WBC", "Platelets")
WIDTH, HEIGHT, SHRUNK = 160, 120, 4  # a quarter of the originals
GRID = Grid(HEIGHT // 8, WIDTH // 8, cell=8, anchor=24.0, classes=len(CELLS))
MOST = 40  # boxes of an image that are kept, of at most 30
TYPICAL = 12.0  # boxes of an image: what losses of an image are divided by
RECIPES = {
    "bccd": Recipe(
        "adamw(cosine_decay_schedule(3e-3, 200))",
        steps=200,
        batch_size=16,
        published="none with this small a network",
    ),
    "tinyimagenet10_boxes": Recipe(
        "adamw(cosine_decay_schedule(1e-3, 400), weight_decay=0.05)",
        steps=400,
        batch_size=64,
        published="none on these ten classes",
    ),
}


def bccd(
    folder: pathlib.Path | None = None, quick: bool = False, **options: Any
) -> Task:
    """Blood cells of three kinds in 364 photographs: each cell of a grid has a box.

    Args:
        folder: The data folder; it holds `vision/bccd.tar.gz`.
        quick: Fewer rows and steps.
        options: Options of `jopt.experiments.models.GridNet`.

    Returns:
        The task: focal loss of the kinds and smooth L1 loss of the boxes are minimised;
        the score is the average precision at an overlap of one half, the mean of the
        three kinds.
    """
    parts = _photographs(BCCD.read("bccd", folder), quick)
    scale = kinds.Scale.of(parts["train"]["x"].reshape(-1, 3))
    parts = {part: {**held, "x": scale(held["x"])} for part, held in parts.items()}
    options = {"normalisation": "batch", **options}
    task = Task(
        name="bccd",
        parts=parts,
        make=lambda rngs: models.GridNet(
            (HEIGHT, WIDTH, 3), GRID.outputs, rngs=rngs, **options
        ),
        outputs=lambda model, rows: model(rows["x"]),
        loss=_grid_loss,
        judge=lambda said, rows: GRID.mean_average_precision(said, rows["truth"]),
        metric="AP@0.5",
        higher_is_better=True,
        recipe=RECIPES["bccd"],
    )
    return kinds.quickened(task, quick, rows=32, steps=20)


def tinyimagenet10_boxes(
    folder: pathlib.Path | None = None,
    model: str = "convnet",
    quick: bool = False,
    **options: Any,
) -> Task:
    """What the one thing on a photograph is, of ten classes, and where.

    Args:
        folder: The data folder; it holds `vision/tinyimagenet10.tar.gz`.
        model: `"mlp"`, `"convnet"` or `"resnet"`.
        quick: Fewer rows and steps.
        options: Options of the model.

    Returns:
        The task: focal loss of the class and smooth L1 loss of the box are minimised;
        the score is the mean overlap of the boxes.
    """
    make = named("model", model, models.MODELS)
    x, y, boxes, training = data.tiny_imagenet("tinyimagenet10_boxes", folder)
    rows = {"x": x, "y": y, "box": boxes / np.float32(data.SIZE)}
    inside = {name: a[training] for name, a in rows.items()}
    parts = kinds.shares("tinyimagenet10_boxes", inside, 500, 0)
    parts["test"] = {name: a[~training] for name, a in rows.items()}
    scale = kinds.Scale.of(parts["train"]["x"].reshape(-1, 3))
    for held in parts.values():
        held["x"] = scale(held["x"])

    def loss(said: jax.Array, rows: Rows) -> jax.Array:
        where = smooth_l1_loss(said[:, :4], rows["box"], beta=1 / 9).sum(-1)
        return (5.0 * where + softmax_focal_loss(said[:, 4:], rows["y"])).mean()

    task = Task(
        name="tinyimagenet10_boxes",
        parts=parts,
        make=lambda rngs: make(x.shape[1:], 14, rngs=rngs, **options),
        outputs=lambda model, rows: model(rows["x"]),
        loss=loss,
        judge=lambda said, rows: mean_overlap(said[:, :4], rows["box"]),
        metric="mean IoU",
        higher_is_better=True,
        recipe=RECIPES["tinyimagenet10_boxes"],
        augment=mirrored,
    )
    return kinds.quickened(task, quick)


def mean_overlap(boxes: np.ndarray, truth: np.ndarray) -> float:
    """The mean `iou` of boxes with the true ones, one each."""
    pairs = zip(boxes, truth, strict=True)
    return float(np.mean([scores.iou(a[None], b[None])[0, 0] for a, b in pairs]))


def mirrored(rows: Rows, random: np.random.Generator) -> Rows:
    """Half of the images mirrored, with their boxes, which lie in [0, 1].

    Args:
        rows: Rows with images `x` and boxes `box`.
        random: Where chance comes from.

    Returns:
        The rows, of the same shapes.
    """
    chosen = random.random(len(rows["x"])) < 0.5
    x, box = rows["x"].copy(), rows["box"].copy()
    x[chosen] = x[chosen, :, ::-1]
    box[chosen, 0], box[chosen, 2] = 1 - box[chosen, 2], 1 - box[chosen, 0]
    return {**rows, "x": x, "box": box}


def _grid_loss(said: jax.Array, rows: Rows) -> jax.Array:
    kinds_said, boxes_said = said[..., 4:], said[..., :4]
    focal = softmax_focal_loss(kinds_said, rows["kind"])
    where = smooth_l1_loss(boxes_said, rows["box"], beta=1 / 9).sum(-1)
    both = focal + jnp.where(rows["kind"] > 0, where, 0.0)
    return both.sum((1, 2)).mean() / TYPICAL


def _photographs(content: bytes, quick: bool) -> kinds.Parts:
    """The parts of the set: images, what its cells of the grid are to tell, boxes."""
    names = {"train": "train", "valid": "val", "test": "test"}
    parts: kinds.Parts = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        read = data.reader(archive)
        for part, name in names.items():
            listed = read(f"BCCD/ImageSets/Main/{name}.txt").decode().split()
            listed = listed[:32] if quick else listed
            rows: dict[str, list[np.ndarray]] = {"x": [], "truth": []}
            for image in listed:
                path = f"BCCD/JPEGImages/{image}.jpg"
                file = io.BytesIO(read(path))
                rows["x"].append(data.pixels("bccd", path, file, (WIDTH, HEIGHT)))
                rows["truth"].append(_boxes(read(f"BCCD/Annotations/{image}.xml")))
            told = [GRID.encoded(boxes) for boxes in rows["truth"]]
            parts[part] = {
                "x": np.stack(rows["x"]),
                "truth": np.stack(rows["truth"]),
                "kind": np.stack([kind for kind, _ in told]),
                "box": np.stack([box for _, box in told]),
            }
    return parts


def _boxes(annotation: bytes) -> np.ndarray:
    """The boxes of an image, (`MOST`, 5): kind from 1, corners; kind 0 is none."""
    boxes = np.zeros((MOST, 5), np.float32)
    found = 0
    for item in ET.fromstring(annotation.decode()).iter("object"):
        corners = [
            float(item.findtext(f"bndbox/{name}") or 0) / SHRUNK
            for name in ("xmin", "ymin", "xmax", "ymax")
        ]
        if corners[2] > corners[0] and corners[3] > corners[1]:
            boxes[found] = [CELLS.index(item.findtext("name") or "") + 1, *corners]
            found += 1
    return boxes
