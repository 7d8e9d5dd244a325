"""SWATS: Adam at first, SGD from the moment at which its rate is known."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import norms, numerics as nx, trees
from jopt._core.numerics import times
from jopt._core.sums import number
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    LearningRate,
    Mask,
    NonNegative,
    Pair,
    PyTree,
    Switch,
)
from jopt.optimizers import moments
from jopt.transforms.decay import add_decayed_weights


class ScaleBySwatsState(NamedTuple):
    """State of `scale_by_swats`."""

    count: jax.Array
    mu: PyTree  # Adam's first moment; the momentum of SGD after the switch
    nu: PyTree
    rate_ema: jax.Array  # average of the rates at which SGD would do Adam's steps
    sgd_scale: jax.Array  # SGD's rate over the learning rate; 0 before the switch


@optimizer(rates=(1e-4, 1e-2), tags=("adaptive", "momentum"))
def swats(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-9,
    threshold: NonNegative = 1e-9,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """SWATS: switches from Adam to SGD with momentum, at a rate found on the way.

    For networks that generalise better with SGD but start better with Adam. At each
    step of Adam it takes the rate at which SGD's step, projected on Adam's, would equal
    it; the switch comes when the average of these rates has settled. It is one switch
    for all parameters, and final. With `t` counting from 1, before the switch::

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        p = -learning_rate * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps)
        params += p
        r = <p, p> / -<p, g>                       # over all parameters
        s = b2 * s + (1 - b2) * r                  # unless <p, g> = 0
        switch if t > 1 and |s / (1 - b2^t) - r| < threshold:
            rate, m = s / (1 - b2^t), 0

    and after it::

        m = b1 * m + (1 - b1) * g
        params -= rate * m

    Args:
        learning_rate: Adam's. If it is a schedule, SGD's rate follows it in proportion
            after the switch.
        b1: Decay rate of both momenta, in [0, 1).
        b2: Decay rate of the second moment and of the rates, in [0, 1).
        eps: Added to the root of the second moment.
        threshold: How near the average and the newest rate have to be. The authors take
            `eps`, which float32 meets by chance only; try 1e-5.
        weight_decay: Decay that is added to the gradient.
        mask: Which leaves decay. Defaults to all.

    Returns:
        A transform with two slots per parameter. It needs `params` if it decays.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import swats
        >>> tx, p = swats(0.1, threshold=1e-4), jnp.array([1.0, -2.0])
        >>> g, state = jnp.array([2.0, -2.0]), tx.init(p)
        >>> for _ in range(3):
        ...     u, state = tx.update(g, state, p)
        ...     print(f"{u[1]:.3f}")
        0.100
        0.100
        0.010

    Differs from the paper in: a settled average that is not above 0 does not switch.

    Reference:
        Keskar and Socher, "Improving Generalization Performance by Switching from Adam
        to SGD", 2017, arXiv:1712.07628, Algorithm 1.
    """
    return chain(
        add_decayed_weights(weight_decay, mask),
        scale_by_swats(learning_rate, b1, b2, eps, threshold),
    )


@transform
def scale_by_swats(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-9,
    threshold: NonNegative = 1e-9,
) -> Pair:
    """Turn gradients into steps of Adam, and later into those of SGD with momentum.

    The stage of `swats` that holds the state; see there for the rule. The learning rate
    is part of the rule, so that its results are ready to be added.

    Args:
        learning_rate: Adam's.
        b1: Decay rate of both momenta, in [0, 1).
        b2: Decay rate of the second moment and of the rates, in [0, 1).
        eps: Added to the root of the second moment.
        threshold: How near the average and the newest rate have to be.

    Returns:
        A transform with two slots per parameter. It does not read `params`.

    Reference:
        Keskar and Socher, "Improving Generalization Performance by Switching from Adam
        to SGD", 2017, arXiv:1712.07628, Algorithm 1.
    """

    def init(params):
        none = number(0.0)
        return ScaleBySwatsState(
            jnp.zeros((), jnp.int32),
            trees.zeros_like(params),
            trees.real_zeros_like(params),
            none,
            jnp.array(none, copy=True),
        )

    def switch(state, t, u, g, rate):
        """The average of the rates, SGD's scale, and whether it is found just now."""
        along = norms.inner_product(norms.normalized(u), norms.normalized(g))
        length = norms.global_norm(g) * along
        found = number(nx.divide(rate * number(norms.global_norm(u)), number(length)))
        valid = (state.sgd_scale == 0) & (found != 0)
        mean = jnp.where(valid, nx.average(found, state.rate_ema, b2), state.rate_ema)
        settled = mean / nx.bias_correction(b2, t)
        near = jnp.abs(settled - found) < number(threshold)
        now = valid & near & (t > 1) & (settled > 0)
        scale = jnp.where(now, nx.divide(settled, rate), state.sgd_scale)
        return mean, scale, now

    def update(updates, state, params=None, **extra):
        del params, extra
        t, rate = nx.increment(state.count), number(learning_rate)
        mean = moments.averages(updates, state.mu, b1)
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        correction = nx.bias_correction(b2, t)
        weights = moments.momentum_weights(b1, t)
        u = moments.rescale(updates, mean, nu, weights, correction, eps, eps_hat=True)
        after = state.sgd_scale > 0
        rates, scale, now = switch(state, t, u, updates, rate)
        size = -rate * jnp.where(after, state.sgd_scale, 1.0)
        out = jax.tree.map(lambda u, m: times(jnp.where(after, m, u), size), u, mean)
        mu = jax.tree.map(lambda m: jnp.where(now, jnp.zeros_like(m), m), mean)
        return out, ScaleBySwatsState(t, mu, nu, rates, scale)

    return Pair(init, update)
