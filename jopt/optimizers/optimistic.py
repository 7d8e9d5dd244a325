"""Optimistic methods, for games: the last gradient is a guess of the next one."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jopt._core import trees
from jopt._core.numerics import times
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import DecayRate, Epsilon, LearningRate, Pair, PyTree, Scalar
from jopt.optimizers.adam import scale_by_adam
from jopt.optimizers.moments import like
from jopt.transforms.scale import scale_by_learning_rate


class ScaleByOptimisticGradientState(NamedTuple):
    """State of `scale_by_optimistic_gradient`."""

    is_initial_step: jax.Array
    previous_gradient: PyTree


@optimizer(rates=(1e-3, 1.0), tags=("games",))
def optimistic_gradient_descent(
    learning_rate: LearningRate, alpha: Scalar = 1.0, beta: Scalar = 1.0
) -> Transform:
    """Optimistic gradient descent, for games of two players.

    Where plain descent and ascent circle around an equilibrium, as in bilinear games,
    it converges, at one gradient a step. For the player who maximises, negate the
    gradients. Each step::

        u = (alpha + beta) * g - beta * g_last        # the first time g_last = g
        params -= learning_rate * u

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        alpha: Weight of the gradient.
        beta: Weight of its change since the last step.

    Returns:
        A transform with one slot per parameter. It does not read `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import optimistic_gradient_descent
        >>> tx, g = optimistic_gradient_descent(0.5), jnp.array([1.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> u, tx.update(2.0 * g, state)[0]
        (Array([-0.5], dtype=float32), Array([-1.5], dtype=float32))
        >>> tx
        optimistic_gradient_descent(learning_rate=0.5)

    Reference:
        Mokhtari et al., "A Unified Analysis of Extra-gradient and Optimistic Gradient
        Methods for Saddle Point Problems: Proximal Point Approach", AISTATS 2020,
        arXiv:1901.08511.
    """
    return chain(
        scale_by_optimistic_gradient(alpha, beta),
        scale_by_learning_rate(learning_rate),
    )


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive", "games"))
def optimistic_adam(
    learning_rate: LearningRate,
    *,
    alpha: Scalar = 1.0,
    beta: Scalar = 1.0,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
    mu_dtype: DTypeLike | None = None,
    nesterov: bool = False,
) -> Transform:
    """Optimistic Adam, for generative adversarial networks.

    Adam's step, and beyond it its change since the last one. At step t, with the step
    `a` of Adam::

        u = (alpha + beta) * a - beta * a_last        # the first time a_last = a
        params -= learning_rate * u

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        alpha: Weight of Adam's step.
        beta: Weight of its change.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.
        mu_dtype: Dtype of the first moment. Defaults to float32 or wider.
        nesterov: Whether Adam looks ahead by one step of momentum.

    Returns:
        A transform with three slots per parameter. It does not read `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import optimistic_adam
        >>> tx, g = optimistic_adam(0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-0.5,  0.5], dtype=float32)
        >>> tx
        optimistic_adam(learning_rate=0.5)

    Differs from optax in: it is optax's `optimistic_adam_v2`, with the default
    `nesterov=False` of the paper; optax's `optimistic_adam` is its older form.

    Reference:
        Daskalakis et al., "Training GANs with Optimism", ICLR 2018, arXiv:1711.00141,
        Algorithm 1.
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        scale_by_optimistic_gradient(alpha, beta),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_optimistic_gradient(alpha: Scalar = 1.0, beta: Scalar = 1.0) -> Pair:
    """Add to the updates their change since the last step.

    The stage of the optimistic methods::

        u = (alpha + beta) * g - beta * g_last        # the first time g_last = g

    Args:
        alpha: Weight of the update.
        beta: Weight of its change.

    Returns:
        A transform with one slot per parameter. It does not read `params`.

    Reference:
        Mokhtari et al., "A Unified Analysis of Extra-gradient and Optimistic Gradient
        Methods for Saddle Point Problems: Proximal Point Approach", AISTATS 2020,
        arXiv:1901.08511.
    """

    def init(params):
        return ScaleByOptimisticGradientState(jnp.array(True), trees.zeros_like(params))

    def update(updates, state, params=None, **extra):
        del params, extra

        def ahead(g: jax.Array, last: jax.Array) -> jax.Array:
            last = jnp.where(state.is_initial_step, g, last.astype(g.dtype))
            return times(g, alpha) + times(g - last, beta)

        previous = state.previous_gradient
        u = jax.tree.map(ahead, updates, previous)
        kept = like(updates, previous)
        return u, ScaleByOptimisticGradientState(jnp.zeros_like(state[0]), kept)

    return Pair(init, update)
