"""RMSprop: gradients divided by the root of an average of their squares."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jopt._core import numerics as nx, trees
from jopt._core.spec import is_off
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    LearningRate,
    Momentum,
    NonNegative,
    Pair,
    PyTree,
)
from jopt.optimizers import moments
from jopt.transforms.basic import identity
from jopt.transforms.momentum import trace
from jopt.transforms.scale import scale_by_learning_rate


class ScaleByRmsWithCountState(NamedTuple):
    """State of `scale_by_rms` with bias correction."""

    count: jax.Array  # steps taken
    nu: PyTree  # average of squared gradients


class ScaleByRStdDevWithCountState(NamedTuple):
    """State of `scale_by_stddev` with bias correction."""

    count: jax.Array  # steps taken
    mu: PyTree  # average of gradients
    nu: PyTree  # average of squared gradients


@optimizer(rates=(1e-4, 1e-1), tags=("adaptive",))
def rmsprop(
    learning_rate: LearningRate,
    decay: DecayRate = 0.9,
    eps: Epsilon = 1e-8,
    initial_scale: NonNegative = 0.0,
    eps_in_sqrt: bool = True,
    centered: bool = False,
    momentum: Momentum = None,
    nesterov: bool = False,
    bias_correction: bool = False,
) -> Transform:
    """RMSprop: Adam without its first moment, optionally with heavy-ball momentum.

    One slot per parameter, one more if `centered` and one more with `momentum`. Much
    used in reinforcement learning. Each step::

        v = decay * v + (1 - decay) * g^2
        c = decay * c + (1 - decay) * g             # only if centered
        u = g / sqrt(v - c^2 + eps)                 # if eps_in_sqrt
        u = g / (sqrt(v - c^2) + eps)               # else, as PyTorch
        m = momentum * m + learning_rate * u
        params -= m

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        decay: Decay rate of the averages, in [0, 1). PyTorch's default is 0.99.
        eps: Added to the denominator. With 0, an element whose gradients were all
            zero stays where it is.
        initial_scale: What the average of squares starts from.
        eps_in_sqrt: Whether `eps` is added inside the root, as in TensorFlow and
            Graves' paper, or outside, as in PyTorch.
        centered: Whether to divide by the standard deviation of the gradients, not
            by their root mean square.
        momentum: Weight of past updates, in [0, 1). 0 or `None` turns it off.
        nesterov: Whether to look one step of momentum ahead.
        bias_correction: Whether to correct the averages for their start, as Adam
            does.

    Returns:
        A transform. It does not read `params`.

    Raises:
        ValueError: If `nesterov` is given without `momentum`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import rmsprop
        >>> tx, g = rmsprop(0.5, decay=0.75), jnp.array([3.0, -3.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-1.,  1.], dtype=float32)
        >>> tx
        rmsprop(learning_rate=0.5, decay=0.75)

    Differs from PyTorch in: the learning rate enters before the momentum, which is
    the same while it is constant. For the other order chain `scale_by_rms`, `trace`
    and `scale_by_learning_rate`.

    Reference:
        Graves, "Generating Sequences With Recurrent Neural Networks", arXiv 2013,
        arXiv:1308.0850, Equations 38 to 41.
    """
    if is_off(momentum) and nesterov:
        raise ValueError(
            f"`nesterov=True` needs `momentum` in (0, 1), got {momentum!r}. Set "
            "`momentum=0.9`, or leave it out."
        )
    stage = scale_by_stddev if centered else scale_by_rms
    return chain(
        stage(decay, eps, initial_scale, eps_in_sqrt, bias_correction),
        scale_by_learning_rate(learning_rate),
        identity() if is_off(momentum) else trace(momentum, nesterov),  # pyright: ignore
    )


@transform
def scale_by_rms(
    decay: DecayRate = 0.9,
    eps: Epsilon = 1e-8,
    initial_scale: NonNegative = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> Pair:
    """Divide gradients by the root of an average of their squares.

    The stage of `rmsprop` that holds the state; see there for the rule.

    Args:
        decay: Decay rate of the average, in [0, 1).
        eps: Added to the denominator.
        initial_scale: What the average starts from.
        eps_in_sqrt: Whether `eps` is added inside the root.
        bias_correction: Whether to correct the average for its start. Then, with
            `eps_in_sqrt=False`, it is `scale_by_adam(b1=0)` with one slot less.

    Returns:
        A transform with one slot per parameter. It does not read `params`.
    """

    def init(params):
        nu = moments.real_full_like(params, initial_scale)
        if bias_correction:
            return ScaleByRmsWithCountState(jnp.zeros((), jnp.int32), nu)
        return optax.ScaleByRmsState(nu)

    def update(updates, state, params=None, **extra):
        del params, extra
        nu = moments.averages(moments.squares(updates), state.nu, decay)
        t, correction = _correction(decay, state, bias_correction)
        u = _over(updates, nu, correction, eps, eps_in_sqrt)
        nu = moments.like(nu, state.nu)
        if bias_correction:
            return u, ScaleByRmsWithCountState(t, nu)
        return u, optax.ScaleByRmsState(nu)

    return Pair(init, update)


@transform
def scale_by_stddev(
    decay: DecayRate = 0.9,
    eps: Epsilon = 1e-8,
    initial_scale: NonNegative = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> Pair:
    """Divide gradients by a running standard deviation of them.

    The stage of `rmsprop` with `centered`; see there for the rule. A variance that
    rounding makes negative counts as 0.

    Args:
        decay: Decay rate of the averages, in [0, 1).
        eps: Added to the denominator.
        initial_scale: What the average of squares starts from.
        eps_in_sqrt: Whether `eps` is added inside the root.
        bias_correction: Whether to correct the averages for their start. Then the
            variance after one step is 0, so the first gradient is divided by the root
            of `eps`.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """

    def init(params):
        mu = trees.zeros_like(params)
        nu = moments.real_full_like(params, initial_scale)
        if bias_correction:
            return ScaleByRStdDevWithCountState(jnp.zeros((), jnp.int32), mu, nu)
        return optax.ScaleByRStdDevState(mu, nu)

    def update(updates, state, params=None, **extra):
        del params, extra
        mu = moments.averages(updates, state.mu, decay)
        nu = moments.averages(moments.squares(updates), state.nu, decay)
        t, correction = _correction(decay, state, bias_correction)

        def variance(m, v):  # both are corrected: v / k - (m / k)^2 = (v - m^2 / k) / k
            mean = nx.square(m) * nx.cast(1.0 / correction, v.dtype)
            return jnp.maximum(v - mean, jnp.zeros_like(v))

        spread = jax.tree.map(variance, mu, nu)
        u = _over(updates, spread, correction, eps, eps_in_sqrt)
        mu, nu = moments.like(mu, state.mu), moments.like(nu, state.nu)
        if bias_correction:
            return u, ScaleByRStdDevWithCountState(t, mu, nu)
        return u, optax.ScaleByRStdDevState(mu, nu)

    return Pair(init, update)


def _correction(decay: Any, state: Any, bias_correction: bool) -> tuple[Any, Any]:
    """The count of this step and the bias correction of the averages, or 1."""
    if not bias_correction:
        return None, jnp.ones((), jnp.result_type(float))
    t = nx.increment(state.count)
    return t, nx.bias_correction(decay, t)


def _over(updates: Any, nu: Any, correction: Any, eps: Any, eps_in_sqrt: bool) -> Any:
    outside, inside = (0.0, eps) if eps_in_sqrt else (eps, 0.0)
    weights = jnp.ones_like(correction), None
    return moments.rescale(updates, updates, nu, weights, correction, outside, inside)
