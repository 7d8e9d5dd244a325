"""Norms that are right where a plain sum of squares over- or underflows."""

import functools as ft
import math
import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from jopt._core import numerics as nx, trees

PyTree = Any

_CHUNK = 8  # small leaves added up before one reduction: the cheapest to compile


def within(
    root: jax.Array, scale: jax.Array, limit: Any
) -> tuple[jax.Array, jax.Array]:
    """The two factors that bring the norm `root / scale` down to `limit`.

    Multiply by one, then by the other: their product alone may underflow. Both are
    exactly 1 where the norm is within the limit, NaN where it is not finite.
    """
    limit = jnp.asarray(limit).astype(root.dtype)
    one = jnp.ones_like(root)
    inside = root <= limit * scale
    safe = jnp.where(inside, one, jnp.where(jnp.isinf(root), jnp.nan, root))
    return jnp.where(inside, one, scale), jnp.where(inside, one, limit / safe)


def scaled_norm(
    x: jax.Array, axes: Sequence[int] | None = None
) -> tuple[jax.Array, jax.Array]:
    """The norm of an array as `root, scale`: it is `root / scale`.

    Right at every magnitude, and with derivative 0 at 0. It reads the array twice.

    Args:
        x: A float or complex array.
        axes: What to sum over. The result keeps these axes, at length 1. Defaults to
            all of them, with a scalar result.
    """
    keep = axes is not None
    axes = tuple(range(x.ndim)) if axes is None else tuple(axes)
    x = _wide(x)
    top = jnp.max(jnp.abs(lax.stop_gradient(x)), axis=axes, keepdims=keep, initial=0)
    shift, middle = _shifts(top.dtype)
    one = jnp.ones_like(top)
    scale = jnp.where(top < 1 / middle, shift * one, one)
    scale = jnp.where(top > middle, one / shift, scale)
    spread = scale if keep else scale.reshape((1,) * x.ndim)
    total = jnp.sum(_square(_scaled(x, spread)), axis=axes, keepdims=keep)
    return nx.sqrt(total), scale


def norm(x: jax.Array, axes: Sequence[int] | None = None) -> jax.Array:
    """The norm of an array: see `scaled_norm`."""
    return unscaled(*scaled_norm(x, axes))


def unscaled(root: jax.Array, scale: jax.Array) -> jax.Array:
    """`root / scale`, held at the largest finite number unless `root` is infinite."""
    largest = jnp.asarray(jnp.finfo(root.dtype).max, root.dtype)
    return jnp.where(jnp.isinf(root), root, jnp.minimum(root / scale, largest))


def global_norm(tree: PyTree) -> jax.Array:
    """The norm of all leaves of a tree together, in float32 or wider.

    Right at every magnitude, and with derivative 0 at 0. NaN and infinite entries show
    in the result.

    Args:
        tree: Float or complex arrays. A tree without leaves has norm 0.
    """
    return unscaled(*scaled_global_norm(tree))


def normalized(tree: PyTree) -> PyTree:
    """The tree over its global norm; a tree of zeros stays."""
    root, scale = scaled_global_norm(tree)
    inverse = nx.divide(jnp.ones_like(root), root)
    return jax.tree.map(lambda x: nx.times(nx.times(x, scale), inverse), tree)


def inner_product(x: PyTree, y: PyTree) -> jax.Array:
    """The real inner product of two trees, in float32 or wider."""
    dtype = norm_dtype(x)
    pairs = zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True)
    products = (dot(_wide(a), _wide(b)).astype(dtype) for a, b in pairs)
    return sum(products, jnp.zeros((), dtype))


def dot(x: jax.Array, y: jax.Array, axes: Sequence[int] | None = None) -> jax.Array:
    """The real inner product of two arrays, or those along axes, which are kept."""
    product = x * y
    if jnp.iscomplexobj(x):
        product = x.real * y.real + x.imag * y.imag
    return jnp.sum(product, axis=axes, keepdims=axes is not None)


def norm_dtype(tree: PyTree) -> np.dtype:
    """The dtype in which `global_norm` works: float64 if any leaf has it."""
    kinds = (trees.accumulation_dtype(x.dtype) for x in jax.tree.leaves(tree))
    bits = max((jnp.finfo(kind).bits for kind in kinds), default=32)
    return np.dtype(f"float{bits}")


def scaled_global_norm(tree: PyTree) -> tuple[jax.Array, jax.Array]:
    """The norm of a tree as `root, scale`: it is `root / scale`.

    The tree is read once, and again only where the sum of squares is out of range.
    """
    dtype = norm_dtype(tree)
    leaves = [x for x in jax.tree.leaves(tree) if x.size]
    if not leaves:
        return jnp.zeros((), dtype), jnp.ones((), dtype)
    return _scaled_norm_of_all(leaves)


@jax.custom_jvp
def _scaled_norm_of_all(leaves: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
    dtype = norm_dtype(leaves)
    shift, middle = map(dtype.type, _shifts(dtype))

    def remedy(total: jax.Array) -> jax.Array:
        return jnp.where(total < middle**-2, shift, 1 / shift)

    # A loop that as a rule runs no time: cheaper to compile than a branch.
    def attempt(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        total, bad = carry
        return _sum_of_squares(leaves, dtype, remedy(total)), bad & ~bad

    first = _sum_of_squares(leaves, dtype)
    bad = ~((first >= middle**-2) & (first < jnp.inf))
    total, _ = lax.while_loop(lambda carry: carry[1], attempt, (first, bad))
    return jnp.sqrt(total), jnp.where(bad, remedy(first), jnp.ones_like(first))


@_scaled_norm_of_all.defjvp
def _(primals: Any, tangents: Any) -> Any:
    # The loop cannot be differentiated in reverse, and need not be.
    (leaves,), (tangents,) = primals, tangents
    root, scale = _scaled_norm_of_all(leaves)
    zero = root == 0
    over = jnp.where(zero, 0, 1 / jnp.where(zero, 1, root))
    change = sum(
        dot(nx.times(nx.times(_wide(x), scale), over), _wide(t)).astype(root.dtype)
        for x, t in zip(leaves, tangents, strict=True)
    )
    return (root, scale), (change * scale, jnp.zeros_like(scale))


def _sum_of_squares(
    leaves: list[jax.Array], dtype: np.dtype, scale: jax.Array | None = None
) -> Any:
    """The sum over all leaves, in few reductions: they are slow to compile.

    Small leaves of one shape are added up before they are reduced; so are large ones
    where there is a scale, since that pass is rarely run.
    """
    groups: dict[Any, list[jax.Array]] = {}
    for i, x in enumerate(leaves):
        alone = scale is None and x.size > 2**14
        key = i if alone else (x.shape, x.dtype, jax.typeof(x).sharding)
        groups.setdefault(key, []).append(x)
    sums = []
    for group in groups.values():
        for start in range(0, len(group), _CHUNK):
            wide = map(_wide, group[start : start + _CHUNK])
            squares = (_square(x if scale is None else _scaled(x, scale)) for x in wide)
            sums.append(jnp.sum(ft.reduce(operator.add, squares)).astype(dtype))
    return ft.reduce(operator.add, sums)


def _wide(x: jax.Array) -> jax.Array:
    dtype = trees.accumulation_dtype(x.dtype)
    return x if x.dtype == dtype else x.astype(dtype)


def _scaled(x: jax.Array, scale: jax.Array) -> jax.Array:
    """`|x| * scale`, or its parts, in a form that is scaled before it is squared.

    Of a plain product the compiler may form `x^2 * scale^2`, which overflows.
    """
    return nx.parts(lambda part: jnp.maximum(part, -part), nx.times(x, scale))


def _square(x: jax.Array) -> jax.Array:
    if jnp.iscomplexobj(x):
        return x.real * x.real + x.imag * x.imag
    return x * x


def _shifts(dtype: DTypeLike) -> tuple[float, float]:
    """A power of two that brings extreme numbers in reach of squaring.

    And the magnitude up to which, and down to whose inverse, numbers need none.
    """
    double = jnp.finfo(dtype).bits == 64
    return (math.ldexp(1, 640), math.ldexp(1, 400)) if double else (2.0**80, 2.0**35)
