"""The proximal step of the nuclear norm: singular values shrink."""

from typing import Any

import jax
import jax.numpy as jnp

from jopt._core import layout, numerics as nx


def shrunk(x: jax.Array, threshold: jax.Array) -> jax.Array:
    """Matrices whose singular values are less by `threshold`, and 0 at least.

    The last two axes are the matrix; a vector is a matrix of one column. A matrix that
    is not finite gives NaN.
    """
    if not x.size:
        return x
    if x.ndim < 2:
        return shrunk(x.reshape(-1, 1), threshold).reshape(x.shape)
    tall = x.shape[-2] >= x.shape[-1]
    whole = layout.whole(x)
    ok = jnp.all(jnp.isfinite(whole), axis=(-2, -1), keepdims=True)
    safe = jnp.where(ok, whole, jnp.zeros_like(whole))  # or the factors may not come
    out = _tall(safe if tall else safe.mT, threshold)
    out = jnp.where(ok, out if tall else out.mT, jnp.full_like(whole, jnp.nan))
    return layout.like(out, x)


@jax.custom_jvp
def _tall(x: jax.Array, threshold: jax.Array) -> jax.Array:
    return _parts(x, threshold)[0]


def _parts(x: jax.Array, threshold: jax.Array) -> Any:
    u, s, v = jnp.linalg.svd(x, full_matrices=False)
    left = jnp.maximum(s - threshold, 0)
    return nx.times(u, left[..., None, :]) @ v, u, s, v, left


@_tall.defjvp
def _(primals: Any, tangents: Any) -> Any:
    # That of the factors themselves is not finite where singular values are equal.
    dx, dt = tangents
    out, u, s, v, left = _parts(*primals)
    kept = nx.divide(left, s)
    inner = u.mT.conj() @ dx
    p = inner @ v.mT.conj()
    even, odd = (p + p.mT.conj()) / 2, (p - p.mT.conj()) / 2
    rows, columns = s[..., :, None], s[..., None, :]
    some, others = left[..., :, None], left[..., None, :]
    above = (s > primals[1]).astype(s.dtype)
    equal = jnp.abs(rows - columns) <= 1e-5 * (rows + columns)
    gap = jnp.where(equal, jnp.ones_like(rows - columns), rows - columns)
    slope = jnp.where(equal, above[..., :, None], (some - others) / gap)
    turn = nx.divide(some + others, rows + columns)
    core = nx.times(even, slope) + nx.times(odd, turn)
    rest = (dx - u @ inner) @ nx.times(v.mT.conj(), kept[..., None, :]) @ v
    less = nx.times(u, (dt * above)[..., None, :]) @ v
    return out, u @ core @ v + rest - less
