"""SM3: Adagrad with one number per row and column in place of one per parameter."""

import functools as ft
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jopt._core import numerics as nx, trees
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    LearningRate,
    OptionalDecay,
    Pair,
)
from jopt.optimizers import moments
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-2, 1.0), tags=("adaptive", "memory"))
def sm3(
    learning_rate: LearningRate,
    momentum: DecayRate = 0.9,
    *,
    eps: Epsilon = 0.0,
) -> Transform:
    """SM3-II: adaptive steps from sums of squares over rows and columns.

    Close to Adagrad where large gradients share rows and columns, as in embeddings,
    with little memory beside the momentum. The sums only grow: use a warm-up and a
    constant rate. Each step, for a matrix with row sums `r` and column sums `c`::

        v = min(r, c) + g^2;  r = max of v along the row;  c = max along the column
        m = momentum * m + (1 - momentum) * g / sqrt(v)
        params -= learning_rate * m

    An array of more axes has one such vector for each; a vector has plain Adagrad.

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        momentum: Decay of the average of the scaled gradients, in [0, 1).
        eps: Added to the sum inside the root.

    Returns:
        A transform with one slot per parameter, and one number for each index of each
        axis. It does not read `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import sm3
        >>> tx, g = sm3(0.5, momentum=0.0), jnp.array([[4.0, 0.0], [1.0, -2.0]])
        >>> u, state = tx.update(g, tx.init(g))
        >>> tx.update(g, state)[0].round(4)
        Array([[-0.3536, -0.    ],
               [-0.2236,  0.3536]], dtype=float32)
        >>> tx
        sm3(learning_rate=0.5, momentum=0.0)

    Differs from optax in: `eps` is 0, as in the paper, where 0/0 is 0. optax adds 1e-8
    to the squares, which makes steps on gradients below 1e-4 small.

    Reference:
        Anil et al., "Memory-Efficient Adaptive Optimization", NeurIPS 2019,
        arXiv:1901.11150, Algorithm SM3-II.
    """
    return chain(
        scale_by_sm3(momentum, None, eps), scale_by_learning_rate(learning_rate)
    )


@transform
def scale_by_sm3(
    b1: DecayRate = 0.9, b2: OptionalDecay = None, eps: Epsilon = 0.0
) -> Pair:
    """Divide by the root of a covered sum of squares, and average.

    The stage of `sm3` that holds the state; see there for the rule.

    Args:
        b1: Decay of the average of the scaled gradients, in [0, 1).
        b2: Decay of the squares, in [0, 1). `None` adds them up; optax writes 1.0.
        eps: Added inside the root.

    Returns:
        A transform with one slot per parameter, and one number for each index of each
        axis. It does not read `params`.
    """

    def init(params):
        return optax.ScaleBySM3State(
            mu=jax.tree.map(_axes, params), nu=trees.zeros_like(params)
        )

    def cover(g: jax.Array, sums: list[jax.Array]) -> jax.Array:
        spread = [_spread(s, i, g.ndim) for i, s in enumerate(sums)]
        old = jnp.broadcast_to(ft.reduce(jnp.minimum, spread), g.shape)
        new = nx.square(g).astype(old.dtype)
        if b2 is not None:
            return nx.average(new, old, b2)
        largest = jnp.asarray(jnp.finfo(old.dtype).max, old.dtype)
        return jnp.minimum(old + new, largest)

    def update(updates, state, params=None, **extra):
        del params, extra
        v = jax.tree.map(cover, updates, state.mu)
        scaled = jax.tree.map(
            lambda g, v: moments.quotient(g, moments.denominator(v, 0.0, eps), True),
            updates,
            v,
        )
        nu = moments.averages(scaled, state.nu, b1)
        sums = jax.tree.map(lambda v: [_greatest(v, i) for i in _indices(v)], v)
        return nu, optax.ScaleBySM3State(sums, moments.like(nu, state.nu))

    return Pair(init, update)


def _indices(x: Any) -> range:
    """The axes of an array; a scalar has one number all the same."""
    return range(max(len(x.shape), 1))


def _axes(p: Any) -> list[jax.Array]:
    """Zeros for each axis of a parameter."""
    slot = trees.real_zeros_like(p)
    return [_greatest(slot, i) for i in _indices(p)]


def _greatest(v: jax.Array, axis: int) -> jax.Array:
    """The greatest entry for each index of an axis."""
    others = tuple(i for i in range(v.ndim) if i != axis)
    return jnp.max(v, axis=others, initial=0.0) if others else v


def _spread(sums: jax.Array, axis: int, ndim: int) -> jax.Array:
    """One number per index of an axis, to be broadcast against the array."""
    return jnp.expand_dims(sums, tuple(i for i in range(ndim) if i != axis))
