"""Priors on parameters, as terms of the gradient."""

import jax

from jopt._core import extras, numerics as nx, select
from jopt._core.numerics import times
from jopt._core.sums import number
from jopt._core.transform import transform
from jopt._core.types import Mask, no_state, Pair, Positive


@transform
def add_gaussian_prior(
    scale: Positive = 1.0, data_size: Positive = 1.0, mask: Mask = None
) -> Pair:
    """Add the gradient of a Gaussian prior: the parameters over its variance.

    What `add_decayed_weights(1 / scale^2)` does, by the name that samplers know, and
    before any other stage. Behind a mean loss over N data write either of::

        chain(scale(N), add_gaussian_prior(s), sgld(h))
        chain(add_gaussian_prior(s, data_size=N), scale(N), sgld(h))

    and with an optimizer in the place of the last two stages it is the most probable
    value that is found. Each step::

        g = g + params / (scale^2 * data_size)

    Args:
        scale: The standard deviation of each entry, around 0; of a complex one, that of
            each part.
        data_size: How many data the gradient is the mean over; 1 where it is the sum.
        mask: Which leaves have this prior. All others have a flat one. Defaults to all.

    Returns:
        A transform without state. It needs `params`.

    Raises:
        ValueError: In `update`, if `params` is missing.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import add_gaussian_prior
        >>> tx, p = add_gaussian_prior(0.5), jnp.array([1.0, -2.0])
        >>> tx.update(jnp.zeros(2), tx.init(p), p)[0]
        Array([ 4., -8.], dtype=float32)
    """
    select.check(mask)

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "add_gaussian_prior")
        keep = select.resolve(mask, params)
        precision = 1.0 / (nx.square(number(scale)) * number(data_size))

        def leaf(flag: bool, g: jax.Array, p: jax.Array) -> jax.Array:
            return g + times(p.astype(g.dtype), precision) if flag else g

        return jax.tree.map(leaf, keep, updates, params), state

    return Pair(no_state, update)
