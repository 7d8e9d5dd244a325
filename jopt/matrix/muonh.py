"""MuonH: Muon along the sphere, where a norm takes the place of weight decay."""

from jax.typing import DTypeLike

from jopt._core import select
from jopt._core.transform import chain, optimizer, Transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    LearningRate,
    Mask,
    OptionalRate,
    Switch,
)
from jopt.matrix.muon import matrix_labels, scale_by_muon
from jopt.matrix.newton_schulz import Coefficients
from jopt.optimizers.adam import adamw
from jopt.transforms.norm_control import hyperball
from jopt.transforms.select import partition

__all__ = ["muonh"]


@optimizer(rates=(1e-3, 1e-1), tags=("matrix", "momentum"))
def muonh(
    learning_rate: LearningRate,
    ns_coeffs: Coefficients = "simple",
    ns_steps: int | None = None,
    beta: DecayRate = 0.95,
    eps: Epsilon = 1e-8,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = True,
    matrices: Mask = None,
    ns_dtype: DTypeLike | None = None,
    adam_learning_rate: OptionalRate = None,
    adam_b1: DecayRate = 0.9,
    adam_b2: DecayRate = 0.999,
    adam_eps_root: Epsilon = 0.0,
    adam_weight_decay: Switch = 0.0,
) -> Transform:
    """MuonH: hidden matrices keep their norms and turn by Muon's direction.

    `scale_by_muon` and `hyperball` for the matrices, which have no weight decay; AdamW
    for the rest, as in `muon`. A matrix of zeros has no norm to hold, so start all at
    random. From a tuned `muon`, begin at about `sqrt(learning_rate * weight_decay)`.
    Each step, for a matrix, with norms of Frobenius::

        m = beta * m + (1 - beta) * g
        u = beta * m + (1 - beta) * g  if nesterov else  m
        o = orthogonalize(u)
        q = params - learning_rate * |params| * o / |o|
        params = q * |params| / |q|

    Args:
        learning_rate: The size of the step of the matrices, relative to them; of the
            order of 0.01.
        ns_coeffs: Coefficients of the iterations: see `muon`.
        ns_steps: Number of iterations. Defaults to that of the coefficients.
        beta: Decay of the momentum, in [0, 1).
        eps: The least norm a matrix is divided by; and AdamW's.
        mu_dtype: Dtype of the momentum. Defaults to float32 or wider.
        nesterov: Whether the gradient is mixed in once more.
        matrices: Which leaves are matrices: see `muon`. The axes before the last two of
            a chosen leaf are a stack, each matrix of which has a norm of its own.
        ns_dtype: Dtype of the iterations, such as bfloat16. Defaults to float32 or
            wider.
        adam_learning_rate: Of the other leaves. Defaults to `learning_rate`, which is
            much for AdamW.
        adam_b1: Decay of AdamW's first moment.
        adam_b2: Decay of AdamW's second moment.
        adam_eps_root: Added under AdamW's root.
        adam_weight_decay: Decoupled decay of the other leaves.

    Returns:
        A transform with one buffer per matrix entry and two per other parameter. It
        needs `params`.

    Raises:
        ValueError: If a chosen leaf has rank below 2.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import muonh
        >>> tx, p = muonh(0.1), {"w": jnp.diag(jnp.array([3.0, 4.0]))}
        >>> u, state = tx.update({"w": jnp.ones((2, 2))}, tx.init(p), p)
        >>> f"{jnp.linalg.norm(p['w'] + u['w']):.4f}"
        '5.0000'
        >>> tx
        muonh(learning_rate=0.1)

    Reference:
        Wen et al., "Hyperball", 2026, arXiv:2606.16899.

        Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.
    """
    select.check(matrices, "matrices")
    matrix = chain(
        scale_by_muon(
            ns_coeffs,
            ns_steps,
            beta,
            eps,
            mu_dtype,
            nesterov=nesterov,
            ns_dtype=ns_dtype,
        ),
        hyperball(learning_rate, stacked=True),
    )
    rate = learning_rate if adam_learning_rate is None else adam_learning_rate
    others = adamw(
        rate, adam_b1, adam_b2, eps, adam_eps_root, weight_decay=adam_weight_decay
    )
    return chain(
        partition({"matrix": matrix, "adamw": others}, matrix_labels(matrices))
    )
