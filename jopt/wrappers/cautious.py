"""Cautious updates: move only where update and gradient agree in sign."""

from typing import cast, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import numerics as nx
from jopt._core.transform import Transform, transform
from jopt._core.types import Inner, Pair, PyTree


class CautiousState(NamedTuple):
    """State of `cautious`."""

    inner_state: PyTree


@transform
def cautious(
    inner: Inner,
    rescale: Literal["mean", "count", "none"] = "mean",
    *,
    flip_sign: bool = True,
) -> Pair:
    """Set the entries of an update to zero that would go up the present gradient.

    Momentum may point uphill after a turn; what is left is scaled up to make good for
    what is dropped. With `n` entries in a leaf, `k` of which agree::

        u = inner(g)
        mask = 1 where a step along u goes down g, else 0
        u = u * mask / max(k / n, 0.001)    # "mean", as the authors' code has it
        u = u * mask * n / (k + 1)          # "count", as the paper has it

    Around a whole optimizer the update that is judged has its weight decay in it; to
    leave that out, put the wrapper around the stage that makes the direction, as
    `cadamw` does::

        chain(cautious(scale_by_adam(), flip_sign=False), add_decayed_weights(0.1), ...)

    Args:
        inner: An optimizer, or with `flip_sign=False` a stage.
        rescale: How the entries that are left are scaled.
        flip_sign: Whether the inner update is to be added, as that of an optimizer is.
            That of a stage such as `scale_by_adam` still points up the gradient.

    Returns:
        A transform. A complex entry counts as two.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import cautious, sgd
        >>> tx, p = cautious(sgd(1.0, momentum=0.9)), jnp.zeros(2)
        >>> u, state = tx.update(jnp.array([1.0, 1.0]), tx.init(p), p)
        >>> tx.update(jnp.array([-0.5, 1.0]), state, p)[0]
        Array([ 0. , -3.8], dtype=float32)

    Reference:
        Liang et al., "Cautious Optimizers: Improving Training with One Line of Code",
        2024, arXiv:2411.16085, Algorithm 1.
    """
    pair = cast(Transform, inner).raw

    def leaf(u: jax.Array, g: jax.Array) -> jax.Array:
        agrees = jnp.sign(u) * jnp.sign(g) * (-1 if flip_sign else 1) > 0
        left = jnp.where(agrees, u, jnp.zeros_like(u))
        if rescale == "none":
            return left
        kept = jnp.sum(agrees.astype(u.dtype))
        size = max(u.size, 1)
        if rescale == "count":
            return left * (size / (kept + 1))
        return left / jnp.maximum(kept / size, 1e-3)

    def init(params):
        return CautiousState(pair.init(params))

    def update(updates, state, params=None, **extra):
        out, inner_state = pair.update(updates, state.inner_state, params, **extra)
        out = jax.tree.map(
            lambda u, g: nx.parts(leaf, u, g.astype(u.dtype)), out, updates
        )
        return out, CautiousState(inner_state)

    return Pair(init, update)
