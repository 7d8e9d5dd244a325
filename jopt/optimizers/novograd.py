"""NovoGrad: momentum of gradients that are normalised per tensor."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from jopt._core import extras, numerics as nx, trees
from jopt._core.norms import norm
from jopt._core.numerics import times
from jopt._core.spec import is_off
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import DecayRate, Epsilon, LearningRate, Pair, Switch
from jopt.optimizers import moments
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-4, 1e-1), tags=("adaptive", "momentum"))
def novograd(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.25,
    eps: Epsilon = 1e-6,
    eps_root: Epsilon = 0.0,
    weight_decay: Switch = 0.0,
) -> Transform:
    """NovoGrad: one second moment per tensor, and half the memory of Adam.

    Each gradient is divided by its tensor's norm before it enters the momentum, so
    that a layer with exploding gradients does not drown the past. Each step, per
    tensor::

        v = b2 * v + (1 - b2) * norm(g)^2          # the first time v = norm(g)^2
        m = b1 * m + g / (sqrt(v) + eps) + weight_decay * params
        params -= learning_rate * m

    The first time is that of the first gradient other than 0.

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the momentum, in [0, 1). New gradients are not multiplied by
            `1 - b1`. The authors' code has 0.95.
        b2: Decay rate of the second moments, in [0, 1). The authors' code has 0.98.
        eps: Added to the root of the second moment.
        eps_root: Added inside the root.
        weight_decay: Added to the normalised gradient, inside the momentum. 0 turns it
            off.

    Returns:
        A transform with one slot per parameter and one number per tensor. Its `update`
        needs `params` unless `weight_decay` is 0.

    Raises:
        ValueError: In `update`, if `params` is needed and not given.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import novograd
        >>> tx, g = novograd(0.5), jnp.array([1.0, -1.0, 1.0, 1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-0.25,  0.25, -0.25, -0.25], dtype=float32)
        >>> tx
        novograd(learning_rate=0.5)

    Differs from optax in: a tensor whose first gradients are all zero starts its
    average at the first that is not, as in the authors' code.

    Reference:
        Ginsburg et al., "Stochastic Gradient Methods with Layer-wise Adaptive Moments
        for Training of Deep Networks", 2019, arXiv:1905.11286, Algorithm 1.
    """
    return chain(
        scale_by_novograd(b1, b2, eps, eps_root, weight_decay),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_novograd(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.25,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
    weight_decay: Switch = 0.0,
    mu_dtype: DTypeLike | None = None,
) -> Pair:
    """Replace gradients by the momentum of normalised ones.

    The stage of `novograd` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the momentum, in [0, 1).
        b2: Decay rate of the second moments, in [0, 1).
        eps: Added to the root of the second moment.
        eps_root: Added inside the root.
        weight_decay: Added to the normalised gradient. 0 turns it off.
        mu_dtype: Dtype of the momentum. Defaults to float32 or wider.

    Returns:
        A transform with one slot per parameter and one number per tensor. It needs
        `params` unless `weight_decay` is 0.
    """
    guard = moments.may_vanish(eps, eps_root)
    decays = not is_off(weight_decay)

    def init(params):
        def single(p: Any) -> jax.Array:
            return jnp.zeros((), jnp.finfo(trees.accumulation_dtype(p.dtype)).dtype)

        return optax.ScaleByNovogradState(
            count=jnp.zeros((), jnp.int32),
            mu=trees.zeros_like(params, mu_dtype),
            nu=jax.tree.map(single, params),
        )

    def second(v: jax.Array, g: jax.Array) -> jax.Array:
        new = nx.square(norm(g).astype(v.dtype))
        return jnp.where(v == 0, new, nx.average(new, v, b2))

    def momentum(m: jax.Array, g: jax.Array, v: jax.Array, p: Any = None) -> jax.Array:
        root = moments.denominator(v, eps, eps_root)
        d = moments.quotient(g, jnp.broadcast_to(root, g.shape), guard)
        if decays:
            d = d + times(p.astype(d.dtype), weight_decay)
        old = m.astype(d.dtype)
        return old - times(old, moments.complement(b1, d.dtype)) + d

    def update(updates, state, params=None, **extra):
        del extra
        rest = [extras.need_params(params, "scale_by_novograd")] if decays else []
        nu = jax.tree.map(second, state.nu, updates)
        mu = jax.tree.map(momentum, state.mu, updates, nu, *rest)
        kept = moments.like(mu, state.mu)
        return mu, optax.ScaleByNovogradState(nx.increment(state.count), kept, nu)

    return Pair(init, update)
