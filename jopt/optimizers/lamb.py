"""LAMB: Adam whose step on each tensor has the size of the tensor."""

from jopt._core.transform import chain, optimizer, Transform
from jopt._core.types import DecayRate, Epsilon, LearningRate, Mask, Switch
from jopt.optimizers.adam import scale_by_adam
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate, scale_by_trust_ratio
from jopt.transforms.select import masked


@optimizer(rates=(1e-4, 1e-1), tags=("adaptive", "large batch"))
def lamb(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-6,
    eps_root: Epsilon = 0.0,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
    *,
    trust_ratio_mask: Mask = None,
) -> Transform:
    """LAMB: AdamW with layer-wise steps, for very large batches.

    Each tensor moves by the learning rate times its own norm, whatever the size of
    its gradient; a tensor that is zero, or whose update is, moves as under AdamW.
    With small batches AdamW is as good. Biases and normalisation scales are best
    left out of decay and trust ratio by the masks. Each step, per tensor::

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        u = (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps) + weight_decay * params
        params -= learning_rate * (norm(params) / norm(u)) * u

    Args:
        learning_rate: The relative change of a tensor per step.
        b1: Decay of the first moment, in [0, 1).
        b2: Decay of the second moment, in [0, 1).
        eps: Added to the root of the second moment.
        eps_root: Added under the root.
        weight_decay: Decay, inside the trust ratio.
        mask: Which leaves decay. Defaults to all.
        trust_ratio_mask: Which leaves are scaled by the trust ratio. Defaults to all;
            the others take plain AdamW steps.

    Returns:
        A transform with two buffers per parameter. It needs `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import lamb
        >>> tx = lamb(0.01)
        >>> params = jnp.array([3.0, -4.0])
        >>> tx.update(jnp.array([0.5, -0.5]), tx.init(params), params)[0]
        Array([-0.0353...,  0.0353...], dtype=float32)
        >>> tx
        lamb(learning_rate=0.01)

    Reference:
        You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76
        minutes", ICLR 2020, arXiv:1904.00962, Algorithm 2.
    """
    ratio = scale_by_trust_ratio()
    if trust_ratio_mask is not None:
        ratio = masked(ratio, trust_ratio_mask)
    return chain(
        scale_by_adam(b1, b2, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        ratio,
        scale_by_learning_rate(learning_rate),
    )
