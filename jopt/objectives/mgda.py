"""MGDA: the point of least norm in the convex hull of the gradients."""

import jax

from jopt._core.transform import aggregator
from jopt._core.types import Mask, Pair
from jopt.objectives.jacobian import Gram, weighing
from jopt.objectives.quadratic import least_norm

__all__ = ["mgda"]


@aggregator
def mgda(mask: Mask = None) -> Pair:
    """The point of least norm in the convex hull of the gradients.

    Descends all objectives at the same rate, and stops at a Pareto-stationary point.
    The smallest gradients rule it: an objective that is nearly trained, or that has a
    small scale, slows all others. Each step::

        w = argmin |sum_i w_i g_i|^2,  w >= 0,  sum w = 1
        d = sum_i w_i g_i

    Args:
        mask: Which leaves the objectives share. All others get the sum of their
            gradients. Defaults to all.

    Returns:
        A transform without state that takes a Jacobian.

    Example:
        >>> import jax.numpy as jnp, jopt
        >>> d = jopt.aggregate(jopt.mgda(), jnp.array([[2.0, 0.0], [0.0, 1.0]]))
        >>> [f"{x:.2f}" for x in d]
        ['0.40', '0.80']

    Differs from the official code in: the weights are exact, where that runs the method
    of Frank and Wolfe until a tolerance.

    Reference:
        Desideri, "Multiple-gradient descent algorithm (MGDA) for multiobjective
        optimization", Comptes Rendus Mathematique 2012; Sener and Koltun, "Multi-Task
        Learning as Multi-Objective Optimization", NeurIPS 2018, arXiv:1810.04650.
    """

    def rule(gram: Gram) -> jax.Array:
        return least_norm(gram.cosines, gram.sizes)

    return weighing(rule, mask)
