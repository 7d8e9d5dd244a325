"""AdEMAMix: Adam with a second, much slower momentum."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jopt._core import numerics as nx, trees
from jopt._core.decay import Decay
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    LearningRate,
    Mask,
    NonNegative,
    Pair,
    PyTree,
    Steps,
    Switch,
)
from jopt.optimizers import moments
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


class ScaleByAdemamixState(NamedTuple):
    """State of `scale_by_ademamix`."""

    count: jax.Array  # steps taken
    m1: PyTree  # fast average of gradients
    m2: PyTree  # slow average of gradients
    nu: PyTree  # average of squared gradients


class ScaleBySimplifiedAdemamixState(NamedTuple):
    """State of `scale_by_simplified_ademamix`."""

    t: jax.Array  # steps taken
    m: PyTree  # decaying sum of gradients
    n: PyTree  # average of squared gradients


@optimizer(rates=(1e-4, 1e-2), tags=("adaptive", "momentum"))
def ademamix(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    b3: DecayRate = 0.9999,
    alpha: NonNegative = 5.0,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
    *,
    warmup_steps: Steps = 0,
) -> Transform:
    """AdEMAMix: Adam plus a momentum that remembers tens of thousands of steps.

    For long runs: in short ones the slow average stays near 0. Set `warmup_steps`, as
    the paper does, to about the length of the run. At step t::

        m1 = b1 * m1 + (1 - b1) * g
        m2 = b3(t) * m2 + (1 - b3(t)) * g
        v = b2 * v + (1 - b2) * g^2
        u = (m1 / (1 - b1^t) + alpha(t) * m2) / (sqrt(v / (1 - b2^t)) + eps)
        params -= learning_rate * (u + weight_decay * params)

    With a warm-up of T steps, `alpha(t) = alpha * min(t / T, 1)`, and `b3(t)` goes
    from `b1` to `b3` so that `1 / log(b3(t))` is linear in `t`.

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the fast average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        b3: Decay rate of the slow average of gradients, in [0, 1).
        alpha: Weight of the slow average. The authors use 5 to 10.
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.
        mu_dtype: Dtype in which both averages of gradients are kept. Defaults to that
            of the parameter, float32 or wider.
        weight_decay: Strength of the decoupled decay; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        warmup_steps: Steps over which `alpha` and `b3` rise; 0 for none, as in optax.

    Returns:
        A transform with three slots per parameter. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import ademamix
        >>> tx, g = ademamix(0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(3)
        Array([-0.5,  0.5], dtype=float32)
        >>> tx
        ademamix(learning_rate=0.5)

    Reference:
        Pagliardini, Ablin and Grangier, "The AdEMAMix Optimizer: Better, Faster,
        Older", ICLR 2025, arXiv:2409.03137, Algorithm 1.
    """
    return chain(
        scale_by_ademamix(
            b1, b2, b3, alpha, eps, eps_root, mu_dtype, warmup_steps=warmup_steps
        ),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@optimizer(rates=(1e-6, 1e-3), tags=("adaptive", "momentum"))
def simplified_ademamix(
    learning_rate: LearningRate,
    b1: DecayRate = 0.99,
    b2: DecayRate = 0.95,
    alpha: NonNegative = 0.0,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """AdEMAMix with one momentum, a sum, beside the gradient itself.

    A slot less than `ademamix`. The momentum is a sum, not an average: with `b1` of
    0.99 a steady gradient counts 100 times, so divide Adam's learning rate by
    `1 / (1 - b1) + alpha`. At step t::

        m = b1 * m + g
        v = b2 * v + (1 - b2) * g^2
        u = (m + alpha * g) / (sqrt(v / (1 - b2^t)) + eps)
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the sum of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        alpha: Weight of the gradient itself. The authors use 0 for large batches, and
            100 for small ones.
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.
        weight_decay: Strength of the decoupled decay; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with two slots per parameter. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import simplified_ademamix
        >>> tx, g = simplified_ademamix(0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-0.5,  0.5], dtype=float32)
        >>> tx
        simplified_ademamix(learning_rate=0.5)

    Reference:
        Morwani et al., "Connections between Schedule-Free Optimizers, AdEMAMix, and
        Accelerated SGD Variants", 2025, arXiv:2502.02431, Section 5.
    """
    return chain(
        scale_by_simplified_ademamix(b1, b2, alpha, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_ademamix(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    b3: DecayRate = 0.9999,
    alpha: NonNegative = 5.0,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
    mu_dtype: DTypeLike | None = None,
    *,
    warmup_steps: Steps = 0,
) -> Pair:
    """Divide a fast and a slow average of gradients by the root of the second moment.

    The stage of `ademamix` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the fast average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        b3: Decay rate of the slow average of gradients, in [0, 1).
        alpha: Weight of the slow average.
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.
        mu_dtype: Dtype in which both averages of gradients are kept.
        warmup_steps: Steps over which `alpha` and `b3` rise; 0 for none.

    Returns:
        A transform with three slots per parameter. It does not read `params`.
    """

    def slow(t: jax.Array) -> tuple[Any, Any]:
        """The decay rate and the weight of the slow average."""
        if not warmup_steps:
            return b3, jnp.asarray(nx.cast(alpha, jnp.result_type(float)))
        share = t.astype(jnp.result_type(float)) / warmup_steps
        share = jnp.minimum(share, 1.0)
        start, end = _log(b1, share.dtype), _log(b3, share.dtype)
        between = 1.0 / ((1.0 - share) / start + share / end)
        return Decay(-jnp.expm1(between)), share * nx.cast(alpha, share.dtype)

    def init(params):
        m1, m2 = (trees.zeros_like(params, mu_dtype) for _ in range(2))
        nu = trees.real_zeros_like(params)
        return ScaleByAdemamixState(jnp.zeros((), jnp.int32), m1, m2, nu)

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        decay, weight = slow(t)
        m1 = moments.averages(updates, state.m1, b1)
        m2 = moments.averages(updates, state.m2, decay)
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        weights = moments.momentum_weights(b1, t)[0], weight
        correction = nx.bias_correction(b2, t)
        u = moments.rescale(m2, m1, nu, weights, correction, eps, eps_root)
        slots = map(moments.like, (m1, m2, nu), state[1:])
        return u, ScaleByAdemamixState(t, *slots)

    return Pair(init, update)


def _log(decay: Any, dtype: Any) -> jax.Array:
    """The logarithm of a decay rate; that of 0 is a large negative number."""
    c = jnp.asarray(moments.complement(decay, dtype), dtype)
    inside = c < 1.0
    return jnp.where(inside, jnp.log1p(-jnp.where(inside, c, 0.5)), -1e30)


@transform
def scale_by_simplified_ademamix(
    b1: DecayRate = 0.99,
    b2: DecayRate = 0.95,
    alpha: NonNegative = 0.0,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
) -> Pair:
    """Divide a sum of gradients, and the gradient, by the root of the second moment.

    The stage of `simplified_ademamix` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the sum of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        alpha: Weight of the gradient itself.
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """

    def init(params):
        m, n = trees.zeros_like(params), trees.real_zeros_like(params)
        return ScaleBySimplifiedAdemamixState(jnp.zeros((), jnp.int32), m, n)

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.t)
        dtype = jnp.result_type(float)
        kept = 1.0 - moments.complement(b1, dtype)
        m = jax.tree.map(
            lambda m, g: g + nx.times(m.astype(g.dtype), kept), state.m, updates
        )
        n = moments.averages(moments.squares(updates), state.n, b2)
        weights = 1.0, jnp.asarray(nx.cast(alpha, dtype))
        correction = nx.bias_correction(b2, t)
        u = moments.rescale(updates, m, n, weights, correction, eps, eps_root)
        m, n = moments.like(m, state.m), moments.like(n, state.n)
        return u, ScaleBySimplifiedAdemamixState(t, m, n)

    return Pair(init, update)
