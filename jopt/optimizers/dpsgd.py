"""DP-SGD: clipped gradients of single examples, summed under Gaussian noise."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jopt._core import norms, numerics as nx
from jopt._core.spec import is_off
from jopt._core.sums import number
from jopt._core.transform import aggregator, chain
from jopt._core.types import (
    LearningRate,
    Momentum,
    no_state,
    OptionalPositive,
    Pair,
    Positive,
    PyTree,
    Switch,
)
from jopt.optimizers.sgd import momentum_stage
from jopt.transforms.noise import check_key, drawn, own_key
from jopt.transforms.scale import scale_by_learning_rate


class DifferentiallyPrivateAggregateState(NamedTuple):
    """State of `differentially_private_aggregate`."""

    rng_key: jax.Array


@aggregator
def dpsgd(
    learning_rate: LearningRate,
    l2_norm_clip: Positive,
    noise_multiplier: Switch,
    key: jax.Array | int,
    momentum: Momentum = None,
    nesterov: bool = False,
    *,
    batch_size: OptionalPositive = None,
    accumulator_dtype: DTypeLike | None = None,
) -> Any:
    """DP-SGD: stochastic gradient descent with differential privacy.

    It takes the gradients of single examples: leaves shaped like the parameters, with
    an axis of examples in front, as `jax.vmap` makes them. Each step::

        g_i = g_i * min(1, l2_norm_clip / |g_i|)      # the norm over all leaves
        g = sum_i g_i + normal(0, (noise_multiplier * l2_norm_clip)^2)
        m = momentum * m + g / batch_size
        params -= learning_rate * m

    What privacy this gives depends on how batches are drawn and how many steps are
    made; jopt does not account for it: see `docs/privacy.md` for the facts that an
    accountant asks for. For another optimizer behind the same noise:
    `chain(differentially_private_aggregate(...), adam(...))`.

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        l2_norm_clip: The greatest norm of one example's gradient.
        noise_multiplier: Standard deviation of the noise over `l2_norm_clip`. 0 adds
            none, and gives no privacy.
        key: A key of `jax.random.key`, an integer seed, or a legacy `uint32` key. It
            moves into the state, where each step splits it. Whoever knows it can take
            the noise off: keep it secret, and never use it twice.
        momentum: Weight of the past, in [0, 1). 0 or `None` turns it off.
        nesterov: Whether to look one step of momentum ahead.
        batch_size: What the sum is divided by: the expected size of a batch that is
            drawn at random. Defaults to the number of rows.
        accumulator_dtype: Dtype of the momentum. Defaults to float32 or wider.

    Returns:
        A transform that takes gradients of examples; with momentum it has a slot per
        parameter. Its `update` takes `present`, a vector of bools: which rows are
        examples, where others fill the batch up. It does not read `params`.

    Raises:
        TypeError: If `key` is none of the three.
        ValueError: If it is more than one key, or in `update`, if leaves have not the
            same number of rows, or `present` has another.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jopt import dpsgd
        >>> loss = lambda w, x: jnp.sum(w * x)
        >>> w, x = jnp.zeros(2), jnp.array([[3.0, 4.0], [0.0, 1.0]])
        >>> tx = dpsgd(1.0, l2_norm_clip=1.0, noise_multiplier=0.0, key=0)
        >>> g = jax.vmap(jax.grad(loss), (None, 0))(w, x)
        >>> [f"{u:.2f}" for u in tx.update(g, tx.init(w), w)[0]]
        ['-0.30', '-0.90']

    Differs from optax in: the state holds its own copy of the key, each leaf and step
    has its own noise, in float32 or wider, and complex leaves get it in full in both
    parts; norms are taken in float32 or wider and do not overflow; an example whose
    gradient is not finite counts as 0, and does not reach the sum; and the sum may be
    divided by the expected size of a batch.

    Reference:
        Abadi et al., "Deep Learning with Differential Privacy", CCS 2016,
        arXiv:1607.00133, Algorithm 1.
    """
    return chain(
        differentially_private_aggregate(
            l2_norm_clip, noise_multiplier, key, batch_size=batch_size
        ),
        momentum_stage(momentum, nesterov, accumulator_dtype, None),
        scale_by_learning_rate(learning_rate),
    )


@aggregator
def differentially_private_aggregate(
    l2_norm_clip: Positive,
    noise_multiplier: Switch,
    key: jax.Array | int,
    *,
    batch_size: OptionalPositive = None,
) -> Pair:
    """Clip the gradients of single examples, add Gaussian noise to their sum, divide.

    The first stage of `dpsgd`; see there for the rule, and for the argument `present`
    of its update. Any optimizer may follow.

    Args:
        l2_norm_clip: The greatest norm of one example's gradient.
        noise_multiplier: Standard deviation of the noise over `l2_norm_clip`.
        key: A key of `jax.random.key`, an integer seed, or a legacy `uint32` key.
        batch_size: What the sum is divided by. Defaults to the number of rows.

    Returns:
        A transform that takes gradients of examples, and holds a key.

    Raises:
        TypeError: If `key` is none of the three.
        ValueError: If it is more than one key, or in `update`, if leaves have not the
            same number of rows, or `present` has another.
    """
    check_key(key)

    def init(params):
        del params
        return DifferentiallyPrivateAggregateState(own_key(key))

    def update(updates, state, params=None, *, present=None, **extra):
        del params, extra
        total = clipped_sum(updates, l2_norm_clip, present)
        following, noise = drawn(state.rng_key, total)
        if not is_off(noise_multiplier):
            std = number(noise_multiplier) * number(l2_norm_clip)
            total = jax.tree.map(lambda x, n: x + nx.times(n, std), total, noise)
        mean = _divided(total, updates, batch_size)
        return mean, DifferentiallyPrivateAggregateState(following)

    return Pair(init, update)


@aggregator
def per_example_clip(
    l2_norm_clip: Positive, *, batch_size: OptionalPositive = None
) -> Pair:
    """Clip the gradients of single examples, and take their mean: no noise.

    For batches that are too large for one step: clip part by part, accumulate, and add
    the noise once, `add_noise((noise_multiplier * l2_norm_clip / n)^2, 0, key)` for the
    `n` examples of all parts together. It gives no privacy by itself.

    Args:
        l2_norm_clip: The greatest norm of one example's gradient.
        batch_size: What the sum is divided by. Defaults to the number of rows.

    Returns:
        A transform without state that takes gradients of examples. Its `update` takes
        `present`, as that of `dpsgd` does.

    Raises:
        ValueError: In `update`, if leaves have not the same number of rows, or
            `present` has another.

    Example:
        >>> import jopt
        >>> clip, sigma, parts, rows = 1.0, 1.1, 4, 64
        >>> std = clip * sigma / (parts * rows)
        >>> inner = jopt.chain(jopt.add_noise(std**2, 0.0, key=0), jopt.sgd(0.1))
        >>> tx = jopt.chain(jopt.per_example_clip(clip), jopt.accumulate(inner, parts))
    """

    def update(updates, state, params=None, *, present=None, **extra):
        del params, extra
        total = clipped_sum(updates, l2_norm_clip, present)
        return _divided(total, updates, batch_size), state

    return Pair(no_state, update)


def clipped_sum(updates: PyTree, limit: Any, present: Any = None) -> PyTree:
    """The sum over examples of gradients no longer than `limit`.

    One example changes it by no more than that, whatever its gradient is.
    """
    if not jax.tree.leaves(updates):
        return updates
    root, scale = jax.vmap(norms.scaled_global_norm)(updates)
    kept = jnp.isfinite(root)
    if present is not None:
        present = jnp.asarray(present)
        if present.shape != root.shape:
            raise ValueError(
                f"`present` must have a bool for each of the {len(root)} rows of the "
                f"gradients, got an array of shape {present.shape}."
            )
        kept = kept & present.astype(bool)
    first, second = jax.vmap(norms.within, (0, 0, None))(root, scale, limit)

    def leaf(g: jax.Array) -> jax.Array:
        def row(x: jax.Array) -> jax.Array:
            return x.reshape(-1, *(1,) * (g.ndim - 1))

        clipped = nx.times(nx.times(g, row(first)), row(second))
        return jnp.sum(jnp.where(row(kept), clipped, jnp.zeros_like(g)), axis=0)

    return jax.tree.map(leaf, updates)


def _divided(total: PyTree, updates: PyTree, batch_size: Any) -> PyTree:
    """The sum over the size of a batch: the rows, unless another is given."""
    if batch_size is None:
        batch_size = float(max((len(g) for g in jax.tree.leaves(updates)), default=1))

    def leaf(x: jax.Array) -> jax.Array:
        real = jnp.finfo(x.dtype).dtype
        return nx.times(x, 1.0 / jnp.asarray(nx.cast(batch_size, real), real))

    return jax.tree.map(leaf, total)
