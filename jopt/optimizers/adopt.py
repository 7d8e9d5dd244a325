"""ADOPT: gradients over the second moment before them, then averaged."""

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from jopt._core import numerics as nx
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import DecayRate, Epsilon, LearningRate, OptionalPositive, Pair
from jopt.optimizers import moments
from jopt.optimizers.adam import init_adam
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive",))
def adopt(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.9999,
    eps: Epsilon = 1e-6,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = False,
    use_clipping: bool = True,
    clip_value_fn: OptionalPositive = None,
) -> Transform:
    """ADOPT: an Adam that converges at every `b2`.

    The gradient is divided by a second moment that does not know it yet, and only then
    averaged. The first step fills the second moment and moves nothing. At step t, from
    the second on::

        u = clip(g / max(sqrt(v), eps), -(t - 1)^(1/4), (t - 1)^(1/4))
        m = b1 * m + (1 - b1) * u
        v = b2 * v + (1 - b2) * g^2
        params -= learning_rate * m

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of rescaled gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: The least divisor.
        mu_dtype: Dtype in which the momentum is kept. Defaults to that of the
            parameter, float32 or wider.
        nesterov: Whether to look ahead by one step of momentum.
        use_clipping: Whether to clip the rescaled gradients.
        clip_value_fn: The bound of their entries: a positive number, or a schedule
            from the number of steps taken. Defaults to the fourth root of that.

    Returns:
        A transform with two slots per parameter. It does not read `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adopt
        >>> tx, g = adopt(0.5), jnp.array([4.0, -1.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> tx.update(g, state)[0].round(4)
        Array([-0.05,  0.05], dtype=float32)
        >>> tx
        adopt(learning_rate=0.5)

    Reference:
        Taniguchi et al., "ADOPT: Modified Adam Can Converge with Any beta2 with the
        Optimal Rate", NeurIPS 2024, arXiv:2411.02853, Algorithm 2.
    """
    return chain(
        scale_by_adopt(
            b1,
            b2,
            eps,
            mu_dtype,
            nesterov=nesterov,
            use_clipping=use_clipping,
            clip_value_fn=clip_value_fn,
        ),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_adopt(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.9999,
    eps: Epsilon = 1e-6,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = False,
    use_clipping: bool = True,
    clip_value_fn: OptionalPositive = None,
) -> Pair:
    """Average gradients that are divided by the second moment before them.

    The stage of `adopt` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of rescaled gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: The least divisor.
        mu_dtype: Dtype in which the momentum is kept.
        nesterov: Whether to look ahead by one step of momentum.
        use_clipping: Whether to clip the rescaled gradients.
        clip_value_fn: The bound of their entries. Defaults to the fourth root of the
            number of steps taken.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """
    guard = moments.may_vanish(eps)

    def init(params):
        return init_adam(params, mu_dtype)

    def update(updates, state, params=None, **extra):
        del params, extra
        first = state.count == 0
        limit = clip_value_fn
        if limit is None:
            limit = state.count.astype(jnp.result_type(float)) ** 0.25

        def rescaled(g, v):
            def clipped(part):
                if not use_clipping:
                    return part
                bound = jnp.asarray(nx.cast(limit, part.dtype), part.dtype)
                return jnp.clip(part, -bound, bound)

            least = jnp.asarray(nx.cast(eps, v.dtype), v.dtype)
            u = moments.quotient(g, jnp.maximum(nx.sqrt(v), least), guard)
            return jnp.where(first, jnp.zeros_like(u), nx.parts(clipped, u))

        def second(g, v):
            square = nx.square(g)
            return jnp.where(first, square, moments.average(square, v, b2))

        u = jax.tree.map(rescaled, updates, state.nu)
        mu = moments.averages(u, state.mu, b1)
        out = moments.averages(u, mu, b1) if nesterov else mu
        nu = jax.tree.map(second, updates, state.nu)
        mu, nu = moments.like(mu, state.mu), moments.like(nu, state.nu)
        return out, optax.ScaleByAdamState(nx.increment(state.count), mu, nu)

    return Pair(init, update)
