"""IMTL-G: the direction with equal projections on all gradients."""

import jax
import jax.numpy as jnp

from jopt._core import numerics as nx
from jopt._core.transform import aggregator
from jopt._core.types import Mask, Pair
from jopt.objectives.jacobian import Gram, weighing
from jopt.objectives.quadratic import spread

__all__ = ["imtl_g"]


@aggregator
def imtl_g(mask: Mask = None) -> Pair:
    """The direction whose projections on all unit gradients are equal.

    It does not depend on the scale of any loss, but may ascend an objective: weights
    are negative where gradients are much alike. Each step, with `K` the Gramian and `n`
    the norms::

        w = K^-1 n,  over their sum
        d = sum_i w_i g_i

    Args:
        mask: Which leaves the objectives share. All others get the sum of their
            gradients. Defaults to all.

    Returns:
        A transform without state that takes a Jacobian. Where the gradients depend on
        each other linearly, the inverse is the pseudo-inverse.

    Example:
        >>> import jax.numpy as jnp, jopt
        >>> d = jopt.aggregate(jopt.imtl_g(), jnp.array([[4.0, 0.0], [0.0, 1.0]]))
        >>> [f"{x:.2f}" for x in d]
        ['0.80', '0.80']

    Reference:
        Liu et al., "Towards Impartial Multi-task Learning", ICLR 2021, Equation 6.
    """

    def rule(gram: Gram) -> jax.Array:
        k, dtype = gram.k, gram.sizes.dtype
        eps = jnp.finfo(dtype).eps
        # On unit gradients the system is C x = 1, whatever the norms.
        values = jnp.linalg.eigvalsh(jax.lax.stop_gradient(gram.cosines))
        regular = (values[0] > 10 * k * eps * values[-1]) & jnp.all(gram.sizes > 0)
        eye = jnp.eye(k, dtype=dtype)
        one = jnp.ones(k, dtype)
        x = jnp.linalg.solve(jnp.where(regular, gram.cosines, eye), one)
        # Without full rank the norms matter: then as for the Gramian itself.
        inner = jnp.where(regular, eye, spread(gram.cosines, gram.sizes))
        y = _pseudo(inner, gram.sizes)
        zero = gram.sizes == 0
        w = jnp.where(regular, x / jnp.where(zero, 1.0, gram.sizes), y)
        scale = jnp.max(jnp.abs(w))
        w = w / jnp.where(scale > 0, scale, 1.0)
        total = jnp.sum(w)
        lost = jnp.abs(total) < 10 * k * eps
        w = jnp.where(lost, jnp.zeros_like(w), w / jnp.where(lost, 1.0, total))
        return w * gram.sizes

    return weighing(rule, mask)


def _pseudo(inner: jax.Array, n: jax.Array) -> jax.Array:
    """The pseudo-inverse of a Gramian times a vector."""
    values, vectors = jnp.linalg.eigh(inner)
    small = values <= 10 * len(n) * jnp.finfo(n.dtype).eps * values[-1]
    over = jnp.where(small, 0.0, nx.divide(jnp.ones_like(values), values))
    return vectors @ (over * (vectors.T @ n))
