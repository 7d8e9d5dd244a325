"""PCGrad: each gradient without its parts that conflict with others."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jopt._core.transform import aggregator
from jopt._core.types import Mask, Pair, PyTree
from jopt.objectives.jacobian import combined, Gram, measured, shared, weighing
from jopt.transforms import noise

__all__ = ["PCGradState", "pcgrad"]


class PCGradState(NamedTuple):
    """State of `pcgrad` with a key."""

    rng_key: jax.Array  # split in each step, for the orders


@aggregator
def pcgrad(key: jax.Array | int | None = None, mask: Mask = None) -> Pair:
    """The sum of gradients, each without its parts that conflict with others.

    Gradient surgery. With more than two objectives the result may still raise one, and
    depends on the order. Each step::

        for each i:
            p = g_i
            for each j != i, in some order:
                p -= min(0, <p, g_j>) / |g_j|^2 * g_j
        d = sum_i p

    Args:
        key: For a random order in each step, as in the paper: a key of
            `jax.random.key`, an integer seed, or a legacy `uint32` key. Without it the
            order for `i` is `i + 1, i + 2, ...`, round the circle.
        mask: Which leaves the objectives share. All others get the sum of their
            gradients. Defaults to all.

    Returns:
        A transform that takes a Jacobian. With a key it holds that.

    Raises:
        TypeError: If `key` is none of the three.
        ValueError: If it is more than one key.

    Example:
        >>> import jax.numpy as jnp, jopt
        >>> jacobian = jnp.array([[1.0, 0.0], [-1.0, 1.0]])
        >>> [f"{x:.2f}" for x in jopt.aggregate(jopt.pcgrad(), jacobian)]
        ['0.50', '1.50']

    Reference:
        Yu et al., "Gradient Surgery for Multi-Task Learning", NeurIPS 2020,
        arXiv:2001.06782, Algorithm 1.
    """
    if key is None:
        return weighing(lambda gram: _operated(gram, _in_turn(gram.k)), mask)
    noise.check_key(key)

    def init(params: PyTree) -> PCGradState:
        del params
        return PCGradState(noise.own_key(key))

    def update(updates, state, params=None, *, gramian=None, **extra):
        del extra
        if not jax.tree.leaves(updates):
            return updates, state
        keep = shared(mask, updates, params)
        gram = measured(updates, keep, gramian)
        following, now = jax.random.split(state.rng_key)
        weights = _operated(gram, _at_random(now, gram.k))
        return combined(updates, gram, weights, keep), PCGradState(following)

    return Pair(init, update)


def _operated(gram: Gram, orders: jax.Array) -> jax.Array:
    """The weights: in row `i`, the order in which `g_i` meets the others."""

    def one(start: jax.Array, order: jax.Array) -> jax.Array:
        def meet(weights: jax.Array, j: jax.Array) -> tuple[jax.Array, None]:
            along = jnp.sum(gram.cosines[j] * weights)
            return weights.at[j].add(-jnp.minimum(along, 0.0)), None

        return lax.scan(meet, start, order)[0]

    weights = jax.vmap(one)(jnp.eye(gram.k, dtype=gram.sizes.dtype), orders)
    return jnp.sum(weights * gram.sizes[:, None], axis=0)


def _in_turn(k: int) -> jax.Array:
    """For each the others, round the circle."""
    i, j = jnp.arange(k)[:, None], jnp.arange(1, k)[None, :]
    return jnp.remainder(jnp.broadcast_to(i, (k, k - 1)) + j, k)


def _at_random(key: jax.Array, k: int) -> jax.Array:
    """For each the others, in a random order."""
    places = jax.vmap(lambda key: jax.random.permutation(key, k - 1))
    order = places(jax.random.split(key, k))
    return jnp.take_along_axis(_in_turn(k), order, axis=1)
