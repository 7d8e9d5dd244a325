"""MADGRAD: dual averaging with a cube root and momentum."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import extras, numerics as nx, sums, trees
from jopt._core.numerics import times
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import Epsilon, LearningRate, Mask, Momentum, Pair, PyTree, Switch
from jopt.optimizers import moments
from jopt.transforms.decay import add_decayed_weights


class MadgradState(NamedTuple):
    """State of `scale_by_madgrad`."""

    count: jax.Array
    grad_sum_sq: PyTree  # weighted sum of squares
    s: PyTree  # weighted sum of gradients
    x0: PyTree  # the first parameters


@optimizer(rates=(1e-4, 1e-1), tags=("adaptive", "dual averaging"))
def madgrad(
    learning_rate: LearningRate,
    momentum: Momentum = 0.9,
    weight_decay: Switch = 0.0,
    eps: Epsilon = 1e-6,
    *,
    mask: Mask = None,
) -> Transform:
    """MADGRAD: momentumized, adaptive, dual averaged gradient descent.

    It steps from the first parameters, by the sum of all gradients over the cube root
    of the sum of their squares. Wants less weight decay than SGD or Adam, often none,
    and a learning rate of its own. At step t, counted from 1::

        k = (learning_rate + eps) * sqrt(t)
        s = s + k * g;  v = v + k * g^2
        z = x0 - s / (cbrt(v) + eps)
        params = momentum * params + (1 - momentum) * z

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number. At 0
            nothing is learnt.
        momentum: How far the parameters lag behind `z`, in [0, 1).
        weight_decay: Strength of the L2 penalty, added to the gradient. 0 turns it
            off.
        eps: Added to the cube root, and to the learning rate as in the authors' code.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with three slots per parameter. Its `update` needs `params`.
        Nothing may change the update after it: place it last in a chain.

    Raises:
        ValueError: In `update`, if `params` is not given.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import madgrad
        >>> tx, p = madgrad(0.001, momentum=0.0), jnp.zeros(2)
        >>> tx.update(jnp.array([8.0, -1.0]), tx.init(p), p)[0].round(4)
        Array([-0.02,  0.01], dtype=float32)
        >>> tx
        madgrad(learning_rate=0.001, momentum=0.0)

    Differs from optax in: a learning rate of 0 stays 0; `mask`.

    Reference:
        Defazio and Jelassi, "Adaptivity without Compromise: A Momentumized, Adaptive,
        Dual Averaged Gradient Method for Stochastic Optimization", 2021,
        arXiv:2101.11075, Algorithm 1.
    """
    return chain(
        add_decayed_weights(weight_decay, mask),
        scale_by_madgrad(learning_rate, momentum, eps),
    )


@transform
def scale_by_madgrad(
    learning_rate: LearningRate,
    momentum: Momentum = 0.9,
    eps: Epsilon = 1e-6,
) -> Pair:
    """Step towards the dual average of the gradients.

    All of `madgrad` but its weight decay, with the sign; see there for the rule.

    Args:
        learning_rate: A number >= 0, or a schedule of it.
        momentum: How far the parameters lag behind, in [0, 1).
        eps: Added to the cube root and to the learning rate.

    Returns:
        A transform with three slots per parameter. It needs `params`.
    """
    guard = moments.may_vanish(eps)

    def init(params):
        return MadgradState(
            count=jnp.zeros((), jnp.int32),
            grad_sum_sq=trees.real_zeros_like(params),
            s=trees.zeros_like(params),
            x0=trees.copy_like(params),
        )

    def total(v: jax.Array, g: jax.Array, k: jax.Array) -> jax.Array:
        largest = jnp.asarray(jnp.finfo(v.dtype).max, v.dtype)
        new = jnp.minimum(times(nx.square(g).astype(v.dtype), k), largest)
        return jnp.minimum(v + new, largest)

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "scale_by_madgrad")
        t = nx.increment(state.count)
        rate = sums.number(learning_rate)
        small = sums.number(eps)
        k = jnp.where(rate > 0, rate + small, 0.0) * jnp.sqrt(sums.number(t))
        back = 1.0 - sums.number(momentum)

        def move(s, v, x0, p):
            # the root of the state, not a power: its derivative at 0 is guarded
            root = _cbrt(v) + nx.cast(small, v.dtype)
            way = x0 - p.astype(x0.dtype) - moments.quotient(s, root, guard)
            return times(way, back)

        v = jax.tree.map(lambda v, g: total(v, g, k), state.grad_sum_sq, updates)
        s = jax.tree.map(lambda s, g: s + times(g, k).astype(s.dtype), state.s, updates)
        u = jax.tree.map(move, s, v, state.x0, params)
        return u, MadgradState(t, v, s, state.x0)

    return Pair(init, update)


def _cbrt(x: jax.Array) -> jax.Array:
    """The cube root, with derivative 0 at 0."""
    positive = x > 0
    safe = jnp.where(positive, x, jnp.ones_like(x))
    return jnp.where(positive, jnp.cbrt(safe), jnp.zeros_like(x))
