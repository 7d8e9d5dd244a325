"""Averages of some of the parameters on the way, and copies of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jopt._core import extras, numerics as nx, trees
from jopt._core.sums import number
from jopt._core.transform import transform
from jopt._core.types import Boundaries, Count, NonNegative, Pair, PyTree, Steps
from jopt.transforms.average import applied, copied, like_params, owner_of, towards

__all__ = [
    "LawaState",
    "PowerEmaState",
    "SnapshotState",
    "SwaState",
    "lawa_params",
    "power_ema_params",
    "recalibrate_batch_stats",
    "snapshot_params",
    "snapshots",
    "swa_params",
]


class SwaState(NamedTuple):
    """State of `swa_params`."""

    count: jax.Array
    n_averaged: jax.Array
    average: PyTree

    def averaged(self, params: PyTree) -> PyTree:
        """The average, in the tree and the dtypes of the parameters."""
        return like_params(self.average, params)


class LawaState(NamedTuple):
    """State of `lawa_params`."""

    count: jax.Array
    n_kept: jax.Array  # of all, those that have been overwritten included
    kept: PyTree  # the latest parameters, along a first axis
    latest: PyTree  # the average of those

    def averaged(self, params: PyTree) -> PyTree:
        """The average, in the tree and the dtypes of the parameters."""
        return like_params(self.latest, params)


class PowerEmaState(NamedTuple):
    """State of `power_ema_params`."""

    count: jax.Array
    ema: PyTree

    def averaged(self, params: PyTree) -> PyTree:
        """The average, in the tree and the dtypes of the parameters."""
        return like_params(self.ema, params)


class SnapshotState(NamedTuple):
    """State of `snapshot_params`."""

    count: jax.Array
    n_kept: jax.Array
    kept: PyTree  # the copies, along a first axis

    def snapshots(self, params: PyTree) -> list[PyTree]:
        """The copies taken so far, each in the tree and dtypes of the parameters."""
        return [
            like_params(jax.tree.map(lambda x, i=i: x[i], self.kept), params)
            for i in range(int(self.n_kept))
        ]


@transform
def swa_params(
    start_step: Steps = 0,
    period: Count = 1,
    *,
    accumulator_dtype: DTypeLike | None = None,
) -> Pair:
    """Keep the equal average of the parameters at every `period`-th step of the end.

    Stochastic weight averaging. Use it with a learning rate that is constant, or rises
    and falls in cycles of `period`, after `start_step`. Place it last in a chain, and
    evaluate with `averaged_params(state, params)`. After step t, where `t > start_step`
    and `period` divides `t - start_step`::

        n = n + 1
        average = average + (params - average) / n

    Args:
        start_step: The step after which averaging begins. Until the first parameters
            are in it the average is the parameters themselves.
        period: Steps between two parameters that are averaged.
        accumulator_dtype: Dtype of the average. Defaults to that of each parameter,
            float32 or wider.

    Returns:
        A stage with one slot per parameter. It reads `params`.

    Example:
        >>> from jopt import averaged_params, chain, sgd, swa_params
        >>> tx, p = chain(sgd(1.0), swa_params(start_step=1)), jnp.zeros(())
        >>> state = tx.init(p)
        >>> for _ in range(3):
        ...     u, state = tx.update(-jnp.ones(()), state, p)
        ...     p = p + u
        >>> p, averaged_params(state, p)  # of 2 and 3
        (Array(3., dtype=float32), Array(2.5, dtype=float32))

    Reference:
        Izmailov et al., "Averaging Weights Leads to Wider Optima and Better
        Generalization", UAI 2018, arXiv:1803.05407, Algorithm 1.
    """

    def init(params):
        average = jax.tree.map(lambda p: copied(p, accumulator_dtype), params)
        return SwaState(*_counters(), average)

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "swa_params")
        count = nx.increment(state.count)
        due = (count > start_step) & ((count - start_step) % period == 0)
        n = jnp.where(due, nx.increment(state.n_averaged), state.n_averaged)
        # until there is one the average is the parameters themselves
        rate = jnp.where(due | (n == 0), 1.0 / jnp.maximum(number(n), 1.0), 0.0)
        average = _each(
            lambda a, new: towards(a, new, rate), state.average, params, updates
        )
        return updates, SwaState(count, n, average)

    return Pair(init, update)


@transform
def lawa_params(
    k: Count = 5,
    period: Count = 100,
    *,
    accumulator_dtype: DTypeLike | None = None,
) -> Pair:
    """Keep the average of the k latest parameters, taken every `period` steps.

    Latest weight averaging. Place it last in a chain, and evaluate with
    `averaged_params(state, params)`. The average is renewed when parameters are taken;
    until then it is the parameters themselves.

    Args:
        k: How many parameters to keep.
        period: Steps between two of them.
        accumulator_dtype: Dtype in which they are kept. Defaults to that of each
            parameter, float32 or wider.

    Returns:
        A stage with `k + 1` slots per parameter. It reads `params`.

    Example:
        >>> from jopt import averaged_params, chain, lawa_params, sgd
        >>> tx, p = chain(sgd(1.0), lawa_params(k=2, period=1)), jnp.zeros(())
        >>> state = tx.init(p)
        >>> for _ in range(3):
        ...     u, state = tx.update(-jnp.ones(()), state, p)
        ...     p = p + u
        >>> p, averaged_params(state, p)  # of 2 and 3
        (Array(3., dtype=float32), Array(2.5, dtype=float32))

    Reference:
        Kaddour, "Stop Wasting My Time! Saving Days of ImageNet and BERT Training with
        Latest Weight Averaging", 2022, arXiv:2209.14981.
    """

    def init(params):
        latest = jax.tree.map(lambda p: copied(p, accumulator_dtype), params)
        return LawaState(*_counters(), _stacked(latest, k), latest)

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "lawa_params")
        count = nx.increment(state.count)
        due = count % period == 0
        at = jnp.where(due, state.n_kept % k, k)  # k: nowhere
        kept = _each(lambda x, new: _put(x, new, at), state.kept, params, updates)
        n = jnp.where(due, nx.increment(state.n_kept), state.n_kept)
        some = number(jnp.clip(n, 1, k))

        def average(a, x, p, u):
            mean = nx.times(jnp.sum(x, axis=0), 1.0 / some).astype(a.dtype)
            now = applied(p, u).astype(a.dtype)
            return jnp.where(due, mean, jnp.where(n == 0, now, a))

        latest = jax.tree.map(average, state.latest, kept, params, updates)
        return updates, LawaState(count, n, kept, latest)

    return Pair(init, update)


@transform
def power_ema_params(
    gamma: NonNegative = 6.94, *, accumulator_dtype: DTypeLike | None = None
) -> Pair:
    """Keep an average of the parameters over a constant part of all steps so far.

    The power-function average behind post-hoc EMA: it has no time scale, and forgets
    the initial parameters. Place it last in a chain, and evaluate with
    `averaged_params(state, params)`. After step t::

        b = (1 - 1 / t)^(gamma + 1)
        ema = b * ema + (1 - b) * params

    Args:
        gamma: The larger, the shorter the average. 16.97, 6.94 and 3.56 give a width of
            5%, 10% and 15% of the run.
        accumulator_dtype: Dtype of the average. Defaults to that of each parameter,
            float32 or wider.

    Returns:
        A stage with one slot per parameter. It reads `params`.

    Example:
        >>> from jopt import averaged_params, chain, power_ema_params, sgd
        >>> tx, p = chain(sgd(1.0), power_ema_params(gamma=0.0)), jnp.zeros(())
        >>> state = tx.init(p)
        >>> for _ in range(3):
        ...     u, state = tx.update(-jnp.ones(()), state, p)
        ...     p = p + u
        >>> p, averaged_params(state, p)  # of 1, 2 and 3
        (Array(3., dtype=float32), Array(2., dtype=float32))

    Reference:
        Karras et al., "Analyzing and Improving the Training Dynamics of Diffusion
        Models", CVPR 2024, arXiv:2312.02696, Section 3.1.
    """

    def init(params):
        ema = jax.tree.map(lambda p: copied(p, accumulator_dtype), params)
        return PowerEmaState(jnp.zeros((), jnp.int32), ema)

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "power_ema_params")
        count = nx.increment(state.count)
        first = count <= 1
        log = jnp.log1p(-1.0 / jnp.where(first, 2.0, number(count)))
        rate = jnp.where(first, 1.0, -jnp.expm1((number(gamma) + 1.0) * log))
        ema = _each(lambda a, new: towards(a, new, rate), state.ema, params, updates)
        return updates, PowerEmaState(count, ema)

    return Pair(init, update)


@transform
def snapshot_params(
    at: Boundaries, *, accumulator_dtype: DTypeLike | None = None
) -> Pair:
    """Keep copies of the parameters after given steps, for an ensemble of them.

    Place it last in a chain. `jopt.snapshots(state, params)` gives the copies. For a
    snapshot ensemble take them where a cyclic learning rate is at its lowest.

    Args:
        at: The steps after which to copy, increasing; the first step is 1.
        accumulator_dtype: Dtype of the copies. Defaults to that of each parameter,
            float32 or wider.

    Returns:
        A stage with a slot per parameter and step in `at`. It reads `params`.

    Example:
        >>> from jopt import chain, sgd, snapshot_params, snapshots
        >>> tx, p = chain(sgd(1.0), snapshot_params([1, 3])), jnp.zeros(())
        >>> state = tx.init(p)
        >>> for _ in range(3):
        ...     u, state = tx.update(-jnp.ones(()), state, p)
        ...     p = p + u
        >>> snapshots(state, p)
        [Array(1., dtype=float32), Array(3., dtype=float32)]

    Reference:
        Huang et al., "Snapshot Ensembles: Train 1, Get M for Free", ICLR 2017,
        arXiv:1704.00109.
    """
    steps = jnp.asarray(tuple(at), jnp.int32)

    def init(params):
        copies = jax.tree.map(lambda p: copied(p, accumulator_dtype), params)
        return SnapshotState(*_counters(), _stacked(copies, len(steps)))

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "snapshot_params")
        count = nx.increment(state.count)
        order = jnp.arange(len(steps), dtype=jnp.int32)
        place = jnp.where(steps == count, order, len(steps))
        index = jnp.min(place, initial=len(steps))
        kept = _each(lambda x, new: _put(x, new, index), state.kept, params, updates)
        n = jnp.sum(steps <= count, dtype=jnp.int32)
        return updates, SnapshotState(count, n, kept)

    return Pair(init, update)


def snapshots(state: PyTree, params: PyTree, *, name: str | None = None) -> list[Any]:
    """The copies that `snapshot_params` has taken so far.

    Args:
        state: A state of jopt; or an `nnx.Optimizer`, or a train state.
        params: The current parameters, for the tree and the dtypes.
        name: Which stage, if there are several: its name, or a part of its path.

    Returns:
        A list of trees like `params`, the earliest first.

    Raises:
        KeyError: If no stage takes copies.
        ValueError: If there are several; the message has their paths.
    """
    found = owner_of(
        state,
        "snapshots",
        "set of snapshots",
        name,
        "No stage of this state takes snapshots. Add `snapshot_params` at the end of "
        "the chain: `chain(tx, snapshot_params([1000, 2000]))`.",
    )
    return found.snapshots(params)


def recalibrate_batch_stats(
    statistics_fn: Callable[..., PyTree], params: PyTree, batches: Any
) -> PyTree:
    """The batch statistics of parameters: the equal average over batches.

    Averaged parameters need statistics of their own, since those of training belong to
    other parameters. Give it enough batches that the average is steady.

    Args:
        statistics_fn: `statistics_fn(params, batch)` gives the tree of statistics, such
            as means and variances, of one batch: not a moving average with older ones.
            It is compiled.
        params: The parameters, as a rule averaged ones.
        batches: What to go through, once: batches of one shape are the fastest.

    Returns:
        A tree like the one that `statistics_fn` gives.

    Raises:
        ValueError: If there are no batches.

    Example:
        >>> from jopt import recalibrate_batch_stats
        >>> statistics = lambda scale, x: {"mean": jnp.mean(scale * x)}
        >>> batches = [jnp.array([0.0, 2.0]), jnp.array([4.0, 4.0])]
        >>> recalibrate_batch_stats(statistics, 0.5, batches)
        {'mean': Array(1.25, dtype=float32)}

    Reference:
        Izmailov et al., "Averaging Weights Leads to Wider Optima and Better
        Generalization", UAI 2018, arXiv:1803.05407, Section 3.2.
    """
    statistics = jax.jit(statistics_fn)
    total, kinds, n = None, None, 0
    for n, batch in enumerate(batches, start=1):
        new = jax.tree.map(jnp.asarray, statistics(params, batch))
        if total is None:
            kinds = jax.tree.map(lambda x: x.dtype, new)
            total = trees.copy_like(new)
        else:
            total = jax.tree.map(lambda a, x, n=n: towards(a, x, 1.0 / n), total, new)
    if total is None:
        raise ValueError("`batches` must have at least one batch, got none.")
    return jax.tree.map(lambda a, kind: a.astype(kind), total, kinds)


def _counters() -> tuple[jax.Array, jax.Array]:
    return jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)


def _stacked(tree: PyTree, k: int) -> PyTree:
    """Room for k trees, along a first axis."""
    return jax.tree.map(lambda x: jnp.zeros((k, *x.shape), x.dtype), tree)


def _put(stack: jax.Array, new: jax.Array, index: jax.Array) -> jax.Array:
    """The stack with one of its arrays replaced, or none if the index is beyond it."""
    places = jnp.arange(stack.shape[0], dtype=index.dtype).reshape(-1, *(1,) * new.ndim)
    return jnp.where(places == index, new[None].astype(stack.dtype), stack)


def _each(
    function: Callable[..., Any], slots: PyTree, params: PyTree, updates: PyTree
) -> PyTree:
    """The function of each slot and of the parameter as it is after the step."""
    return jax.tree.map(
        lambda x, p, u: function(x, applied(p, u)), slots, params, updates
    )
