"""AccSGD: accelerated gradient descent for noisy gradients."""

from typing import NamedTuple

import jax

from jopt._core import trees
from jopt._core.numerics import times
from jopt._core.sums import number
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import LearningRate, Mask, Pair, Positive, PyTree, Switch
from jopt.optimizers.moments import like
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


class ScaleByAccsgdState(NamedTuple):
    """State of `scale_by_accsgd`."""

    ahead: PyTree  # how far the second iterate is from the parameters


@optimizer(rates=(1e-3, 1.0), tags=("momentum",))
def accsgd(
    learning_rate: LearningRate,
    kappa: Positive = 1000.0,
    xi: Positive = 10.0,
    small_const: Positive = 0.7,
    *,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """Accelerated SGD, which is provably faster than SGD for least squares.

    In the place of momentum SGD with small batches, where Nesterov's and heavy-ball
    momentum give nothing over SGD. A second iterate `w` takes long steps. Each step,
    with `c = small_const`, `b = c^2 * xi / kappa` and `z = c / (c + b)`::

        g = g + weight_decay * params
        w = (1 - b) * w + b * (params - learning_rate * kappa / c * g)
        params = z * (params - learning_rate * g) + (1 - z) * w

    Args:
        learning_rate: The short step, a number >= 0 or a schedule.
        kappa: Ratio of the long step to the short one, times `small_const`.
        xi: The statistical advantage, at most the root of `kappa`.
        small_const: The constant of the analysis, at most 1.
        weight_decay: Strength of the L2 penalty, added to the gradient. 0 turns it
            off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with one slot per parameter. Its `update` needs `params` unless
        `weight_decay` is 0. Nothing may change the update after it: place it last in a
        chain.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import accsgd
        >>> tx, g = accsgd(0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-2.0834,  0.5209], dtype=float32)
        >>> tx
        accsgd(learning_rate=0.5)

    Reference:
        Kidambi et al., "On the insufficiency of existing momentum schemes for
        Stochastic Optimization", ICLR 2018, arXiv:1803.05591, Algorithm 3.
    """
    return chain(
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
        scale_by_accsgd(kappa, xi, small_const),
    )


@transform
def scale_by_accsgd(
    kappa: Positive = 1000.0, xi: Positive = 10.0, small_const: Positive = 0.7
) -> Pair:
    """Add to short steps the pull of an iterate that takes long ones.

    The last stage of `accsgd`, which follows the learning rate; see there for the
    rule.

    Args:
        kappa: Ratio of the long step to the short one, times `small_const`.
        xi: The statistical advantage.
        small_const: The constant of the analysis.

    Returns:
        A transform with one slot per parameter. It does not read `params`.
    """

    def init(params):
        return ScaleByAccsgdState(trees.zeros_like(params))

    def update(updates, state, params=None, **extra):
        del params, extra
        ratio, c = number(kappa), number(small_const)
        b = c * c * number(xi) / ratio
        pull = b / (c + b)
        long = b * ratio / c

        def second(s: jax.Array, d: jax.Array) -> jax.Array:
            """Where the second iterate goes, from the parameters before the step."""
            return times(d.astype(s.dtype), 1.0 - b) + times(s, long)

        w = jax.tree.map(second, updates, state.ahead)
        u = jax.tree.map(lambda s, w: times(s, 1.0 - pull) + times(w, pull), updates, w)
        ahead = jax.tree.map(lambda w, u: w - u, w, u)
        return u, ScaleByAccsgdState(like(ahead, state.ahead))

    return Pair(init, update)
