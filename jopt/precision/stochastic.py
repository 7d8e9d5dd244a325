"""Stochastic rounding for loops that add updates by themselves."""

from typing import cast, NamedTuple

import jax

from jopt._core import extras
from jopt._core.transform import Transform, transform
from jopt._core.types import Inner, Pair, PyTree
from jopt.precision.rounding import is_half, reach, stochastic_round
from jopt.transforms import noise


class RoundStochasticallyState(NamedTuple):
    """State of `round_stochastically`."""

    rng_key: jax.Array
    inner_state: PyTree


@transform
def round_stochastically(inner: Inner, key: jax.Array | int) -> Pair:
    """Train 16-bit parameters, rounded at random after each step.

    For loops that add updates by themselves; where you add them, `apply_updates(params,
    updates, key=key)` does the same without a wrapper. Each step::

        p' = stochastic_round(p + inner(g))
        update = p' - p

    It needs no memory, and is right on average: n steps leave an error of some
    `sqrt(n)` spacings of the parameters in each, so it suits large arrays.

    Args:
        inner: The optimizer. Nothing may change the update after it: place this
            outermost, but for guards and accumulation.
        key: A key of `jax.random.key`, an integer seed, or a legacy `uint32` key. It
            moves into the state, where each step splits it. Replicas share it, so they
            stay equal.

    Returns:
        A transform whose state is a key. It reads `params`. A step that more than
        halves or doubles a parameter or changes its sign may miss `p'` by up to one
        unit in the last place of the update.

    Raises:
        TypeError: If `key` is none of the three.
        ValueError: If it is more than one key; in `update`, if `params` is not given.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import round_stochastically, sgd
        >>> tx = round_stochastically(sgd(1e-3), key=0)
        >>> p = jnp.ones(10_000, jnp.bfloat16)
        >>> u, state = tx.update(-p, tx.init(p), p)
        >>> print(f"{(p + u).astype(float).mean():.4f}")
        1.0010

    Reference:
        Zamirai et al., "Revisiting BFloat16 Training", 2021, arXiv:2010.06192,
        SGD with stochastic rounding.
    """
    pair = cast(Transform, inner).raw
    noise.check_key(key)

    def init(params):
        return RoundStochasticallyState(noise.own_key(key), pair.init(params))

    def update(updates, state, params=None, **extra):
        params = extras.need_params(params, "round_stochastically")
        updates, inner_state = pair.update(updates, state.inner_state, params, **extra)
        following, now = jax.random.split(state.rng_key)
        leaves, tree = jax.tree.flatten(params)
        out = tree.flatten_up_to(updates)
        for i, p in enumerate(leaves):
            if is_half(p):
                total = p.astype(out[i].dtype) + out[i]
                target = stochastic_round(total, p.dtype, jax.random.fold_in(now, i))
                out[i] = reach(target.astype(total.dtype), p)
        state = RoundStochasticallyState(following, inner_state)
        return jax.tree.unflatten(tree, out), state

    return Pair(init, update)
