"""Complex parameters as pairs of real ones."""

from typing import Any, cast, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core.transform import Transform, transform
from jopt._core.types import Inner, Pair, PyTree


class SplitRealAndImaginaryState(NamedTuple):
    """State of `split_real_and_imaginary`."""

    inner_state: PyTree


class Parts(NamedTuple):
    """The two parts of a complex array."""

    real: Any  # an array, or its shape
    imaginary: Any


@transform
def split_real_and_imaginary(inner: Inner) -> Pair:
    """Show the inner transform each complex leaf as two real ones.

    jopt's optimizers take complex leaves as they are, with one second moment for both
    parts; with this wrapper each part has its own, as torch and optax have it.

    Args:
        inner: The transform. Leaf names within it end in `/real` and `/imaginary`.

    Returns:
        A transform with the state of the inner one. Real leaves pass unchanged.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import sign_sgd, split_real_and_imaginary
        >>> tx, g = split_real_and_imaginary(sign_sgd(0.5)), jnp.array([3.0 - 4.0j])
        >>> tx.update(g, tx.init(g), g)[0]
        Array([-0.5+0.5j], dtype=complex64)
    """
    pair = cast(Transform, inner).raw

    def init(params):
        return SplitRealAndImaginaryState(pair.init(_split(params)))

    def update(updates, state, params=None, **extra):
        shown = None if params is None else _split(params)
        extra = dict(extra)
        for name in {"grad", "grad_fn", "value_fn"} & extra.keys():
            extra[name] = _shown(extra[name], name)
        out, inner_state = pair.update(
            _split(updates), state.inner_state, shown, **extra
        )
        return _join(out), SplitRealAndImaginaryState(inner_state)

    return Pair(init, update)


def _split(tree: PyTree) -> PyTree:
    def leaf(x: Any) -> Any:
        if not jnp.issubdtype(x.dtype, jnp.complexfloating):
            return x
        if isinstance(x, jax.ShapeDtypeStruct):
            real: Any = jax.ShapeDtypeStruct(x.shape, jnp.finfo(x.dtype).dtype)
            return Parts(real, real)
        return Parts(jnp.real(x), jnp.imag(x))

    return jax.tree.map(leaf, tree)


def _join(tree: PyTree) -> PyTree:
    return jax.tree.map(
        lambda x: jax.lax.complex(*x) if isinstance(x, Parts) else x,
        tree,
        is_leaf=lambda x: isinstance(x, Parts),
    )


def _shown(extra: Any, name: str) -> Any:
    """An extra argument of the complex parameters, for their parts."""
    if name == "grad":
        return _split(extra)
    if name == "value_fn":
        return lambda parts: extra(_join(parts))
    return lambda parts: _split(extra(_join(parts)))
