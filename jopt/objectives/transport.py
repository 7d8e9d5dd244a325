"""Optimal transport between samples in space, by ott-jax."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["sinkhorn_divergence"]


def sinkhorn_divergence(
    x: jax.Array,
    y: jax.Array,
    x_weights: jax.Array | None = None,
    y_weights: jax.Array | None = None,
    epsilon: float | None = None,
    rounds: int = 20_000,
) -> jax.Array:
    """The work that moves one cloud of samples into another, smoothed.

    Of squared distances, made quick and smooth by an entropy, whose bias is taken out:
    it is 0 where the clouds are the same, and tends to the squared Wasserstein distance
    as `epsilon` falls. Unlike `sliced_wasserstein` it is the distance in space itself;
    a pass costs as many numbers as there are pairs. It is that of ott-jax, which has to
    be installed: `pip install "jopt[transport]"`.

    Args:
        x: Samples, one in each row.
        y: Samples of the other distribution, with as many columns.
        x_weights: How much each of `x` counts, at least 0; only ratios matter. Defaults
            to all alike.
        y_weights: The same of `y`.
        epsilon: Strength of the entropy, in units of the squared distance, above 0.
            Smaller is nearer to the exact work, and takes longer. Defaults to a
            twentieth of the standard deviation of the squared distances.

        rounds: How many rounds it may take; a small `epsilon` takes thousands.

    Returns:
        A number; NaN if it has not converged within `rounds`.

    Raises:
        ImportError: If ott-jax is not installed.
        ValueError: If the samples are not matrices with as many columns, or `epsilon`
            is not above 0.

    Example:
        >>> import jopt
        >>> x = jax.random.normal(jax.random.key(0), (50, 2))
        >>> moved = x + jnp.array([[3.0, 4.0]])
        >>> round(float(jopt.sinkhorn_divergence(x, moved)), 1)
        25.0

    Reference:
        Feydy et al., "Interpolating between Optimal Transport and MMD using Sinkhorn
        Divergences", AISTATS 2019, arXiv:1810.08278.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(
            "`x` and `y` must be matrices with as many columns, got shapes "
            f"{x.shape} and {y.shape}."
        )
    if isinstance(epsilon, float | int | np.number) and not epsilon > 0:
        raise ValueError(f"`epsilon` must be above 0, got {epsilon}.")
    clouds, divergence = _ott()
    y = y.astype(x.dtype)
    # ott-jax relies on promotion of ranks and dtypes
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        value, told = divergence(
            clouds,
            x,
            y,
            a=_shares(x_weights),
            b=_shares(y_weights),
            epsilon=epsilon,
            solve_kwargs={"max_iterations": rounds},
        )
        return jnp.where(jnp.stack(told.converged).all(), value, jnp.nan)


def _shares(weights: jax.Array | None) -> jax.Array | None:
    return None if weights is None else weights / jnp.sum(weights)


def _ott() -> tuple[Any, Any]:
    try:
        with warnings.catch_warnings():
            # a package that it imports says at once that it is no longer kept
            warnings.simplefilter("ignore", DeprecationWarning)
            from ott.geometry.pointcloud import PointCloud
            from ott.tools.sinkhorn_divergence import sinkhorn_divergence
    except ImportError as error:
        raise ImportError(
            "`sinkhorn_divergence` is that of ott-jax, which is not installed: "
            '`pip install "jopt[transport]"`.'
        ) from error
    return PointCloud, sinkhorn_divergence
