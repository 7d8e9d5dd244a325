"""Adam-mini: Adam with one second moment for each block of parameters."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from jopt._core import numerics as nx, trees
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    LearningRate,
    Mask,
    Pair,
    Switch,
)
from jopt.optimizers import blocks, moments
from jopt.optimizers.blocks import BlockAxis
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive", "memory"))
def adam_mini(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
    *,
    block_axis: BlockAxis = -1,
) -> Transform:
    """Adam-mini: AdamW with half the memory, by one learning rate per block.

    A block is a part of the parameters whose Hessian is dense: an output neuron, a
    token of an embedding. It needs the right blocks: see `block_axis`. At step t, per
    block::

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * mean(g^2)         # one number
        u = m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of mean squares, in [0, 1).
        eps: Added to the root of the second moment.
        mu_dtype: Dtype of the first moment. Defaults to float32 or wider.
        weight_decay: Decoupled decay, multiplied by the learning rate.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        block_axis: The axis whose every index is a block. The default, the last one,
            is that of the output neurons of an `(in, out)` kernel; leaves of fewer
            than two axes are one block. `None` makes every leaf one block. A function
            `(name, leaf) -> axis or None` decides for each leaf: 0 for embedding
            tables; for queries and keys, whose blocks are heads, the head axis.

    Returns:
        A transform with one slot per parameter and one number per block. Its `update`
        needs `params` unless `weight_decay` is 0.

    Raises:
        ValueError: In `init`, if a leaf has no such axis.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adam_mini
        >>> tx, g = adam_mini(0.5), jnp.array([3.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-0.6708,  0.2236], dtype=float32)
        >>> tx
        adam_mini(learning_rate=0.5)

    Differs from the authors' code in: they choose the blocks by the names of PyTorch
    modules.

    Reference:
        Zhang et al., "Adam-mini: Use Fewer Learning Rates To Gain More", ICLR 2025,
        arXiv:2406.16793.
    """
    return chain(
        scale_by_adam_mini(b1, b2, eps, mu_dtype, block_axis=block_axis),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_adam_mini(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    mu_dtype: DTypeLike | None = None,
    *,
    block_axis: BlockAxis = -1,
) -> Pair:
    """Divide an average of the gradients by the root of that of each block's squares.

    The stage of `adam_mini` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of mean squares, in [0, 1).
        eps: Added to the root of the second moment.
        mu_dtype: Dtype of the first moment. Defaults to float32 or wider.
        block_axis: The axis whose every index is a block, `None`, or a function that
            chooses it.

    Returns:
        A transform with one slot per parameter and one number per block. It does not
        read `params`.
    """

    def init(params):
        def slot(name: str, p: Any) -> jax.Array:
            others = blocks.others(name, p, block_axis)
            return blocks.means(trees.real_zeros_like(p), others)

        return optax.ScaleByAdamState(
            count=jnp.zeros((), jnp.int32),
            mu=trees.zeros_like(params, mu_dtype),
            nu=trees.map_with_names(slot, params),
        )

    def second(g: jax.Array, v: jax.Array) -> jax.Array:
        return nx.average(blocks.means_like(nx.square(g), v), v, b2)

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        mu = moments.averages(updates, state.mu, b1)
        nu = jax.tree.map(second, updates, state.nu)
        wide = jax.tree.map(lambda v, g: jnp.broadcast_to(v, g.shape), nu, updates)
        weights = moments.momentum_weights(b1, t)
        u = moments.rescale(updates, mu, wide, weights, nx.bias_correction(b2, t), eps)
        return u, optax.ScaleByAdamState(t, moments.like(mu, state.mu), nu)

    return Pair(init, update)
