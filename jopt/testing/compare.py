"""Comparing trees, leaf by leaf; a difference is told with its place and size."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jopt._core import trees
from jopt.testing.law import Broken

PyTree = Any

SINGLE = 2e-6  # of the largest entry: some ten roundings of float32


def host(leaf: Any) -> np.ndarray:
    """A leaf as a NumPy array; a random key as its data."""
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf)


def wide(leaf: Any) -> np.ndarray:
    """A leaf as a float64 or complex128 array."""
    array = host(leaf)
    if array.dtype == jax.dtypes.float0:
        return np.zeros(array.shape)
    return array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)


def pairs(ours: PyTree, theirs: PyTree, what: str):
    """Name and arrays of each leaf of two trees.

    Raises:
        Broken: If the trees have different structures or shapes.
    """
    left, right = jax.tree.structure(ours), jax.tree.structure(theirs)
    if left != right:
        raise Broken(f"{what}: the trees differ, {left} and {right}")
    names = trees.names(ours)
    leaves = zip(names, jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    for name, a, b in leaves:
        if np.shape(a) != np.shape(b):
            raise Broken(f"{what}: `{name}` has shapes {np.shape(a)} and {np.shape(b)}")
        yield name or "the leaf", a, b


def same_bits(ours: PyTree, theirs: PyTree, what: str) -> None:
    """Raise `Broken` unless two trees are equal bit by bit, but for the sign of 0."""
    for name, a, b in pairs(ours, theirs, what):
        x, y = host(a), host(b)
        if x.dtype != y.dtype:
            raise Broken(f"{what}: `{name}` is {x.dtype} and {y.dtype}")
        if x.dtype != jax.dtypes.float0 and not np.array_equal(wide(a), wide(b), True):
            raise Broken(f"{what}: `{name}` {_difference(wide(a), wide(b))}")


def close(
    ours: PyTree,
    theirs: PyTree,
    what: str,
    rtol: float = SINGLE,
    usual: dict[str, float] | None = None,
) -> None:
    """Raise `Broken` unless two trees agree to `rtol` of each leaf's largest entry.

    Args:
        ours: A tree.
        theirs: A tree like it.
        what: What is compared, for the message.
        rtol: The largest difference over the largest entry of the leaf.
        usual: By leaf, how large its entries are at other times; a leaf that happens
            to be smaller now is measured by that.
    """
    for name, a, b in pairs(ours, theirs, what):
        x, y = wide(a), wide(b)
        if x.size and not _error(x, y, (usual or {}).get(name, 0.0)) <= rtol:
            raise Broken(f"{what}: `{name}` {_difference(x, y)}")


def finite(tree: PyTree, what: str, new: PyTree = None) -> None:
    """Raise `Broken` unless every number is finite.

    Args:
        tree: A tree.
        what: What it is, for the message.
        new: A new state like it; where that is not finite, this need not be. A NaN
            may stand for "none".
    """
    told = jax.tree.leaves(tree if new is None else new)
    leaves = zip(trees.names(tree), jax.tree.leaves(tree), told, strict=True)
    for name, leaf, first in leaves:
        bad = ~np.isfinite(wide(leaf))
        if new is not None:
            bad &= np.isfinite(wide(first))
        if bad.any():
            raise Broken(f"{what}: `{name}` has {wide(leaf)[bad].ravel()[0]}")


def is_zero(tree: PyTree) -> bool:
    """Whether every number is 0."""
    return not any(wide(leaf).any() for leaf in jax.tree.leaves(tree))


def _error(x: np.ndarray, y: np.ndarray, usual: float = 0.0) -> float:
    if not np.array_equal(np.isfinite(x), np.isfinite(y)):
        return np.inf
    x, y = np.nan_to_num(x), np.nan_to_num(y)
    with np.errstate(all="ignore"):
        gap, size = np.abs(x - y).max(), max(usual, np.abs(x).max(), np.abs(y).max())
        return float(gap / size) if gap else 0.0


def _difference(x: np.ndarray, y: np.ndarray) -> str:
    with np.errstate(all="ignore"):
        gap = np.where(np.isfinite(x) & np.isfinite(y), np.abs(x - y), np.inf)
        at = np.unravel_index(np.argmax(np.where(x == y, 0.0, gap)), x.shape)
        error = _error(x, y)
    return f"is {x[at]:.9g} and {y[at]:.9g} (relative difference {error:.1e})"
