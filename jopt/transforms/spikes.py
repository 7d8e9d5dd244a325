"""Clip gradients whose norm is out of the ordinary: ZClip and AdaGC."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import norms, numerics as nx
from jopt._core.numerics import times
from jopt._core.transform import transform
from jopt._core.types import (
    Count,
    DecayRate,
    Epsilon,
    NonNegative,
    Pair,
    Positive,
    PyTree,
)


class ZclipState(NamedTuple):
    """State of `zclip`."""

    count: jax.Array
    mean: jax.Array  # of the norms, after clipping
    var: jax.Array
    clipped: jax.Array  # steps that were clipped


@transform
def zclip(
    decay: DecayRate = 0.97,
    z_thresh: Positive = 2.5,
    warmup_steps: Count = 25,
    eps: Epsilon = 1e-6,
    *,
    clip_to: Literal["reciprocal", "mean"] = "reciprocal",
) -> Pair:
    """Clip the global norm where it is an outlier among those before.

    Mean and variance of the norm are those of the first `warmup_steps` steps, which
    pass unclipped, and moving averages from there. Then, with the norm `n`::

        z = (n - mean) / (std + eps)
        bound = mean + z_thresh^2 * std / z  if z > z_thresh, else n
        u = g * bound / n
        mean = decay * mean + (1 - decay) * bound
        var = decay * var + (1 - decay) * (bound - mean)^2

    To bound the first steps as well, put `clip_by_global_norm` after it.

    Args:
        decay: Decay of the two averages, in [0, 1).
        z_thresh: From how many standard deviations above the mean on to clip.
        warmup_steps: Steps that the first mean is taken of.
        eps: Added to the standard deviation.
        clip_to: Whether to clip the farther below the threshold the greater the
            outlier, as above, or to the mean.

    Returns:
        A stage with four scalars: `count`, `mean`, `var` and `clipped`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import zclip
        >>> tx, g = zclip(warmup_steps=2, clip_to="mean"), jnp.array([1.0])
        >>> state = tx.init(g)
        >>> for size in (1.0, 3.0, 100.0):
        ...     u, state = tx.update(size * g, state)
        >>> u
        Array([2.], dtype=float32)

    Reference:
        Kumar et al., "ZClip: Adaptive Spike Mitigation for LLM Pre-Training", 2025,
        arXiv:2504.02507, Algorithm 1.
    """

    def init(params):
        kind = norms.norm_dtype(params)
        mean, var = jnp.zeros((), kind), jnp.zeros((), kind)
        return ZclipState(jnp.zeros((), jnp.int32), mean, var, jnp.zeros((), jnp.int32))

    def bounded(n: jax.Array, mean: jax.Array, var: jax.Array) -> jax.Array:
        std = nx.sqrt(var)
        z = nx.divide(n - mean, std + nx.cast(eps, n.dtype))
        least = nx.cast(z_thresh, n.dtype)
        out = z > least
        if clip_to == "mean":
            return jnp.where(out, mean, n)
        safe = jnp.where(out, z, jnp.ones_like(z))
        return jnp.where(out, mean + least * (std * (least / safe)), n)

    def update(updates, state, params=None, **extra):
        del params, extra
        root, scale = norms.scaled_global_norm(updates)
        n = norms.unscaled(root, scale).astype(state.mean.dtype)
        count = nx.increment(state.count)
        warm = count <= warmup_steps
        bound = jnp.where(warm, n, bounded(n, state.mean, state.var))
        hit = bound < n
        first, second = norms.within(root, scale, jnp.where(hit, bound, jnp.inf))
        out = jax.tree.map(lambda g: times(times(g, first), second), updates)
        # while warm, of all norms up to now; then moving
        share = 1.0 / jnp.maximum(count, 1).astype(n.dtype)
        early = state.mean + share * (n - state.mean)
        spread = nx.square(n - state.mean) * (1.0 - share)
        early_var = state.var + share * (spread - state.var)
        late = nx.average(bound, state.mean, decay)
        late_var = nx.average(nx.square(bound - late), state.var, decay)
        good = jnp.isfinite(n)
        kept = jnp.where(good, jnp.where(warm, early, late), state.mean)
        kept_var = jnp.where(good, jnp.where(warm, early_var, late_var), state.var)
        clipped = jnp.where(hit, nx.increment(state.clipped), state.clipped)
        return out, ZclipState(count, kept, kept_var, clipped)

    return Pair(init, update)


class AdaGcState(NamedTuple):
    """State of `ada_gc`."""

    count: jax.Array
    norms: PyTree  # average norm of each leaf, after clipping


@transform
def ada_gc(
    lambda_abs: NonNegative = 1.0,
    lambda_rel: NonNegative = 1.05,
    decay: DecayRate = 0.98,
    warmup_steps: Count = 100,
) -> Pair:
    """Clip each leaf to a multiple of its own usual norm.

    A spike in one leaf then does not shrink the steps of all others. In the warmup the
    global norm is clipped, and the least norm of each leaf kept; with `n` the norm of a
    leaf::

        u = g * min(1, lambda_abs / global_norm)    while t < warmup_steps
        gamma = min(gamma, |u|)
        u = g * min(1, lambda_rel * gamma / n)      from then on
        gamma = decay * gamma + (1 - decay) * |u|

    Args:
        lambda_abs: Bound of the global norm in the warmup.
        lambda_rel: Bound of a leaf's norm, relative to its average.
        decay: Decay of the average, in [0, 1).
        warmup_steps: From which step on leaves are clipped by themselves.

    Returns:
        A stage with a number per leaf. A leaf whose average is 0 is not clipped, so
        that it can begin to move.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import ada_gc
        >>> tx, g = ada_gc(lambda_rel=1.5, warmup_steps=2), jnp.array([1.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> tx.update(100.0 * g, state)[0]
        Array([1.5], dtype=float32)

    Reference:
        Wang et al., "AdaGC: Improving Training Stability for Large Language Model
        Pretraining", 2025, arXiv:2502.11034, Algorithm 1.
    """

    def init(params):
        def zero(p):
            return jnp.zeros((), norms.norm_dtype(p))

        return AdaGcState(jnp.zeros((), jnp.int32), jax.tree.map(zero, params))

    def update(updates, state, params=None, **extra):
        del params, extra
        count = nx.increment(state.count)
        warm, first_step = count < warmup_steps, state.count == 0
        warm = warm | first_step
        whole = norms.within(*norms.scaled_global_norm(updates), lambda_abs)

        def factors(g: jax.Array, gamma: jax.Array) -> tuple[jax.Array, jax.Array]:
            bound = nx.cast(lambda_rel, gamma.dtype) * gamma
            bound = jnp.where(gamma > 0, bound, jnp.inf)
            own = norms.within(*norms.scaled_norm(g), bound)
            pairs = zip(whole, own, strict=True)
            a, b = (jnp.where(warm, w.astype(o.dtype), o) for w, o in pairs)
            return a, b

        def clipped(g: jax.Array, gamma: jax.Array) -> jax.Array:
            first, second = factors(g, gamma)
            return times(times(g, first), second)

        out = jax.tree.map(clipped, updates, state.norms)

        def averaged(u: jax.Array, gamma: jax.Array) -> jax.Array:
            n = norms.norm(u).astype(gamma.dtype)
            least = jnp.where(first_step, n, jnp.minimum(gamma, n))
            return jnp.where(warm, least, nx.average(n, gamma, decay))

        return out, AdaGcState(count, jax.tree.map(averaged, out, state.norms))

    return Pair(init, update)
