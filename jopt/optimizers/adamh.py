"""AdamH: Adam along the sphere, where a norm takes the place of weight decay."""

from jax.typing import DTypeLike

from jopt._core.transform import chain, optimizer, Transform
from jopt._core.types import DecayRate, Epsilon, LearningRate, Mask
from jopt.optimizers.adam import scale_by_adam
from jopt.transforms.norm_control import hyperball


@optimizer(rates=(1e-4, 1e-1), tags=("adaptive",))
def adamh(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
    mu_dtype: DTypeLike | None = None,
    mask: Mask = None,
    *,
    stacked: bool = False,
) -> Transform:
    """AdamH: each tensor keeps its norm, and turns by Adam's direction.

    `scale_by_adam` and `hyperball`; it has no weight decay. For matrices of hidden
    layers: leave vectors, which then take plain steps of Adam, out by `mask`. From a
    tuned AdamW, start at about `sqrt(learning_rate * weight_decay)`. At step t, with
    Adam's direction `u` and norms per leaf::

        q = params - learning_rate * |params| * u / |u|
        params = q * |params| / |q|

    Args:
        learning_rate: The size of the step relative to the parameter: a number >= 0,
            or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.
        mu_dtype: Dtype in which the first moment is kept. Defaults to that of the
            parameter, float32 or wider.
        mask: Which leaves keep their norm: see `jopt.masked`. Defaults to all.
        stacked: Whether a leaf of more than two dimensions is a stack of matrices,
            each with a norm of its own.

    Returns:
        A transform with two slots per parameter. It needs `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adamh
        >>> tx, p = adamh(1.0), jnp.array([0.0, 3.0])
        >>> (p + tx.update(jnp.array([2.0, 0.0]), tx.init(p), p)[0]).round(2)
        Array([-2.12,  2.12], dtype=float32)
        >>> tx
        adamh(learning_rate=1.0)

    Reference:
        Wen et al., "Hyperball", 2026, arXiv:2606.16899.
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype),
        hyperball(learning_rate, mask, stacked=stacked),
    )
