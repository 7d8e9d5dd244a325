"""Manifolds: gradients along them, and steps that end on them."""

from typing import Literal

import jax
import jax.numpy as jnp

from jopt._core import extras, layout, norms, numerics as nx, select
from jopt._core.transform import chain, transform
from jopt._core.types import Inner, Mask, no_state, Pair
from jopt.constraints.projected import after_step

__all__ = ["retracted", "riemannian", "tangent"]

Manifold = Literal["sphere", "oblique", "stiefel"]


@transform
def riemannian(inner: Inner, manifold: Manifold, mask: Mask = None) -> Pair:
    """Run an optimizer on a manifold: unit vectors, or orthonormal columns.

    The gradient is taken along the manifold, and what the optimizer makes of it ends on
    the manifold. Momentum is not carried from one tangent space to the next, but
    projected; for small steps that is the same to first order. The same as::

        chain(tangent(manifold), inner, retracted(manifold))

    Args:
        inner: A whole optimizer, such as `sgd(0.1, momentum=0.9)`.
        manifold: `"sphere"`, leaves of norm 1; `"oblique"`, matrices whose columns
            have norm 1; `"stiefel"`, matrices with orthonormal columns, or rows if they
            are wide. Matrices are the last two axes.
        mask: Which leaves are on it. Defaults to all.

    Returns:
        A transform. It needs `params`.

    Raises:
        ValueError: If there is no such manifold; in `update`, if `params` is missing.

    Example:
        >>> import jax, jax.numpy as jnp, jopt
        >>> a = jnp.diag(jnp.array([1.0, 3.0, 2.0]))
        >>> tx = jopt.riemannian(jopt.sgd(0.1), "sphere")
        >>> x = jnp.ones(3) / jnp.sqrt(3.0)
        >>> for _ in range(60):
        ...     updates, _ = tx.update(-2.0 * a @ x, tx.init(x), x)
        ...     x = x + updates
        >>> [f"{abs(entry):.3f}" for entry in x]
        ['0.000', '1.000', '0.000']

    Reference:
        Absil, Mahony and Sepulchre, "Optimization Algorithms on Matrix Manifolds",
        2008, sections 3.6 and 4.1.
    """
    return chain(tangent(manifold, mask), inner, retracted(manifold, mask))  # pyright: ignore


@transform
def tangent(manifold: Manifold, mask: Mask = None) -> Pair:
    """Take from each gradient what leads off the manifold.

    Stands first in a chain whose last is `retracted`; `riemannian` is both. Each step::

        sphere:   u = g - <p, g> p            (of each column on the oblique manifold)
        stiefel:  u = g - p (p'g + g'p) / 2

    Args:
        manifold: See `riemannian`.
        mask: Which leaves are on it. Defaults to all.

    Returns:
        A transform without state. It needs `params`.

    Raises:
        ValueError: If there is no such manifold; in `update`, if `params` is missing.

    Reference:
        Absil, Mahony and Sepulchre, "Optimization Algorithms on Matrix Manifolds",
        2008, sections 3.5.7 and 3.6.
    """
    select.check(mask)

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "tangent")
        keep = select.resolve(mask, params)

        def leaf(u: jax.Array, p: jax.Array, flag: bool) -> jax.Array:
            return _along(u, p.astype(u.dtype), manifold) if flag else u

        return jax.tree.map(leaf, updates, params, keep), state

    return Pair(no_state, update)


@transform
def retracted(manifold: Manifold, mask: Mask = None) -> Pair:
    """Let each step run along the manifold, and end on it.

    Stands last in a chain, behind the learning rate. The step is projected on the
    tangent space; its end is brought to the manifold by its norm, or by the orthogonal
    factor of its QR decomposition, whose signs are those nearest to the step's. So
    parameters are on the manifold up to rounding.

    Args:
        manifold: See `riemannian`.
        mask: Which leaves are on it. Defaults to all.

    Returns:
        A transform without state. It needs `params`.

    Raises:
        ValueError: If there is no such manifold; in `update`, if `params` is missing.

    Reference:
        Absil, Mahony and Sepulchre, "Optimization Algorithms on Matrix Manifolds",
        2008, section 4.1 and example 4.1.3.
    """
    select.check(mask)
    after = after_step(lambda x: _nearby(x, manifold), mask, "retracted")
    along = tangent(manifold, mask).raw

    def update(updates, state, params=None, **extra):
        updates, _ = along.update(updates, (), params)
        return after.update(updates, state, params, **extra)

    return Pair(no_state, update)


def _axes(x: jax.Array, manifold: Manifold) -> tuple[int, ...]:
    """The axes of each unit vector."""
    columns = manifold == "oblique" and x.ndim > 1
    return (-2,) if columns else tuple(range(x.ndim))


def _along(u: jax.Array, p: jax.Array, manifold: Manifold) -> jax.Array:
    if not u.size:
        return u
    if manifold == "stiefel" and u.ndim > 1:
        if u.shape[-2] < u.shape[-1]:
            return _along(u.mT, p.mT, manifold).mT
        full, base = layout.whole(u), layout.whole(p)
        inner = base.mT.conj() @ full
        return layout.like(full - base @ ((inner + inner.mT.conj()) / 2), u)
    axes = _axes(u, manifold)
    size = norms.norm(p, axes)
    unit = nx.times(p, nx.divide(jnp.ones_like(size), size))
    return u - nx.times(unit, norms.dot(unit, u, axes))


def _nearby(x: jax.Array, manifold: Manifold) -> jax.Array:
    if not x.size:
        return x
    if manifold == "stiefel" and x.ndim > 1:
        if x.shape[-2] < x.shape[-1]:
            return _nearby(x.mT, manifold).mT
        q, r = jnp.linalg.qr(layout.whole(x))
        d = jnp.diagonal(r, axis1=-2, axis2=-1)
        size = jnp.abs(d)
        zero = size == 0
        sign = d / jnp.where(zero, jnp.ones_like(size), size).astype(d.dtype)
        sign = jnp.where(zero, jnp.ones_like(d), sign)
        return layout.like(q * sign[..., None, :], x)
    size = norms.norm(x, _axes(x, manifold))
    return nx.times(x, nx.divide(jnp.ones_like(size), size))
