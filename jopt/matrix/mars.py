"""MARS: AdamW, Lion or Muon's direction on gradients with reduced variance."""

from typing import Any, Literal

import jax

from jopt._core import select
from jopt._core.transform import chain, optimizer, Transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    LearningRate,
    Mask,
    NonNegative,
    PyTree,
    Switch,
)
from jopt.matrix.muon import scale_by_muon
from jopt.optimizers.adam import scale_by_adam
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.mars import mars_correction
from jopt.transforms.momentum import ema
from jopt.transforms.scale import scale_by_learning_rate, scale_by_sign
from jopt.transforms.select import partition

__all__ = ["mars"]


@optimizer(rates=(3e-4, 3e-2), tags=("adaptive", "variance reduction"))
def mars(
    learning_rate: LearningRate,
    b1: DecayRate = 0.95,
    b2: DecayRate = 0.99,
    eps: Epsilon = 1e-8,
    gamma: NonNegative = 0.025,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
    *,
    variant: Literal["adamw", "lion", "shampoo"] = "adamw",
    exact: bool = False,
    corrected: Mask = None,
    plain_b1: DecayRate = 0.9,
    plain_b2: DecayRate = 0.95,
) -> Transform:
    """MARS: AdamW or another on gradients corrected by the change since the last one.

    For training where the noise of the batch is what holds progress up. Each leaf that
    is corrected gets, with its own norm::

        c = g + gamma * b1 / (1 - b1) * (g - g_before)
        c = c / max(1, |c|)
        m = b1 * m + (1 - b1) * c
        v = b2 * v + (1 - b2) * c^2
        u = m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)
        params -= learning_rate * (u + weight_decay * params)

    With `"lion"`, `u = sign(m)`. With `"shampoo"`, matrices with axes `(in, out)` get
    `u = sqrt(max(1, out / in)) * orthogonalize(m)`, as in `muon`. The leaves that are
    not corrected get AdamW with `plain_b1` and `plain_b2`.

    Args:
        learning_rate: A number >= 0, or a schedule of it. The authors take 3e-3, for
            "lion" a tenth of it.
        b1: Decay rate of the momentum, in [0, 1).
        b2: Decay rate of the second moment, in [0, 1).
        eps: Added to the root of the second moment; for "shampoo" also the least norm
            that a matrix is divided by.
        gamma: How much of the change is added.
        weight_decay: Decoupled decay, multiplied by the learning rate.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        variant: What follows the correction. "shampoo" is for corrected leaves of rank
            2; others that are corrected get AdamW all the same.
        exact: Whether to take the gradient before anew, on the present batch.
        corrected: Which leaves are corrected. Defaults to those of rank 2 and more.
        plain_b1: Decay rate of the momentum of the other leaves.
        plain_b2: Decay rate of the second moment of the other leaves.

    Returns:
        A transform with three slots per parameter, two for "lion", for the matrices of
        "shampoo" and for the other leaves. Its `update` needs `params` if it decays,
        and if `exact` also `grad_fn`, which `jopt.make_step` passes.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import mars
        >>> tx, p = mars(0.5), {"w": jnp.ones((1, 2))}
        >>> tx.update({"w": jnp.array([[2.0, -1.0]])}, tx.init(p), p)[0]["w"].round(3)
        Array([[-0.5,  0.5]], dtype=float32)

    Reference:
        Yuan et al., "MARS: Unleashing the Power of Variance Reduction for Training
        Large Models", ICML 2025, arXiv:2411.10438, Algorithms 2 to 4.
    """
    select.check(corrected, "corrected")
    correct = mars_correction(gamma, b1, exact=exact)
    if variant == "lion":
        direction = chain(correct, ema(b1, debias=False), scale_by_sign())
    else:
        direction = chain(correct, scale_by_adam(b1, b2, eps))
    parts = {"mars": direction, "plain": scale_by_adam(plain_b1, plain_b2, eps)}
    if variant == "shampoo":
        orthogonal = scale_by_muon(beta=b1, eps=eps, nesterov=False)
        parts["matrix"] = chain(correct, orthogonal)

    def label(yes: bool, p: Any) -> str:
        if not yes:
            return "plain"
        return "matrix" if variant == "shampoo" and len(p.shape) == 2 else "mars"

    def labels(params: PyTree) -> PyTree:
        if corrected is None:
            return jax.tree.map(lambda p: label(len(p.shape) > 1, p), params)
        chosen = select.resolve(corrected, params, "corrected")
        return jax.tree.map(label, chosen, params)

    return chain(
        partition(parts, labels),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
