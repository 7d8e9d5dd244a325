"""Steps at one point, an average of it, and gradients between the two."""

from typing import Any

import jax
import optax

from jopt._core import numerics as nx
from jopt._core.numerics import times

PyTree = Any


def interpolated_step(
    steps: PyTree, params: PyTree, z: PyTree, mix: jax.Array, c: jax.Array
) -> tuple[PyTree, PyTree]:
    """Take steps at `z`, average it with weight `c`, and move `y` between the two.

    With `y = mix z + (1 - mix) x` it gives the change of `y`, and the new `z`.
    """
    keep = 1 - (1 - mix) * (1 - c)  # of a step at z, what reaches y

    def of_y(w: jax.Array, y: jax.Array, z: jax.Array) -> jax.Array:
        apart = z.astype(w.dtype) - y.astype(w.dtype)
        return times(apart, c) + times(w, keep)

    def of_z(w: jax.Array, z: jax.Array) -> jax.Array:
        return (z.astype(w.dtype) + w).astype(z.dtype)

    change = jax.tree.map(of_y, steps, params, z)
    return change, jax.tree.map(of_z, steps, z)


def primal_average(params: PyTree, z: PyTree, complement: jax.Array) -> PyTree:
    """`x = (y - c z) / (1 - c)`, in the dtypes of the parameters `y`."""

    def average(z: Any, y: jax.Array) -> jax.Array:
        if isinstance(z, optax.MaskedNode):
            return y
        c = nx.cast(complement, z.dtype)
        wide = y.astype(z.dtype)
        return (wide + times(wide - z, c / (1 - c))).astype(y.dtype)

    return jax.tree.map(
        average, z, params, is_leaf=lambda z: isinstance(z, optax.MaskedNode)
    )
