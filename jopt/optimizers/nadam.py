"""NAdam: Adam with Nesterov's look-ahead and Dozat's schedule of the momentum."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jopt._core import numerics as nx
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    LearningRate,
    Mask,
    NonNegative,
    OptionalScalar,
    Pair,
    PyTree,
    Switch,
)
from jopt.optimizers import moments
from jopt.optimizers.adam import init_adam, scale_by_adam
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate

_LOG_DECAY = math.log(0.96)


class ScaleByNadamState(NamedTuple):
    """State of `scale_by_nadam`."""

    count: jax.Array  # steps taken
    mu: PyTree  # average of gradients
    nu: PyTree  # average of squared gradients
    mass: jax.Array  # one minus the product of the momenta so far


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive",))
def nadam(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
    mu_dtype: DTypeLike | None = None,
    *,
    momentum_decay: OptionalScalar = 0.004,
) -> Transform:
    """Adam that looks one step of momentum ahead, with a rising momentum.

    Often a little faster than Adam early on. At step t, with `psi` for
    `momentum_decay`::

        b(t) = b1 * (1 - 0.96^(t * psi) / 2);  B(t) = b(1) * b(2) * ... * b(t)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        u = b(t+1) / (1 - B(t+1)) * m + (1 - b(t)) / (1 - B(t)) * g
        params -= learning_rate * u / (sqrt(v / (1 - b2^t)) + eps)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.
        mu_dtype: Dtype in which the first moment is kept. Defaults to that of the
            parameter, float32 or wider.
        momentum_decay: How fast the momentum rises from `b1 / 2` to `b1`, a number
            >= 0. Keras has 1. With `None` it is `b1` throughout.

    Returns:
        A transform. It does not read `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import nadam
        >>> tx, g = nadam(0.1), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-0.1056,  0.1056], dtype=float32)
        >>> tx
        nadam(learning_rate=0.1)

    Differs from optax in: the momentum follows Dozat's schedule, as in PyTorch and
    Keras. optax's reading is `momentum_decay=None`. As in all of them, the second
    moment is not multiplied by `b2`, which Dozat's paper does.

    Reference:
        Dozat, "Incorporating Nesterov Momentum into Adam", ICLR Workshop 2016,
        Algorithm 2.
    """
    return chain(
        _stage(b1, b2, eps, eps_root, mu_dtype, momentum_decay),
        scale_by_learning_rate(learning_rate),
    )


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive",))
def nadamw(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 1e-4,
    mask: Mask = None,
    *,
    momentum_decay: OptionalScalar = 0.004,
) -> Transform:
    """NAdam with decoupled weight decay.

    A strong baseline where AdamW is one. At step t, with the look-ahead `u` of
    `nadam`::

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        u = u(m, g) / (sqrt(v / (1 - b2^t)) + eps)
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.
        mu_dtype: Dtype in which the first moment is kept. Defaults to that of the
            parameter, float32 or wider.
        weight_decay: Strength of the decay, multiplied by the learning rate; 0 turns
            it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        momentum_decay: How fast the momentum rises from `b1 / 2` to `b1`, a number
            >= 0. With `None` it is `b1` throughout.

    Returns:
        A transform. Its `update` needs `params` unless `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import nadamw
        >>> tx, p = nadamw(0.1, weight_decay=0.5), jnp.array([1.0, -2.0])
        >>> tx.update(jnp.array([4.0, -1.0]), tx.init(p), p)[0].round(4)
        Array([-0.1556,  0.2056], dtype=float32)
        >>> tx
        nadamw(learning_rate=0.1, weight_decay=0.5)

    Differs from optax in: the momentum follows Dozat's schedule, as in PyTorch and
    Keras. optax's reading is `momentum_decay=None`.

    Reference:
        Dozat, "Incorporating Nesterov Momentum into Adam", ICLR Workshop 2016,
        Algorithm 2.

        Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019,
        arXiv:1711.05101, Algorithm 2.
    """
    return chain(
        _stage(b1, b2, eps, eps_root, mu_dtype, momentum_decay),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def _stage(
    b1: Any, b2: Any, eps: Any, eps_root: Any, mu_dtype: Any, momentum_decay: Any
) -> Transform:
    if momentum_decay is None:
        return scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=True)
    return scale_by_nadam(b1, b2, eps, eps_root, mu_dtype, momentum_decay)


@transform
def scale_by_nadam(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
    mu_dtype: DTypeLike | None = None,
    momentum_decay: NonNegative = 0.004,
) -> Pair:
    """Adam's rescaling with a look-ahead and Dozat's schedule of the momentum.

    The stage of `nadam` and `nadamw` that holds the state; see there for the rule.
    With a constant momentum it is `scale_by_adam(nesterov=True)`.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.
        mu_dtype: Dtype in which the first moment is kept.
        momentum_decay: How fast the momentum rises from `b1 / 2` to `b1`.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """

    def lag(count):
        """One minus the momentum of a step."""
        dtype = jnp.result_type(float)
        c = moments.complement(b1, dtype)
        exponent = count.astype(dtype) * nx.cast(momentum_decay, dtype)
        return c + (1.0 - c) * 0.5 * jnp.exp(_LOG_DECAY * exponent)

    def init(params):
        slots = init_adam(params, mu_dtype)
        mass = jnp.zeros((), jnp.result_type(float))
        return ScaleByNadamState(jnp.zeros((), jnp.int32), slots.mu, slots.nu, mass)

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        mu = moments.averages(updates, state.mu, b1)
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        now, following = lag(t), lag(nx.increment(t))
        mass = state.mass.astype(now.dtype)
        mass = mass + (1.0 - mass) * now
        ahead = mass + (1.0 - mass) * following
        weights = (1.0 - following) / ahead, now / mass
        correction = nx.bias_correction(b2, t)
        u = moments.rescale(updates, mu, nu, weights, correction, eps, eps_root)
        slots = map(moments.like, (mu, nu, mass), state[1:])
        return u, ScaleByNadamState(t, *slots)

    return Pair(init, update)
