"""CAME: Adafactor with a momentum and a measure of confidence in it."""

from typing import cast, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import numerics as nx, trees
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    LearningRate,
    Mask,
    Pair,
    Positive,
    PyTree,
    Switch,
)
from jopt.optimizers.factors import divided, mean, slot
from jopt.optimizers.moments import average
from jopt.transforms.clip import clip_by_block_rms
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


class ScaleByCameState(NamedTuple):
    """State of `scale_by_came`; the slots a leaf does not use are empty."""

    mu: PyTree
    v_row: PyTree  # means of the squares over the last axis, of factored leaves
    v_col: PyTree  # and over the axis before
    v: PyTree  # the squares themselves, of the other leaves
    res_row: PyTree  # the same of the distance between step and momentum
    res_col: PyTree


@optimizer(rates=(1e-5, 1e-2), tags=("adaptive", "memory"))
def came(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    b3: DecayRate = 0.9999,
    eps: Positive = 1e-30,
    eps_res: Positive = 1e-16,
    clipping_threshold: Positive = 1.0,
    *,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """CAME: confidence-guided adaptive steps with Adafactor's memory.

    Half the memory of Adam for matrices. Where a step and its momentum disagree, the
    momentum is trusted less. Each step, for a matrix, with
    `F(x)` the averages of `x` over rows and over columns, `r` and `c`, and
    `x / F = x / sqrt(r c / mean(r))`::

        u = g / F2(g^2 + eps);  u = u / max(1, rms(u) / clipping_threshold)
        m = b1 * m + (1 - b1) * u
        params -= learning_rate * (m / F3((u - m)^2 + eps_res) + weight_decay * params)

    F2 decays by `b2`, F3 by `b3`, without correction of the bias. Vectors have a plain
    second moment and step by `m`.

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the momentum, in [0, 1).
        b2: Decay rate of the averages of squared gradients, in [0, 1).
        b3: Decay rate of the averages of the residual, in [0, 1).
        eps: Added to the squared gradient.
        eps_res: Added to the squared residual.
        clipping_threshold: Greatest root mean square of a step before the momentum.
        weight_decay: Decoupled decay, multiplied by the learning rate.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with one slot per parameter and two for each row and column of a
        matrix; vectors have two slots per parameter. Its `update` needs `params`
        unless `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import came
        >>> tx, g = came(0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-0.05,  0.05], dtype=float32)
        >>> tx
        came(learning_rate=0.5)

    Reference:
        Luo et al., "CAME: Confidence-guided Adaptive Memory Efficient Optimization",
        ACL 2023, arXiv:2307.02047, Algorithm 2.
    """
    return chain(
        scale_by_came(b1, b2, b3, eps, eps_res, clipping_threshold),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_came(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    b3: DecayRate = 0.9999,
    eps: Positive = 1e-30,
    eps_res: Positive = 1e-16,
    clipping_threshold: Positive = 1.0,
) -> Pair:
    """Replace gradients by a momentum of clipped steps, over its factored residual.

    The stage of `came` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the momentum, in [0, 1).
        b2: Decay rate of the averages of squared gradients, in [0, 1).
        b3: Decay rate of the averages of the residual, in [0, 1).
        eps: Added to the squared gradient.
        eps_res: Added to the squared residual.
        clipping_threshold: Greatest root mean square of a step before the momentum.

    Returns:
        A transform with one slot per parameter and two for each row and column of a
        matrix; vectors have two slots per parameter. It does not read `params`.
    """
    clip = clip_by_block_rms(clipping_threshold).raw

    def init(params):
        def slots(drop):
            return jax.tree.map(lambda p: slot(p, len(p.shape) > 1, drop), params)

        return ScaleByCameState(
            trees.zeros_like(params), *map(slots, (-1, -2, None, -1, -2))
        )

    def factors(row, col, square, decay):
        return average(mean(square, -1), row, decay), average(
            mean(square, -2), col, decay
        )

    def one(g, m, row, col, v, res_row, res_col):
        square = nx.square(g) + nx.cast(eps, jnp.finfo(g.dtype).dtype)
        if g.ndim > 1:
            row, col = factors(row, col, square, b2)
            u = divided(g, row, col)
        else:
            v = average(square, v, b2)
            u = nx.divide(g, nx.sqrt(v).astype(g.dtype))
        u = cast(jax.Array, clip.update(u, ())[0])
        m = average(u, m, b1)
        if g.ndim < 2:
            return m, m, row, col, v, res_row, res_col
        rest = nx.square(u - m) + nx.cast(eps_res, row.dtype)
        res_row, res_col = factors(res_row, res_col, rest, b3)
        return divided(m, res_row, res_col), m, row, col, v, res_row, res_col

    def update(updates, state, params=None, **extra):
        del params, extra
        out = jax.tree.map(one, updates, *state)
        parts = [jax.tree.map(lambda _, o, i=i: o[i], updates, out) for i in range(7)]
        kept = jax.tree.map(
            lambda s, x: x.astype(s.dtype), tuple(state), tuple(parts[1:])
        )
        return parts[0], ScaleByCameState(*kept)

    return Pair(init, update)
