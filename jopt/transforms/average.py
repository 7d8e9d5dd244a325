"""Averages of the parameters: a moving one, and Lookahead's slow weights."""

from typing import Any, cast, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike, DTypeLike

from jopt._core import extras, numerics as nx, slots, trees
from jopt._core.numerics import times
from jopt._core.transform import Transform, transform
from jopt._core.types import Count, DecayRate, Fraction, Inner, Pair, PyTree, Steps

__all__ = [
    "EmaParamsState",
    "LookaheadState",
    "averaged_params",
    "ema_params",
    "lookahead",
]


class EmaParamsState(NamedTuple):
    """State of `ema_params`."""

    count: jax.Array
    weight: jax.Array  # the share of the average that is made of parameters seen
    ema: PyTree

    def averaged(self, params: PyTree) -> PyTree:
        """The average, in the tree and the dtypes of the parameters."""
        return like_params(self.ema, params)


@transform
def ema_params(
    decay: DecayRate = 0.999,
    *,
    debias: bool = True,
    warmup: bool = False,
    start_step: Steps = 0,
    sync_period: Steps = 0,
    accumulator_dtype: DTypeLike | None = None,
) -> Pair:
    """Keep a moving average of the parameters, as they are after each step.

    Updates pass unchanged, unless `sync_period` is given. It takes `params + updates`
    for the new parameters, so place it last in a chain; inside `accumulate` it counts
    optimizer steps. Evaluate with `averaged_params(state, params)`. After the t-th
    step::

        b = min(decay, t / (9 + t)) if warmup, else decay
        ema = b ema + (1 - b) params, over its weight 1 - b^t if debias
        params = ema, if sync_period divides t

    Args:
        decay: Decay of the average, in [0, 1): it spans about `1 / (1 - decay)` steps.
        debias: Whether to leave the initial parameters out: the average is one of those
            after steps 1 to t only. Else it starts from the initial ones.
        warmup: Whether to begin with a shorter average, which lengthens with time.
        start_step: The step up to which the average is the parameters themselves.
        sync_period: Steps between two at which the parameters become the average;
            0 for never. Nothing may change the update after it.
        accumulator_dtype: Dtype of the average. Defaults to that of each parameter,
            float32 or wider.

    Returns:
        A stage with one slot per parameter. It reads `params`.

    Raises:
        ValueError: In `update`, if `params` is not given.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import averaged_params, chain, ema_params, sgd
        >>> tx, p = chain(sgd(1.0), ema_params(0.5, debias=False)), jnp.zeros(())
        >>> state = tx.init(p)
        >>> for _ in range(2):
        ...     u, state = tx.update(-jnp.ones(()), state, p)
        ...     p = p + u
        >>> p, averaged_params(state, p)
        (Array(2., dtype=float32), Array(1.25, dtype=float32))

    Reference:
        Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging",
        SIAM Journal on Control and Optimization 1992.
    """
    b = cast(Any, decay)

    def init(params):
        weight = jnp.asarray(0.0 if debias else 1.0, jnp.result_type(float))
        ema = jax.tree.map(lambda p: copied(p, accumulator_dtype), params)
        return EmaParamsState(jnp.zeros((), jnp.int32), weight, ema)

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "ema_params")
        count = nx.increment(state.count)
        share = nx.cast(b.complement, state.weight.dtype)
        if warmup:
            t = jnp.maximum(count - start_step, 1).astype(state.weight.dtype)
            share = jnp.maximum(share, 9.0 / (9.0 + t))
        weight = state.weight + share * (1.0 - state.weight)
        early = count <= start_step
        weight = jnp.where(early, state.weight, weight)
        rate = jnp.where(early, 1.0, share / jnp.where(early, 1.0, weight))
        ema = jax.tree.map(
            lambda a, p, u: towards(a, applied(p, u), rate),
            state.ema,
            params,
            updates,
        )
        if sync_period:
            updates = landed(count % sync_period == 0, updates, ema, params)
        return updates, EmaParamsState(count, weight, ema)

    return Pair(init, update)


class LookaheadState(NamedTuple):
    """State of `lookahead`."""

    slow_params: PyTree
    steps_since_sync: jax.Array
    inner_state: PyTree

    def averaged(self, params: PyTree) -> PyTree:
        """The slow weights, in the tree and the dtypes of the parameters."""
        return like_params(self.slow_params, params)


@transform
def lookahead(
    inner: Inner,
    sync_period: Count = 6,
    slow_step_size: Fraction = 0.5,
    reset_state: bool = False,
) -> Pair:
    """Look k steps ahead, then step part of the way there.

    The parameters that you train are the fast weights; the slow ones live in the state,
    and `averaged_params(state, params)` gives them for evaluation::

        params += inner(g)
        every k-th step: slow += a (params - slow); params = slow

    Args:
        inner: The optimizer of the fast weights. Nothing may change the update after
            it: place `lookahead` outermost.
        sync_period: k, the steps between two synchronisations.
        slow_step_size: a, in [0, 1].
        reset_state: Whether the inner optimizer starts afresh at each synchronisation.

    Returns:
        A transform with one more slot per parameter. It reads `params`. optax's wrapper
        of this name takes a pair of parameters instead.

    Raises:
        ValueError: In `update`, if `params` is not given.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import lookahead, sgd
        >>> tx, p = lookahead(sgd(1.0), sync_period=2), jnp.zeros(1)
        >>> state = tx.init(p)
        >>> for _ in range(2):
        ...     u, state = tx.update(-jnp.ones(1), state, p)
        ...     p = p + u
        ...     print(p)
        [1.]
        [1.]

    Reference:
        Zhang et al., "Lookahead Optimizer: k steps forward, 1 step back", NeurIPS 2019,
        arXiv:1907.08610, Algorithm 1.
    """
    pair = cast(Transform, inner).raw
    a = cast(ArrayLike, slow_step_size)

    def init(params):
        slow = trees.copy_like(params)
        return LookaheadState(slow, jnp.zeros((), jnp.int32), pair.init(params))

    def update(updates, state, params=None, **extra):
        params = extras.need_params(params, "lookahead")
        updates, inner_state = pair.update(updates, state.inner_state, params, **extra)
        sync = state.steps_since_sync >= sync_period - 1

        def ahead(slow: jax.Array, p: jax.Array, u: jax.Array) -> jax.Array:
            return jnp.where(sync, towards(slow, applied(p, u), a), slow)

        slow = jax.tree.map(ahead, state.slow_params, params, updates)
        out = landed(sync, updates, slow, params)
        if reset_state:
            inner_state = jax.tree.map(
                lambda new, old: jnp.where(sync, new.astype(old.dtype), old),
                pair.init(params),
                inner_state,
            )
        count = jnp.where(sync, 0, state.steps_since_sync + 1)
        return out, LookaheadState(slow, count, inner_state)

    return Pair(init, update)


def averaged_params(
    state: PyTree, params: PyTree, *, name: str | None = None, share: float = 1.0
) -> Any:
    """The averaged parameters that a state holds, wherever in it they are.

    It finds the state of `ema_params`, `lookahead`, the schedule-free optimizers, and
    any other whose class has a method `averaged(params)`.

    Args:
        state: A state of jopt; or an `nnx.Optimizer`, or a train state.
        params: The current parameters. Leaves that are not averaged are taken from it.
        name: Which one, if there are several: the name of its stage, or any other part
            of its path. In a `named_chain` that is the name given there.
        share: The weight of the average in the result; the rest is `params`.

    Returns:
        A tree like `params`.

    Raises:
        KeyError: If there is none.
        ValueError: If there are several; the message has their paths.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adam, averaged_params, chain, ema_params
        >>> params = {"w": jnp.ones(2)}
        >>> state = chain(adam(0.1), ema_params(0.99)).init(params)
        >>> averaged_params(state, params)
        {'w': Array([1., 1.], dtype=float32)}
    """
    found = owner_of(
        state,
        "averaged",
        "average",
        name,
        "No stage of this state averages parameters. Add `ema_params` at the end "
        "of the chain: `chain(tx, ema_params(0.999))`.",
    )
    average = found.averaged(params)
    if isinstance(share, int | float) and share == 1:
        return average

    def mixed(p: Any, a: jax.Array) -> jax.Array:
        return towards(jnp.asarray(p), a, share) if trees.is_inexact(p) else a

    return jax.tree.map(mixed, params, average)


def owner_of(state: PyTree, method: str, noun: str, name: str | None, none: str) -> Any:
    """The one part of a state that has a method, chosen by name if there are several.

    Raises:
        KeyError: If there is none.
        ValueError: If there are several; the message has their paths.
    """
    every = [s for s in slots.slots(state) if callable(_method(s, method))]
    if not every:
        raise KeyError(none)
    hits = every
    if name is not None:
        wanted = name.split(".")
        hits = [s for s in every if s.shown == name or _within(s, wanted)]
        if not hits:
            known = ", ".join(f"`{s.shown}`" for s in every)
            raise KeyError(f"No {noun} named `{name}`. There are {known}.")
    subject = f"Which {noun}" if name is None else f"The {noun} `{name}`"
    return slots.one_of(hits, subject, 'Choose by `name="..."`.')


def _method(slot: slots.Slot, name: str) -> Any:
    """A method of a state; properties are not read."""
    owner = getattr(slot.read, "func", None)
    return None if owner is getattr else getattr(slot.read(), name, None)


def _within(slot: slots.Slot, wanted: list[str]) -> bool:
    """Whether the path has all names, in order."""
    parts = iter(slot.path)
    return all(any(name in part.names for part in parts) for name in wanted)


def towards(old: jax.Array, new: jax.Array, rate: ArrayLike) -> jax.Array:
    """`old + rate (new - old)`, in float32 or wider, in the dtype of `old`."""
    kind = trees.accumulation_dtype(new.dtype)
    if jnp.finfo(old.dtype).bits > jnp.finfo(kind).bits:
        kind = old.dtype
    wide = old.astype(kind)
    return (wide + times(new.astype(kind) - wide, rate)).astype(old.dtype)


def applied(param: jax.Array, update: jax.Array) -> jax.Array:
    """The parameter after the step, as it is stored: rounded to its dtype."""
    kind = trees.accumulation_dtype(param.dtype)
    new = param.astype(kind) + update.astype(kind)
    if kind == param.dtype:
        return new
    info = jnp.finfo(param.dtype)  # XLA may leave out a cast to it and back
    return lax.reduce_precision(new, info.nexp, info.nmant)


def stored(param: jax.Array, update: jax.Array) -> jax.Array:
    """The parameter after the step, in its dtype."""
    return applied(param, update).astype(param.dtype)


def landed(due: jax.Array, updates: PyTree, goal: PyTree, params: PyTree) -> PyTree:
    """The updates, or where it is time those that take the parameters to a goal."""
    return jax.tree.map(
        lambda u, s, p: jnp.where(due, (s - p.astype(s.dtype)).astype(u.dtype), u),
        updates,
        goal,
        params,
    )


def copied(param: Any, dtype: DTypeLike | None) -> jax.Array:
    """A copy of a parameter; a complex one keeps its own precision."""
    kind = None if jnp.issubdtype(param.dtype, jnp.complexfloating) else dtype
    return trees.copy_like(param, kind)


def like_params(average: PyTree, params: PyTree) -> PyTree:
    """The average by leaf name; a leaf it does not have is taken from `params`."""
    known = dict(zip(trees.names(average), jax.tree.leaves(average), strict=True))

    def choose(name: str, p: Any) -> Any:
        return known[name].astype(jnp.result_type(p)) if name in known else p

    return trees.map_with_names(choose, params)
