"""RAdam: Adam whose second moment counts once enough gradients are in it."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jopt._core import numerics as nx
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import DecayRate, Epsilon, LearningRate, Pair, Scalar
from jopt.optimizers import moments
from jopt.optimizers.adam import init_adam
from jopt.transforms.scale import scale_by_learning_rate

# Coefficients of (z / 2) coth(z / 2) - 1 in powers of z^2
_COTH = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160)


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive",))
def radam(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
    threshold: Scalar = 5.0,
    *,
    nesterov: bool = False,
    eps_hat: bool = True,
) -> Transform:
    """Rectified Adam: plain momentum first, then Adam with a growing step.

    Takes the place of a warm-up of the learning rate. At step t::

        m = b1 * m + (1 - b1) * g;  h = m / (1 - b1^t)
        v = b2 * v + (1 - b2) * g^2
        r_inf = 2 / (1 - b2) - 1;  r = r_inf - 2 * t * b2^t / (1 - b2^t)
        c = sqrt((r - 4) * (r - 2) * r_inf / ((r_inf - 4) * (r_inf - 2) * r))
        u = c * h * sqrt(1 - b2^t) / (sqrt(v) + eps)  if r > threshold else  h
        params -= learning_rate * u

    With the default `b2` the momentum is plain for five steps; these are in the scale
    of the gradient.

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.
        threshold: The length `r` of the average above which it counts, at least 4.
        nesterov: Whether to look ahead by one step of momentum.
        eps_hat: Whether `eps` is added before the second moment is corrected.

    Returns:
        A transform. It does not read `params`.

    Raises:
        ValueError: If `threshold` is less than 4.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import radam
        >>> tx, g = radam(0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-2. ,  0.5], dtype=float32)
        >>> tx
        radam(learning_rate=0.5)

    Differs from optax in: `eps` is added before the correction, as in the authors'
    code and PyTorch. optax's reading is `eps_hat=False`.

    Reference:
        Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", ICLR
        2020, arXiv:1908.03265, Algorithm 2.
    """
    return chain(
        scale_by_radam(
            b1, b2, eps, eps_root, threshold, nesterov=nesterov, eps_hat=eps_hat
        ),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_radam(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
    threshold: Scalar = 5.0,
    *,
    nesterov: bool = False,
    eps_hat: bool = True,
) -> Pair:
    """Adam's rescaling, rectified for the variance of the second moment.

    The stage of `radam` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.
        threshold: The length of the average above which it counts, at least 4.
        nesterov: Whether to look ahead by one step of momentum.
        eps_hat: Whether `eps` is added before the second moment is corrected.

    Returns:
        A transform with two slots per parameter. It does not read `params`.

    Raises:
        ValueError: If `threshold` is less than 4.
    """
    if isinstance(threshold, int | float) and threshold < 4:
        raise ValueError(
            f"`threshold` must be at least 4, got {threshold!r}: below, the variance "
            "is not defined."
        )

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        mu = moments.averages(updates, state.mu, b1)
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        plain = moments.momentum_weights(b1, t, nesterov)
        rectified, factor = rectifier(b2, t, threshold)
        scaled = plain[0] * factor, None if plain[1] is None else plain[1] * factor
        correction = nx.bias_correction(b2, t)
        u = moments.rescale(
            updates, mu, nu, scaled, correction, eps, eps_root, eps_hat=eps_hat
        )
        u = jax.tree.map(
            lambda u, m, g: jnp.where(rectified, u, moments.mix(m, g, *plain)),
            u,
            mu,
            updates,
        )
        mu, nu = moments.like(mu, state.mu), moments.like(nu, state.nu)
        return u, optax.ScaleByAdamState(t, mu, nu)

    return Pair(init_adam, update)


def rectifier(b2: Any, count: Any, threshold: Any) -> tuple[jax.Array, jax.Array]:
    """Whether the second moment counts at this step, and the factor of the step."""
    dtype = jnp.result_type(float)
    c = jnp.asarray(b2.complement, dtype)
    length, limit = _length(c, count.astype(dtype)), 2.0 / c - 1.0
    rectified = length > nx.cast(threshold, dtype)
    r, top = (jnp.where(rectified, value, 5.0) for value in (length, limit))
    factor = jnp.sqrt((r - 4.0) * (r - 2.0) * top / ((top - 4.0) * (top - 2.0) * r))
    return rectified, factor


def _length(c: jax.Array, t: jax.Array) -> jax.Array:
    """`2 / c - 1 - 2 t b2^t / (1 - b2^t)` for `c = 1 - b2`: how much the average holds.

    While it is short it is the small difference of two large numbers. With
    `x = -log(b2)` it is, without that loss, `t - (h(t x) - h(x)) * 2 / x` for
    `h(z) = (z / 2) coth(z / 2) - 1`.
    """
    x = -jnp.log1p(-c)
    y = t * x
    short = y < 0.5
    y_short, x_short = (jnp.where(short, z, 0.5) for z in (y, x))
    y_long = jnp.where(short, 1.0, y)
    early = t - (_series(y_short) - _series(x_short)) * (2.0 / x_short)
    late = 2.0 / c - 1.0 - 2.0 * t / jnp.expm1(y_long)
    return jnp.where(short, early, late)


def _series(z: jax.Array) -> jax.Array:
    """`(z / 2) coth(z / 2) - 1` for small `z`."""
    total = jnp.zeros_like(z)
    for coefficient in reversed(_COTH):
        total = (total + coefficient) * z * z
    return total
