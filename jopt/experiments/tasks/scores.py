"""Scores of whole parts, in NumPy."""

import numpy as np

Array = np.ndarray


def accuracy(logits: Array, labels: Array) -> float:
    """The share of labels that have the largest logit.

    Example:
        >>> accuracy(np.array([[1.0, 2.0], [3.0, 0.0]]), np.array([1, 1]))
        0.5
    """
    return float((logits.argmax(-1) == labels).mean())


def rmse(predictions: Array, targets: Array) -> float:
    """The root of the mean squared error.

    Example:
        >>> rmse(np.array([1.0, 5.0]), np.array([1.0, 3.0])) ** 2
        2.0000000000000004
    """
    error = predictions.astype(np.float64) - targets
    return float(np.sqrt(np.mean(error**2)))


def average_precision(
    scores: Array, hits: Array, positives: int | None = None, envelope: bool = False
) -> float:
    """The area under precision against recall, as the threshold falls.

    Args:
        scores: How sure each prediction is.
        hits: Whether it is right.
        positives: How many there are to be found; by default the hits.
        envelope: Whether a precision counts as the best one of any higher recall, as
            detectors are scored; without it, as scikit-learn has it.

    Returns:
        A number from 0 to 1; 0 where there is nothing to be found.

    Example:
        >>> average_precision(np.array([0.9, 0.8, 0.7]), np.array([1, 0, 1]))
        0.8333333333333333
    """
    hits = np.asarray(hits, bool)
    wanted = int(hits.sum()) if positives is None else positives
    if wanted == 0 or len(hits) == 0:
        return 0.0
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(hits[order])
    last = np.append(np.diff(scores[order]) != 0, True)  # of those of one score
    found, said = found[last], (np.arange(len(hits)) + 1)[last]
    precision, recall = found / said, found / wanted
    if envelope:
        precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def iou(a: Array, b: Array) -> Array:
    """The overlap of boxes, over the area that either covers.

    Args:
        a: Boxes (n, 4): left, top, right, bottom.
        b: Boxes (m, 4).

    Returns:
        An array (n, m) of numbers from 0 to 1.

    Example:
        >>> iou(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2], [5, 5, 6, 6]]))
        array([[0.33333333, 0.        ]])
    """
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(-1)
    either = _area(a)[:, None] + _area(b)[None] - both
    return np.divide(both, either, out=np.zeros(both.shape), where=either > 0)


def without_doubles(boxes: Array, scores: Array, overlap: float = 0.5) -> Array:
    """Non-maximum suppression: which boxes stand, the surest first.

    Args:
        boxes: Boxes (n, 4).
        scores: How sure each is.
        overlap: Of two that overlap by more, the less sure goes.

    Returns:
        Indices.

    Example:
        >>> boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 3], [8, 8, 9, 9]])
        >>> without_doubles(boxes, np.array([0.5, 0.9, 0.1])).tolist()
        [1, 2]
    """
    stand: list[int] = []
    shared = iou(boxes, boxes)
    for index in np.argsort(-scores, kind="stable"):
        if all(shared[index, other] <= overlap for other in stand):
            stand.append(int(index))
    return np.asarray(stand, int)


def matched(
    boxes: Array, scores: Array, truth: Array, overlap: float = 0.5
) -> tuple[Array, Array]:
    """Which boxes are right: the surest one of each true box.

    Args:
        boxes: The boxes of one class in one image, (n, 4).
        scores: How sure each is.
        truth: The true ones, (m, 4).
        overlap: The least `iou` of a box that is right.

    Returns:
        The scores, the surest first, and whether each is right.

    Example:
        >>> boxes = np.array([[0, 0, 2, 2], [0, 0, 2, 2]])
        >>> matched(boxes, np.array([0.1, 0.9]), np.array([[0, 0, 2, 3]]))
        (array([0.9, 0.1]), array([ True, False]))
    """
    order = np.argsort(-scores, kind="stable")
    hits = np.zeros(len(order), bool)
    if len(truth):
        shared = iou(boxes[order], truth)
        taken = np.zeros(len(truth), bool)
        for row, values in enumerate(shared):
            best = int(values.argmax())
            if values[best] >= overlap and not taken[best]:
                hits[row] = taken[best] = True
    return scores[order], hits


def _area(boxes: Array) -> Array:
    return np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(-1)
