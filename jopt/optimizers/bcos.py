"""BCOS: steps that are right for each block, here for each coordinate."""

from typing import Any, cast, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import numerics as nx, trees
from jopt._core.decay import Decay
from jopt._core.numerics import times
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    LearningRate,
    Mask,
    OptionalDecay,
    Pair,
    PyTree,
    Switch,
)
from jopt.optimizers import moments
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate

BcosMode = Literal["c", "g", "m"]


class ScaleByBcosState(NamedTuple):
    """State of `scale_by_bcos`; the slots that its mode does not use are `None`."""

    count: jax.Array
    mu: PyTree
    nu: PyTree


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive", "momentum"))
def bcos(
    learning_rate: LearningRate,
    beta: DecayRate = 0.9,
    beta2: OptionalDecay = None,
    eps: Epsilon = 1e-6,
    weight_decay: Switch = 0.1,
    mask: Mask = None,
    *,
    mode: BcosMode = "c",
    simple_cond: bool = False,
) -> Transform:
    """BCOS: stochastic approximation with block-coordinate optimal step sizes.

    By default AdamW at half the memory: the second moment of the momentum is not
    averaged over time but found from its last value and the gradient. Each step, with
    `b = beta`::

        v = (3 b^2 - 2 b^3) * m^2 + (1 - b)^2 * g^2 + 2 b (1 - b)^2 * m * g
        m = b * m + (1 - b) * g                       # m is g before the first step
        params -= learning_rate * (m / (sqrt(v) + eps) + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        beta: Decay rate of the momentum, in [0, 1).
        beta2: Decay rate of the second moment, in [0, 1). Defaults to `beta`; with
            `simple_cond` to `1 - (1 - beta)^2`. The default rule has none.
        eps: Added to the root of the second moment.
        weight_decay: Decoupled decay, multiplied by the learning rate.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        mode: `"c"` has the conditional second moment above, `"m"` an average of the
            squared momentum, `"g"` no momentum and an average of squared gradients.
        simple_cond: Whether `"c"` has `v = beta2 * m^2 + (1 - beta2) * g^2`.

    Returns:
        A transform with one slot per parameter, two in mode `"m"`. Its `update` needs
        `params` unless `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import bcos
        >>> tx, p = bcos(0.5, weight_decay=0.0), jnp.zeros(2)
        >>> tx.update(jnp.array([4.0, -1.0]), tx.init(p), p)[0].round(4)
        Array([-0.5,  0.5], dtype=float32)
        >>> tx
        bcos(learning_rate=0.5, weight_decay=0.0)

    Reference:
        Jiang and Xiao, "Stochastic Approximation with Block Coordinate Optimal
        Stepsizes", 2025, arXiv:2507.08963.
    """
    return chain(
        scale_by_bcos(beta, beta2, eps, mode=mode, simple_cond=simple_cond),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_bcos(
    beta: DecayRate = 0.9,
    beta2: OptionalDecay = None,
    eps: Epsilon = 1e-6,
    *,
    mode: BcosMode = "c",
    simple_cond: bool = False,
) -> Pair:
    """Divide the momentum by an estimate of its second moment.

    The stage of `bcos` that holds the state; see there for the rule.

    Args:
        beta: Decay rate of the momentum, in [0, 1).
        beta2: Decay rate of the second moment, in [0, 1).
        eps: Added to the root of the second moment.
        mode: Which second moment: `"c"`, `"m"` or `"g"`.
        simple_cond: Whether `"c"` has its simple form.

    Returns:
        A transform with one slot per parameter, two in mode `"m"`. It does not read
        `params`.
    """
    b = cast(Decay, beta)
    guard = moments.may_vanish(eps)

    def init(params):
        return ScaleByBcosState(
            count=jnp.zeros((), jnp.int32),
            mu=None if mode == "g" else trees.zeros_like(params),
            nu=None if mode == "c" else trees.real_zeros_like(params),
        )

    def conditional(g: jax.Array, m: jax.Array) -> jax.Array:
        """The second moment of the momentum, given its last value."""
        c = nx.cast(b.complement, jnp.finfo(g.dtype).dtype)
        m = m.astype(g.dtype)
        if simple_cond:
            fresh = c * c if beta2 is None else cast(Decay, beta2).complement
            return moments.average(nx.square(g), nx.square(m), Decay(fresh))
        # the rule as a sum of two squares
        both = nx.square(g + times(m, 1.0 - c)) * (c * c)
        rest = (1.0 - c) * (1.0 - c) * (1.0 + 2.0 * c - c * c)
        return both + nx.square(m) * rest

    def update(updates, state, params=None, **extra):
        del params, extra
        first = state.count == 0

        def begun(slots: PyTree, values: PyTree) -> PyTree:
            return jax.tree.map(
                lambda s, x: jnp.where(first, x, s.astype(x.dtype)), slots, values
            )

        mu, nu, d = state.mu, state.nu, updates
        if mode != "g":
            mu = begun(mu, updates)
            v = jax.tree.map(conditional, updates, mu)
            d = mu = moments.averages(updates, mu, b)
        if mode != "c":
            nu = begun(nu, moments.squares(updates))
            v = nu = moments.averages(moments.squares(d), nu, _or(beta2, b))
        u = jax.tree.map(
            lambda d, v: moments.quotient(d, moments.denominator(v, eps), guard), d, v
        )
        kept = [
            None if old is None else moments.like(new, old)
            for new, old in zip((mu, nu), state[1:], strict=True)
        ]
        return u, ScaleByBcosState(nx.increment(state.count), *kept)

    return Pair(init, update)


def _or(decay: Any, other: Decay) -> Decay:
    """The decay rate, or the other one where there is none."""
    return other if decay is None else decay
