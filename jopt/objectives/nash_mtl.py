"""Nash-MTL: the bargaining solution."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jopt._core import numerics as nx
from jopt._core.spec import is_off
from jopt._core.transform import aggregator
from jopt._core.types import Mask, Pair, Switch
from jopt.objectives.jacobian import Gram, weighing
from jopt.objectives.quadratic import length, spread

__all__ = ["nash_mtl"]


@aggregator
def nash_mtl(max_norm: Switch = 1.0, mask: Mask = None) -> Pair:
    """The bargaining solution: the product of the objectives' gains is greatest.

    The direction does not depend on the scale of any loss. Each step, with `K` the
    Gramian of the gradients::

        K a = 1 / a,  a > 0
        d = sum_i a_i g_i * |K|^(1/2),  clipped to the norm `max_norm`

    Without the clip `d` has the norm `(k |K|)^(1/2)`.

    Args:
        max_norm: The greatest norm of the result; 0 does not clip.
        mask: Which leaves the objectives share. All others get the sum of their
            gradients. Defaults to all.

    Returns:
        A transform without state that takes a Jacobian.

    Example:
        >>> import jax.numpy as jnp, jopt
        >>> jacobian = jnp.array([[30.0, 0.0], [0.0, 4.0]])
        >>> d = jopt.aggregate(jopt.nash_mtl(), jacobian)
        >>> [f"{x:.2f}" for x in d]
        ['0.71', '0.71']

    Differs from the official code in: the equation is solved to rounding, by Newton's
    method, where that goes through a series of convex problems and may stop early. So
    there is no state, and no need to keep weights for several steps.

    Reference:
        Navon et al., "Multi-Task Learning as a Bargaining Game", ICML 2022,
        arXiv:2202.01017, Algorithm 1.
    """

    def rule(gram: Gram) -> jax.Array:
        inner = spread(gram.cosines, gram.sizes)
        moving = jnp.any(gram.sizes > 0)
        scale = nx.sqrt(nx.sqrt(jnp.sum(nx.square(inner))))
        # a gradient of 0 has no say
        weights = jnp.where(gram.sizes > 0, _bargain(gram.cosines, gram.sizes), 0.0)
        weights = weights * scale
        if not is_off(max_norm):
            most = jnp.asarray(nx.cast(max_norm, scale.dtype), scale.dtype)
            norm = length(gram.cosines, weights)
            within = norm * gram.top <= most
            top = jnp.where(moving, gram.top, 1.0)
            bound = most / jnp.where(norm > 0, norm, 1.0) / top
            weights = jnp.where(within, weights, weights * bound)
        return jnp.where(moving, weights, jnp.zeros_like(weights))

    return weighing(rule, mask)


class _Newton(NamedTuple):
    """A point on the way to the root."""

    u: jax.Array
    decrement: jax.Array
    steps: jax.Array


def _bargain(cosines: jax.Array, sizes: jax.Array) -> jax.Array:
    """The `u > 0` with `C u = 1 / u`, where `C` is positive semi-definite.

    It minimizes `u'Cu / 2 - sum log u`, which is self-concordant: Newton's method
    converges from everywhere, with steps shortened far from the root.
    """
    k = len(sizes)
    eps = jnp.finfo(cosines.dtype).eps
    system = cosines + 4 * k * eps * jnp.eye(k, dtype=cosines.dtype)

    def direction(c: jax.Array, u: jax.Array) -> tuple[jax.Array, jax.Array]:
        # in units of u, so that no scale spoils it
        slope = u * (c @ u) - 1.0
        curved = c * u[:, None] * u[None, :] + jnp.eye(k, dtype=u.dtype)
        move = -jnp.linalg.solve(curved, slope)
        return move, nx.sqrt(jnp.maximum(-move @ slope, 0.0))

    def step(s: _Newton) -> _Newton:
        move, decrement = direction(fixed, s.u)
        length = jnp.where(decrement < 0.25, 1.0, 1.0 / (1.0 + decrement))
        return _Newton(s.u * (1.0 + length * move), decrement, s.steps + 1)

    def proceed(s: _Newton) -> jax.Array:
        return (s.decrement > 4 * k * eps) & (s.steps < 200)

    fixed = lax.stop_gradient(system)
    one = jnp.ones(k, cosines.dtype)
    first = _Newton(one, jnp.asarray(jnp.inf, one.dtype), jnp.zeros((), jnp.int32))
    u = lax.stop_gradient(lax.while_loop(proceed, step, first).u)
    # one step more: it carries the derivative
    return u * (1.0 + direction(system, u)[0])
