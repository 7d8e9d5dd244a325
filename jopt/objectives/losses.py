"""Losses that `optax.losses` lacks."""

import jax
import jax.numpy as jnp

from jopt._core import numerics as nx
from jopt._core.norms import norm

__all__ = [
    "sequence_cross_entropy",
    "sliced_wasserstein",
    "smooth_l1_loss",
    "softmax_focal_loss",
    "wasserstein_1d",
]


def wasserstein_1d(
    x: jax.Array,
    y: jax.Array,
    x_weights: jax.Array | None = None,
    y_weights: jax.Array | None = None,
) -> jax.Array:
    """The least work that moves one heap of samples on a line into another.

    The exact distance of two empirical distributions, which is the area between their
    distribution functions, by one sort. As `scipy.stats.wasserstein_distance`, and
    differentiable in samples and weights.

    Args:
        x: Samples, a vector.
        y: Samples of the other distribution, a vector of any length.
        x_weights: How much each of `x` counts, at least 0; only ratios matter. Defaults
            to all alike.
        y_weights: The same of `y`.

    Returns:
        A number.

    Raises:
        ValueError: If the samples are not vectors, or the weights of other lengths.

    Example:
        >>> import jopt
        >>> jopt.wasserstein_1d(jnp.array([0.0, 1.0]), jnp.array([3.0, 2.0]))
        Array(2., dtype=float32)

    Reference:
        Vallender, "Calculation of the Wasserstein distance between probability
        distributions on the line", Theory of Probability and its Applications 1974.
    """
    masses = _masses("x", x, x_weights), -_masses("y", y, y_weights)
    values = jnp.concatenate([x, y.astype(x.dtype)])
    order = jnp.argsort(values)
    values = values[order]
    between = jnp.cumsum(jnp.concatenate([m.astype(x.dtype) for m in masses])[order])
    return jnp.sum(jnp.abs(between[:-1]) * jnp.diff(values))


def sliced_wasserstein(
    x: jax.Array, y: jax.Array, key: jax.Array, projections: int = 64
) -> jax.Array:
    """The mean of `wasserstein_1d` over random lines: for samples of several numbers.

    Args:
        x: Samples, one in each row.
        y: Samples of the other distribution, with as many columns.
        key: A key of `jax.random.key`: give another in each step.
        projections: How many lines, at least 1.

    Returns:
        A number.

    Raises:
        ValueError: If the samples are not matrices with as many columns, or there are
            no lines.

    Example:
        >>> import jopt
        >>> x = jax.random.normal(jax.random.key(0), (50, 3))
        >>> d = jopt.sliced_wasserstein(x, x + 1.0, jax.random.key(1))
        >>> bool(0.5 < d < 1.5)
        True

    Reference:
        Bonneel et al., "Sliced and Radon Wasserstein Barycenters of Measures", Journal
        of Mathematical Imaging and Vision 2015.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(
            "`x` and `y` must be matrices with as many columns, got shapes "
            f"{x.shape} and {y.shape}."
        )
    if projections < 1:
        raise ValueError(f"`projections` must be at least 1, got {projections}.")
    lines = jax.random.normal(key, (projections, x.shape[1]), x.dtype)
    lines = lines / norm(lines, (1,))
    a, b = (jnp.matmul(lines, z.astype(x.dtype).T) for z in (x, y))
    return jnp.mean(jax.vmap(wasserstein_1d)(a, b))


def smooth_l1_loss(
    predictions: jax.Array, targets: jax.Array, beta: float = 1.0
) -> jax.Array:
    """The error, and within `beta` its square over `2 beta`: for boxes of detectors.

    As in PyTorch; it is `optax.losses.huber_loss` with `delta = beta`, over `beta`, so
    that the slope of large errors is 1 whatever `beta` is.

    Args:
        predictions: An array.
        targets: An array of the same shape.
        beta: Where it turns, at least 0; 0 is the plain magnitude. Detectors use 1 and
            1/9.

    Returns:
        An array of the same shape.

    Raises:
        ValueError: If `beta` is negative, or the shapes differ.

    Example:
        >>> import jopt
        >>> jopt.smooth_l1_loss(jnp.array([0.5, 3.0]), jnp.zeros(2))
        Array([0.125, 2.5  ], dtype=float32)

    Reference:
        Girshick, "Fast R-CNN", ICCV 2015, arXiv:1504.08083, Equation 3.
    """
    if beta < 0:
        raise ValueError(f"`beta` must be at least 0, got {beta}.")
    _same_shape("predictions", predictions, "targets", targets)
    size = jnp.abs(predictions - targets)
    if beta == 0:
        return size
    return jnp.where(size < beta, 0.5 * size * size / beta, size - 0.5 * beta)


def softmax_focal_loss(
    logits: jax.Array,
    labels: jax.Array,
    gamma: float = 2.0,
    class_weights: jax.Array | None = None,
) -> jax.Array:
    """Cross entropy that counts less where the class is told rightly: many classes.

    For classes that are rare. With `p` the probability of the label::

        -class_weights[label] * (1 - p)^gamma * log(p)

    Args:
        logits: An array whose last axis is that of the classes.
        labels: Integers, of the shape of `logits` without its last axis.
        gamma: How much less, at least 0; 0 is the cross entropy.
        class_weights: A vector with a number for each class. Defaults to 1.

    Returns:
        An array of the shape of `labels`.

    Raises:
        ValueError: If `gamma` is negative, or the shapes do not fit.

    Example:
        >>> import jopt
        >>> jopt.softmax_focal_loss(jnp.zeros((1, 2)), jnp.array([0])).round(4)
        Array([0.1733], dtype=float32)

    Reference:
        Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017,
        arXiv:1708.02002, Equation 5.
    """
    if gamma < 0:
        raise ValueError(f"`gamma` must be at least 0, got {gamma}.")
    log_p = _of_labels(_log_probabilities(logits, labels), labels)
    rest = -jnp.expm1(log_p)  # 1 - p
    some = rest > 0
    power = jnp.where(some, jnp.where(some, rest, 1.0) ** gamma, float(gamma == 0))
    loss = -power * log_p
    if class_weights is None:
        return loss
    if class_weights.shape != logits.shape[-1:]:
        raise ValueError(
            f"`class_weights` must have shape {logits.shape[-1:]}, a number for each "
            f"class, got {class_weights.shape}."
        )
    return class_weights.astype(loss.dtype)[labels] * loss


def sequence_cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    mask: jax.Array | None = None,
    label_smoothing: float = 0.0,
) -> jax.Array:
    """The mean cross entropy of the tokens that count, with smoothed labels.

    Args:
        logits: An array whose last axis is that of the tokens to choose from.
        labels: Integers, of the shape of `logits` without its last axis. Where they do
            not count they may be anything, such as -100.
        mask: Which labels count, as bools or weights of the shape of `labels`. Defaults
            to all that are not negative.
        label_smoothing: Share of the label that all tokens get alike, in [0, 1).

    Returns:
        A number; 0 where no label counts.

    Raises:
        ValueError: If `label_smoothing` lies elsewhere, or the shapes do not fit.

    Example:
        >>> import jopt
        >>> logits = jnp.array([[2.0, 0.0], [0.0, 9.0]])
        >>> jopt.sequence_cross_entropy(logits, jnp.array([0, -100])).round(4)
        Array(0.1269, dtype=float32)

    Reference:
        Szegedy et al., "Rethinking the Inception Architecture for Computer Vision",
        CVPR 2016, arXiv:1512.00567, section 7.
    """
    if not 0 <= label_smoothing < 1:
        raise ValueError(
            f"`label_smoothing` must lie in [0, 1), got {label_smoothing}."
        )
    counts = labels >= 0 if mask is None else mask
    _same_shape("mask", counts, "labels", labels)
    counts = jnp.asarray(counts).astype(jnp.promote_types(logits.dtype, jnp.float32))
    every = _log_probabilities(logits, labels)
    loss = (label_smoothing - 1.0) * _of_labels(every, jnp.where(counts > 0, labels, 0))
    if label_smoothing:
        loss = loss - label_smoothing * jnp.mean(every, axis=-1)
    total = jnp.sum(jnp.where(counts > 0, counts * loss, 0.0))
    return nx.divide(total, jnp.sum(counts))


def _masses(name: str, samples: jax.Array, weights: jax.Array | None) -> jax.Array:
    """Weights that sum to 1."""
    if samples.ndim != 1 or not len(samples):
        raise ValueError(
            f"`{name}` must be a vector of samples, got shape {samples.shape}. For "
            "samples of several numbers use `jopt.sliced_wasserstein`."
        )
    if weights is None:
        return jnp.full(len(samples), 1 / len(samples), samples.dtype)
    _same_shape(f"{name}_weights", weights, name, samples)
    return weights / jnp.sum(weights)


def _log_probabilities(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The logarithms of the probabilities of all classes, in float32 or wider."""
    if logits.shape[:-1] != labels.shape:
        raise ValueError(
            f"`labels` must have the shape of `logits` without its last axis, "
            f"{logits.shape[:-1]}, got {labels.shape}."
        )
    wide = jnp.promote_types(logits.dtype, jnp.float32)
    return jax.nn.log_softmax(logits.astype(wide), axis=-1)


def _of_labels(log_p: jax.Array, labels: jax.Array) -> jax.Array:
    return jnp.take_along_axis(log_p, labels[..., None], axis=-1)[..., 0]


def _same_shape(one: str, x: jax.Array, other: str, y: jax.Array) -> None:
    if jnp.shape(x) != jnp.shape(y):
        raise ValueError(
            f"`{one}` has shape {jnp.shape(x)} and `{other}` {jnp.shape(y)}. They must "
            "be the same."
        )
