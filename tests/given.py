"""Stages that give a transform what its users do, made of the gradient, for laws."""

import jax
import jax.numpy as jnp

import jopt
from jopt._core import layout, trees


@jopt.transform
def with_hessian(inner: jopt.Inner) -> jopt.Pair:
    """The gradient in the place of an estimate of the Hessian's diagonal.

    With it AdaHessian is Adam.
    """

    def update(updates, state, params=None, **extra):
        extra = extra | {"hessian": updates}
        return inner.raw.update(updates, state, params, **extra)

    return jopt.Pair(inner.raw.init, update)


LAYER = {
    "bias": jax.ShapeDtypeStruct((3,), jnp.float32),
    "kernel": jax.ShapeDtypeStruct((4, 3), jnp.float32),
    "scale": jax.ShapeDtypeStruct((3,), jnp.float32),
}
"""Parameters of one dense layer, and a leaf beside it."""


@jopt.transform
def with_factors(inner: jopt.Inner) -> jopt.Pair:
    """Kronecker factors for the dense layers among the gradients, as of one example.

    With them K-FAC is near to Shampoo.
    """

    def update(updates, state, params=None, **extra):
        extra = extra | {"factors": _factors(updates)}
        return inner.raw.update(updates, state, params, **extra)

    return jopt.Pair(inner.raw.init, update)


def _factors(updates):
    leaves = dict(zip(trees.names(updates), jax.tree.leaves(updates), strict=True))
    found = {}
    for path, kernel in leaves.items():
        name, _, last = path.rpartition("/")
        if last == "kernel" and kernel.ndim == 2 and not jnp.iscomplexobj(kernel):
            bias = leaves.get(f"{name}/bias".lstrip("/"))
            rows = (
                [kernel] if bias is None else [kernel, bias[None].astype(kernel.dtype)]
            )
            g = jnp.concatenate(list(map(layout.whole, rows)))
            found[name] = jopt.KroneckerFactors(_far_from_flat(g), _far_from_flat(g.T))
    return found


def _far_from_flat(g):
    """The second moment of the columns, with its trace added to each direction."""
    a = g @ g.T
    return a + jnp.trace(a) * jnp.eye(len(a), dtype=a.dtype)


# Examples of a gradient: multiples of it.
MULTIPLES = (1.0, -0.5, 0.125, 2.0)


@jopt.transform
def with_examples(inner: jopt.Inner) -> jopt.Pair:
    """The gradients of four examples, made of one."""

    def update(updates, state, params=None, **extra):
        rows = jax.tree.map(
            lambda g: jnp.stack([factor * g for factor in MULTIPLES]), updates
        )
        return inner.raw.update(rows, state, params, **extra)

    return jopt.Pair(inner.raw.init, update)
