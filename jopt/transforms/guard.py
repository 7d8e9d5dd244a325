"""A guard that lets no NaN and no infinity through."""

from typing import Any, cast, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from jopt._core import numerics as nx, slots, trees
from jopt._core.transform import Transform, transform
from jopt._core.types import Count, Inner, Pair, PyTree

__all__ = [
    "ApplyIfFiniteState",
    "apply_if_finite",
    "check_finite",
]


class ApplyIfFiniteState(NamedTuple):
    """State of `apply_if_finite`."""

    notfinite_count: jax.Array  # updates skipped in a row, up to now
    last_finite: jax.Array  # whether the latest update was applied
    total_notfinite: jax.Array  # updates skipped in all
    failed: jax.Array  # whether there ever were too many in a row
    inner_state: PyTree


@transform
def apply_if_finite(inner: Inner, max_consecutive_errors: Count = 5) -> Pair:
    """Skip a step whose gradient or update has a NaN or an infinity.

    A skipped step gives zero updates and leaves the inner state as it was, schedule
    counts and all. A bad update is never let through, however many come in a row:
    after `max_consecutive_errors` the state's flag `failed` is set and stays set.
    Compiled code cannot raise, so look at it between steps by `check_finite`.

    optax's wrapper of this name differs: it applies the bad update then.

    Args:
        inner: The optimizer.
        max_consecutive_errors: How many skipped steps in a row make a failure.

    Returns:
        A transform. Place it outermost, so that it sees the raw gradient and the final
        update; around `accumulate` it leaves single bad micro-batches out. The inner
        update is computed twice in a good step, to spare the memory of a second state.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import apply_if_finite, sgd
        >>> tx, p = apply_if_finite(sgd(0.5)), jnp.ones(2)
        >>> updates, state = tx.update(jnp.array([jnp.nan, 1.0]), tx.init(p), p)
        >>> updates
        Array([0., 0.], dtype=float32)
        >>> int(state.total_notfinite)
        1
    """
    pair = cast(Transform, inner).raw

    def init(params):
        zero, none = jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)
        good, failed = jnp.ones((), bool), jnp.zeros((), bool)
        return ApplyIfFiniteState(zero, good, none, failed, pair.init(params))

    def update(updates, state, params=None, **extra):
        def run(inner_state: PyTree) -> tuple[PyTree, PyTree]:
            return pair.update(updates, inner_state, params, **extra)

        # Run once to look at the result and once to keep it: to hold the old state
        # and the new one until it is known which to keep would take far more memory.
        seen, _ = run(state.inner_state)
        good = _all_finite(updates) & _all_finite(seen)

        def skip(inner_state: PyTree) -> tuple[PyTree, PyTree]:
            still = jax.tree.map(lambda u: trees.full_like(u, 0.0, u.dtype), seen)
            return still, inner_state

        out, inner_state = lax.cond(good, run, skip, state.inner_state)
        row = jnp.where(good, 0, nx.increment(state.notfinite_count))
        total = state.total_notfinite
        return out, ApplyIfFiniteState(
            notfinite_count=row,
            last_finite=good,
            total_notfinite=jnp.where(good, total, nx.increment(total)),
            failed=state.failed | (row >= max_consecutive_errors),
            inner_state=inner_state,
        )

    return Pair(init, update)


def check_finite(state: PyTree) -> None:
    """Raise if an `apply_if_finite` in a state has failed.

    It reads the state back from the device: call it outside `jit`, now and then.

    Args:
        state: A state, in which `apply_if_finite` may stand anywhere.

    Raises:
        FloatingPointError: If there were too many bad updates in a row.
        KeyError: If there is no `apply_if_finite` in the state.
        TypeError: If it is called under `jit`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import apply_if_finite, check_finite, sgd
        >>> tx = apply_if_finite(sgd(0.5))
        >>> check_finite(tx.init(jnp.ones(2)))
    """
    guards = 0
    for slot in slots.slots(state):
        node = slot.read() if not slot.path or _is_guard(slot) else None
        if isinstance(node, ApplyIfFiniteState):
            guards += 1
            _raise_if_failed(node, slot.shown)
    if not guards:
        raise KeyError(
            "There is no `apply_if_finite` in this state. Wrap the optimizer: "
            "`apply_if_finite(tx)`."
        )


def _is_guard(slot: slots.Slot) -> bool:
    return "apply_if_finite" in slot.path[-1].names


def _raise_if_failed(state: ApplyIfFiniteState, where: str) -> None:
    failed = slots.unwrap(state.failed)
    if isinstance(failed, Tracer):
        raise TypeError("`check_finite` reads values: call it outside `jax.jit`.")
    failed = np.asarray(failed)
    if not failed.any():
        return
    row = np.asarray(slots.unwrap(state.notfinite_count))[failed].max()
    total = np.asarray(slots.unwrap(state.total_notfinite))[failed].max()
    members = f" in {failed.sum()} of {failed.size} members" if failed.ndim else ""
    at = f" at `{where}`" if where else ""
    raise FloatingPointError(
        f"`apply_if_finite`{at} skipped too many updates in a row{members}: {total} "
        f"not finite in all, {row} in a row up to now. The parameters are those of the "
        "last good step. Look at the loss there, or lower the learning rate."
    )


def _all_finite(tree: PyTree) -> Any:
    flags = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]
    return jnp.all(jnp.stack(flags)) if flags else jnp.ones((), bool)
