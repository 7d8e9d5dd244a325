"""Hold the norms of parameters, or those of updates relative to them, in bounds."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jopt._core import extras, norms, numerics as nx, select
from jopt._core.numerics import times
from jopt._core.transform import transform
from jopt._core.types import Fraction, LearningRate, Mask, no_state, NonNegative, Pair


@transform
def hyperball(
    learning_rate: LearningRate, mask: Mask = None, *, stacked: bool = False
) -> Pair:
    """Step along the sphere: the norm of each parameter stays what it was.

    In the place of `scale_by_learning_rate` and of weight decay. The step is relative:
    a learning rate of 0.01 turns a matrix by about 0.01 radians. With norms per leaf::

        q = p - learning_rate * |p| * u / |u|
        p = q * |p| / |q|

    Meant for matrices of hidden layers; leave vectors out by `mask`. A leaf of zeros
    has no norm to hold: it takes a plain step of length `learning_rate`. From a tuned
    rate and decay, start at about `sqrt(learning_rate * weight_decay)`.

    Args:
        learning_rate: The size of the step, relative to the parameter.
        mask: Which leaves it is for: see `jopt.masked`. The others are multiplied by
            minus the learning rate. Defaults to all.
        stacked: Whether a leaf of more than two dimensions is a stack of matrices, each
            with a norm of its own.

    Returns:
        A stage without state; the last of a chain. Its `update` needs `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import chain, hyperball, scale_by_adam
        >>> tx, p = chain(scale_by_adam(), hyperball(1.0)), jnp.array([0.0, 3.0])
        >>> (p + tx.update(jnp.array([2.0, 0.0]), tx.init(p), p)[0]).round(2)
        Array([-2.12,  2.12], dtype=float32)

    Reference:
        Wen et al., "Hyperball", 2026, arXiv:2606.16899.
    """
    select.check(mask)

    def leaf(held: bool, u: jax.Array, p: jax.Array) -> jax.Array:
        if not held:
            return times(u, -jnp.asarray(learning_rate))
        p = p.astype(u.dtype)
        axes = _axes(p, stacked)
        size = norms.norm(p, axes)
        one = jnp.ones_like(size)
        inverse = nx.divide(one, size)
        root, scale = norms.scaled_norm(u, axes)
        unit = times(times(u, scale), nx.divide(one, root))
        rate = nx.cast(learning_rate, size.dtype)
        # |q| / |p| without the difference of near numbers
        cosine = _dots(times(p, inverse), unit, axes)
        change = rate * (rate - 2.0 * cosine)
        lands_on_zero = change <= -1.0  # it has no direction to keep: stay
        free = lands_on_zero | (size == 0) | (root == 0)
        grown = jnp.expm1(-0.5 * jnp.log1p(jnp.where(free, 0.0, change)))
        length = rate * jnp.where(size == 0, one, size)
        step = times(unit, jnp.where(lands_on_zero, 0.0, length))
        return times(p, grown) - times(step, 1.0 + grown)

    def update(updates, state, params=None, **extra):
        del extra
        extras.need_params(params, "hyperball")
        held = select.resolve(mask, params)
        return jax.tree.map(leaf, held, updates, params), state

    return Pair(lambda params: _checked(mask, params), update)


@transform
def norm_floor(ratio: NonNegative = 0.35, *, per_row: bool = False) -> Pair:
    """Lift updates that are small beside their parameter.

    Between a matrix method and the learning rate: late in training the relative step
    does not fall below what is asked. With norms per leaf::

        u = u * max(1, ratio * |p| / |u|)

    Args:
        ratio: The least norm of an update, relative to that of the parameter.
        per_row: Whether norms are taken of each output, the last axis of a matrix;
            other leaves have one norm all the same.

    Returns:
        A stage without state. Its `update` needs `params`. A zero update stays zero.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import norm_floor
        >>> tx, p = norm_floor(0.5), jnp.array([3.0, 4.0])
        >>> tx.update(jnp.array([0.0, 1.0]), tx.init(p), p)[0]
        Array([0. , 2.5], dtype=float32)
    """

    def leaf(u: jax.Array, p: jax.Array) -> jax.Array:
        axes = (0,) if per_row and u.ndim == 2 else None
        root, scale = norms.scaled_norm(u, axes)
        size = norms.norm(p.astype(u.dtype), axes)
        least = nx.cast(ratio, size.dtype) * size
        small = (root < least * scale) & (root > 0)
        one = jnp.ones_like(root)
        first = jnp.where(small, scale, one)
        second = jnp.where(small, least / jnp.where(small, root, one), one)
        return times(times(u, first), second)

    def update(updates, state, params=None, **extra):
        del extra
        extras.need_params(params, "norm_floor")
        return jax.tree.map(leaf, updates, params), state

    return Pair(no_state, update)


@transform
def radial_brake(strength: Fraction = 0.5) -> Pair:
    """Slow down the growth of the norms of parameters.

    Last in a chain, on updates that are to be added. What points outward is cut; what
    points inward or along the sphere passes. With inner products per leaf::

        r = <u, p> / |p|^2
        u = u - strength * max(r, 0) * p

    Args:
        strength: How much of the outward part is taken off, in [0, 1].

    Returns:
        A stage without state. Its `update` needs `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import radial_brake
        >>> tx, p = radial_brake(0.5), jnp.array([2.0, 0.0])
        >>> tx.update(jnp.array([1.0, 1.0]), tx.init(p), p)[0]
        Array([0.5, 1. ], dtype=float32)
    """

    def leaf(u: jax.Array, p: jax.Array) -> jax.Array:
        unit = norms.normalized(p.astype(u.dtype))
        root, scale = norms.scaled_norm(u)
        along = norms.inner_product(norms.normalized(u), unit) * root
        outward = nx.cast(strength, along.dtype) * jnp.maximum(along, 0)
        return u - times(times(unit, outward), 1 / scale)

    def update(updates, state, params=None, **extra):
        del extra
        extras.need_params(params, "radial_brake")
        return jax.tree.map(leaf, updates, params), state

    return Pair(no_state, update)


def _axes(p: jax.Array, stacked: bool) -> tuple[int, ...]:
    return tuple(range(p.ndim))[-2:] if stacked else tuple(range(p.ndim))


def _dots(x: jax.Array, y: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """Real inner products over some axes, which stay at length 1."""
    products = jnp.real(x) * jnp.real(y)
    if jnp.iscomplexobj(x):
        products = products + jnp.imag(x) * jnp.imag(y)
    return jnp.sum(products, axis=axes, keepdims=True)


def _checked(mask: Mask, params: Any) -> optax.EmptyState:
    select.resolve(mask, params)
    return optax.EmptyState()
