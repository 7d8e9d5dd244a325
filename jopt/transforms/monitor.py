"""A stage that keeps the norms of what passes by."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import norms, numerics as nx, trees
from jopt._core.transform import transform
from jopt._core.types import Pair, PyTree


class MonitorState(NamedTuple):
    """State of `monitor`, for the latest update."""

    norm: jax.Array  # global norm
    rms: jax.Array  # root mean square of all entries
    ratio: jax.Array  # norm over the norm of the parameters; NaN without parameters
    norms: dict[str, jax.Array]  # norm of each leaf by name, if asked for


@transform
def monitor(name: str = "monitor", *, per_leaf: bool = False) -> Pair:
    """Keep the global norm, the RMS and the ratio to the parameters of what passes by.

    Updates pass unchanged. Placed first it sees the gradients, placed last the final
    updates; any number of monitors may stand in a chain, each under its own name. Read
    them by `get(state, "grads.norm")`, also `rms`, `ratio` and `norms`.

    Args:
        name: The name to read it by.
        per_leaf: Whether to keep the norm of each leaf too, in the dict `norms` from
            leaf name to norm.

    Returns:
        A stage whose state is a dict from the name to a few scalars.

    Raises:
        TypeError: If `name` is no string.
        ValueError: If `name` is empty or has a dot.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import chain, get, monitor, sgd
        >>> tx = chain(monitor("grads"), sgd(0.5), monitor("updates"))
        >>> params = {"w": jnp.array([6.0, 8.0])}
        >>> _, state = tx.update({"w": jnp.array([3.0, 4.0])}, tx.init(params), params)
        >>> get(state, "grads.norm"), get(state, "updates.ratio")
        (Array(5., dtype=float32), Array(0.25, dtype=float32))
    """
    if not isinstance(name, str):
        raise TypeError(f"`name` must be a string, got {name!r}.")
    if not name or "." in name:
        raise ValueError(f"`name` must be a word without a dot, got {name!r}.")

    def init(params):
        kind = norms.norm_dtype(params)
        norm, rms, ratio = (jnp.zeros((), kind) for _ in range(3))
        kinds = [trees.accumulation_dtype(p.dtype) for p in jax.tree.leaves(params)]
        leaves = [jnp.zeros((), jnp.finfo(k).dtype) for k in kinds if per_leaf]
        named = dict(zip(trees.names(params) if per_leaf else [], leaves, strict=True))
        return {name: MonitorState(norm, rms, ratio, named)}

    def update(updates, state, params=None, **extra):
        del extra
        old = state[name]
        norm = norms.global_norm(updates).astype(old.norm.dtype)
        size = sum(math.prod(u.shape) for u in jax.tree.leaves(updates))
        rms = norm * (1.0 / math.sqrt(max(size, 1)))
        ratio = jnp.full_like(norm, jnp.nan)
        if params is not None:
            ratio = nx.divide(norm, norms.global_norm(params).astype(norm.dtype))
        named = _by_leaf(updates, old.norms) if per_leaf else {}
        return updates, {name: MonitorState(norm, rms, ratio, named)}

    return Pair(init, update)


def _by_leaf(updates: PyTree, old: dict[str, jax.Array]) -> dict[str, jax.Array]:
    pairs = zip(trees.names(updates), jax.tree.leaves(updates), strict=True)
    return {name: norms.norm(u).astype(old[name].dtype) for name, u in pairs}
