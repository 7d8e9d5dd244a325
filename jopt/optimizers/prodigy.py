"""Prodigy: Adam that finds its own learning rate."""

from typing import Any, cast, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import extras, numerics as nx, sums, trees
from jopt._core.decay import Decay
from jopt._core.numerics import times
from jopt._core.spec import is_off
from jopt._core.sums import number
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    Growth,
    LearningRate,
    OptionalDecay,
    Pair,
    Positive,
    PyTree,
    Switch,
)
from jopt.optimizers.moments import averages, denominator, quotient, squares
from jopt.transforms.scale import scale


class ProdigyState(NamedTuple):
    """State of `scale_by_prodigy`."""

    exp_avg: PyTree  # first moment of the gradients times the estimate
    exp_avg_sq: PyTree  # second moment of the same
    grad_sum: PyTree  # weighted sum of gradients
    params0: PyTree  # the initial parameters
    estim_lr: jax.Array  # the estimate: how far the solution is
    max_estim_lr: jax.Array  # what it would be without a growth limit
    numerator_weighted: jax.Array
    count: jax.Array


@optimizer(rates=(0.1, 10.0), tags=("adaptive", "parameter-free"))
def prodigy(
    learning_rate: LearningRate = 1.0,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    b3: OptionalDecay = None,
    eps: Epsilon = 1e-8,
    estim_lr0: Positive = 1e-6,
    estim_lr_coef: Positive = 1.0,
    weight_decay: Switch = 0.0,
    safeguard_warmup: bool = False,
    *,
    use_bias_correction: bool = False,
    growth_rate: Growth = None,
) -> Transform:
    """AdamW with a learning rate found while training.

    It estimates the distance `d` from the start to the solution and takes AdamW's
    steps with `d` as the learning rate. Leave `learning_rate` at 1, or give a schedule
    that ends at 0; tune `estim_lr_coef` if anything. A well-tuned AdamW is better.
    Each step, with `<a, b>` the inner product over all parameters::

        k = d * learning_rate
        r = b3 * r + (d / d0) * k * <g, params0 - params>
        s = b3 * s + (d / d0) * k * g
        m = b1 * m + (1 - b1) * d * g
        v = b2 * v + (1 - b2) * d^2 * g^2
        d = max(d, estim_lr_coef * r / sum(abs(s)))
        params -= k * (m / (sqrt(v) + d * eps) + weight_decay * params)

    Args:
        learning_rate: Multiplies the estimate.
        b1: Decay of the first moment, in [0, 1).
        b2: Decay of the second moment, in [0, 1).
        b3: Decay of the sums of the estimate. Defaults to the root of `b2`.
        eps: Added to the root of the second moment, times the estimate.
        estim_lr0: The first estimate `d0`, well below the truth.
        estim_lr_coef: Multiplies the estimate; 0.5 and 2 are worth trying.
        weight_decay: Decoupled decay, multiplied by the learning rate.
        safeguard_warmup: Whether to leave the learning rate out of `s`: for schedules
            with a warm-up.
        use_bias_correction: Whether to multiply `k` by Adam's bias correction
            `sqrt(1 - b2^t) / (1 - b1^t)`.
        growth_rate: The largest factor, >= 1, by which the estimate grows in a step
            after the first; `None` sets no limit.

    Returns:
        A transform with four buffers per parameter. It needs `params`.

    Differs from optax in:
        There is no bias correction by default, as in the official package and the
        paper; `use_bias_correction=True` is optax's rule. Steps with a learning rate
        of 0 leave the state alone, as in the official package. `b1`, `b2`, `b3` are
        optax's `betas` and `beta3`.

    Example:
        >>> from jopt import prodigy
        >>> tx = prodigy(estim_lr0=0.01)
        >>> params = jnp.array([1.0, -2.0])
        >>> tx.update(jnp.array([0.5, -3.0]), tx.init(params), params)[0]
        Array([-0.0316...,  0.0316...], dtype=float32)
        >>> tx
        prodigy(estim_lr0=0.01)

    Reference:
        Mishchenko and Defazio, "Prodigy: An Expeditiously Adaptive Parameter-Free
        Learner", ICML 2024, arXiv:2306.06101, Algorithm 4.
    """
    estimate = scale_by_prodigy(
        learning_rate,
        b1,
        b2,
        b3,
        eps,
        estim_lr0,
        estim_lr_coef,
        weight_decay,
        safeguard_warmup,
        use_bias_correction=use_bias_correction,
        growth_rate=growth_rate,
    )
    return chain(estimate, scale(-1.0))


@transform
def scale_by_prodigy(
    learning_rate: LearningRate = 1.0,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    b3: OptionalDecay = None,
    eps: Epsilon = 1e-8,
    estim_lr0: Positive = 1e-6,
    estim_lr_coef: Positive = 1.0,
    weight_decay: Switch = 0.0,
    safeguard_warmup: bool = False,
    *,
    use_bias_correction: bool = False,
    growth_rate: Growth = None,
) -> Pair:
    """Replace gradients by Adam's steps, with an estimated learning rate and decay.

    All of `prodigy` but the sign; see there for the rule.

    Args:
        learning_rate: Multiplies the estimate.
        b1: Decay of the first moment, in [0, 1).
        b2: Decay of the second moment, in [0, 1).
        b3: Decay of the sums of the estimate. Defaults to the root of `b2`.
        eps: Added to the root of the second moment, times the estimate.
        estim_lr0: The first estimate.
        estim_lr_coef: Multiplies the estimate.
        weight_decay: Decoupled decay, multiplied by the learning rate.
        safeguard_warmup: Whether to leave the learning rate out of the denominator.
        use_bias_correction: Whether to correct the bias of the moments.
        growth_rate: The largest growth of the estimate in a step; `None`: no limit.

    Returns:
        A transform with four buffers per parameter. It needs `params`.

    Reference:
        Mishchenko and Defazio, "Prodigy: An Expeditiously Adaptive Parameter-Free
        Learner", ICML 2024, arXiv:2306.06101, Algorithm 4.
    """

    def init(params):
        first = number(estim_lr0)
        return ProdigyState(
            exp_avg=trees.zeros_like(params),
            exp_avg_sq=trees.real_zeros_like(params),
            grad_sum=trees.zeros_like(params),
            params0=trees.copy_like(params),
            estim_lr=jnp.array(first, copy=True),
            max_estim_lr=jnp.array(first, copy=True),
            numerator_weighted=jnp.zeros_like(first),
            count=jnp.zeros((), jnp.int32),
        )

    def rate(state):
        """The estimate times the learning rate, bias corrected if so wished."""
        k = state.estim_lr * number(learning_rate)
        if not use_bias_correction:
            return k
        t = nx.increment(state.count)
        root = jnp.sqrt(nx.bias_correction(b2, t))
        return k * number(root / nx.bias_correction(b1, t))

    def learnt(g, state, params, on):
        """The state with the gradients in it, the estimate still the old one."""
        d, k = state.estim_lr, rate(state)
        ratio = on * d / number(estim_lr0)
        weight = ratio * (d if safeguard_warmup else k)
        fade = cast(Decay, b3) if b3 is not None else cast(Decay, b2).root()
        forget = on * number(fade.complement)
        step = jax.tree.map(lambda g: times(g, d), g)
        m = averages(step, state.exp_avg, _gated(b1, on))
        v = averages(squares(step), state.exp_avg_sq, _gated(b2, on))
        s = jax.tree.map(
            lambda g, s: s - times(s, forget) + times(g, weight), g, state.grad_sum
        )
        way = -sums.dot(g, sums.displacement(params, state.params0))
        r = state.numerator_weighted
        r = r - forget * r + ratio * k * way
        return state._replace(exp_avg=m, exp_avg_sq=v, grad_sum=s, numerator_weighted=r)

    def estimated(state, known, total):
        """The state with the new estimate in it."""
        d_hat = nx.divide(state.numerator_weighted, total) * number(estim_lr_coef)
        top = jnp.maximum(state.max_estim_lr, d_hat)
        if growth_rate is None:
            d = top
        else:
            first = state.estim_lr == number(estim_lr0)
            d = jnp.where(first, jnp.maximum(state.estim_lr, d_hat), state.estim_lr)
            d = jnp.minimum(top, d * number(growth_rate))
        return state._replace(
            estim_lr=jnp.where(known, d, state.estim_lr),
            max_estim_lr=jnp.where(known, top, state.max_estim_lr),
            count=jnp.where(known, nx.increment(state.count), state.count),
        )

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "scale_by_prodigy")
        on = number(number(learning_rate) > 0)  # at a rate of 0 nothing is learnt
        k = rate(state)
        state = learnt(updates, state, params, on)
        total = sums.magnitudes(state.grad_sum)
        known = (total > 0) & (on > 0)
        state = estimated(state, known, total)
        k = jnp.where(known, k, jnp.zeros_like(k))
        floor = 0.0 if is_off(eps) else state.estim_lr * number(eps)

        def direction(m, v, p):
            u = quotient(m, denominator(v, floor), guard=True)
            if not is_off(weight_decay):
                u = u + times(p.astype(m.dtype), weight_decay)
            return times(u, k)

        out = jax.tree.map(direction, state.exp_avg, state.exp_avg_sq, params)
        return out, state

    return Pair(init, update)


def _gated(decay: Any, on: jax.Array) -> Decay:
    """The decay where `on` is 1; where it is 0, one that keeps the old value."""
    return Decay(on * number(decay.complement))
