"""What the low-rank methods share: projections of matrices and their scales."""

import functools as ft
import math
from typing import Any

import jax
import jax.numpy as jnp

from jopt._core import layout, norms, numerics as nx, trees
from jopt._core.numerics import times
from jopt.optimizers import moments

PyTree = Any

_GROWTH = 1.01  # by how much a norm may grow from step to step


def is_low(x: Any, rank: int) -> bool:
    """Whether a leaf is projected: a matrix whose short side is above the rank."""
    return x.ndim == 2 and min(x.shape) > rank


def short_is_first(x: Any) -> bool:
    """Whether the first axis of a matrix is the one to project."""
    return x.shape[0] <= x.shape[1]


def low_slots(params: PyTree, rank: int) -> tuple[PyTree, PyTree]:
    """Two moments of zeros for each parameter, in the low rank."""

    def slot(real: bool, p: Any) -> jax.Array:
        whole = trees.real_zeros_like if real else trees.zeros_like
        if not is_low(p, rank):
            return whole(p)
        kind = jax.eval_shape(whole, p).dtype
        return trees.resized(p, 0 if short_is_first(p) else 1, rank, kind)

    mu = jax.tree.map(ft.partial(slot, False), params)
    return mu, jax.tree.map(ft.partial(slot, True), params)


def projector_slot(p: Any, rank: int) -> jax.Array:
    """Zeros for the projection of a leaf, split as the short side is."""
    dtype = trees.accumulation_dtype(p.dtype)
    if not is_low(p, rank):
        return jnp.zeros((0, 0), dtype)
    if short_is_first(p):
        return trees.resized(p, 1, rank, dtype)
    return trees.resized(p, 0, rank, dtype).T


def numbers(params: PyTree) -> PyTree:
    """A zero for each leaf."""
    return jax.tree.map(lambda p: jnp.zeros((), norms.norm_dtype(p)), params)


def leading(g: jax.Array, old: jax.Array, rank: int) -> jax.Array:
    """The leading singular vectors of the short side, as columns.

    The largest entry of each is positive: otherwise their signs, which the moments are
    kept in, would differ from machine to machine.
    """
    if not is_low(g, rank):
        return old
    u, _, vh = jnp.linalg.svd(layout.whole(g), full_matrices=False)
    q = u[:, :rank] if short_is_first(g) else jnp.conj(vh[:rank]).T
    top = jnp.argmax(jnp.abs(q), axis=0, keepdims=True)
    phase = jnp.sign(jnp.take_along_axis(q, top, axis=0))
    phase = jnp.where(phase == 0, jnp.ones_like(phase), phase)
    return layout.like((q * jnp.conj(phase)).astype(old.dtype), old)


def drawn(key: jax.Array, g: jax.Array, rank: int) -> jax.Array:
    """A random projection, normal with variance `1 / rank`."""
    if not is_low(g, rank):
        return jnp.zeros((0, 0), g.dtype)
    # in float32 for every dtype: each precision would draw other numbers
    normal = jax.random.normal(key, (min(g.shape), rank), jnp.float32)
    return normal.astype(g.dtype) * (1.0 / math.sqrt(rank))


def down(g: jax.Array, q: jax.Array, rank: int) -> jax.Array:
    """A matrix in the low rank; other leaves as they are."""
    if not is_low(g, rank):
        return g
    q = q.astype(g.dtype)
    if short_is_first(g):
        return layout.matmul(jnp.conj(q).T, g)
    return layout.matmul(g, q)


def up(low: jax.Array, q: jax.Array, like: jax.Array) -> jax.Array:
    """A matrix of low rank in the shape of `like`."""
    q = q.astype(low.dtype)
    if short_is_first(like):
        product = layout.matmul(q, low)
    else:
        product = layout.matmul(low, jnp.conj(q).T)
    return layout.like(product, like)


def direction(
    g: PyTree, mu: PyTree, nu: PyTree, b1: Any, b2: Any, eps: Any
) -> tuple[PyTree, PyTree, PyTree]:
    """Adam's direction before its correction, and the new moments."""
    m = moments.averages(g, mu, b1)
    v = moments.averages(moments.squares(g), nu, b2)
    guard = moments.may_vanish(eps)
    n = jax.tree.map(
        lambda m, v: moments.quotient(m, moments.denominator(v, eps), guard), m, v
    )
    return n, moments.like(m, mu), moments.like(v, nu)


def corrected(updates: PyTree, b1: Any, b2: Any, count: jax.Array) -> PyTree:
    """What `direction` left out: `sqrt(1 - b2^t) / (1 - b1^t)`."""
    root = jnp.sqrt(nx.bias_correction(b2, count))
    factor = root / nx.bias_correction(b1, count)
    return jax.tree.map(lambda u: times(u, factor), updates)


def column_ratio(n: jax.Array, r: jax.Array, like: jax.Array) -> jax.Array:
    """`|n| / |r|` over the projected axis."""
    axes = (0,) if short_is_first(like) else (1,)
    return nx.divide(norms.norm(n, axes), norms.norm(r, axes))


def limited(updates: PyTree, before: PyTree) -> tuple[PyTree, PyTree]:
    """Each leaf with its norm at most 1.01 times that before, and the new norms.

    A norm of 0 before bounds nothing.
    """

    def bound(old: jax.Array) -> jax.Array:
        return jnp.where(old > 0, _GROWTH * old, jnp.inf)

    def leaf(u: jax.Array, old: jax.Array) -> jax.Array:
        first, second = norms.within(*norms.scaled_norm(u), bound(old))
        return times(times(u, first), second)

    out = jax.tree.map(leaf, updates, before)
    new = jax.tree.map(lambda u, old: norms.norm(u).astype(old.dtype), out, before)
    return out, new
