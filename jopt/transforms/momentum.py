"""Momentum: a sum or an average of past updates."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from jopt._core import numerics as nx, trees
from jopt._core.numerics import times
from jopt._core.spec import is_off
from jopt._core.transform import transform
from jopt._core.types import DecayRate, Fraction, Momentum, Pair, PyTree


class DampenedTraceState(NamedTuple):
    """State of `trace` with dampening."""

    count: jax.Array  # steps taken: the first is not dampened
    trace: PyTree  # momentum, shaped like the parameters


@transform
def trace(
    decay: Fraction,
    nesterov: bool = False,
    *,
    dampening: Momentum = None,
    accumulator_dtype: DTypeLike | None = None,
) -> Pair:
    """Replace updates by heavy-ball momentum: the decaying sum of past updates.

    The stage of `sgd`. Each step::

        m = decay * m + (1 - dampening) * g     # the first time m = g
        u = g + decay * m  if nesterov else  m

    Args:
        decay: Weight of the past, in [0, 1].
        nesterov: Whether to look one step ahead.
        dampening: As in PyTorch, in [0, 1): how much less than 1 a new update counts,
            except for the first. Not with `nesterov`.
        accumulator_dtype: Dtype of the momentum. Defaults to float32 or wider.

    Returns:
        A stage with one slot per parameter.

    Raises:
        ValueError: If `dampening` and `nesterov` are both given.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import trace
        >>> tx, g = trace(0.5), jnp.array([1.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> tx.update(g, state)[0]
        Array([1.5], dtype=float32)
        >>> tx
        trace(decay=0.5)
    """
    dampened = not is_off(dampening)
    if dampened and nesterov:
        raise ValueError(
            "`trace` takes `dampening` or `nesterov`, not both. Set `dampening=0`."
        )

    def init(params):
        slots = trees.zeros_like(params, accumulator_dtype)
        if dampened:
            return DampenedTraceState(jnp.zeros((), jnp.int32), slots)
        return optax.TraceState(slots)

    def update(updates, state, params=None, **extra):
        del params, extra
        g = jax.tree.map(_wide, updates, state.trace)
        fresh = g
        if dampened:
            less: Any = dampening
            weight = jnp.where(state.count == 0, 1.0, 1.0 - less)
            fresh = jax.tree.map(lambda g: times(g, weight), g)
        m = jax.tree.map(
            lambda g, m: g + times(m.astype(g.dtype), decay), fresh, state.trace
        )
        ahead = jax.tree.map(lambda g, m: g + times(m, decay), g, m)
        out = _cast_like(ahead if nesterov else m, updates)
        m = _cast_like(m, state.trace)
        if dampened:
            return out, DampenedTraceState(nx.increment(state.count), m)
        return out, optax.TraceState(m)

    return Pair(init, update)


@transform
def ema(
    decay: DecayRate, debias: bool = True, accumulator_dtype: DTypeLike | None = None
) -> Pair:
    """Replace updates by their exponential moving average.

    Each step, with `t` counting from 1::

        m = decay * m + (1 - decay) * g
        u = m / (1 - decay^t)  if debias else  m

    Args:
        decay: Weight of the past, in [0, 1).
        debias: Whether to divide by the sum of the weights.
        accumulator_dtype: Dtype of the average. Defaults to float32 or wider.

    Returns:
        A stage with one slot per parameter.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import ema
        >>> tx, g = ema(0.5, debias=False), jnp.array([1.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> tx.update(g, state)[0]
        Array([0.75], dtype=float32)
        >>> tx
        ema(decay=0.5, debias=False)
    """

    def init(params):
        slots = trees.zeros_like(params, accumulator_dtype)
        return optax.EmaState(jnp.zeros((), jnp.int32), slots)

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        g = jax.tree.map(_wide, updates, state.ema)
        m = jax.tree.map(
            lambda g, m: nx.average(g, m.astype(g.dtype), decay), g, state.ema
        )
        out = m
        if debias:
            weight = 1 / nx.bias_correction(decay, t)
            out = jax.tree.map(lambda m: times(m, weight), m)
        out = _cast_like(out, updates)
        return out, optax.EmaState(t, _cast_like(m, state.ema))

    return Pair(init, update)


def _wide(u: jax.Array, slot: jax.Array) -> jax.Array:
    """The update in the wider of its own dtype and the slot's."""
    wider = jnp.finfo(slot.dtype).bits > jnp.finfo(u.dtype).bits
    return u.astype(slot.dtype) if wider else u


def _cast_like(tree: PyTree, like: PyTree) -> PyTree:
    return jax.tree.map(lambda x, y: x.astype(y.dtype), tree, like)
