"""Weight decay: parameters added to the updates."""

import jax
import optax

from jopt._core import extras, select
from jopt._core.numerics import times
from jopt._core.spec import is_off
from jopt._core.transform import transform
from jopt._core.types import Mask, Pair, Switch


@transform
def add_decayed_weights(weight_decay: Switch = 0.0, mask: Mask = None) -> Pair:
    """Add a multiple of the parameters to the updates.

    Before the learning rate and after an adaptive scale this is decoupled weight
    decay; before the scale it is an L2 penalty::

        u = u + weight_decay * p

    Args:
        weight_decay: The multiple, a number >= 0 or a schedule of it. A literal 0 adds
            nothing and needs no `params`.
        mask: Which leaves decay: a pattern of their names, a function
            `(name, leaf) -> bool`, or a tree of booleans: see `jopt.masked`. Defaults
            to all.

    Returns:
        A stage without state. Its `update` needs `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import add_decayed_weights
        >>> params = {"w": jnp.ones((1, 2)), "b": jnp.ones(2)}
        >>> tx = add_decayed_weights(0.1, mask=lambda name, leaf: leaf.ndim > 1)
        >>> grads = {"w": jnp.zeros((1, 2)), "b": jnp.zeros(2)}
        >>> tx.update(grads, tx.init(params), params)[0]
        {'b': Array([0., 0.], dtype=float32), 'w': Array([[0.1, 0.1]], dtype=float32)}
    """
    select.check(mask)
    off = is_off(weight_decay)

    def init(params):
        if not off:
            select.resolve(mask, params)  # a mask that does not fit is found here
        return optax.EmptyState()

    def update(updates, state, params=None, **extra):
        del extra
        if off:
            return updates, state
        params = extras.need_params(params, "add_decayed_weights")
        keep = select.resolve(mask, params)

        def leaf(decays, u, p):
            return u + times(p.astype(u.dtype), weight_decay) if decays else u

        return jax.tree.map(leaf, keep, updates, params), state

    return Pair(init, update)
