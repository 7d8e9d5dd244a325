"""Lion: the sign of an interpolated momentum, with one buffer per parameter."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jopt._core import trees
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import DecayRate, LearningRate, Mask, Pair, PyTree, Switch
from jopt.optimizers.moments import averages, like
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


class ScaleByLionState(NamedTuple):
    """State of `scale_by_lion`."""

    mu: PyTree  # momentum, shaped like the parameters


@optimizer(rates=(1e-5, 1e-2), tags=("sign", "momentum"))
def lion(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.99,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 1e-3,
    mask: Mask = None,
) -> Transform:
    """Lion (evolved sign momentum) with decoupled weight decay.

    Half the optimizer memory of AdamW, and steps of one size in every coordinate.
    From a tuned AdamW, divide the learning rate by 3 to 10 and multiply the weight
    decay by the same factor. Each step::

        u = sign(b1 * m + (1 - b1) * g)
        m = b2 * m + (1 - b2) * g
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: The size of each step in each coordinate.
        b1: Weight of the momentum in the update, in [0, 1).
        b2: Decay of the momentum, in [0, 1).
        mu_dtype: Dtype of the momentum. Defaults to float32 or wider.
        weight_decay: Decoupled decay, multiplied by the learning rate.
        mask: Which leaves decay. Defaults to all.

    Returns:
        A transform with one buffer per parameter. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> from jopt import lion
        >>> tx = lion(0.01, weight_decay=0.0)
        >>> params = jnp.array([1.0, -2.0])
        >>> tx.update(jnp.array([0.5, -3.0]), tx.init(params), params)[0]
        Array([-0.01,  0.01], dtype=float32)
        >>> tx
        lion(learning_rate=0.01, weight_decay=0.0)

    Reference:
        Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023,
        arXiv:2302.06675, Algorithm 2.
    """
    return chain(
        scale_by_lion(b1, b2, mu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_lion(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.99,
    mu_dtype: DTypeLike | None = None,
) -> Pair:
    """Replace each gradient by the sign of an interpolated momentum.

    The stage of `lion` that holds the state; see there for the rule. Each entry of a
    real result is -1, 0 or 1; a complex one has magnitude 0 or 1.

    Args:
        b1: Weight of the momentum in the update, in [0, 1).
        b2: Decay of the momentum, in [0, 1).
        mu_dtype: Dtype of the momentum. Defaults to float32 or wider.

    Returns:
        A transform with one buffer per parameter. It does not read `params`.

    Reference:
        Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023,
        arXiv:2302.06675, Algorithm 2.
    """

    def init(params: PyTree) -> ScaleByLionState:
        return ScaleByLionState(trees.zeros_like(params, mu_dtype))

    def update(updates, state, params=None, **extra):
        del params, extra

        mixed = averages(updates, state.mu, b1)
        mu = like(averages(updates, state.mu, b2), state.mu)
        return jax.tree.map(jnp.sign, mixed), ScaleByLionState(mu)

    return Pair(init, update)
