"""Trees of parameters: leaf names, moments shaped like them, integer leaves."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jax.sharding import NamedSharding, PartitionSpec, SingleDeviceSharding
from jax.typing import DTypeLike

PyTree = Any


def accumulation_dtype(dtype: DTypeLike) -> np.dtype:
    """The dtype in which numbers of `dtype` are added up: float32 or wider."""
    dtype = jnp.dtype(dtype)
    if jnp.issubdtype(dtype, jnp.inexact) and jnp.finfo(dtype).bits < 32:
        return jnp.dtype(jnp.float32)
    return dtype


def zeros_like(params: PyTree, dtype: DTypeLike | None = None) -> PyTree:
    """A slot of zeros for each parameter, sharded like it, in float32 or wider.

    Under `jit` on an Auto mesh plain zeros come out replicated, because they do not
    depend on the parameter; see `full_like`.

    Args:
        params: Arrays, tracers or `jax.ShapeDtypeStruct`s.
        dtype: Dtype of the slots. Defaults to `accumulation_dtype` of each parameter.
            For complex parameters the slots stay complex.
    """

    def zeros(p: Any) -> jax.Array:
        kind = accumulation_dtype(p.dtype) if dtype is None else jnp.dtype(dtype)
        if jnp.issubdtype(p.dtype, jnp.complexfloating):
            wide = max(jnp.finfo(kind).bits, 32) == 64
            kind = jnp.dtype(jnp.complex128 if wide else jnp.complex64)
        return full_like(p, 0.0, kind)

    return jax.tree.map(zeros, params)


def real_zeros_like(params: PyTree, dtype: DTypeLike | None = None) -> PyTree:
    """As `zeros_like`, but real for complex parameters: for squared magnitudes."""

    def zeros(p: Any) -> jax.Array:
        kind = accumulation_dtype(p.dtype) if dtype is None else jnp.dtype(dtype)
        return full_like(p, 0.0, jnp.finfo(kind).dtype)

    return jax.tree.map(zeros, params)


def full_like(param: Any, value: Any, dtype: DTypeLike) -> jax.Array:
    """An array of `value` with the shape and the sharding of `param`."""
    if not isinstance(param, jax.Array):
        return jnp.full(param.shape, value, dtype)
    full = jnp.full_like(param, value, dtype)  # keeps an explicit sharding
    if isinstance(param, Tracer) and param.ndim:
        # An idle choice that reads the parameter, so that sharding propagates from it.
        # The compiler drops it once it has partitioned the program.
        return jnp.where(jnp.isnan(param), full, full)
    return full


def resized(param: Any, axis: int, size: int, dtype: DTypeLike) -> jax.Array:
    """Zeros like a parameter but for the size of one axis, which is not split."""
    axis %= len(param.shape)
    shape = (*param.shape[:axis], size, *param.shape[axis + 1 :])
    if isinstance(param, Tracer):  # XLA never makes the array that is summed
        line = jnp.sum(full_like(param, 0.0, dtype), axis, keepdims=True)
        return jnp.broadcast_to(line, shape)
    sharding = getattr(param, "sharding", None)
    if isinstance(sharding, NamedSharding):
        spec = list(sharding.spec) + [None] * (len(shape) - len(sharding.spec))
        spec[axis] = None
        sharding = NamedSharding(sharding.mesh, PartitionSpec(*spec))
    elif not isinstance(sharding, SingleDeviceSharding):
        sharding = None
    return jnp.zeros(shape, dtype, device=sharding)


def copy_like(params: PyTree, dtype: DTypeLike | None = None) -> PyTree:
    """A copy of the parameters that shares no buffer with them, float32 or wider."""

    def copy(p: Any) -> jax.Array:
        kind = accumulation_dtype(p.dtype) if dtype is None else jnp.dtype(dtype)
        if isinstance(p, jax.ShapeDtypeStruct):
            return full_like(p, 0.0, kind)
        return jnp.array(p, dtype=kind, copy=True)

    return jax.tree.map(copy, params)


def names(tree: PyTree) -> list[str]:
    """The name of each leaf, such as `encoder/0/kernel`.

    The same for a plain dict, Flax Linen, Flax NNX (whose `.value` is dropped) and
    Equinox. In the order of `jax.tree.leaves`.

    Example:
        >>> names({"dense": {"kernel": 1.0, "bias": 2.0}, "out": [3.0]})
        ['dense/bias', 'dense/kernel', 'out/0']
    """
    out: list[str] = []
    flat, _ = jax.tree_util.tree_flatten_with_path(tree, is_leaf=is_variable)
    for path, leaf in flat:
        base = [part(key) for key in path]
        if not is_variable(leaf):
            out.append("/".join(base))
            continue
        for inner, _ in jax.tree_util.tree_flatten_with_path(leaf)[0]:
            rest = [part(key) for key in inner]
            rest = rest[1:] if rest[:1] == ["value"] else rest
            out.append("/".join(base + rest))
    return out


def part(key: Any) -> str:
    """One element of a leaf's path, as text."""
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def map_with_names(fn: Callable[..., Any], tree: PyTree, *rest: PyTree) -> PyTree:
    """`jax.tree.map` whose function gets the leaf's name first."""
    named = jax.tree.unflatten(jax.tree.structure(tree), names(tree))
    return jax.tree.map(fn, named, tree, *rest)


def without_variables(tree: PyTree) -> PyTree:
    """The tree with Flax NNX variables replaced by what they hold."""
    return jax.tree.map(
        lambda node: jax.tree.leaves(node)[0] if is_variable(node) else node,
        tree,
        is_leaf=is_variable,
    )


def is_variable(node: Any) -> bool:
    """Whether `node` is a Flax NNX variable, told without importing flax."""
    return any(
        base.__name__ == "Variable" and base.__module__.startswith("flax.nnx")
        for base in type(node).__mro__
    )


# -- leaves that no optimizer moves ------------------------------------------------


def is_inexact(leaf: Any) -> bool:
    """Whether a leaf is a float or complex array: one that an optimizer moves."""
    dtype = getattr(leaf, "dtype", None)
    if dtype is None:
        return isinstance(leaf, float | complex) and not isinstance(leaf, bool)
    return jnp.issubdtype(dtype, jnp.inexact)


def hide(tree: PyTree, keep: PyTree) -> PyTree:
    """Replace by `MaskedNode` the leaves for which the tree `keep` says False."""
    return jax.tree.map(
        lambda flag, leaf: leaf if flag else optax.MaskedNode(), keep, tree
    )


def restore(shown: PyTree, original: PyTree) -> PyTree:
    """Put the leaves of `original` back where `shown` has a `MaskedNode`."""
    return jax.tree.map(
        lambda new, old: old if isinstance(new, optax.MaskedNode) else new,
        shown,
        original,
        is_leaf=lambda node: isinstance(node, optax.MaskedNode),
    )
