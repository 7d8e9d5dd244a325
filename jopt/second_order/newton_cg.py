"""Newton's method in a trust region, by conjugate gradients."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jopt._core import extras
from jopt._core.sums import number
from jopt._core.transform import transform
from jopt._core.types import Count, Fraction, Pair, Positive, PyTree
from jopt.optimizers import moments
from jopt.second_order import _cg
from jopt.transforms.average import stored


class NewtonCgState(NamedTuple):
    """State of `newton_cg`."""

    radius: jax.Array  # the longest next step
    ratio: jax.Array  # how much the loss fell, over how much was predicted
    cg_steps: jax.Array  # products with the Hessian in the latest update


@transform
def newton_cg(
    initial_radius: Positive = 1.0,
    max_radius: Positive = 1000.0,
    *,
    eta: Fraction = 0.15,
    max_cg_steps: Count = 100,
) -> Pair:
    """Newton's method, each step a few conjugate gradients within a trust region.

    For smooth losses that are the same at every step, where a few dozen products with
    the Hessian are affordable; it takes far fewer steps than `lbfgs`, uses negative
    curvature, and needs no line search. Each step minimises the quadratic model of the
    loss up to the radius, by the method of Steihaug, and takes the loss there::

        u    = argmin <g, u> + <u, H u> / 2  with |u| <= radius
        rho  = (f(p) - f(p + u)) / -(<g, u> + <u, H u> / 2)
        radius = radius / 4                    if rho < 1/4
                 min(2 radius, max_radius)     if rho > 3/4 and |u| = radius
        params += u                            if rho > eta

    A step that is not taken costs as much, and the next one is shorter. Products with
    the Hessian are derivatives of `grad_fn`; `jopt.make_step` passes it and `value_fn`.

    Args:
        initial_radius: The length of the first step, at most.
        max_radius: The length of any step, at most.
        eta: The least ratio at which a step is taken, in [0, 1/4).
        max_cg_steps: The most products with the Hessian in a step.

    Returns:
        An optimizer without slots: it needs no learning rate behind it. Its update
        needs `params`, `value_fn` and `grad_fn`. Differentiation through an update
        takes the step for a constant.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import make_step, newton_cg
        >>> step = make_step(lambda p: (p[0] - 1) ** 2 + 100 * p[1] ** 4, newton_cg())
        >>> p = jnp.array([0.0, 1.0])
        >>> state = step.tx.init(p)
        >>> for _ in range(10):
        ...     p, state, loss = step(p, state)
        >>> bool(loss < 1e-4)
        True

    Reference:
        Steihaug, "The Conjugate Gradient Method and Trust Regions in Large Scale
        Optimization", SIAM Journal on Numerical Analysis 1983; Nocedal and Wright,
        "Numerical Optimization", 2nd edition 2006, Algorithms 4.1 and 7.2.
    """

    def init(params):
        del params
        radius = jnp.array(number(initial_radius), copy=True)
        return NewtonCgState(radius, number(1.0), jnp.zeros((), jnp.int32))

    def update(updates, state, params=None, **extra):
        params = extras.need_params(params, "newton_cg")
        extras.need(extra, "grad_fn", "newton_cg")
        extras.need(extra, "value_fn", "newton_cg")
        b, p = lax.stop_gradient((updates, moments.like(params, updates)))

        bent = jax.linearize(extra["grad_fn"], p)[1]  # once for all products

        def product(v: PyTree) -> PyTree:
            return jax.tree.map(lambda x, v: x.astype(v.dtype), bent(v), v)

        found = _cg.solve(product, b, max_cg_steps, radius=state.radius)
        value = extra.get("value")
        value = extra["value_fn"](params) if value is None else value
        after = extra["value_fn"](jax.tree.map(stored, params, found.step))
        trial = _cg.tried(value, after, -found.value, number(eta))
        trust = trial.ratio > 0.75
        longer = jnp.minimum(2.0 * state.radius, number(max_radius))
        radius = jnp.where(trust & found.bounded, longer, state.radius)
        radius = jnp.where(trial.ratio < 0.25, 0.25 * state.radius, radius)
        new = NewtonCgState(radius, trial.ratio, found.steps)
        return lax.stop_gradient((_cg.taken(found.step, trial.good), new))

    return Pair(init, update)
