"""Reduce the learning rate where a metric stops improving."""

from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from optax.contrib import ReduceLROnPlateauState

from jopt._core import numerics as nx
from jopt._core.numerics import times
from jopt._core.schedule import as_float
from jopt._core.transform import transform
from jopt._core.types import (
    Count,
    Fraction,
    Hyper,
    NonNegative,
    Pair,
    ScheduleFn,
    Steps,
)

_Factor = Annotated[
    ArrayLike | ScheduleFn, Hyper(low=0.0, high=1.0, above=True, below=True)
]


@transform
def reduce_on_plateau(
    factor: _Factor = 0.1,
    patience: Count = 10,
    rtol: Fraction = 1e-4,
    atol: NonNegative = 0.0,
    cooldown: Steps = 0,
    accumulation_size: Count = 1,
    min_scale: NonNegative = 0.0,
    *,
    mode: Literal["min", "max"] = "min",
    eps: NonNegative = 0.0,
) -> Pair:
    """Scale updates down where a metric stops improving.

    Chain it after an optimizer and give `update` the metric as `value`. Every
    `accumulation_size` calls, with v the mean of the values given::

        improved = v < best - rtol * |best| - atol        (v > best + ... for "max")
        bad      = 0 if improved or cooling down, else bad + 1
        if bad == patience:
            scale = max(factor * scale, min_scale)   (if lower by more than eps)
            then cool down for `cooldown` means, and bad = 0

    Differs from PyTorch's ReduceLROnPlateau in: there the rate falls after
    `patience + 1` values without improvement, here and in Keras and optax after
    `patience`; and there the relative threshold of a negative `best` lies on its
    wrong side, so that a steady negative loss counts as improving. Differs from
    Keras's in: there a cooldown of n ends after n - 1 values. Their `min_lr` and `eps`
    are rates, here they are shares of the first rate.

    Args:
        factor: What the scale is multiplied by, in (0, 1).
        patience: Means in a row without improvement before the scale falls, at least 1.
        rtol: Least improvement, relative to the best value, in [0, 1].
        atol: Least improvement on top of that.
        cooldown: Means after a fall in which none counts as bad.
        accumulation_size: Values averaged into one. 1 suits a validation loss; for the
            loss of a minibatch take as many as make it steady.
        min_scale: The least scale.
        mode: Whether a lower value is better, or a higher one.
        eps: The scale stays where it would fall by no more than this.

    Returns:
        A stage whose state holds the scale. Its `update` needs `value=`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import reduce_on_plateau
        >>> tx = reduce_on_plateau(factor=0.5, patience=2)
        >>> updates, state = jnp.ones(2), tx.init(jnp.ones(2))
        >>> for loss in (3.0, 3.0, 3.0):
        ...     scaled, state = tx.update(updates, state, value=loss)
        >>> scaled
        Array([0.5, 0.5], dtype=float32)
        >>> tx
        reduce_on_plateau(factor=0.5, patience=2)
    """
    sign = 1.0 if mode == "min" else -1.0

    def init(params):
        del params
        return ReduceLROnPlateauState(
            scale=as_float(1.0),
            best_value=as_float(sign * jnp.inf),
            plateau_count=jnp.zeros((), jnp.int32),
            cooldown_count=jnp.zeros((), jnp.int32),
            count=jnp.zeros((), jnp.int32),
            avg_value=as_float(0.0),
        )

    def update(updates, state, params=None, *, value=None, **extra):
        del params, extra
        state = _accumulate(state, _scalar(value))
        bounds = min_scale, eps
        judged = _judge(state, sign, factor, patience, rtol, atol, cooldown, bounds)
        full = jnp.asarray(state.count) >= accumulation_size
        state = jax.tree.map(lambda a, b: jnp.where(full, a, b), judged, state)
        return jax.tree.map(lambda u: times(u, state.scale), updates), state

    return Pair(init, update)


def _scalar(value: Any) -> jax.Array:
    """The metric as a float, checked."""
    if value is None:
        raise ValueError(
            "`reduce_on_plateau` needs the metric it watches: call "
            "`tx.update(grads, state, params, value=loss)`."
        )
    if jnp.shape(value) != () or jnp.iscomplexobj(value):
        raise ValueError(
            "`value` of `reduce_on_plateau` must be one real number, got "
            f"{jnp.result_type(value)} of shape {jnp.shape(value)}. Give it the mean "
            "loss."
        )
    return as_float(value)


def _accumulate(state: Any, value: jax.Array) -> ReduceLROnPlateauState:
    """The state with `value` in its running mean."""
    count = nx.increment(state.count)
    dtype = state.avg_value.dtype
    before, now = state.count.astype(dtype), count.astype(dtype)
    mean = state.avg_value * (before / now) + value.astype(dtype) / now
    return state._replace(count=count, avg_value=mean)


def _judge(
    state: Any,
    sign: float,
    factor: Any,
    patience: int,
    rtol: Any,
    atol: Any,
    cooldown: int,
    bounds: tuple[Any, Any],
) -> ReduceLROnPlateauState:
    """The state after a full mean, which is then begun anew."""
    dtype = state.scale.dtype
    best = sign * state.best_value  # as if lower were better
    margin = nx.cast(rtol, dtype) * jnp.abs(best) + nx.cast(atol, dtype)
    # before the first value `best` is infinite, and infinity minus itself is NaN
    threshold = jnp.where(jnp.isfinite(best), best - margin, best)
    improved = sign * state.avg_value < threshold
    cooling = state.cooldown_count > 0
    bad = jnp.where(improved | cooling, 0, nx.increment(state.plateau_count))
    falls = bad >= patience
    least, eps = (nx.cast(bound, dtype) for bound in bounds)
    reduced = jnp.maximum(state.scale * nx.cast(factor, dtype), least)
    lower = falls & (state.scale - reduced > eps)
    cooled = jnp.maximum(state.cooldown_count - 1, 0)
    return ReduceLROnPlateauState(
        scale=jnp.where(lower, reduced, state.scale),
        best_value=jnp.where(improved, state.avg_value, state.best_value),
        plateau_count=jnp.where(falls, 0, bad).astype(jnp.int32),
        cooldown_count=jnp.where(falls, cooldown, cooled).astype(jnp.int32),
        count=jnp.zeros_like(state.count),
        avg_value=jnp.zeros_like(state.avg_value),
    )
