"""A loss along a line, and what the searches on it share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jopt._core import extras, sums
from jopt._core.numerics import times
from jopt._core.sums import number
from jopt._core.types import PyTree
from jopt.optimizers import moments
from jopt.transforms.average import stored


class Line(NamedTuple):
    """A loss along a direction.

    Attributes:
        value: The loss at the start.
        slope: Its derivative there; negative where the direction descends.
        grad: The gradient there, as `jax.grad` gives it.
        at: The loss at a step.
        probe: The loss, its derivative and its gradient at a step.
    """

    value: jax.Array
    slope: jax.Array
    grad: PyTree
    at: Callable[[jax.Array], jax.Array]
    probe: Callable[[jax.Array], tuple[jax.Array, jax.Array, PyTree]]


def line(updates: PyTree, params: PyTree, extra: dict[str, Any], name: str) -> Line:
    """The loss along the updates, from the extra arguments of an update.

    `value` and `grad` are taken where both are given; else they are computed.

    Raises:
        ValueError: If `params` or `value_fn` is missing.
    """
    params = extras.need_params(params, name)
    extras.need(extra, "value_fn", name)
    value_and_grad = jax.value_and_grad(extra["value_fn"])
    # the step is found by comparisons: it is a constant to differentiation
    updates, params = lax.stop_gradient((updates, params))

    def moved(step: jax.Array) -> PyTree:
        return jax.tree.map(lambda p, u: stored(p, times(u, step)), params, updates)

    def at(step: jax.Array) -> jax.Array:
        return number(lax.stop_gradient(extra["value_fn"](moved(step))))

    def known(value: Any, grad: PyTree) -> tuple[jax.Array, jax.Array, PyTree]:
        value, grad = lax.stop_gradient((value, moments.like(grad, updates)))
        return number(value), _slope(grad, updates), grad

    def probe(step: jax.Array) -> tuple[jax.Array, jax.Array, PyTree]:
        return known(*value_and_grad(moved(step)))

    given = [extra.get(name) for name in ("value", "grad")]
    missing = any(x is None for x in given)
    start = value_and_grad(params) if missing else given
    return Line(*known(*start), at, probe)


def _slope(grad: PyTree, updates: PyTree) -> jax.Array:
    """The derivative along updates; `jax.grad` of complex numbers is a conjugate."""
    turned = jax.tree.map(lambda g: jnp.conj(g) if jnp.iscomplexobj(g) else g, grad)
    return sums.dot(updates, turned)
