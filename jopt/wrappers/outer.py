"""Momentum over many steps: outer Nesterov (DiLoCo, Snoo) and EMA-Nesterov."""

from typing import cast, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import extras, numerics as nx, trees
from jopt._core.numerics import times
from jopt._core.transform import Transform, transform
from jopt._core.types import (
    Count,
    DecayRate,
    Fraction,
    Inner,
    NonNegative,
    Pair,
    PyTree,
)
from jopt.transforms import average


class OuterNesterovState(NamedTuple):
    """State of `outer_nesterov`."""

    slow_params: PyTree
    trace: PyTree  # the outer momentum
    steps_since_sync: jax.Array
    inner_state: PyTree

    def averaged(self, params: PyTree) -> PyTree:
        """The slow parameters, in the tree and the dtypes of the parameters."""
        return average.like_params(self.slow_params, params)


@transform
def outer_nesterov(
    inner: Inner,
    outer_learning_rate: NonNegative = 0.7,
    outer_momentum: Fraction = 0.5,
    *,
    sync_period: Count = 30,
    nesterov: bool = True,
) -> Pair:
    """Every k steps, treat the way gone as a gradient and step with momentum.

    DiLoCo's outer optimizer on one worker, also known as Snoo. Between the outer steps
    the inner optimizer runs as it is. In every k-th step, with `p` where it came to::

        d = slow - p
        b = outer_momentum * b + d
        slow = slow - outer_learning_rate * (d + outer_momentum * b)
        p = slow

    With a momentum of 0 it is `lookahead`. The defaults are those of Snoo; DiLoCo with
    several workers takes a momentum of 0.9 and hundreds of steps.

    Args:
        inner: The optimizer of each step. Its state goes on over the outer steps.
        outer_learning_rate: How far the slow parameters go.
        outer_momentum: Their momentum, in [0, 1].
        sync_period: Steps from one outer step to the next.
        nesterov: Whether to look ahead; without it, they go by `b`.

    Returns:
        A transform with two more slots per parameter. Its `update` needs `params`.
        `averaged_params` reads the slow ones.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import outer_nesterov, sgd
        >>> tx = outer_nesterov(sgd(1.0), 0.5, 0.5, sync_period=2)
        >>> p = jnp.zeros(1)
        >>> state = tx.init(p)
        >>> for _ in range(4):
        ...     u, state = tx.update(-jnp.ones(1), state, p)
        ...     p = p + u
        ...     print(p)
        [1.]
        [1.5]
        [2.5]
        [3.25]

    Reference:
        Douillard et al., "DiLoCo: Distributed Low-Communication Training of Language
        Models", 2023, arXiv:2311.08105, Algorithm 1; Kallusky et al., "SNOO: Step-K
        Nesterov Outer Optimizer", 2025, arXiv:2510.15830.
    """
    pair = cast(Transform, inner).raw

    def init(params):
        count = jnp.zeros((), jnp.int32)
        slow, trace = trees.copy_like(params), trees.zeros_like(params)
        return OuterNesterovState(slow, trace, count, pair.init(params))

    def update(updates, state, params=None, **extra):
        extras.need_params(params, "outer_nesterov")
        updates, inner_state = pair.update(updates, state.inner_state, params, **extra)
        sync = state.steps_since_sync >= sync_period - 1

        slow = state.slow_params

        def gone(s, p, u):
            return s - average.applied(p, u).astype(s.dtype)

        def chosen(new: PyTree, old: PyTree) -> PyTree:
            return jax.tree.map(lambda a, b: jnp.where(sync, a, b), new, old)

        way = jax.tree.map(gone, slow, params, updates)
        new = jax.tree.map(lambda d, b: d + times(b, outer_momentum), way, state.trace)
        step = new
        if nesterov:
            step = jax.tree.map(lambda d, b: d + times(b, outer_momentum), way, new)
        slower = jax.tree.map(
            lambda s, d: s - times(d, outer_learning_rate), slow, step
        )
        back = jax.tree.map(
            lambda s, p, u: (s - p.astype(s.dtype)).astype(u.dtype),
            slower,
            params,
            updates,
        )
        out, slow = chosen(back, updates), chosen(slower, slow)
        trace = chosen(new, state.trace)
        count = jnp.where(sync, 0, state.steps_since_sync + 1)
        return out, OuterNesterovState(slow, trace, count, inner_state)

    return Pair(init, update)


class EmaNesterovState(NamedTuple):
    """State of `ema_nesterov`."""

    shift: jax.Array  # how many average steps ahead the parameters are
    trend: PyTree  # average of the steps
    inner_state: PyTree

    def averaged(self, params: PyTree) -> PyTree:
        """The parameters without the look ahead."""
        back = jax.tree.map(lambda m: times(m, -self.shift), self.trend)
        known = dict(zip(trees.names(back), jax.tree.leaves(back), strict=True))

        def leaf(name, p):
            if name not in known:
                return p
            return average.stored(p, known[name])

        return trees.map_with_names(leaf, params)


@transform
def ema_nesterov(
    inner: Inner, decay: DecayRate = 0.99, beta: NonNegative = 0.3
) -> Pair:
    """Take each gradient some way ahead along an average of the steps.

    Nesterov's look-ahead along the trend of about `1 / (1 - decay)` steps rather than
    along the latest one, which is mostly noise. The parameters in training are those
    ahead, `q = p + beta * m`; each step::

        p' = q + inner(g(q))
        m = decay * m + (1 - decay) * (p' - p)
        p, q = p', p' + beta * m

    Evaluate at `averaged_params(state, q)`, which gives `p`. The authors have `beta` in
    proportion to the learning rate and 0 in the warmup and in the last third of a run:
    give a schedule.

    Args:
        inner: The optimizer.
        decay: Decay of the average of steps, in [0, 1).
        beta: How many average steps to look ahead.

    Returns:
        A transform with one more slot per parameter. It reads `params` only where the
        inner one does.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import averaged_params, ema_nesterov, sgd
        >>> tx, q = ema_nesterov(sgd(1.0), decay=0.5, beta=1.0), jnp.zeros(1)
        >>> u, state = tx.update(-jnp.ones(1), tx.init(q), q)
        >>> q + u, averaged_params(state, q + u)
        (Array([1.5], dtype=float32), Array([1.], dtype=float32))

    Reference:
        Yau et al., "EMA-Nesterov: Stabilizing Nesterov's Lookahead for Accelerated Deep
        Learning Optimization", 2026, arXiv:2605.25395.
    """
    pair = cast(Transform, inner).raw

    def init(params):
        shift = jnp.zeros((), jnp.result_type(float))
        return EmaNesterovState(shift, trees.zeros_like(params), pair.init(params))

    def update(updates, state, params=None, **extra):
        out, inner_state = pair.update(updates, state.inner_state, params, **extra)

        def averaged(u, m):
            m = m.astype(u.dtype)
            return nx.average(u + times(m, state.shift), m, decay)

        trend = jax.tree.map(averaged, out, state.trend)
        out = jax.tree.map(lambda u, m: u + times(m, beta), out, trend)
        trend = jax.tree.map(lambda m, s: m.astype(s.dtype), trend, state.trend)
        shift = jnp.broadcast_to(jnp.asarray(beta, state.shift.dtype), ())
        return out, EmaNesterovState(shift, trend, inner_state)

    return Pair(init, update)
