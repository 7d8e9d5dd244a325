"""Trees of stacks: several trees of one shape, along a first axis of each leaf."""

import jax
import jax.numpy as jnp
from jax import lax

from jopt._core import layout, norms, trees
from jopt._core.types import PyTree

_EXACT = lax.Precision.HIGHEST  # accelerators round products of matrices otherwise


def zeros(params: PyTree, size: int) -> PyTree:
    """Stacks of zeros, in float32 or wider, each split as its parameter."""
    return jax.tree.map(
        lambda x: jnp.broadcast_to(x[None], (size, *x.shape)), trees.zeros_like(params)
    )


def put(stacks: PyTree, new: PyTree, at: jax.Array, where: jax.Array) -> PyTree:
    """Replace one tree of the stack, if the flag `where` is set."""

    def leaf(s: jax.Array, x: jax.Array) -> jax.Array:
        old = lax.dynamic_index_in_dim(s, at, keepdims=False)
        x = jnp.where(where, x.astype(s.dtype), old)
        return lax.dynamic_update_index_in_dim(s, x, at, 0)

    return jax.tree.map(leaf, stacks, new)


def along(stacks: PyTree, size: int, tree: PyTree) -> jax.Array:
    """The real inner products of the `size` trees in a stack with another."""

    def leaf(s: jax.Array, x: jax.Array) -> jax.Array:
        axes = tuple(range(1, s.ndim))
        if layout.explicit(s):
            return norms.dot(s, x[None], axes).reshape(-1)
        dims = (axes, tuple(range(x.ndim))), ((), ())
        if not jnp.iscomplexobj(s):
            return lax.dot_general(s, x, dims, _EXACT)
        pairs = (s.real, x.real), (s.imag, x.imag)
        real, imag = (lax.dot_general(*pair, dims, _EXACT) for pair in pairs)
        return real + imag

    dtype = norms.norm_dtype(stacks)
    products = jax.tree.leaves(jax.tree.map(leaf, stacks, tree))
    return sum((x.astype(dtype) for x in products), jnp.zeros(size, dtype))


def mixed(stacks: PyTree, weights: jax.Array) -> PyTree:
    """The sum of the trees in the stack, each times a real number."""

    def leaf(s: jax.Array) -> jax.Array:
        w = weights.astype(jnp.finfo(s.dtype).dtype)
        if layout.explicit(s):
            return jnp.sum(s * w.reshape(-1, *(1,) * (s.ndim - 1)), 0)
        dims = ((0,), (0,)), ((), ())
        if jnp.iscomplexobj(s):
            parts = (lax.dot_general(w, x, dims, _EXACT) for x in (s.real, s.imag))
            return lax.complex(*parts)
        return lax.dot_general(w, s, dims, _EXACT)

    return jax.tree.map(leaf, stacks)
