"""Steps that are taken or not: on a condition, by their norm, or as spikes."""

from collections.abc import Callable
from typing import Any, cast, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jopt._core import norms, numerics as nx, trees
from jopt._core.transform import Transform, transform
from jopt._core.types import Count, Inner, Pair, Positive, PyTree


class ConditionallyTransformState(NamedTuple):
    """State of `conditionally_transform` and `conditionally_mask`."""

    step: jax.Array  # updates seen
    inner_state: PyTree


@transform
def conditionally_transform(
    inner: Inner,
    should_transform_fn: Callable[..., Any],
    forward_extra_args: bool = False,
) -> Pair:
    """Run the inner transform where a condition holds; else pass updates unchanged.

    Where it does not hold, the inner state stays as it is.

    Args:
        inner: The transform.
        should_transform_fn: A function of the step count, from 0, that returns a bool.
        forward_extra_args: Whether it is called with the extra arguments too, such as
            `value`.

    Returns:
        A transform that counts updates.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import conditionally_transform, scale
        >>> tx = conditionally_transform(scale(0.5), lambda step: step >= 1)
        >>> g = jnp.array([2.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> u, tx.update(g, state)[0]
        (Array([2.], dtype=float32), Array([1.], dtype=float32))
    """
    return _conditional(inner, should_transform_fn, forward_extra_args, lambda u: u)


@transform
def conditionally_mask(
    inner: Inner,
    should_transform_fn: Callable[..., Any],
    forward_extra_args: bool = False,
) -> Pair:
    """Run the inner transform where a condition holds; else all updates are zero.

    Where it does not hold, the inner state stays as it is.

    Args:
        inner: The transform.
        should_transform_fn: A function of the step count, from 0, that returns a bool.
        forward_extra_args: Whether it is called with the extra arguments too.

    Returns:
        A transform that counts updates.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import conditionally_mask, sgd
        >>> tx = conditionally_mask(sgd(0.5), lambda step: step % 2 == 0)
        >>> g = jnp.array([2.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> u, tx.update(g, state)[0]
        (Array([-1.], dtype=float32), Array([0.], dtype=float32))
    """
    return _conditional(
        inner,
        should_transform_fn,
        forward_extra_args,
        lambda u: jax.tree.map(_zero, u),
    )


class SkipLargeUpdatesState(NamedTuple):
    """State of `skip_large_updates`."""

    norm: jax.Array  # of the latest gradient
    skipped: jax.Array  # steps skipped in all
    inner_state: PyTree


@transform
def skip_large_updates(inner: Inner, max_norm: Positive) -> Pair:
    """Skip a step whose gradient has a norm above a bound, or is not finite.

    A skipped step gives zero updates and leaves the inner state as it was.

    Args:
        inner: The optimizer.
        max_norm: The bound of the global norm.

    Returns:
        A transform that keeps the norm and how often it skipped.

    Differs from optax in: there it is a function for `MultiSteps`, of the square.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import sgd, skip_large_updates
        >>> tx, p = skip_large_updates(sgd(1.0), 5.0), jnp.zeros(2)
        >>> u, state = tx.update(jnp.array([6.0, 8.0]), tx.init(p), p)
        >>> u, int(state.skipped)
        (Array([0., 0.], dtype=float32), 1)
    """
    pair = cast(Transform, inner).raw

    def init(params):
        norm, zero = jnp.zeros((), norms.norm_dtype(params)), jnp.zeros((), jnp.int32)
        return SkipLargeUpdatesState(norm, zero, pair.init(params))

    def update(updates, state, params=None, **extra):
        norm = norms.global_norm(updates).astype(state.norm.dtype)
        good = norm <= nx.cast(max_norm, norm.dtype)
        out, inner_state = _when(good, pair, updates, state, params, extra)
        skipped = jnp.where(good, state.skipped, nx.increment(state.skipped))
        return out, SkipLargeUpdatesState(norm, skipped, inner_state)

    return Pair(init, update)


class SkipSpikesState(NamedTuple):
    """State of `skip_spikes`."""

    norms: jax.Array  # of the latest gradients, in a ring
    norms_seen: jax.Array
    values: jax.Array  # the latest losses, if they are given
    values_seen: jax.Array
    skipped: jax.Array  # steps skipped in all
    inner_state: PyTree


@transform
def skip_spikes(inner: Inner, sigma: Positive = 6.0, window: Count = 128) -> Pair:
    """Skip a step whose gradient norm or loss is far above those before.

    Mean and standard deviation are those of the last `window` steps, skipped ones
    among them; they count once half of the window is filled::

        skip if norm > mean(norms) + sigma * std(norms)
        skip if value > mean(values) + sigma * std(values)

    A skipped step gives zero updates and leaves the inner state as it was. A norm or
    loss that is not finite is skipped too, and not remembered.

    Args:
        inner: The optimizer.
        sigma: How many standard deviations make a spike.
        window: How many steps are remembered.

    Returns:
        A transform that remembers two numbers for each step of the window. The loss is
        judged where the update gets `value`, as `jopt.make_step` gives it.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import sgd, skip_spikes
        >>> tx, p = skip_spikes(sgd(1.0), window=4), jnp.zeros(1)
        >>> state = tx.init(p)
        >>> for g in (1.0, 2.0, 100.0):
        ...     u, state = tx.update(jnp.array([g]), state, p)
        ...     print(u)
        [-1.]
        [-2.]
        [0.]

    Reference:
        OLMo Team, "2 OLMo 2 Furious", 2025, arXiv:2501.00656; the rule is that of the
        authors' code, `SkipStepOptimizer`.
    """
    pair = cast(Transform, inner).raw

    def init(params):
        kind = norms.norm_dtype(params)
        rings = (jnp.zeros(window, kind) for _ in range(2))
        a, b, c = (jnp.zeros((), jnp.int32) for _ in range(3))
        return SkipSpikesState(next(rings), a, next(rings), b, c, pair.init(params))

    def usual(new: jax.Array, ring: jax.Array, seen: jax.Array) -> jax.Array:
        known = jnp.arange(window, dtype=jnp.int32) < seen
        n = jnp.sum(known.astype(ring.dtype))
        size = jnp.max(jnp.abs(ring), initial=0.0)
        size = jnp.where(size > 0, size, jnp.ones_like(size))
        x = ring / size  # so that squares do not overflow
        mean = jnp.sum(x) / jnp.maximum(n, 1)
        off = jnp.where(known, x - mean, 0.0)
        var = jnp.sum(off * off) / jnp.maximum(n - 1, 1)
        bound = mean + nx.cast(sigma, ring.dtype) * nx.sqrt(var)
        few = n < max(2, window // 2)
        return jnp.isfinite(new) & (few | (new / size <= bound))

    def remembered(
        new: jax.Array, ring: jax.Array, seen: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        good = jnp.isfinite(new)
        longer = ring.at[seen % window].set(new)
        return jnp.where(good, longer, ring), jnp.where(good, nx.increment(seen), seen)

    def update(updates, state, params=None, **extra):
        norm = norms.global_norm(updates).astype(state.norms.dtype)
        good = usual(norm, state.norms, state.norms_seen)
        kept = remembered(norm, state.norms, state.norms_seen)
        values = state.values, state.values_seen
        if "value" in extra:
            value = jnp.asarray(extra["value"]).astype(norm.dtype)
            good = good & usual(value, *values)
            values = remembered(value, *values)
        out, inner_state = _when(good, pair, updates, state, params, extra)
        skipped = jnp.where(good, state.skipped, nx.increment(state.skipped))
        return out, SkipSpikesState(*kept, *values, skipped, inner_state)

    return Pair(init, update)


def _conditional(
    inner: Any,
    condition: Callable[..., Any],
    forward: bool,
    otherwise: Callable[[PyTree], PyTree],
) -> Pair:
    pair = cast(Transform, inner).raw
    if not callable(condition):
        raise TypeError(
            "`should_transform_fn` must be a function of the step count, got "
            f"{condition!r}."
        )

    def init(params):
        return ConditionallyTransformState(jnp.zeros((), jnp.int32), pair.init(params))

    def update(updates, state, params=None, **extra):
        now = condition(state.step, **(extra if forward else {}))
        out, inner_state = _when(
            jnp.asarray(now), pair, updates, state, params, extra, otherwise
        )
        return out, ConditionallyTransformState(nx.increment(state.step), inner_state)

    return Pair(init, update)


def _when(
    good: jax.Array,
    pair: Pair,
    updates: PyTree,
    state: Any,
    params: PyTree,
    extra: dict[str, Any],
    otherwise: Callable[[PyTree], PyTree] | None = None,
) -> tuple[PyTree, PyTree]:
    """The inner update where `good`; else something else, and the state as it is."""

    def run(inner_state: PyTree) -> tuple[PyTree, PyTree]:
        return pair.update(updates, inner_state, params, **extra)

    shapes, _ = jax.eval_shape(run, state.inner_state)

    def skip(inner_state: PyTree) -> tuple[PyTree, PyTree]:
        out = jax.tree.map(_zero, updates) if otherwise is None else otherwise(updates)
        out = jax.tree.map(lambda u, s: u.astype(s.dtype), out, shapes)
        return out, inner_state

    return lax.cond(good, run, skip, state.inner_state)


def _zero(u: jax.Array) -> jax.Array:
    return trees.full_like(u, 0.0, u.dtype)
