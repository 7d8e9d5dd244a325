"""Weight decay before the step, for rules that look at the parameters."""

from typing import cast

import jax
import jax.numpy as jnp

from jopt._core import extras, select
from jopt._core.numerics import times
from jopt._core.transform import Transform, transform
from jopt._core.types import Fraction, Inner, Mask, Pair


@transform
def decay_first(inner: Inner, rate: Fraction, mask: Mask = None) -> Pair:
    """Shrink the parameters, then let `inner` step from there.

    Where a rule looks at the parameters (trust ratios, relative steps, averages), this
    is not the same as decay after it. Keras decays so::

        params = params - rate * params
        params = params + inner.update(g, params)

    Args:
        inner: The optimizer.
        rate: The share that is taken off in each step, in [0, 1], such as
            `learning_rate * weight_decay`; not multiplied by anything.
        mask: Which leaves decay: see `masked`. Defaults to all.

    Returns:
        A transform with the state of `inner`. It needs `params`.

    Raises:
        ValueError: In `update`, if `params` is not given.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import decay_first, sgd
        >>> tx, p = decay_first(sgd(0.5), 0.1), jnp.array([10.0, -10.0])
        >>> tx.update(jnp.ones(2), tx.init(p), p)[0]
        Array([-1.5,  0.5], dtype=float32)
    """
    if mask is not None:
        select.check(mask)
    pair = cast(Transform, inner).raw

    def update(updates, state, params=None, **extra):
        params = extras.need_params(params, "decay_first")
        keep = True if mask is None else select.resolve(mask, params)
        keep = jax.tree.map(lambda _: True, params) if keep is True else keep
        taken = jax.tree.map(
            lambda k, p: times(p, rate) if k else jnp.zeros_like(p), keep, params
        )
        decayed = jax.tree.map(jnp.subtract, params, taken)
        out, state = pair.update(updates, state, decayed, **extra)
        return jax.tree.map(lambda u, t: u - t.astype(u.dtype), out, taken), state

    return Pair(pair.init, update)
