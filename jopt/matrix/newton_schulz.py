"""Newton-Schulz: a matrix with its singular values brought to 1, by products only."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from jopt._core import layout
from jopt._core.norms import scaled_norm
from jopt._core.numerics import times
from jopt._core.spec import did_you_mean

__all__ = [
    "ns_coefficients",
    "orthogonalize",
    "orthogonalize_all",
]

Triple = tuple[float, float, float]
Coefficients = str | Triple | tuple[Triple, ...]

_SIMPLE: Triple = (3.4445, -4.7750, 2.0315)
_STABLE: Triple = (2.0, -1.5, 0.5)

NS_COEFFICIENTS: dict[str, tuple[Triple, ...]] = {
    "simple": (_SIMPLE,) * 5,
    "quintic5": (
        (4.0848, -6.8946, 2.9270),
        (3.9505, -6.3029, 2.6377),
        (3.7418, -5.5913, 2.3037),
        (2.8769, -3.1427, 1.2046),
        (2.8366, -3.0525, 1.2012),
    ),
    "polar_express": (
        (8.2051, -22.9019, 16.4607),
        (4.0664, -2.8612, 0.5184),
        (3.9096, -2.8234, 0.5250),
        (3.2856, -2.4153, 0.4853),
        (2.2779, -1.6198, 0.3985),
        (1.8726, -1.2307, 0.3585),
        (1.8564, -1.2132, 0.3568),
        (1.875, -1.25, 0.375),
    ),
    "polar_express_safe": (
        (8.15655, -22.48329, 15.87877),
        (4.04293, -2.80892, 0.50002),
        (3.89167, -2.77248, 0.50606),
        (3.28575, -2.36813, 0.46449),
        (2.34654, -1.70978, 0.42324),
    ),
    "deepseek_v4": (_SIMPLE,) * 8 + (_STABLE,) * 2,
    "stable12": (_STABLE,) * 12,
}
"""Coefficients `(a, b, c)` of each iteration, by name."""


def ns_coefficients(
    coefficients: Coefficients, steps: int | None = None
) -> tuple[Triple, ...]:
    """The triple of each iteration.

    Args:
        coefficients: A name in `NS_COEFFICIENTS`, a triple, or a sequence of triples.
        steps: How many iterations: the first so many triples; beyond their number the
            last is repeated. Defaults to all, and to 5 for a single triple.

    Returns:
        As many triples as iterations.

    Raises:
        TypeError: If `steps` or `coefficients` is of the wrong kind.
        ValueError: If there is no set of that name, or `steps` is below 1.

    Example:
        >>> ns_coefficients((2.0, -1.5, 0.5), steps=2)
        ((2.0, -1.5, 0.5), (2.0, -1.5, 0.5))
    """
    if isinstance(coefficients, str):
        if coefficients not in NS_COEFFICIENTS:
            raise ValueError(
                f"`ns_coeffs` knows no set {coefficients!r}."
                f"{did_you_mean(coefficients, NS_COEFFICIENTS)}"
            )
        triples = NS_COEFFICIENTS[coefficients]
    else:
        triples = _triples(coefficients)
    if steps is None:
        return triples
    if isinstance(steps, bool) or not isinstance(steps, int):
        raise TypeError(f"`ns_steps` must be an integer or None, got {steps!r}.")
    if steps < 1:
        raise ValueError(f"`ns_steps` must be at least 1, got {steps}.")
    return (triples + triples[-1:] * (steps - len(triples)))[:steps]


def orthogonalize(
    x: jax.Array,
    ns_coeffs: Coefficients = "simple",
    ns_steps: int | None = None,
    eps: ArrayLike = 1e-8,
    *,
    dtype: DTypeLike | None = None,
) -> jax.Array:
    """Bring the singular values of matrices near 1 by Newton-Schulz iteration.

    Of a matrix with singular value decomposition `U S V^T` it approaches `U V^T`, as
    far as the coefficients aim at that: after five `"simple"` iterations the singular
    values lie between 0.5 and 1.2. Each iteration::

        A = X X^T
        X = a X + (b A + c A^2) X

    Args:
        x: Matrices in the last two axes; the axes before are a batch.
        ns_coeffs: The coefficients: see `ns_coefficients`.
        ns_steps: The number of iterations. Defaults to the set's own.
        eps: The least norm that a matrix is divided by; a zero matrix stays zero.
        dtype: Dtype of the iterations, such as bfloat16. Defaults to that of `x`.

    Returns:
        An array of the shape and dtype of `x`.

    Example:
        >>> x = jnp.diag(jnp.array([3.0, 0.3]))
        >>> jnp.round(orthogonalize(x, "polar_express"), 3)
        Array([[1., 0.],
               [0., 1.]], dtype=float32)

    Reference:
        Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.

        Amsel et al., "The Polar Express: Optimal Matrix Sign Methods and Their
        Application to the Muon Algorithm", 2025, arXiv:2505.16932.
    """
    (out,) = orthogonalize_all([x], ns_coeffs, ns_steps, eps, dtype=dtype)
    return out


def orthogonalize_all(
    arrays: Sequence[jax.Array],
    ns_coeffs: Coefficients = "simple",
    ns_steps: int | None = None,
    eps: ArrayLike = 1e-8,
    *,
    dtype: DTypeLike | None = None,
) -> list[jax.Array]:
    """`orthogonalize` of many arrays, with one iteration for each matrix shape.

    Matrices of the same shape, or of transposed shapes, are stacked, whichever array
    they are in: the compiled program grows with the number of shapes only.

    Args:
        arrays: Arrays of rank 2 or more.
        ns_coeffs: The coefficients: see `ns_coefficients`.
        ns_steps: The number of iterations. Defaults to the set's own.
        eps: The least norm that a matrix is divided by.
        dtype: Dtype of the iterations. Defaults to each array's.

    Returns:
        Arrays of the same shapes and dtypes.
    """
    triples = ns_coefficients(ns_coeffs, ns_steps)
    groups: dict[tuple[int, int, str], list[int]] = {}
    for i, x in enumerate(arrays):
        if x.size:
            rows, cols = sorted(x.shape[-2:])
            groups.setdefault((rows, cols, str(x.dtype)), []).append(i)
    out = list(arrays)
    for (rows, cols, _), members in groups.items():
        wide = _laid_out([_wide(arrays[i]) for i in members])
        wide = [w.reshape(-1, rows, cols) for w in wide]
        stack = wide[0] if len(wide) == 1 else jnp.concatenate(wide)
        stack = _iterate(stack, triples, eps, dtype)
        start = 0
        for i, w in zip(members, wide, strict=True):
            x = arrays[i]
            part, start = stack[start : start + len(w)], start + len(w)
            out[i] = (part.mT if _is_tall(x) else part).reshape(x.shape)
            if layout.explicit(x):
                home = layout.over(x, *layout.spec_of(x))
                out[i] = jax.sharding.reshard(out[i], home)
    return out


def _laid_out(wide: list[jax.Array]) -> list[jax.Array]:
    """Under explicit mesh axes, all split alike: by columns, as products want it."""
    first = next(filter(layout.explicit, wide), None)
    if first is None:
        return wide
    *_, rows, axes = layout.spec_of(first)
    if axes is None and rows and first.shape[-1] % layout.parts(first, rows) == 0:
        axes = rows
    return [
        jax.sharding.reshard(w, layout.over(first, *[None] * (w.ndim - 1), axes))
        for w in wide
    ]


def _iterate(
    x: jax.Array, triples: Sequence[Triple], eps: ArrayLike, dtype: DTypeLike | None
) -> jax.Array:
    """Newton-Schulz on a stack of wide matrices."""
    root, scale = scaled_norm(x, axes=(-2, -1))
    least = jnp.asarray(eps).astype(root.dtype) * scale
    bottom = jnp.maximum(root, least)
    bottom = jnp.where(bottom > 0, bottom, jnp.ones_like(bottom))
    work = x.dtype if dtype is None or jnp.iscomplexobj(x) else jnp.dtype(dtype)
    y = times(times(x, scale), 1 / bottom).astype(work)
    for a, b, c in triples:
        gram = _gram(y)
        y = a * y + (b * gram + c * (gram @ gram)) @ y
    return y.astype(x.dtype)


def _gram(y: jax.Array) -> jax.Array:
    """The products of the rows of each matrix, the same on every device."""
    if not layout.explicit(y):
        return y @ jnp.conj(y.mT)
    whole = layout.over(y, None, None, None)
    return jnp.einsum("nij,nkj->nik", y, jnp.conj(y), out_sharding=whole)


def _is_tall(x: jax.Array) -> bool:
    return x.shape[-2] > x.shape[-1]


def _wide(x: jax.Array) -> jax.Array:
    return x.mT if _is_tall(x) else x


def _triples(coefficients: Any) -> tuple[Triple, ...]:
    rows = coefficients
    if isinstance(rows, tuple | list) and rows and isinstance(rows[0], int | float):
        rows = (rows,) * 5
    try:
        triples = tuple((float(a), float(b), float(c)) for a, b, c in rows)
    except (TypeError, ValueError):
        triples = ()
    if not triples:
        known = ", ".join(map(repr, NS_COEFFICIENTS))
        raise TypeError(
            f"`ns_coeffs` must be one of {known}, three numbers, or a sequence of such "
            f"triples, got {coefficients!r}."
        )
    return triples
