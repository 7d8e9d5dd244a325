"""Sharpness-aware minimisation: step by the gradient of a worse place nearby."""

from collections.abc import Callable
from typing import Any, cast, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jopt._core import extras, norms, numerics as nx, select, trees
from jopt._core.numerics import times
from jopt._core.transform import Transform, transform
from jopt._core.types import Count, Inner, Mask, NonNegative, Pair, PyTree


class SamState(NamedTuple):
    """State of `sam`, `asam` and `gsam`."""

    inner_state: PyTree


class LookSamState(NamedTuple):
    """State of `looksam`."""

    steps_since_look: jax.Array  # 0 where the next step takes a second gradient
    sideways: PyTree  # the part of the sharp gradient across the plain one
    inner_state: PyTree


@transform
def sam(inner: Inner, rho: NonNegative = 0.05) -> Pair:
    """Sharpness-aware minimisation: seek minima whose whole neighbourhood is low.

    Each step takes two gradients, the second of them at the worst place within a
    radius, to first order; so it costs twice the time. With norms over all leaves::

        e = rho * g(p) / |g(p)|
        u = inner(g(p + e))

    `jopt.make_step` passes what it needs; in a step of your own give the gradient of
    the present batch: `tx.update(g, state, p, grad_fn=jax.grad(loss))`.

    Args:
        inner: The optimizer, clipping included: `grad_fn` is not clipped.
        rho: The radius.

    Returns:
        A transform without slots of its own. Its `update` needs `params` and
        `grad_fn`. With 16-bit parameters a small `rho` may be lost to rounding.

    Differs from optax in: `optax.contrib.sam` runs in two calls, the first of which
    moves the parameters to the worse place, or calls a `grad_fn` with a step index.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jopt import sam, sgd
        >>> loss = lambda p: jnp.sum(p**2)
        >>> tx, p = sam(sgd(0.25), rho=0.5), jnp.array([3.0, 4.0])
        >>> g = jax.grad(loss)
        >>> tx.update(g(p), tx.init(p), p, grad_fn=g)[0]
        Array([-1.65, -2.2 ], dtype=float32)

    Reference:
        Foret et al., "Sharpness-Aware Minimization for Efficiently Improving
        Generalization", ICLR 2021, arXiv:2010.01412, Algorithm 1.
    """

    def sharp(g: PyTree, params: PyTree, extra: dict[str, Any]) -> PyTree:
        away = _moved(params, norms.normalized(g), rho)
        return extras.gradient_at(extra, away, g, "sam")

    return _around(inner, sharp, "sam")


@transform
def asam(
    inner: Inner,
    rho: NonNegative = 0.5,
    eta: NonNegative = 0.01,
    mask: Mask = None,
) -> Pair:
    """SAM in a neighbourhood that scales with the parameters.

    Sharpness then does not depend on how a network is scaled, such as one layer up and
    the next one down. With norms over all leaves::

        t = |p| + eta    # 1 for leaves outside the mask
        e = rho * t^2 g(p) / |t g(p)|
        u = inner(g(p + e))

    Args:
        inner: The optimizer.
        rho: The radius, relative to the parameters: about ten times that of `sam`.
        eta: Added to the size of the parameters.
        mask: Which leaves scale, see `jopt.masked`; the authors take weights and leave
            biases. Defaults to all.

    Returns:
        A transform without slots of its own. Its `update` needs `params` and
        `grad_fn`: see `sam`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jopt import asam, sgd
        >>> g = jax.grad(lambda p: jnp.sum(p**2))
        >>> tx, p = asam(sgd(0.25), rho=0.5, eta=0.0), jnp.array([1.0, 0.0])
        >>> tx.update(g(p), tx.init(p), p, grad_fn=g)[0]
        Array([-0.75, -0.  ], dtype=float32)

    Reference:
        Kwon et al., "ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant
        Learning of Deep Neural Networks", ICML 2021, arXiv:2102.11600, Algorithm 1.
    """
    select.check(mask)

    def sharp(g: PyTree, params: PyTree, extra: dict[str, Any]) -> PyTree:
        def size(scales: bool, p: jax.Array, g: jax.Array) -> jax.Array:
            size = jnp.abs(p.astype(g.dtype))
            if not scales:
                return jnp.ones_like(size)
            return size + nx.cast(eta, size.dtype)

        t = jax.tree.map(size, select.resolve(mask, params), params, g)
        unit = norms.normalized(jax.tree.map(times, g, t))
        away = _moved(params, jax.tree.map(times, unit, t), rho)
        return extras.gradient_at(extra, away, g, "asam")

    return _around(inner, sharp, "asam")


@transform
def gsam(inner: Inner, rho: NonNegative = 0.05, alpha: NonNegative = 0.4) -> Pair:
    """SAM that also closes the gap between the worse place and the present one.

    The part of the plain gradient across the sharp one lowers the loss here and not
    there; it is ascended::

        g' = g(p + rho * g / |g|)
        u = inner(g' - alpha * (g - <g, g'> g' / |g'|^2))

    Args:
        inner: The optimizer.
        rho: The radius. The paper lowers it with the learning rate: a schedule does.
        alpha: How much of the part across is taken off.

    Returns:
        A transform without slots of its own. Its `update` needs `params` and
        `grad_fn`: see `sam`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jopt import gsam, sgd
        >>> g = jax.grad(lambda p: jnp.sum(p**2))
        >>> tx, p = gsam(sgd(0.25), rho=0.5), jnp.array([3.0, 4.0])
        >>> tx.update(g(p), tx.init(p), p, grad_fn=g)[0]
        Array([-1.65, -2.2 ], dtype=float32)

    Reference:
        Zhuang et al., "Surrogate Gap Minimization Improves Sharpness-Aware Training",
        ICLR 2022, arXiv:2203.08065, Algorithm 1.
    """

    def sharp(g: PyTree, params: PyTree, extra: dict[str, Any]) -> PyTree:
        away = _moved(params, norms.normalized(g), rho)
        there = extras.gradient_at(extra, away, g, "gsam")
        across = _across(g, norms.normalized(there))
        return jax.tree.map(lambda s, a: s - times(a, alpha), there, across)

    return _around(inner, sharp, "gsam")


@transform
def looksam(
    inner: Inner,
    rho: NonNegative = 0.05,
    alpha: NonNegative = 0.7,
    every_k: Count = 5,
) -> Pair:
    """SAM whose second gradient is taken in every k-th step only.

    What SAM adds changes slowly: its part across the plain gradient is kept and used
    again in the steps between. With norms over all leaves::

        g' = g(p + rho * g / |g|)    and    v = g' - <g', g> g / |g|^2   in every k-th
        g' = g + alpha * |g| / |v| * v                                   in the others
        u = inner(g')

    Args:
        inner: The optimizer.
        rho: The radius.
        alpha: How much of the kept part is added.
        every_k: Steps from one second gradient to the next; the first step takes one.

    Returns:
        A transform with one slot per parameter. Its `update` needs `params` and
        `grad_fn`, which runs in every k-th step (a `jax.lax.cond`).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jopt import looksam, sgd
        >>> g = jax.grad(lambda p: jnp.sum(p**2))
        >>> tx, p = looksam(sgd(0.25), rho=0.5), jnp.array([3.0, 4.0])
        >>> tx.update(g(p), tx.init(p), p, grad_fn=g)[0]
        Array([-1.65, -2.2 ], dtype=float32)

    Reference:
        Liu et al., "Towards Efficient and Scalable Sharpness-Aware Minimization",
        CVPR 2022, arXiv:2203.02714, Algorithm 1.
    """
    pair = cast(Transform, inner).raw

    def init(params):
        zeros, count = trees.zeros_like(params), jnp.zeros((), jnp.int32)
        return LookSamState(count, zeros, pair.init(params))

    def update(updates, state, params=None, **extra):
        extras.need_params(params, "looksam")
        extras.need(extra, "grad_fn", "looksam")

        def look(sideways: PyTree) -> tuple[PyTree, PyTree]:
            unit = norms.normalized(updates)
            away = _moved(params, unit, rho)
            there = extras.gradient_at(extra, away, updates, "looksam")
            across = _across(there, unit)
            return there, jax.tree.map(_like, across, sideways)

        def reuse(sideways: PyTree) -> tuple[PyTree, PyTree]:
            root, scale = norms.scaled_global_norm(updates)
            unit = norms.normalized(sideways)

            def leaf(g: jax.Array, v: jax.Array) -> jax.Array:
                long = times(times(v.astype(g.dtype), root), 1 / scale)
                return g + times(long, alpha)

            return jax.tree.map(leaf, updates, unit), sideways

        now = state.steps_since_look == 0
        g, sideways = lax.cond(now, look, reuse, state.sideways)
        out, inner_state = pair.update(g, state.inner_state, params, **extra)
        last = state.steps_since_look >= every_k - 1
        count = jnp.where(last, 0, state.steps_since_look + 1)
        return out, LookSamState(count, sideways, inner_state)

    return Pair(init, update)


def _around(
    inner: Any, sharp: Callable[[PyTree, PyTree, dict[str, Any]], PyTree], name: str
) -> Pair:
    """The inner optimizer on another gradient: `sharp(g, params, extra)`."""
    pair = cast(Transform, inner).raw

    def init(params):
        return SamState(pair.init(params))

    def update(updates, state, params=None, **extra):
        extras.need_params(params, name)
        g = sharp(updates, params, extra)
        out, inner_state = pair.update(g, state.inner_state, params, **extra)
        return out, SamState(inner_state)

    return Pair(init, update)


def _moved(params: PyTree, direction: PyTree, size: Any) -> PyTree:
    """`p + size * d`, in the dtypes of the parameters."""
    return jax.tree.map(
        lambda p, d: (p.astype(d.dtype) + times(d, size)).astype(p.dtype),
        params,
        direction,
    )


def _across(g: PyTree, unit: PyTree) -> PyTree:
    """The part of `g` that is orthogonal to a tree of norm 1."""
    root, scale = norms.scaled_global_norm(g)
    along = norms.inner_product(norms.normalized(g), unit) * root

    def leaf(x: jax.Array, n: jax.Array) -> jax.Array:
        return x - times(times(n, along), 1 / scale)

    return jax.tree.map(leaf, g, unit)


def _like(x: jax.Array, slot: jax.Array) -> jax.Array:
    return x.astype(slot.dtype)
