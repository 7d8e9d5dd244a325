"""D-Adaptation: SGD and AdamW that find their own learning rate."""

from typing import Any, cast, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import extras, norms, numerics as nx, sums, trees
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
    Mask,
    Momentum,
    Pair,
    Positive,
    PyTree,
    Switch,
)
from jopt.optimizers.moments import (
    averages,
    denominator,
    like,
    may_vanish,
    quotient,
    squares,
)
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale


class DAdaptSGDState(NamedTuple):
    """State of `scale_by_dadapt_sgd`."""

    grad_sum: PyTree  # of the gradients times the step sizes
    trace: PyTree  # how far the steps lag behind it; empty without momentum
    estim_lr: jax.Array  # the estimate: how far the solution is
    numerator_weighted: jax.Array
    g0_norm: jax.Array  # of the first gradient that is not 0


class DAdaptAdamWState(NamedTuple):
    """State of `scale_by_dadapt_adamw`."""

    exp_avg: PyTree  # first moment of the gradients times the step size
    exp_avg_sq: PyTree  # second moment of the gradients
    grad_sum: PyTree  # average of the gradients times the step size
    estim_lr: jax.Array  # the estimate: how far the solution is
    numerator_weighted: jax.Array
    count: jax.Array


@optimizer(rates=(0.1, 10.0), tags=("parameter-free", "momentum"))
def dadapt_sgd(
    learning_rate: LearningRate = 1.0,
    momentum: Momentum = None,
    estim_lr0: Positive = 1e-6,
    weight_decay: Switch = 0.0,
    growth_rate: Growth = None,
    *,
    mask: Mask = None,
) -> Transform:
    """SGD with a learning rate found while training, by D-Adaptation.

    It estimates from below the distance `d` from the start to the solution. Leave
    `learning_rate` at 1, or give a schedule that ends at 0. `prodigy` is its successor.
    Each step, with inner products and norms over all parameters::

        k = d * learning_rate / |g0|
        r = r + k * <g, s>
        s = s + k * g
        d = max(d, 2 * r / |s|)
        u = momentum * u + k * g
        params -= (1 - momentum) * u

    Args:
        learning_rate: Multiplies the estimate.
        momentum: Weight of the past steps, in [0, 1). 0 or `None` turns it off.
        estim_lr0: The first estimate, well below the truth.
        weight_decay: Decay that is added to the gradient.
        growth_rate: The largest factor, >= 1, by which the estimate grows in a step;
            `None` sets no limit.
        mask: Which leaves decay. Defaults to all.

    Returns:
        A transform with one buffer per parameter, two with momentum. It needs `params`
        if it decays.

    Example:
        >>> from jopt import dadapt_sgd
        >>> tx = dadapt_sgd(estim_lr0=0.1)
        >>> params = jnp.array([1.0, -2.0])
        >>> tx.update(jnp.array([3.0, -4.0]), tx.init(params), params)[0].round(4)
        Array([-0.06,  0.08], dtype=float32)
        >>> tx
        dadapt_sgd(estim_lr0=0.1)

    Reference:
        Defazio and Mishchenko, "Learning-Rate-Free Learning by D-Adaptation", ICML
        2023, arXiv:2301.07733, Algorithm 3. The package `dadaptation` leaves the decay
        out of `|g0|`.
    """
    return chain(
        add_decayed_weights(weight_decay, mask),
        scale_by_dadapt_sgd(learning_rate, momentum, estim_lr0, growth_rate),
        scale(-1.0),
    )


@optimizer(rates=(0.1, 10.0), tags=("adaptive", "parameter-free"))
def dadapt_adamw(
    learning_rate: LearningRate = 1.0,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    estim_lr0: Positive = 1e-6,
    weight_decay: Switch = 0.0,
    *,
    use_bias_correction: bool = False,
    growth_rate: Growth = None,
) -> Transform:
    """AdamW with a learning rate found while training, by D-Adaptation.

    It estimates from below the distance `d` from the start to the solution, in the
    largest coordinate. Leave `learning_rate` at 1, or give a schedule that ends at 0.
    `prodigy` is its successor. Each step::

        k = d * learning_rate
        r = sqrt(b2) * r + (1 - sqrt(b2)) * k * <g, s / (sqrt(v) + eps)>
        m = b1 * m + (1 - b1) * k * g
        v = b2 * v + (1 - b2) * g^2
        s = sqrt(b2) * s + (1 - sqrt(b2)) * k * g
        d = max(d, r / ((1 - sqrt(b2)) * sum(abs(s))))
        params -= m / (sqrt(v) + eps) + k * weight_decay * params

    Args:
        learning_rate: Multiplies the estimate.
        b1: Decay of the first moment, in [0, 1).
        b2: Decay of the second moment, in [0, 1).
        eps: Added to the root of the second moment.
        estim_lr0: The first estimate, well below the truth.
        weight_decay: Decoupled decay, multiplied by `k`.
        use_bias_correction: Whether to multiply `k` by Adam's bias correction
            `sqrt(1 - b2^t) / (1 - b1^t)`.
        growth_rate: The largest factor, >= 1, by which the estimate grows in a step;
            `None` sets no limit.

    Returns:
        A transform with three buffers per parameter. It needs `params` if it decays.

    Differs from optax in:
        There is no bias correction by default, as in the official package;
        `use_bias_correction=True` is optax's rule. `b1`, `b2` are optax's `betas`.

    Example:
        >>> from jopt import dadapt_adamw
        >>> tx = dadapt_adamw(estim_lr0=0.01)
        >>> params = jnp.array([1.0, -2.0])
        >>> tx.update(jnp.array([0.5, -3.0]), tx.init(params), params)[0]
        Array([-0.0316...,  0.0316...], dtype=float32)
        >>> tx
        dadapt_adamw(estim_lr0=0.01)

    Reference:
        Defazio and Mishchenko, "Learning-Rate-Free Learning by D-Adaptation", ICML
        2023, arXiv:2301.07733, Algorithm 5.
    """
    estimate = scale_by_dadapt_adamw(
        learning_rate,
        b1,
        b2,
        eps,
        estim_lr0,
        weight_decay,
        use_bias_correction=use_bias_correction,
        growth_rate=growth_rate,
    )
    return chain(estimate, scale(-1.0))


@transform
def scale_by_dadapt_sgd(
    learning_rate: LearningRate = 1.0,
    momentum: Momentum = None,
    estim_lr0: Positive = 1e-6,
    growth_rate: Growth = None,
) -> Pair:
    """Replace gradients by the steps of `dadapt_sgd`; see there for the rule.

    All of it but the decay and the sign.

    Args:
        learning_rate: Multiplies the estimate.
        momentum: Weight of the past steps, in [0, 1). 0 or `None` turns it off.
        estim_lr0: The first estimate.
        growth_rate: The largest growth of the estimate in a step; `None`: no limit.

    Returns:
        A transform with one buffer per parameter, two with momentum.

    Reference:
        Defazio and Mishchenko, "Learning-Rate-Free Learning by D-Adaptation", ICML
        2023, arXiv:2301.07733, Algorithm 3.
    """

    def init(params):
        return DAdaptSGDState(
            grad_sum=trees.zeros_like(params),
            trace=() if is_off(momentum) else trees.zeros_like(params),
            estim_lr=jnp.array(number(estim_lr0), copy=True),
            numerator_weighted=number(0.0),
            g0_norm=number(0.0),
        )

    def update(updates, state, params=None, **extra):
        del params, extra
        first, d = state.g0_norm, state.estim_lr
        first = jnp.where(first == 0, number(norms.global_norm(updates)), first)
        unit = nx.divide(number(1.0), first)
        k = d * number(learning_rate)
        # g / |g0| before all else: it is of the order of 1
        g = jax.tree.map(lambda g: times(g, unit), updates)
        r = state.numerator_weighted + k * sums.dot(g, state.grad_sum)
        out = jax.tree.map(lambda g: times(g, k), g)
        s = jax.tree.map(lambda u, s: s + u.astype(s.dtype), out, state.grad_sum)
        length = number(norms.global_norm(s))
        d = larger(d, 2.0 * nx.divide(r, length), growth_rate)
        lag = ()
        if not is_off(momentum):
            out = jax.tree.map(jnp.add, out, like(state.trace, out))
            lag = like(jax.tree.map(lambda u: times(u, momentum), out), state.trace)
            out = jax.tree.map(lambda u, e: u - e.astype(u.dtype), out, lag)
        return out, DAdaptSGDState(s, lag, d, r, first)

    return Pair(init, update)


@transform
def scale_by_dadapt_adamw(
    learning_rate: LearningRate = 1.0,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    estim_lr0: Positive = 1e-6,
    weight_decay: Switch = 0.0,
    *,
    use_bias_correction: bool = False,
    growth_rate: Growth = None,
) -> Pair:
    """Replace gradients by the steps of `dadapt_adamw`; see there for the rule.

    All of it but the sign.

    Args:
        learning_rate: Multiplies the estimate.
        b1: Decay of the first moment, in [0, 1).
        b2: Decay of the second moment, in [0, 1).
        eps: Added to the root of the second moment.
        estim_lr0: The first estimate.
        weight_decay: Decoupled decay, multiplied by the estimated step size.
        use_bias_correction: Whether to correct the bias of the moments.
        growth_rate: The largest growth of the estimate in a step; `None`: no limit.

    Returns:
        A transform with three buffers per parameter. It needs `params` if it decays.

    Reference:
        Defazio and Mishchenko, "Learning-Rate-Free Learning by D-Adaptation", ICML
        2023, arXiv:2301.07733, Algorithm 5.
    """
    fade = cast(Decay, b2).root()

    def init(params):
        return DAdaptAdamWState(
            exp_avg=trees.zeros_like(params),
            exp_avg_sq=trees.real_zeros_like(params),
            grad_sum=trees.zeros_like(params),
            estim_lr=jnp.array(number(estim_lr0), copy=True),
            numerator_weighted=number(0.0),
            count=jnp.zeros((), jnp.int32),
        )

    def rate(state, t):
        k = state.estim_lr * number(learning_rate)
        if not use_bias_correction:
            return k
        root = jnp.sqrt(nx.bias_correction(b2, t))
        return k * number(root / nx.bias_correction(b1, t))

    def divided(x, v):
        # the estimate divides by roots of the second moment before it is filled
        return quotient(x, denominator(v, eps), guard=may_vanish(eps))

    def update(updates, state, params=None, **extra):
        del extra
        if not is_off(weight_decay):
            params = extras.need_params(params, "scale_by_dadapt_adamw")
        t = nx.increment(state.count)
        k = rate(state, t)
        steps = jax.tree.map(lambda g: times(g, k), updates)
        ahead = jax.tree.map(divided, state.grad_sum, state.exp_avg_sq)
        m = like(averages(steps, state.exp_avg, b1), state.exp_avg)
        v = like(averages(squares(updates), state.exp_avg_sq, b2), state.exp_avg_sq)
        s = like(averages(steps, state.grad_sum, fade), state.grad_sum)
        r, d = estimated(state, fade, sums.dot(steps, ahead), s, growth_rate)
        out = jax.tree.map(divided, m, v)
        if not is_off(weight_decay):
            out = decayed(out, params, k, weight_decay)
        return out, DAdaptAdamWState(m, v, s, d, r, t)

    return Pair(init, update)


def larger(d: jax.Array, d_hat: jax.Array, growth_rate: Any) -> jax.Array:
    """The estimate, raised to a new one as far as its growth is allowed."""
    if growth_rate is not None:
        d_hat = jnp.minimum(d_hat, d * number(growth_rate))
    return jnp.maximum(d, d_hat)


def estimated(
    state: Any, fade: Decay, gain: jax.Array, s: PyTree, growth_rate: Any = None
) -> tuple[jax.Array, jax.Array]:
    """The new numerator and the new estimate, from averages that fade alike."""
    c = number(fade.complement)
    old = state.numerator_weighted
    r = old + c * (gain - old)
    d_hat = nx.divide(r, c * sums.magnitudes(s))
    return r, larger(state.estim_lr, d_hat, growth_rate)


def decayed(out: PyTree, params: PyTree, k: jax.Array, weight_decay: Any) -> PyTree:
    """The step with decoupled decay in it, which `k` multiplies too."""

    def leaf(u: jax.Array, p: jax.Array) -> jax.Array:
        return u + times(times(p.astype(u.dtype), weight_decay), k)

    return jax.tree.map(leaf, out, params)
