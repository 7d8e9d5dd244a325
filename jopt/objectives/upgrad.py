"""UPGrad and DualProj: projections onto the cone in which no objective gets worse."""

import jax
import jax.numpy as jnp

from jopt._core import numerics as nx
from jopt._core.spec import is_off
from jopt._core.transform import aggregator
from jopt._core.types import Mask, Pair, Preference, Switch
from jopt.objectives.jacobian import Gram, weighing
from jopt.objectives.quadratic import nonnegative, preferences, spread

__all__ = ["dual_proj", "upgrad"]


@aggregator
def upgrad(
    preference: Preference = (),
    mask: Mask = None,
    *,
    norm_eps: Switch = 0.0,
    reg_eps: Switch = 0.0,
) -> Pair:
    """The mean of gradients, each projected onto the cone where no objective rises.

    A small step along the result raises no objective, as far as the first order tells,
    and each has a say in proportion to its gradient. A good first choice. Each step::

        p_i = argmin |p - g_i|^2,  <p, g_j> >= 0 for all j
        d = sum_i preference_i p_i

    Args:
        preference: The weight of each objective, at least 0. Defaults to `1 / k`.
        mask: Which leaves the objectives share. All others get the sum of their
            gradients. Defaults to all.
        norm_eps: Where the sum of the squared norms is less, nothing is projected.
            torchjd has 1e-4.
        reg_eps: Added to the diagonal of the Gramian, once its trace is 1. Then the
            result may raise an objective a little. torchjd has 1e-4.

    Returns:
        A transform without state that takes a Jacobian.

    Raises:
        ValueError: In `update`, if there is not one preference for each objective.

    Example:
        >>> import jax.numpy as jnp, jopt
        >>> jacobian = jnp.array([[1.0, 0.0], [-1.0, 1.0]])
        >>> [f"{x:.2f}" for x in jopt.aggregate(jopt.upgrad(), jacobian)]
        ['0.25', '0.75']
        >>> jopt.chain(jopt.upgrad(), jopt.adamw(1e-3))
        chain(upgrad(), adamw(learning_rate=0.001))

    Reference:
        Quinton and Rey, "Jacobian Descent for Multi-Objective Optimization", 2024,
        arXiv:2406.16232, Equation 5.
    """

    def rule(gram: Gram) -> jax.Array:
        p = preferences(preference, gram.k, gram.sizes.dtype, "upgrad")
        bare = jnp.diag(p * gram.sizes)
        cosines, sizes = _regularized(gram, reg_eps)
        starts = jnp.eye(gram.k, dtype=p.dtype)
        each = jax.vmap(lambda start: _onto_the_cone(cosines, start))(starts)
        if not is_off(reg_eps):
            each = each * (sizes[:, None] / sizes[None, :]) * _swap(gram.sizes)
        each = each * (p * gram.sizes)[:, None]
        return jnp.sum(_unless_small(each, bare, gram, norm_eps), axis=0)

    return weighing(rule, mask)


@aggregator
def dual_proj(
    preference: Preference = (),
    mask: Mask = None,
    *,
    norm_eps: Switch = 0.0,
    reg_eps: Switch = 0.0,
) -> Pair:
    """The mean of the gradients, projected onto the cone where no objective rises.

    As `upgrad`, but the mean is projected, not each gradient: large gradients have more
    of a say. It is the rule of gradient episodic memory. Each step::

        g = sum_i preference_i g_i
        d = argmin |d - g|^2,  <d, g_j> >= 0 for all j

    Args:
        preference: The weight of each objective, at least 0. Defaults to `1 / k`.
        mask: Which leaves the objectives share. All others get the sum of their
            gradients. Defaults to all.
        norm_eps: Where the sum of the squared norms is less, nothing is projected.
            torchjd has 1e-4.
        reg_eps: Added to the diagonal of the Gramian, once its trace is 1. Then the
            result may raise an objective a little. torchjd has 1e-4.

    Returns:
        A transform without state that takes a Jacobian.

    Raises:
        ValueError: In `update`, if there is not one preference for each objective.

    Example:
        >>> import jax.numpy as jnp, jopt
        >>> jacobian = jnp.array([[1.0, 0.0], [-3.0, 4.0]])
        >>> jopt.aggregate(jopt.dual_proj(), jacobian).round(3) + 0.0
        Array([0., 2.], dtype=float32)

    Reference:
        Lopez-Paz and Ranzato, "Gradient Episodic Memory for Continual Learning",
        NeurIPS 2017, arXiv:1706.08840, Equation 11.
    """

    def rule(gram: Gram) -> jax.Array:
        p = preferences(preference, gram.k, gram.sizes.dtype, "dual_proj")
        cosines, sizes = _regularized(gram, reg_eps)
        swap = 1.0 if is_off(reg_eps) else gram.sizes / sizes
        ours = _onto_the_cone(cosines, p * sizes) * swap
        return _unless_small(ours, p * gram.sizes, gram, norm_eps)

    return weighing(rule, mask)


def _onto_the_cone(cosines: jax.Array, start: jax.Array) -> jax.Array:
    """The least `x'Cx` with `x >= start`: weights of a projection on the dual cone."""
    return start + nonnegative(cosines, -(cosines @ start))


def _regularized(gram: Gram, reg_eps: Switch) -> tuple[jax.Array, jax.Array]:
    """Cosines and norms, after a ridge is added to the Gramian of trace 1."""
    if is_off(reg_eps):
        return gram.cosines, gram.sizes
    eps = nx.cast(reg_eps, gram.sizes.dtype)
    total = nx.sqrt(jnp.sum(nx.square(gram.sizes)))
    sizes = gram.sizes / jnp.where(total > 0, total, 1.0)
    ridge = eps * jnp.eye(gram.k, dtype=sizes.dtype)
    inner = spread(gram.cosines, sizes) + ridge
    root = nx.sqrt(jnp.diagonal(inner))
    return inner / root[:, None] / root[None, :], root


def _swap(sizes: jax.Array) -> jax.Array:
    """The factors from weights on gradients to weights on unit gradients."""
    zero = sizes == 0
    over = jnp.where(zero, 0.0, 1.0 / jnp.where(zero, 1.0, sizes))
    return over[:, None] * sizes[None, :]


def _unless_small(
    ours: jax.Array, bare: jax.Array, gram: Gram, norm_eps: Switch
) -> jax.Array:
    """The projected weights, or where all gradients are small the bare ones."""
    if is_off(norm_eps):
        return ours
    least = nx.sqrt(jnp.asarray(nx.cast(norm_eps, gram.top.dtype), gram.top.dtype))
    norm = gram.top * nx.sqrt(jnp.sum(nx.square(gram.sizes)))
    return jnp.where(norm < least, bare, ours)
