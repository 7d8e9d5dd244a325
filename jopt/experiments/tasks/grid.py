"""Boxes as a grid of cells tells them: each cell at most one."""

import dataclasses

import numpy as np

from jopt.experiments.tasks import scores

Array = np.ndarray
SURE = 0.05  # a box that is less sure is not counted


@dataclasses.dataclass(frozen=True)
class Grid:
    """A grid over an image; a thing belongs to the cell in which its middle lies.

    A cell tells where in it the middle is, in sides of the cell from its own middle;
    the logarithms of width and height over the anchor; and a logit for nothing and for
    each kind.

    Attributes:
        rows: Cells down.
        columns: Cells across.
        cell: Pixels a side.
        anchor: The size whose logarithm is 0, in pixels.
        classes: How many kinds of things there are.

    Example:
        >>> grid = Grid(2, 2, cell=8, anchor=4.0, classes=1)
        >>> kind, box = grid.encoded(np.array([[1, 10, 2, 14, 6]], np.float32))
        >>> kind
        array([[0, 1],
               [0, 0]], dtype=int32)
        >>> box[0, 1].tolist()
        [0.0, 0.0, 0.0, 0.0]
    """

    rows: int
    columns: int
    cell: int
    anchor: float
    classes: int

    @property
    def outputs(self) -> int:
        """How many numbers a cell tells."""
        return 4 + 1 + self.classes

    def encoded(self, truth: Array) -> tuple[Array, Array]:
        """What the cells are to tell: kinds, 0 for nothing, and boxes.

        Args:
            truth: Boxes (n, 5): kind from 1, left, top, right, bottom; kind 0 is none.
                Of two in one cell the later one counts.
        """
        kinds = np.zeros((self.rows, self.columns), np.int32)
        boxes = np.zeros((self.rows, self.columns, 4), np.float32)
        for kind, left, top, right, bottom in truth[truth[:, 0] > 0]:
            x, y = (left + right) / 2 / self.cell, (top + bottom) / 2 / self.cell
            column = min(int(x), self.columns - 1)
            row = min(int(y), self.rows - 1)
            size = np.log(np.array([right - left, bottom - top]) / self.anchor)
            kinds[row, column] = kind
            boxes[row, column] = [x - column - 0.5, y - row - 0.5, *size]
        return kinds, boxes

    def decoded(self, said: Array) -> tuple[Array, Array]:
        """The boxes of all cells, and the probability of each kind.

        Args:
            said: What the cells of one image tell, (rows, columns, outputs).

        Returns:
            Corners (rows x columns, 4) and probabilities (rows x columns, classes).
        """
        said = said.astype(np.float64).reshape(-1, self.outputs)
        row, column = np.divmod(np.arange(len(said)), self.columns)
        middle = (np.stack([column, row], 1) + 0.5 + said[:, :2]) * self.cell
        half = np.exp(np.clip(said[:, 2:4], -5.0, 5.0)) * self.anchor / 2
        logits = said[:, 4:] - said[:, 4:].max(-1, keepdims=True)
        shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        return np.concatenate([middle - half, middle + half], 1), shares[:, 1:]

    def mean_average_precision(self, said: Array, truth: Array) -> float:
        """The average precision at an overlap of one half, the mean of the kinds.

        Args:
            said: What the cells of all images tell.
            truth: The boxes of each, padded with kind 0.
        """
        decoded = [self.decoded(image) for image in said]
        return float(
            np.mean([self._precision(k, decoded, truth) for k in range(self.classes)])
        )

    def _precision(
        self, kind: int, decoded: list[tuple[Array, Array]], truth: Array
    ) -> float:
        sure, hits, wanted = [], [], 0
        for (boxes, shares), image in zip(decoded, truth, strict=True):
            true = image[image[:, 0] == kind + 1, 1:]
            wanted += len(true)
            chosen = shares[:, kind] > SURE
            boxes, score = boxes[chosen], shares[chosen, kind]
            stand = scores.without_doubles(boxes, score)
            score, hit = scores.matched(boxes[stand], score[stand], true)
            sure.append(score)
            hits.append(hit)
        return scores.average_precision(
            np.concatenate(sure), np.concatenate(hits), wanted, envelope=True
        )
