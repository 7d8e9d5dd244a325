"""Gradient accumulation: one optimizer step for several micro-batches."""

from typing import Any, cast, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jopt._core import numerics as nx, trees
from jopt._core.transform import Transform, transform
from jopt._core.types import Count, Inner, Pair, PyTree


class AccumulateState(NamedTuple):
    """State of `accumulate`."""

    mini_step: jax.Array  # micro-batches since the latest optimizer step
    gradient_step: jax.Array  # optimizer steps
    acc_grads: PyTree  # their sum, float32 or wider; void at mini_step 0, () if k is 1
    inner_state: PyTree


@transform
def accumulate(inner: Inner, every_k: Count) -> Pair:
    """Step once for every k micro-batches, on the mean of their gradients.

    Between steps the update is zero. The inner transform runs only in the k-th call
    (a `jax.lax.cond`), so that the others cost an addition; schedules inside it count
    its own steps. Where the micro-batches have equal size the result is that of one
    batch k times as large::

        s = g in the first call of k, s + g in the others    # float32 or wider
        u = inner(s / k) in the k-th call, 0 in the others

    To leave micro-batches with NaN out, wrap: `apply_if_finite(accumulate(...))`.

    Args:
        inner: The optimizer, clipping included.
        every_k: Micro-batches to a step.

    Returns:
        A transform. The inner one gets `params` and the extra arguments of the k-th
        call. Under `vmap` over the state both branches run, and the result is the same.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import accumulate, sgd
        >>> tx, p = accumulate(sgd(1.0), every_k=2), jnp.zeros(1)
        >>> state = tx.init(p)
        >>> for g in (1.0, 3.0):
        ...     u, state = tx.update(jnp.array([g]), state, p)
        ...     print(u)
        [0.]
        [-2.]
    """
    pair = cast(Transform, inner).raw

    def init(params):
        sums = trees.zeros_like(params) if every_k > 1 else ()
        zero, none = jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)
        return AccumulateState(zero, none, sums, pair.init(params))

    def update(updates, state, params=None, **extra):
        if every_k == 1:
            out, inner_state = pair.update(updates, state.inner_state, params, **extra)
            done = nx.increment(state.gradient_step)
            return out, AccumulateState(state.mini_step, done, (), inner_state)
        first, last = state.mini_step == 0, state.mini_step >= every_k - 1
        sums = jax.tree.map(
            lambda s, g: jnp.where(first, 0, s) + g.astype(s.dtype),
            state.acc_grads,
            updates,
        )

        def step(sums: PyTree, inner_state: PyTree) -> tuple[PyTree, PyTree]:
            mean = jax.tree.map(lambda s: s * (1.0 / every_k), sums)
            return pair.update(mean, inner_state, params, **extra)

        out, inner_state = _when(last, step, sums, state.inner_state)
        done = state.gradient_step
        return out, AccumulateState(
            jnp.where(last, 0, state.mini_step + 1),
            jnp.where(last, nx.increment(done), done),
            sums,
            inner_state,
        )

    return Pair(init, update)


def _when(
    last: jax.Array, step: Any, sums: PyTree, inner_state: PyTree
) -> tuple[PyTree, PyTree]:
    """`step` if it is time; otherwise zero updates and the state as it is."""
    shapes, _ = jax.eval_shape(step, sums, inner_state)

    def wait(sums: PyTree, inner_state: PyTree) -> tuple[PyTree, PyTree]:
        del sums
        still = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        return still, inner_state

    return lax.cond(last, step, wait, sums, inner_state)
