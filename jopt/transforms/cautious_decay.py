"""Cautious weight decay: only where the update shrinks the parameter too."""

import jax
import jax.numpy as jnp
import optax

from jopt._core import extras, numerics as nx, select
from jopt._core.numerics import times
from jopt._core.spec import is_off
from jopt._core.transform import transform
from jopt._core.types import Mask, Pair, Switch


@transform
def add_cautious_weight_decay(weight_decay: Switch = 0.0, mask: Mask = None) -> Pair:
    """Add a multiple of the parameters where they have the sign of the updates.

    In the place of `add_decayed_weights`, between an adaptive scale and the learning
    rate. Decay then never works against the update, and leaves the minima of the loss
    where they are::

        u = u + weight_decay * p  where u * p >= 0, else u

    Args:
        weight_decay: The multiple, a number >= 0 or a schedule of it. A literal 0 adds
            nothing and needs no `params`.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A stage without state. Its `update` needs `params`. The parts of a complex
        entry are judged apart.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import add_cautious_weight_decay
        >>> tx, p = add_cautious_weight_decay(0.5), jnp.array([2.0, 2.0])
        >>> tx.update(jnp.array([1.0, -1.0]), tx.init(p), p)[0]
        Array([ 2., -1.], dtype=float32)

    Reference:
        Chen et al., "Cautious Weight Decay", 2025, arXiv:2510.12402, Algorithm 1.
    """
    select.check(mask)
    off = is_off(weight_decay)

    def init(params):
        if not off:
            select.resolve(mask, params)
        return optax.EmptyState()

    def update(updates, state, params=None, **extra):
        del extra
        if off:
            return updates, state
        params = extras.need_params(params, "add_cautious_weight_decay")

        def part(u: jax.Array, p: jax.Array) -> jax.Array:
            aligned = jnp.sign(u) * jnp.sign(p) >= 0
            return jnp.where(aligned, u + times(p, weight_decay), u)

        def leaf(decays, u, p):
            return nx.parts(part, u, p.astype(u.dtype)) if decays else u

        keep = select.resolve(mask, params)
        return jax.tree.map(leaf, keep, updates, params), state

    return Pair(init, update)
