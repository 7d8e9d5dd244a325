"""Gauss-Newton: least squares, and convex losses of the outputs of a model."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jopt._core import extras, norms, trees
from jopt._core.numerics import times
from jopt._core.sums import number
from jopt._core.transform import transform
from jopt._core.types import Count, Fraction, Pair, Positive, PyTree
from jopt.optimizers import moments
from jopt.second_order import _cg
from jopt.transforms.average import stored


class GaussNewtonState(NamedTuple):
    """State of `gauss_newton`."""

    damping: jax.Array
    growth: jax.Array  # what the damping is multiplied by if the next step fails
    ratio: jax.Array  # how much the loss fell, over how much was predicted
    cg_steps: jax.Array  # products with the Jacobian in the latest update


class HessianFreeState(NamedTuple):
    """State of `hessian_free`."""

    damping: jax.Array
    ratio: jax.Array  # how much the loss fell, over how much was predicted
    cg_steps: jax.Array  # products with the Jacobian in the latest update
    direction: PyTree  # the latest solution, from which the next one starts


@transform
def gauss_newton(damping: Positive = 1e-3, *, max_cg_steps: Count = 100) -> Pair:
    """Gauss-Newton with the damping of Levenberg and Marquardt, without matrices.

    For least squares: fits of curves, inverse problems, small networks. The loss is
    half the sum of squares of `residual_fn(params)`, whose Jacobian `J` enters by
    products with vectors alone. Each step, by conjugate gradients::

        u   = -(J'J + damping I)^-1 g
        rho = (f(p) - f(p + u)) / -(<g, u> + |J u|^2 / 2)
        damping *= max(1/3, 1 - (2 rho - 1)^3) and growth = 2    if rho > 0
                   growth                      and growth *= 2   otherwise
        params += u                                              if rho > 0

    Give the residuals: `tx.update(grads, state, params, residual_fn=residual_fn)`, or
    `step(params, state, extra={"residual_fn": residual_fn})` where `jopt.make_step`
    made the step; there `residual_fn` must be a `jax.tree_util.Partial`. With
    `outer_fn` too, the loss is that function of what `residual_fn` returns: see
    `hessian_free`.

    Args:
        damping: The first damping: about 1e-3 times the largest curvature if the start
            is good, more if it is not.
        max_cg_steps: The most products with `J'J` in a step.

    Returns:
        An optimizer without slots: it needs no learning rate behind it. Its update
        needs `params` and `residual_fn`. Differentiation through an update takes the
        step for a constant.

    Example:
        >>> import jax, jax.numpy as jnp, jopt
        >>> x = jnp.arange(4.0)
        >>> r = lambda p: p[0] * jnp.exp(-p[1] * x) - 2.0 * jnp.exp(-0.5 * x)
        >>> tx, p = jopt.gauss_newton(), jnp.array([1.0, 1.0])
        >>> state, g = tx.init(p), jax.grad(lambda p: jnp.sum(r(p) ** 2) / 2)
        >>> for _ in range(10):
        ...     u, state = tx.update(g(p), state, p, residual_fn=r)
        ...     p = p + u
        >>> p.round(3)
        Array([2. , 0.5], dtype=float32)

    Reference:
        Madsen, Nielsen and Tingleff, "Methods for Non-Linear Least Squares Problems",
        2nd edition 2004, Algorithm 3.16.
    """

    def init(params):
        del params
        first = jnp.array(number(damping), copy=True)
        none = jnp.zeros((), jnp.int32)
        return GaussNewtonState(first, number(2.0), number(1.0), none)

    def update(updates, state, params=None, **extra):
        model = _model(updates, params, extra, "gauss_newton")
        found, trial = _attempt(model, state.damping, max_cg_steps, forcing=1e-3)
        fall = 1.0 - (2.0 * trial.ratio - 1.0) ** 3
        factor = jnp.where(trial.good, jnp.maximum(fall, 1.0 / 3.0), state.growth)
        growth = jnp.where(trial.good, 2.0, jnp.minimum(2.0 * state.growth, 1e6))
        new = _bounded(state.damping * factor)
        new = GaussNewtonState(new, growth, trial.ratio, found.steps)
        return lax.stop_gradient((_cg.taken(found.step, trial.good), new))

    return Pair(init, update)


@transform
def hessian_free(
    damping: Positive = 1.0, *, max_cg_steps: Count = 100, decay: Fraction = 0.95
) -> Pair:
    """Hessian-free optimization: Gauss-Newton for convex losses of a model's outputs.

    For networks of moderate size and large batches. The loss is `outer_fn` of what
    `residual_fn(params)` returns, such as a cross entropy of logits; without
    `outer_fn`, half the sum of squares. With `J` the Jacobian of the outputs and `L`
    the Hessian of the outer loss, each step is, by conjugate gradients::

        u   = -(J'LJ + damping I)^-1 g
        rho = (f(p) - f(p + u)) / -(<g, u> + <u, J'LJ u> / 2)
        damping *= 3/2 if rho < 1/4, 2/3 if rho > 3/4
        params += u    if rho > 0

    The solution starts from the latest one, faded, and ends where it gains little more.

    Give both: `tx.update(grads, state, params, residual_fn=logits_of_params,
    outer_fn=loss_of_logits)`, at the present batch; see `gauss_newton`.

    Args:
        damping: The first damping.
        max_cg_steps: The most products with `J'LJ` in a step.
        decay: What the latest solution is multiplied by where the next one starts.

    Returns:
        An optimizer with one slot per parameter: it needs no learning rate behind it.
        Its update needs `params` and `residual_fn`. Differentiation through an update
        takes the step for a constant.

    Differs from the paper in: conjugate gradients have no preconditioner, and their
    last step is taken, without a search back or along it.

    Example:
        >>> import jax, jax.numpy as jnp, jopt
        >>> x = jnp.array([[1.0, 2.0], [2.0, 1.0], [3.0, 3.0]])
        >>> y = jnp.array([0.0, 1.0, 1.0])
        >>> outputs = lambda p: x @ p
        >>> def loss(z):
        ...     return jnp.mean(jnp.logaddexp(0.0, z) - y * z)
        >>> tx, p = jopt.hessian_free(), jnp.zeros(2)
        >>> g, state = jax.grad(lambda p: loss(outputs(p)))(p), tx.init(p)
        >>> u, _ = tx.update(g, state, p, residual_fn=outputs, outer_fn=loss)
        >>> bool(loss(outputs(p + u)) < loss(outputs(p)))
        True

    Reference:
        Martens, "Deep learning via Hessian-free optimization", ICML 2010, Algorithm 2
        and Section 4.
    """

    def init(params):
        first = jnp.array(number(damping), copy=True)
        none = jnp.zeros((), jnp.int32)
        return HessianFreeState(first, number(1.0), none, trees.zeros_like(params))

    def update(updates, state, params=None, **extra):
        model = _model(updates, params, extra, "hessian_free")

        def faded(d: jax.Array, u: jax.Array) -> jax.Array:
            return times(d.astype(u.dtype), number(decay))

        start = lax.stop_gradient(jax.tree.map(faded, state.direction, updates))
        found, trial = _attempt(
            model, state.damping, max_cg_steps, start=start, progress=5e-4
        )
        factor = jnp.where(trial.ratio > 0.75, 2.0 / 3.0, 1.0)
        factor = jnp.where(trial.ratio < 0.25, 1.5, factor)
        kept = jax.tree.map(_finite, found.step, state.direction)
        new = _bounded(state.damping * factor)
        new = HessianFreeState(new, trial.ratio, found.steps, kept)
        return lax.stop_gradient((_cg.taken(found.step, trial.good), new))

    return Pair(init, update)


class _Model(NamedTuple):
    """The loss near the present parameters, as a convex function of outputs."""

    gradient: PyTree
    value: jax.Array
    product: _cg.Product  # with the Gauss-Newton matrix
    after: Callable[[PyTree], jax.Array]  # the loss after a step


def _model(updates: PyTree, params: PyTree, extra: dict[str, Any], name: str) -> _Model:
    params = extras.need_params(params, name)
    extras.need(extra, "residual_fn", name)
    outputs, outer = extra["residual_fn"], extra.get("outer_fn", _half_of_squares)
    updates, params = lax.stop_gradient((updates, params))
    p = moments.like(params, updates)
    here, pushed = jax.linearize(outputs, p)
    pulled = jax.linear_transpose(pushed, p)

    def product(v: PyTree) -> PyTree:
        bent = jax.jvp(jax.grad(outer), (here,), (pushed(v),))[1]
        (out,) = pulled(bent)
        return jax.tree.map(_descending, out, v)

    def after(step: PyTree) -> jax.Array:
        return outer(outputs(jax.tree.map(stored, params, step)))

    return _Model(updates, outer(here), product, after)


def _attempt(
    model: _Model,
    damping: jax.Array,
    max_cg_steps: int,
    **options: Any,
) -> tuple[_cg.Solved, _cg.Trial]:
    """The step of the damped model, judged by the model without its damping."""

    def damped(v: PyTree) -> PyTree:
        return jax.tree.map(lambda x, v: x + times(v, damping), model.product(v), v)

    found = _cg.solve(damped, model.gradient, max_cg_steps, **options)
    length = number(norms.inner_product(found.step, found.step))
    predicted = 0.5 * damping * length - number(found.value)
    return found, _cg.tried(model.value, model.after(found.step), predicted, 0.0)


def _half_of_squares(outputs: PyTree) -> jax.Array:
    squares = [jnp.sum(jnp.square(jnp.abs(x))) for x in jax.tree.leaves(outputs)]
    return 0.5 * sum(map(number, squares), number(0.0))


def _descending(x: jax.Array, v: jax.Array) -> jax.Array:
    """A transposed product as a direction: of complex numbers it is a conjugate."""
    x = jnp.conj(x) if jnp.iscomplexobj(x) else x
    return x.astype(v.dtype)


def _bounded(damping: jax.Array) -> jax.Array:
    return jnp.clip(damping, 1e-12, 1e12)


def _finite(new: jax.Array, old: jax.Array) -> jax.Array:
    new = new.astype(old.dtype)
    return jnp.where(jnp.all(jnp.isfinite(new)), new, jnp.zeros_like(old))
