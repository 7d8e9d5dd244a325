"""Loss scaling: gradients that float16 can hold, and the steps that it cannot."""

from typing import Annotated, Any, cast, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jax.typing import ArrayLike

from jopt._core import numerics as nx, slots, trees
from jopt._core.transform import Transform, transform
from jopt._core.types import Count, Hyper, Inner, Pair, PyTree
from jopt.transforms import guard

__all__ = [
    "DynamicLossScaleState",
    "dynamic_loss_scale",
    "scale_loss",
]

_PowerOfTwo = Annotated[ArrayLike, Hyper(low=0.0, above=True)]


class DynamicLossScaleState(NamedTuple):
    """State of `dynamic_loss_scale`."""

    scale: jax.Array  # what the next loss is to be multiplied by
    good_steps: jax.Array  # finite steps since the scale last changed
    total_notfinite: jax.Array  # steps skipped in all
    inner_state: PyTree


@transform
def dynamic_loss_scale(
    inner: Inner,
    initial: _PowerOfTwo = 2.0**15,
    growth_interval: Count = 2000,
    factor: Annotated[ArrayLike, Hyper(low=1.0)] = 2.0,
    *,
    min_scale: _PowerOfTwo = 1.0,
    max_scale: _PowerOfTwo = 2.0**24,
) -> Pair:
    """Undo the scale of the loss, skip steps that overflowed, and adapt the scale.

    Take the gradient of `scale_loss(loss, state)`. Gradients too small for float16 then
    are not lost; all numbers are powers of two, so scaling rounds nothing. Each step::

        if g is finite:
            update = inner(g / scale)
            scale = factor * scale after growth_interval of them in a row
        else:
            update = 0; the inner state stays as it is, schedule counts and all
            scale = scale / factor

    With `factor=1` the scale is fixed, and the skipping stays. bfloat16 has the range
    of float32 and needs no scaling.

    Args:
        inner: The optimizer, clipping included. Place `dynamic_loss_scale` outermost.
        initial: The first scale.
        growth_interval: Finite steps in a row after which the scale grows.
        factor: What it grows and shrinks by, a power of two; 1 for a fixed scale.
        min_scale: The least scale.
        max_scale: The greatest scale.

    Returns:
        A transform. `jopt.get(state, "scale")` and `"total_notfinite"` tell how it
        goes. Extra arguments reach the inner transform as they are given.

    Raises:
        ValueError: If a number is no power of two, or `initial` lies outside.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jopt import dynamic_loss_scale, scale_loss, sgd
        >>> tx, w = dynamic_loss_scale(sgd(1.0)), jnp.ones(1, jnp.float16)
        >>> state = tx.init(w)
        >>> loss = lambda w: (1e-8 * w.astype(jnp.float32)).sum()
        >>> jax.grad(loss)(w), jax.grad(lambda w: scale_loss(loss(w), state))(w)
        (Array([0.], dtype=float16), Array([0.0003276], dtype=float16))
        >>> u, state = tx.update(jnp.array([jnp.inf]), state, w)
        >>> u, state.scale
        (Array([0.], dtype=float16), Array(16384., dtype=float32))

    Reference:
        Micikevicius et al., "Mixed Precision Training", ICLR 2018, arXiv:1710.03740,
        Section 3.2.
    """
    pair = cast(Transform, inner).raw
    _check(initial=initial, factor=factor, min_scale=min_scale, max_scale=max_scale)

    def init(params):
        zero, none = jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)
        scale = jnp.array(initial, jnp.float32, copy=True)
        return DynamicLossScaleState(scale, zero, none, pair.init(params))

    def update(updates, state, params=None, **extra):
        good = guard._all_finite(updates)
        inverse = 1.0 / state.scale
        grads = jax.tree.map(lambda g: nx.times(g, inverse), updates)

        more = dict(extra)
        if "grad_fn" in extra:  # of the scaled loss, as the gradient is
            more["grad_fn"] = lambda p: jax.tree.map(
                lambda g: nx.times(g, inverse), extra["grad_fn"](p)
            )

        def run(inner_state: PyTree) -> tuple[PyTree, PyTree]:
            return pair.update(grads, inner_state, params, **more)

        shapes, _ = jax.eval_shape(run, state.inner_state)

        def skip(inner_state: PyTree) -> tuple[PyTree, PyTree]:
            still = jax.tree.map(
                lambda g, s: trees.full_like(g, 0.0, s.dtype), updates, shapes
            )
            return still, inner_state

        out, inner_state = lax.cond(good, run, skip, state.inner_state)
        total = state.total_notfinite
        grow = good & (state.good_steps >= growth_interval - 1)
        times = nx.cast(factor, jnp.float32)
        scale = jnp.where(grow, state.scale * times, state.scale)
        scale = jnp.where(good, scale, state.scale / times)
        return out, DynamicLossScaleState(
            scale=jnp.clip(
                scale, nx.cast(min_scale, scale.dtype), nx.cast(max_scale, scale.dtype)
            ),
            good_steps=jnp.where(good & ~grow, nx.increment(state.good_steps), 0),
            total_notfinite=jnp.where(good, total, nx.increment(total)),
            inner_state=inner_state,
        )

    return Pair(init, update)


def scale_loss(loss: jax.Array, state: PyTree) -> jax.Array:
    """Multiply a loss by the scale that `dynamic_loss_scale` keeps.

    Args:
        loss: The loss. 16-bit losses become float32, so that the product fits.
        state: A state in which `dynamic_loss_scale` stands anywhere; or an
            `nnx.Optimizer`, or a train state.

    Returns:
        The loss to differentiate.

    Raises:
        KeyError: If there is no `dynamic_loss_scale` in the state.
        ValueError: If there are several.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adam, dynamic_loss_scale, scale_loss
        >>> state = dynamic_loss_scale(adam(1e-3), initial=1024.0).init(jnp.ones(2))
        >>> scale_loss(jnp.array(0.5), state)
        Array(512., dtype=float32)
    """
    hits = [
        slot
        for slot in slots.slots(state)
        if (not slot.path or "dynamic_loss_scale" in slot.path[-1].names)
        and isinstance(slot.read(), DynamicLossScaleState)
    ]
    if not hits:
        raise KeyError(
            "There is no `dynamic_loss_scale` in this state. Wrap the optimizer: "
            "`dynamic_loss_scale(tx)`."
        )
    found = slots.one_of(hits, "The scale", "Give the part of the state that it is in.")
    loss = jnp.asarray(loss)
    loss = loss.astype(trees.accumulation_dtype(loss.dtype))
    return nx.times(loss, slots.unwrap(found.scale))


def _check(**values: Any) -> None:
    """Raise unless all are powers of two and the initial scale is within bounds."""
    known = {k: v for k, v in values.items() if not isinstance(v, Tracer)}
    for name, value in known.items():
        if np.any(np.frexp(np.asarray(value, np.float64))[0] != 0.5):
            raise ValueError(
                f"`{name}` must be a power of two, so that scaling rounds nothing, got "
                f"{value!r}."
            )
    if {"initial", "min_scale", "max_scale"} <= known.keys():
        low, high = known["min_scale"], known["max_scale"]
        initial = np.asarray(known["initial"])
        if np.any(initial < low) or np.any(initial > high):
            raise ValueError(
                "`initial` must lie between `min_scale` and `max_scale`, which are "
                f"{low!r} and {high!r}, got {known['initial']!r}."
            )
