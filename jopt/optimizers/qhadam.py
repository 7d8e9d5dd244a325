"""Quasi-hyperbolic momentum: a share of the gradient beside that of its average."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from jopt._core import numerics as nx, trees
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    Fraction,
    LearningRate,
    Mask,
    Pair,
    PyTree,
    Switch,
)
from jopt.optimizers import moments
from jopt.optimizers.adam import init_adam
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


class ScaleByQhmState(NamedTuple):
    """State of `scale_by_qhm`."""

    mu: PyTree  # average of gradients


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive",))
def qhadam(
    learning_rate: LearningRate,
    b1: DecayRate = 0.995,
    b2: DecayRate = 0.999,
    nu1: Fraction = 0.7,
    nu2: Fraction = 1.0,
    eps: Epsilon = 1e-8,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """QHAdam: Adam with averages of which the present gradient takes a fixed share.

    A longer memory than Adam's with a fresher direction. With `nu1` and `nu2` of 1 it
    is Adam, with `nu1 = b1` close to NAdam. At step t::

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        top = (1 - nu1) * g + nu1 * m / (1 - b1^t)
        u = top / (sqrt((1 - nu2) * g^2 + nu2 * v / (1 - b2^t)) + eps)
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        nu1: Share of the average in the direction, in [0, 1]. The authors recommend
            these defaults; those of their code, 1 and 1, give Adam.
        nu2: Share of the average in the second moment, in [0, 1].
        eps: Added to the root of the second moment.
        mu_dtype: Dtype in which the first moment is kept. Defaults to that of the
            parameter, float32 or wider.
        weight_decay: Strength of the decoupled decay; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with two slots per parameter. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import qhadam
        >>> tx, g = qhadam(0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(3)
        Array([-0.5,  0.5], dtype=float32)
        >>> tx
        qhadam(learning_rate=0.5)

    Reference:
        Ma and Yarats, "Quasi-hyperbolic momentum and Adam for deep learning",
        ICLR 2019, arXiv:1810.06801, Section 5.
    """
    return chain(
        scale_by_qhadam(b1, b2, nu1, nu2, eps, mu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@optimizer(rates=(1e-3, 10.0), tags=("momentum",))
def qhm(
    learning_rate: LearningRate,
    momentum: DecayRate = 0.999,
    nu: Fraction = 0.7,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """SGD with a quasi-hyperbolic momentum.

    An average of plain SGD and SGD with momentum. Nesterov's momentum is the case
    `nu = momentum`. Each step::

        m = momentum * m + (1 - momentum) * g
        params -= learning_rate * ((1 - nu) * g + nu * m)

    The momentum is an average: from SGD with a sum, multiply the learning rate by
    `1 / (1 - momentum)`.

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        momentum: Decay rate of the average of gradients, in [0, 1).
        nu: Share of the average in the direction, in [0, 1].
        mu_dtype: Dtype in which the average is kept. Defaults to that of the
            parameter, float32 or wider.
        weight_decay: Weight of an L2 penalty, added to the gradient; 0 turns it off.
        mask: Which leaves it concerns: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with one slot per parameter. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import qhm
        >>> tx, g = qhm(0.5, momentum=0.5, nu=0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0]
        Array([-1.5  ,  0.375], dtype=float32)
        >>> tx
        qhm(learning_rate=0.5, momentum=0.5, nu=0.5)

    Reference:
        Ma and Yarats, "Quasi-hyperbolic momentum and Adam for deep learning",
        ICLR 2019, arXiv:1810.06801, Section 3.
    """
    return chain(
        add_decayed_weights(weight_decay, mask),
        scale_by_qhm(momentum, nu, mu_dtype),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_qhadam(
    b1: DecayRate = 0.995,
    b2: DecayRate = 0.999,
    nu1: Fraction = 0.7,
    nu2: Fraction = 1.0,
    eps: Epsilon = 1e-8,
    mu_dtype: DTypeLike | None = None,
) -> Pair:
    """Adam's rescaling, with a share of the present gradient in both moments.

    The stage of `qhadam` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        nu1: Share of the average in the direction, in [0, 1].
        nu2: Share of the average in the second moment, in [0, 1].
        eps: Added to the root of the second moment.
        mu_dtype: Dtype in which the first moment is kept.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """

    def init(params):
        return init_adam(params, mu_dtype)

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        dtype = jnp.result_type(float)
        share = jnp.asarray(nx.cast(nu1, dtype), dtype)
        squared = jnp.asarray(nx.cast(nu2, dtype), dtype)
        mu = moments.averages(updates, state.mu, b1)
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        correction = nx.bias_correction(b2, t)
        fresh = (1.0 - squared) * correction

        def second(g, v):
            return nx.times(v, squared) + nx.times(nx.square(g), fresh)

        mixed = jax.tree.map(second, updates, nu)
        weights = share * moments.momentum_weights(b1, t)[0], 1.0 - share
        u = moments.rescale(updates, mu, mixed, weights, correction, eps)
        mu, nu = moments.like(mu, state.mu), moments.like(nu, state.nu)
        return u, optax.ScaleByAdamState(t, mu, nu)

    return Pair(init, update)


@transform
def scale_by_qhm(
    momentum: DecayRate = 0.999,
    nu: Fraction = 0.7,
    mu_dtype: DTypeLike | None = None,
) -> Pair:
    """Mix gradients with their average.

    The stage of `qhm` that holds the state; see there for the rule.

    Args:
        momentum: Decay rate of the average of gradients, in [0, 1).
        nu: Share of the average, in [0, 1].
        mu_dtype: Dtype in which the average is kept.

    Returns:
        A transform with one slot per parameter. It does not read `params`.
    """

    def init(params):
        return ScaleByQhmState(trees.zeros_like(params, mu_dtype))

    def update(updates, state, params=None, **extra):
        del params, extra
        mu = moments.averages(updates, state.mu, momentum)
        share = jnp.asarray(nx.cast(nu, jnp.result_type(float)))
        u = jax.tree.map(
            lambda m, g: moments.mix(m, g, share, 1.0 - share), mu, updates
        )
        return u, ScaleByQhmState(moments.like(mu, state.mu))

    return Pair(init, update)
