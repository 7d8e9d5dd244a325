"""AdaMod: Adam whose step sizes cannot rise above their average of the past."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jopt._core import numerics as nx, trees
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    LearningRate,
    Mask,
    Pair,
    PyTree,
    Switch,
)
from jopt.optimizers import moments
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


class ScaleByAdamodState(NamedTuple):
    """State of `scale_by_adamod`."""

    count: jax.Array  # steps taken
    mu: PyTree  # average of gradients
    nu: PyTree  # average of squared gradients
    size: PyTree  # average of the step sizes


@optimizer(rates=(1e-4, 1e-1), tags=("adaptive",))
def adamod(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    b3: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """AdaMod: a warmup by itself, and a brake on sudden large step sizes.

    The bound starts at 0 and fills over about `1 / (1 - b3)` steps, in place of a
    warmup. At step t::

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        size = 1 / (sqrt(v / (1 - b2^t)) + eps)
        s = b3 * s + (1 - b3) * size
        u = min(size, s) * m / (1 - b1^t)
        params -= learning_rate * (u + weight_decay * params)

    The paper has the learning rate inside `size`. With a constant rate that is the
    same; with a schedule the bound here knows nothing of earlier rates.

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        b3: Decay rate of the average of step sizes, in [0, 1). With 0 it is Adam.
        eps: Added to the root of the second moment.
        mu_dtype: Dtype in which the first moment is kept. Defaults to that of the
            parameter, float32 or wider.
        weight_decay: Strength of the decoupled decay; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with three slots per parameter. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adamod
        >>> tx, g = adamod(0.5, b3=0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-0.25,  0.25], dtype=float32)
        >>> tx
        adamod(learning_rate=0.5, b3=0.5)

    Reference:
        Ding et al., "An Adaptive and Momental Bound Method for Stochastic Learning",
        2019, arXiv:1910.12249, Algorithm 1.
    """
    return chain(
        scale_by_adamod(b1, b2, b3, eps, mu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_adamod(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    b3: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    mu_dtype: DTypeLike | None = None,
) -> Pair:
    """Multiply an average of gradients by Adam's factors, at most their average.

    The stage of `adamod` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        b3: Decay rate of the average of step sizes, in [0, 1).
        eps: Added to the root of the second moment.
        mu_dtype: Dtype in which the first moment is kept.

    Returns:
        A transform with three slots per parameter. It does not read `params`.
    """
    guard = moments.may_vanish(eps)

    def init(params):
        count = jnp.zeros((), jnp.int32)
        nu, size = (trees.real_zeros_like(params) for _ in range(2))
        return ScaleByAdamodState(count, trees.zeros_like(params, mu_dtype), nu, size)

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        mu = moments.averages(updates, state.mu, b1)
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        inverse = 1.0 / nx.bias_correction(b2, t)

        def factor(v: jax.Array) -> jax.Array:
            below = moments.denominator(nx.times(v, inverse), eps)
            return moments.quotient(jnp.ones_like(below), below, guard)

        now = jax.tree.map(factor, nu)
        size = moments.averages(now, state.size, b3)
        weight = moments.momentum_weights(b1, t)[0]
        u = jax.tree.map(
            lambda m, a, s: nx.times(nx.times(m, weight), jnp.minimum(a, s)),
            mu,
            now,
            size,
        )
        slots = map(moments.like, (mu, nu, size), state[1:])
        return u, ScaleByAdamodState(t, *slots)

    return Pair(init, update)
