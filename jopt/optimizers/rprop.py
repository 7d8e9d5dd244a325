"""Rprop: the sign of the gradient, with a step size for each parameter."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jopt._core import numerics as nx, trees
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import Fraction, LearningRate, NonNegative, Pair, Positive
from jopt.optimizers import moments
from jopt.transforms.scale import scale


@optimizer(rates=(1e-4, 1e-1), tags=("sign", "full batch"))
def rprop(
    learning_rate: LearningRate,
    eta_minus: Fraction = 0.5,
    eta_plus: Positive = 1.2,
    min_step_size: NonNegative = 1e-6,
    max_step_size: NonNegative = 50.0,
    *,
    late: bool = False,
) -> Transform:
    """Resilient backpropagation: only the sign of each gradient counts.

    For gradients of the full batch: noise in mini-batches flips the signs and shrinks
    the steps to nothing. A step size grows while the gradient keeps its sign and
    shrinks when it flips; the flipped gradient itself is left out (iRprop-). Each
    step, per entry::

        if g * g_last > 0:  size = min(size * eta_plus, max_step_size)
        if g * g_last < 0:  size = max(size * eta_minus, min_step_size);  g = 0
        params -= size * sign(g);  g_last = g

    Args:
        learning_rate: The first step size. Of a schedule, the first value counts.
        eta_minus: Factor of a step size when the gradient flips, in [0, 1].
        eta_plus: Factor of a step size when it does not.
        min_step_size: Least step size.
        max_step_size: Greatest step size.
        late: Whether each step is applied one update late, and dropped if the
            gradient flips meanwhile: optax's reading.

    Returns:
        A transform with two slots per parameter. It does not read `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import rprop
        >>> tx, g = rprop(0.5), jnp.array([3.0, -0.1])
        >>> u, state = tx.update(g, tx.init(g))
        >>> tx.update(jnp.array([2.0, 0.1]), state)[0]
        Array([-0.6, -0. ], dtype=float32)
        >>> tx
        rprop(learning_rate=0.5)

    Differs from optax in: a step is applied at once, as in the paper and in PyTorch.
    optax returns the step of the update before; that is `late=True`.

    Reference:
        Igel and Huesken, "Improving the Rprop Learning Algorithm", NC 2000.
    """
    sizes = scale_by_rprop(
        learning_rate, eta_minus, eta_plus, min_step_size, max_step_size, late=late
    )
    return chain(sizes, scale(-1.0))


@transform
def scale_by_rprop(
    learning_rate: LearningRate,
    eta_minus: Fraction = 0.5,
    eta_plus: Positive = 1.2,
    min_step_size: NonNegative = 1e-6,
    max_step_size: NonNegative = 50.0,
    *,
    late: bool = False,
) -> Pair:
    """Replace gradients by signed step sizes that follow their changes of sign.

    All of `rprop` but the sign; see there for the rule. Real and imaginary parts have
    step sizes of their own.

    Args:
        learning_rate: The first step size.
        eta_minus: Factor of a step size when the gradient flips, in [0, 1].
        eta_plus: Factor of a step size when it does not.
        min_step_size: Least step size.
        max_step_size: Greatest step size.
        late: Whether each step is applied one update late: optax's reading.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """

    def init(params):
        zeros = trees.zeros_like(params)
        sizes = jax.tree.map(
            lambda z: nx.parts(lambda x: x + nx.cast(learning_rate, x.dtype), z), zeros
        )
        return optax.ScaleByRpropState(sizes, trees.zeros_like(params))

    def resized(g: jax.Array, size: jax.Array, last: jax.Array) -> jax.Array:
        flip = jnp.sign(g) * jnp.sign(last).astype(g.dtype)
        low, up, least, most = (
            jnp.asarray(x, g.dtype)
            for x in (eta_minus, eta_plus, min_step_size, max_step_size)
        )
        factor = jnp.where(flip > 0, up, jnp.where(flip < 0, low, jnp.ones_like(g)))
        return jnp.clip(size.astype(g.dtype) * factor, least, most)

    def step(g: jax.Array, size: jax.Array, last: jax.Array) -> jax.Array:
        flipped = jnp.sign(g) * jnp.sign(last).astype(g.dtype) < 0
        return jnp.where(flipped, jnp.zeros_like(g), size * jnp.sign(g))

    def delayed(g: jax.Array, last: jax.Array) -> jax.Array:
        flipped = jnp.sign(g) * jnp.sign(last).astype(g.dtype) < 0
        return jnp.where(flipped, jnp.zeros_like(g), last.astype(g.dtype))

    def update(updates, state, params=None, **extra):
        del params, extra
        last = state.prev_updates

        def each(fn: Any, *rest: Any) -> Any:
            return jax.tree.map(lambda *leaves: nx.parts(fn, *leaves), updates, *rest)

        sizes = each(resized, state.step_sizes, last)
        steps = each(step, sizes, last)
        out = each(delayed, last) if late else steps
        like = (moments.like(x, last) for x in (sizes, steps))
        return out, optax.ScaleByRpropState(*like)

    return Pair(init, update)
