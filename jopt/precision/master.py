"""Master weights: a wide copy of narrow parameters, in the state."""

from typing import Any, cast, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jopt._core import extras, numerics as nx, trees
from jopt._core.transform import Transform, transform
from jopt._core.types import Inner, Pair, PyTree
from jopt.precision.rounding import reach, rounded


class MasterWeightsState(NamedTuple):
    """State of `master_weights`."""

    master_params: PyTree  # of the parameters narrower than `dtype` only
    inner_state: PyTree


@transform
def master_weights(inner: Inner, dtype: DTypeLike = "float32") -> Pair:
    """Train a float32 copy of the parameters; they themselves are it, rounded.

    The inner optimizer sees the copy as its parameters: weight decay, trust ratios and
    moments are those of training in float32, and only the gradient is taken at the
    rounded parameters. Each step::

        m = p where p is not round(m), else m    # p was changed from outside
        m = m + inner(g, params=m)
        update = round(m) - p

    So a parameter that is loaded, projected or held fixed by others is followed rather
    than overwritten. `p + update` is `round(m)` to the bit, unless one step more than
    halves or doubles `p` or changes its sign. Then it may miss by up to one unit in the
    last place of the update, and the copy goes on from where it landed.

    Args:
        inner: The optimizer.
        dtype: Dtype of the copy: float32 or float64.

    Returns:
        A transform with one slot per parameter narrower than `dtype`; wider ones pass
        without. It reads `params`.

    Raises:
        ValueError: If `dtype` is another; in `update`, if `params` is not given.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import master_weights, sgd
        >>> tx, p = master_weights(sgd(1e-3)), jnp.ones((), jnp.bfloat16)
        >>> state = tx.init(p)
        >>> for _ in range(10):
        ...     u, state = tx.update(-jnp.ones((), jnp.bfloat16), state, p)
        ...     p = p + u
        >>> p, state.master_params
        (Array(1.00781, dtype=bfloat16), Array(1.0100005, dtype=float32))

    Reference:
        Micikevicius et al., "Mixed Precision Training", ICLR 2018, arXiv:1710.03740,
        Section 3.1.
    """
    pair = cast(Transform, inner).raw
    kind = jnp.dtype(dtype)
    if kind not in (jnp.float32, jnp.float64):
        raise ValueError(f"`dtype` must be float32 or float64, got {kind}.")
    if kind == jnp.float64 and jnp.result_type(float) != kind:
        raise ValueError(
            "`dtype` is float64, which JAX has turned off. Turn it on by "
            '`jax.config.update("jax_enable_x64", True)`, or use float32.'
        )

    def init(params):
        narrow = trees.hide(params, jax.tree.map(lambda p: _is_below(p, kind), params))
        master = jax.tree.map(lambda p: trees.copy_like(p, _wide(p, kind)), narrow)
        return MasterWeightsState(master, pair.init(trees.restore(master, params)))

    def update(updates, state, params=None, **extra):
        params = extras.need_params(params, "master_weights")
        leaves, tree = jax.tree.flatten(params)
        narrow = [_is_below(p, kind) for p in leaves]
        copies = tree.flatten_up_to(state.master_params)
        own = [
            _follow(m, p) if below else p
            for p, m, below in zip(leaves, copies, narrow, strict=True)
        ]
        grads = [
            g.astype(m.dtype) if below else g
            for g, m, below in zip(
                tree.flatten_up_to(updates), own, narrow, strict=True
            )
        ]
        steps, inner_state = pair.update(
            jax.tree.unflatten(tree, grads),
            state.inner_state,
            jax.tree.unflatten(tree, own),
            **extra,
        )
        out = tree.flatten_up_to(steps)
        for i, (p, m, below) in enumerate(zip(leaves, own, narrow, strict=True)):
            if below:
                copies[i] = m + out[i].astype(m.dtype)
                out[i] = nx.parts(lambda m, p: reach(_near(m, p), p), copies[i], p)
        master = jax.tree.unflatten(tree, copies)
        return jax.tree.unflatten(tree, out), MasterWeightsState(master, inner_state)

    return Pair(init, update)


def _near(master: jax.Array, param: jax.Array) -> jax.Array:
    return rounded(master, param.dtype)


def _follow(master: jax.Array, param: jax.Array) -> jax.Array:
    """The copy; where the parameter is not it, rounded, the parameter."""
    same = nx.parts(_near, master, param) == param.astype(master.dtype)
    return jnp.where(same, master, param.astype(master.dtype))


def _is_below(param: Any, kind: Any) -> bool:
    return jnp.finfo(param.dtype).bits < jnp.finfo(kind).bits


def _wide(param: Any, kind: Any) -> Any:
    """The dtype of the copy: that of a complex parameter is complex."""
    if jnp.issubdtype(param.dtype, jnp.complexfloating):
        return jnp.dtype(jnp.complex128)
    return kind
