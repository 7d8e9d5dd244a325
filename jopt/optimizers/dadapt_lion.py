"""D-Adaptation for Lion: sign steps of a size found while training."""

from typing import cast, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import extras, sums, trees
from jopt._core.decay import Decay
from jopt._core.numerics import times
from jopt._core.spec import is_off
from jopt._core.sums import number
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import DecayRate, LearningRate, Pair, Positive, PyTree, Switch
from jopt.optimizers.dadapt import decayed, estimated
from jopt.optimizers.moments import averages, like
from jopt.transforms.scale import scale


class DAdaptLionState(NamedTuple):
    """State of `scale_by_dadapt_lion`."""

    mu: PyTree  # momentum of the gradients times the step size
    grad_sum: PyTree  # average of the signs times the step size
    estim_lr: jax.Array  # the estimate: how far the solution is
    numerator_weighted: jax.Array


@optimizer(rates=(0.1, 10.0), tags=("sign", "parameter-free"))
def dadapt_lion(
    learning_rate: LearningRate = 1.0,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.99,
    estim_lr0: Positive = 1e-6,
    weight_decay: Switch = 0.0,
) -> Transform:
    """Lion with a step size found while training, by D-Adaptation.

    Experimental, say its authors. The momentum holds gradients times the step size,
    so that while that is small the sign is mostly that of the gradient. Each step::

        k = d * learning_rate
        u = sign(b1 * m + (1 - b1) * g)
        m = b2 * m + (1 - b2) * k * g
        r = sqrt(b2) * r + (1 - sqrt(b2)) * k * <u, s>
        s = sqrt(b2) * s + (1 - sqrt(b2)) * k * u
        d = max(d, r / ((1 - sqrt(b2)) * sum(abs(s))))
        params -= k * (u + weight_decay * params)

    Args:
        learning_rate: Multiplies the estimate.
        b1: Weight of the momentum in the update, in [0, 1).
        b2: Decay of the momentum, in [0, 1).
        estim_lr0: The first estimate `d`, well below the truth.
        weight_decay: Decoupled decay, multiplied by `k`.

    Returns:
        A transform with two buffers per parameter. It needs `params` if it decays.

    Example:
        >>> from jopt import dadapt_lion
        >>> tx = dadapt_lion(estim_lr0=0.01)
        >>> params = jnp.array([1.0, -2.0])
        >>> tx.update(jnp.array([0.5, -3.0]), tx.init(params), params)[0]
        Array([-0.01,  0.01], dtype=float32)
        >>> tx
        dadapt_lion(estim_lr0=0.01)

    Reference:
        Defazio and Mishchenko, "Learning-Rate-Free Learning by D-Adaptation", ICML
        2023, arXiv:2301.07733; `DAdaptLion` of their package `dadaptation`.
    """
    return chain(
        scale_by_dadapt_lion(learning_rate, b1, b2, estim_lr0, weight_decay),
        scale(-1.0),
    )


@transform
def scale_by_dadapt_lion(
    learning_rate: LearningRate = 1.0,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.99,
    estim_lr0: Positive = 1e-6,
    weight_decay: Switch = 0.0,
) -> Pair:
    """Replace gradients by the steps of `dadapt_lion`; see there for the rule.

    All of it but the sign.

    Args:
        learning_rate: Multiplies the estimate.
        b1: Weight of the momentum in the update, in [0, 1).
        b2: Decay of the momentum, in [0, 1).
        estim_lr0: The first estimate.
        weight_decay: Decoupled decay, multiplied by the estimated step size.

    Returns:
        A transform with two buffers per parameter. It needs `params` if it decays.

    Reference:
        Defazio and Mishchenko, "Learning-Rate-Free Learning by D-Adaptation", ICML
        2023, arXiv:2301.07733.
    """
    fade = cast(Decay, b2).root()

    def init(params):
        return DAdaptLionState(
            mu=trees.zeros_like(params),
            grad_sum=trees.zeros_like(params),
            estim_lr=jnp.array(number(estim_lr0), copy=True),
            numerator_weighted=number(0.0),
        )

    def update(updates, state, params=None, **extra):
        del extra
        if not is_off(weight_decay):
            params = extras.need_params(params, "scale_by_dadapt_lion")
        k = state.estim_lr * number(learning_rate)
        u = jax.tree.map(jnp.sign, averages(updates, state.mu, b1))
        steps = jax.tree.map(lambda g: times(g, k), updates)
        mu = like(averages(steps, state.mu, b2), state.mu)
        out = jax.tree.map(lambda u: times(u, k), u)
        gain = sums.dot(out, state.grad_sum)
        s = like(averages(out, state.grad_sum, fade), state.grad_sum)
        r, d = estimated(state, fade, gain, s)
        if not is_off(weight_decay):
            out = decayed(out, params, k, weight_decay)
        return out, DAdaptLionState(mu, s, d, r)

    return Pair(init, update)
