"""AggMo: the mean of several momenta."""

import functools as ft
import operator
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import jax
from jax.typing import ArrayLike

from jopt._core import trees
from jopt._core.numerics import times
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import Each, Hyper, LearningRate, Mask, Pair, PyTree, Switch
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate

Betas = Annotated[Sequence[ArrayLike], Each(Hyper(0.0, 1.0, below=True))]


class ScaleByAggmoState(NamedTuple):
    """State of `scale_by_aggmo`."""

    mu: tuple[PyTree, ...]  # a momentum for each beta


@optimizer(rates=(1e-3, 1.0), tags=("momentum",))
def aggmo(
    learning_rate: LearningRate,
    betas: Betas = (0.0, 0.9, 0.99),
    *,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """Aggregated momentum: several speeds of momentum, which damp one another.

    SGD with a strong momentum that does not swing: the slow momenta carry it along
    valleys, the fast ones break oscillations. Each step, for K betas::

        g = g + weight_decay * params
        m_i = beta_i * m_i + g
        params -= learning_rate * mean(m_1, ..., m_K)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        betas: Weights of the past, each in [0, 1): a number or an array. The authors
            take `1 - 0.1^i` for i = 0, 1, ...
        weight_decay: Strength of the L2 penalty, added to the gradient. 0 turns it
            off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with one slot per parameter and beta. Its `update` needs `params`
        unless `weight_decay` is 0.

    Raises:
        ValueError: If `betas` is empty, or one of them lies outside its range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import aggmo
        >>> tx, g = aggmo(0.5, (0.0, 0.5)), jnp.array([1.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> tx.update(g, state)[0]
        Array([-0.625], dtype=float32)
        >>> tx
        aggmo(learning_rate=0.5, betas=(0.0, 0.5))

    Reference:
        Lucas et al., "Aggregated Momentum: Stability Through Passive Damping", ICLR
        2019, arXiv:1804.00325.
    """
    return chain(
        add_decayed_weights(weight_decay, mask),
        scale_by_aggmo(betas),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_aggmo(betas: Betas = (0.0, 0.9, 0.99)) -> Pair:
    """Replace gradients by the mean of several heavy-ball momenta.

    The stage of `aggmo` that holds the state; see there for the rule.

    Args:
        betas: Weights of the past, each in [0, 1).

    Returns:
        A transform with one slot per parameter and beta. It does not read `params`.

    Raises:
        ValueError: If `betas` is empty, or one of them lies outside its range.
    """
    rates: Any = tuple(betas)
    if not rates:
        raise ValueError("`betas` must have at least one number, got none.")

    def init(params):
        return ScaleByAggmoState(tuple(trees.zeros_like(params) for _ in rates))

    def update(updates, state, params=None, **extra):
        del params, extra
        mu = tuple(
            jax.tree.map(lambda g, m, b=b: g + times(m, b).astype(g.dtype), updates, m)
            for b, m in zip(rates, state.mu, strict=True)
        )
        share = 1.0 / len(rates)
        u = jax.tree.map(lambda *m: ft.reduce(operator.add, m) * share, *mu)
        kept = jax.tree.map(lambda new, old: new.astype(old.dtype), mu, state.mu)
        return u, ScaleByAggmoState(kept)

    return Pair(init, update)
