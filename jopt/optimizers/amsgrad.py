"""AMSGrad: Adam whose second moment never falls."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import DTypeLike

from jopt._core import numerics as nx, trees
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import DecayRate, Epsilon, LearningRate, Pair
from jopt.optimizers import moments
from jopt.optimizers.adam import init_adam
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive",))
def amsgrad(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
    mu_dtype: DTypeLike | None = None,
    bias_correction_mu: bool = True,
    bias_correction_nu: bool = True,
    *,
    corrected: bool = False,
) -> Transform:
    """Adam that divides by the root of the largest second moment so far.

    It converges on convex problems on which Adam does not. On deep nets the two
    mostly do alike, and this one keeps a third slot. At step t::

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        w = max(w, v)
        params -= learning_rate * m / (1 - b1^t) / (sqrt(w / (1 - b2^t)) + eps)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.
        mu_dtype: Dtype in which the first moment is kept. Defaults to that of the
            parameter, float32 or wider.
        bias_correction_mu: Whether to correct the first moment for its start. The
            paper does not.
        bias_correction_nu: Whether to correct the second moment for its start. The
            paper does not.
        corrected: Whether the maximum is taken of the second moment after its
            correction. The first steps, where the correction is large, then count
            for ever.

    Returns:
        A transform. It does not read `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import amsgrad
        >>> tx, g = amsgrad(0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-0.5,  0.5], dtype=float32)
        >>> tx
        amsgrad(learning_rate=0.5)

    Differs from optax in: the maximum is of the raw second moment, as in the paper,
    PyTorch and Keras. optax's reading is `corrected=True`.

    Reference:
        Reddi et al., "On the Convergence of Adam and Beyond", ICLR 2018,
        arXiv:1904.09237, Algorithm 2.
    """
    return chain(
        scale_by_amsgrad(
            b1,
            b2,
            eps,
            eps_root,
            mu_dtype,
            bias_correction_mu,
            bias_correction_nu,
            corrected=corrected,
        ),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_amsgrad(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
    mu_dtype: DTypeLike | None = None,
    bias_correction_mu: bool = True,
    bias_correction_nu: bool = True,
    *,
    corrected: bool = False,
    eps_hat: bool = False,
) -> Pair:
    """Divide an average of gradients by the root of the largest second moment.

    The stage of `amsgrad` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.
        mu_dtype: Dtype in which the first moment is kept.
        bias_correction_mu: Whether to correct the first moment for its start.
        bias_correction_nu: Whether to correct the second moment for its start.
        corrected: Whether the maximum is taken after that correction.
        eps_hat: Whether `eps` is added to the root before the bias correction, as in
            Keras.

    Returns:
        A transform with three slots per parameter. It does not read `params`.

    Raises:
        ValueError: If `corrected` is given without `bias_correction_nu`.
    """
    if corrected and not bias_correction_nu:
        raise ValueError(
            "`corrected=True` takes the maximum of corrected second moments, but "
            "`bias_correction_nu=False` has none. Leave one of the two out."
        )

    def init(params):
        nu_max = trees.real_zeros_like(params)
        return optax.ScaleByAmsgradState(*init_adam(params, mu_dtype), nu_max)

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        mu = moments.averages(updates, state.mu, b1)
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        one = jnp.ones((), jnp.result_type(float))
        weight = moments.momentum_weights(b1, t)[0] if bias_correction_mu else one
        correction = nx.bias_correction(b2, t) if bias_correction_nu else one
        inverse = 1.0 / correction

        def largest(w: jax.Array, v: jax.Array) -> jax.Array:
            if corrected:  # a square held at the largest number may pass it again
                top = np.asarray(jnp.finfo(v.dtype).max, v.dtype)
                v = jnp.minimum(v * nx.cast(inverse, v.dtype), top)
            return jnp.maximum(w.astype(v.dtype), v)

        nu_max = jax.tree.map(largest, state.nu_max, nu)
        remaining = one if corrected else correction
        u = moments.rescale(
            updates,
            mu,
            nu_max,
            (weight, None),
            remaining,
            eps,
            eps_root,
            eps_hat=eps_hat,
        )
        slots = map(moments.like, (mu, nu, nu_max), state[1:])
        return u, optax.ScaleByAmsgradState(t, *slots)

    return Pair(init, update)
