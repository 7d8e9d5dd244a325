"""nuPI: a controller of Lagrange multipliers that damps their swings."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import numerics as nx, trees
from jopt._core.transform import transform
from jopt._core.types import DecayRate, NonNegative, Pair, PyTree, Scalar


class ScaleByNuPIState(NamedTuple):
    """State of `scale_by_nupi`."""

    count: jax.Array
    xi: PyTree  # the smoothed errors, shaped like the parameters


@transform
def scale_by_nupi(
    kp: Scalar = 1.0,
    ki: NonNegative = 1.0,
    nu: DecayRate = 0.0,
    *,
    start: Literal["first", "zeros"] = "first",
) -> Pair:
    """Add to each gradient the change of its running average.

    For the multipliers of `primal_dual`: gradient ascent integrates violations, and
    overshoots; the term that is proportional to the violation damps that. With `kp=0`
    it is plain ascent, with `kp = ki = 1` and `nu=0` the optimistic gradient, and a
    negative `kp` gives momentum. Each step, with gradients `e`::

        xi' = nu * xi + (1 - nu) * e
        u   = ki * e + kp * (xi' - xi)

    Args:
        kp: The weight of the change: start from `ki`, and raise it while the
            multipliers swing.
        ki: The weight of the gradient itself.
        nu: Decay of the average, in [0, 1).
        start: What `xi` is before the first step: `"first"`, the first gradient, so
            that the first step is that of plain ascent; or `"zeros"`.

    Returns:
        A transform with one buffer per parameter. It does not read `params`.

    Example:
        >>> import jax.numpy as jnp, jopt
        >>> dual = jopt.chain(jopt.scale_by_nupi(2.0), jopt.scale_by_learning_rate(0.1))
        >>> tx = jopt.primal_dual(jopt.sgd(0.1), dual)
        >>> stage = jopt.scale_by_nupi(2.0)
        >>> state = stage.init(jnp.zeros(1))
        >>> for e in (1.0, 1.5):
        ...     u, state = stage.update(jnp.array([e]), state)
        >>> u
        Array([2.5], dtype=float32)

    Differs from cooper 1.0.1 in: its `SGD` start takes the change at the second step
    from 0 rather than from the first gradient.

    Reference:
        Sohrabi, Ramirez, Zhang, Lacoste-Julien and Gallego-Posada, "On PI Controllers
        for Updating Lagrange Multipliers in Constrained Optimization", ICML 2024,
        arXiv:2406.04558, Algorithm 1.
    """

    def init(params: PyTree) -> ScaleByNuPIState:
        count = jnp.zeros((), jnp.int32)
        return ScaleByNuPIState(count, trees.zeros_like(params))

    def update(updates, state, params=None, **extra):
        del params, extra
        xi = state.xi
        if start == "first":
            fresh = state.count == 0
            xi = jax.tree.map(
                lambda e, x: jnp.where(fresh, e.astype(x.dtype), x), updates, xi
            )
        new = jax.tree.map(lambda e, x: nx.average(e, x, nu), updates, xi)

        def leaf(e: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
            change = (new - old).astype(e.dtype)
            return nx.times(e, ki) + nx.times(change, kp)

        out = jax.tree.map(leaf, updates, new, xi)
        return out, ScaleByNuPIState(nx.increment(state.count), new)

    return Pair(init, update)
