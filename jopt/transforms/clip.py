"""Clip updates: each entry, each leaf, each unit, or all together."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import extras, norms, numerics as nx
from jopt._core.numerics import times
from jopt._core.transform import transform
from jopt._core.types import no_state, NonNegative, Pair, PyTree


class ClipByGlobalNormState(NamedTuple):
    """State of `clip_by_global_norm`: what to log."""

    norm: jax.Array  # of the updates that came in at the latest step
    count: jax.Array  # steps taken
    clipped: jax.Array  # steps whose norm was above the bound

    @property
    def clip_rate(self) -> jax.Array:
        """The share of steps that were clipped."""
        steps = jnp.maximum(self.count, 1).astype(self.norm.dtype)
        return self.clipped.astype(self.norm.dtype) / steps


@transform
def clip(max_delta: NonNegative) -> Pair:
    """Clip each entry of the updates to `[-max_delta, max_delta]`.

    A complex entry keeps its direction; its magnitude is clipped. NaN stays NaN.

    Args:
        max_delta: The greatest magnitude of an entry.

    Returns:
        A stage without state.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import clip
        >>> tx = clip(1.0)
        >>> tx.update(jnp.array([-3.0, 0.5]), tx.init(jnp.zeros(2)))[0]
        Array([-1. ,  0.5], dtype=float32)
        >>> tx
        clip(max_delta=1.0)
    """

    def leaf(u):
        if jnp.iscomplexobj(u):
            size = jnp.abs(u)
            return times(u, _factor(size, nx.cast(max_delta, size.dtype)))
        bound = nx.cast(max_delta, u.dtype)
        return jnp.clip(u, -bound, bound)

    def update(updates, state, params=None, **extra):
        del params, extra
        return jax.tree.map(leaf, updates), state

    return Pair(no_state, update)


@transform
def clip_by_global_norm(max_norm: NonNegative) -> Pair:
    """Scale all updates down together when their common norm exceeds a bound.

    With the norm taken over all leaves::

        u = g * max_norm / norm(g)  if norm(g) > max_norm else  g

    Updates within the bound pass bitwise unchanged. The norm is right where the sum
    of squares overflows or underflows. A norm that is not finite makes all updates
    NaN: put `apply_if_finite` around the optimizer to skip such steps.

    Args:
        max_norm: The bound, a number >= 0 or a schedule of it. At 0 all updates are 0.

    Returns:
        A stage that keeps the norm it saw and how often it clipped: `state.norm`,
        `state.count`, `state.clipped` and `state.clip_rate`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import clip_by_global_norm
        >>> tx, g = clip_by_global_norm(1.0), jnp.array([6.0, 8.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> u
        Array([0.6, 0.8], dtype=float32)
        >>> float(state.norm), float(state.clip_rate)
        (10.0, 1.0)

    Reference:
        Pascanu et al., "On the Difficulty of Training Recurrent Neural Networks",
        ICML 2013, arXiv:1211.5063, Algorithm 1.
    """

    def init(params):
        norm = jnp.zeros((), norms.norm_dtype(params))
        # two zeros: a buffer that stands twice in the state cannot be donated
        return ClipByGlobalNormState(
            norm, jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)
        )

    def update(updates, state, params=None, **extra):
        del params, extra
        root, shift = norms.scaled_global_norm(updates)
        first, second = norms.within(root, shift, max_norm)
        out = jax.tree.map(lambda g: times(times(g, first), second), updates)
        hit = jnp.isfinite(root) & ((first != 1) | (second != 1))
        state = ClipByGlobalNormState(
            norms.unscaled(root, shift).astype(state.norm.dtype),
            nx.increment(state.count),
            jnp.where(hit, nx.increment(state.clipped), state.clipped),
        )
        return out, state

    return Pair(init, update)


@transform
def clip_by_block_rms(threshold: NonNegative) -> Pair:
    """Scale each leaf down when its root mean square exceeds a bound.

    Args:
        threshold: The greatest root mean square of a leaf.

    Returns:
        A stage without state.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import clip_by_block_rms
        >>> tx, g = clip_by_block_rms(1.0), jnp.array([2.0, -2.0])
        >>> tx.update(g, tx.init(g))[0]
        Array([ 1., -1.], dtype=float32)
    """

    def leaf(u):
        root, shift = norms.scaled_norm(u)
        root = root / math.sqrt(max(u.size, 1))
        first, second = norms.within(root, shift, threshold)
        return times(times(u, first), second)

    def update(updates, state, params=None, **extra):
        del params, extra
        return jax.tree.map(leaf, updates), state

    return Pair(no_state, update)


@transform
def adaptive_grad_clip(
    clipping: NonNegative,
    eps: NonNegative = 1e-3,
    axis: int | tuple[int, ...] | None = None,
) -> Pair:
    """Scale the gradient of each unit down to a multiple of the unit's own norm.

    With the norms taken per unit, that is per output::

        bound = clipping * max(norm(p), eps)
        u = g * bound / norm(g)  if norm(g) > bound else  g

    Args:
        clipping: The greatest ratio of the two norms. The paper uses 0.01 to 0.16.
        eps: The least norm that a unit's parameters count with, so that those which
            start at zero can move.
        axis: The axes that a unit spans. By default the whole of a scalar or vector,
            axis 0 of two or three dimensions (`(in, out)` kernels, attention heads),
            and all but the last of four or five (HWIO convolutions).

    Returns:
        A stage without state. Its `update` needs `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adaptive_grad_clip
        >>> tx = adaptive_grad_clip(0.5)
        >>> params = jnp.array([[3.0, 1.0], [4.0, 0.0]])
        >>> grads = jnp.array([[0.0, 0.0], [5.0, 0.1]])
        >>> tx.update(grads, tx.init(params), params)[0]
        Array([[0. , 0. ],
               [2.5, 0.1]], dtype=float32)

    Reference:
        Brock et al., "High-Performance Large-Scale Image Recognition Without
        Normalization", ICML 2021, arXiv:2102.06171, Equation 3.
    """

    def leaf(g, p):
        axes = _unit_axes(g.shape, axis)
        size = norms.norm(p.astype(g.dtype), axes)
        bound = jnp.maximum(size, nx.cast(eps, size.dtype))
        root, shift = norms.scaled_norm(g, axes)
        bound = nx.cast(clipping, size.dtype) * bound
        first, second = norms.within(root, shift, bound)
        return times(times(g, first), second)

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "adaptive_grad_clip")
        return jax.tree.map(leaf, updates, params), state

    return Pair(no_state, update)


def _unit_axes(
    shape: tuple[int, ...], axis: int | tuple[int, ...] | None
) -> tuple[int, ...]:
    """The axes over which the norm of a unit is taken."""
    rank = len(shape)
    if axis is not None:
        return axis if isinstance(axis, tuple) else (axis,)
    if sum(n != 1 for n in shape) <= 1:
        return tuple(range(rank))
    if rank <= 3:
        return (0,)
    if rank <= 5:
        return tuple(range(rank - 1))
    raise ValueError(
        f"`adaptive_grad_clip` knows no units in a leaf of shape {shape}. Give the "
        "axes that a unit spans as `axis`."
    )


def _factor(size: jax.Array, bound: PyTree) -> jax.Array:
    """What brings `size` down to `bound`; exactly 1 where it is within."""
    inside = size <= bound
    one = jnp.ones_like(size)
    return jnp.where(inside, one, bound / jnp.where(inside, one, size))
