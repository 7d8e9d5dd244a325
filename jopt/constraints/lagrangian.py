"""Lagrangians: constraints as terms of a loss, with multipliers beside parameters."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from jopt._core import norms, trees

__all__ = [
    "Constraints",
    "Lagrangian",
    "PrimalDual",
    "augmented_lagrangian",
    "lagrangian",
]

PyTree = Any


class Constraints(NamedTuple):
    """What belongs to constraints: their values, or their multipliers.

    Attributes:
        equalities: An array or a tree of arrays; `None` where there are none.
        inequalities: The same, of the constraints that ask for numbers up to 0.
    """

    equalities: PyTree = None
    inequalities: PyTree = None


class PrimalDual(NamedTuple):
    """Parameters and multipliers: what a Lagrangian is a function of.

    Attributes:
        params: The parameters.
        multipliers: A multiplier for each number that is constrained.
        penalty: The penalty coefficient of an augmented Lagrangian, or `None`.
    """

    params: PyTree
    multipliers: Constraints
    penalty: Any = None


@dataclasses.dataclass(frozen=True)
class Lagrangian:
    """A Lagrangian; made by `lagrangian` and `augmented_lagrangian`.

    Call it on a `PrimalDual`, with the further arguments of the objective.

    Attributes:
        objective: What is to be small.
        equalities: What is to be 0, or `None`.
        inequalities: What is to be at most 0, or `None`.
        penalty: The first penalty coefficient, or `None`.
    """

    objective: Callable[..., Any]
    equalities: Callable[..., PyTree] | None = None
    inequalities: Callable[..., PyTree] | None = None
    penalty: float | None = None

    def __call__(self, pair: PrimalDual, *args: Any, **kwargs: Any) -> jax.Array:
        if not isinstance(pair, PrimalDual):
            raise TypeError(
                "A Lagrangian is a function of a `jopt.PrimalDual`, got "
                f"{type(pair).__name__}. Make one by `problem.init(params)`."
            )
        value = jnp.asarray(self.objective(pair.params, *args, **kwargs))
        if value.shape:
            raise ValueError(
                f"`objective` must return a number, got shape {value.shape}."
            )
        total = value.astype(trees.accumulation_dtype(value.dtype))
        found = self.constraints(pair.params, *args, **kwargs)
        for field in Constraints._fields:
            values, multipliers = (
                getattr(found, field),
                getattr(pair.multipliers, field),
            )
            _alike(field, values, multipliers)
            both = zip(
                jax.tree.leaves(values), jax.tree.leaves(multipliers), strict=True
            )
            for v, m in both:
                term = _term(v, m, pair.penalty, field == "inequalities")
                total = total + term.astype(total.dtype)
        return total

    def constraints(self, params: PyTree, *args: Any, **kwargs: Any) -> Constraints:
        """The values of the constraints: equalities at 0, inequalities up to 0 hold."""
        values = (
            function and function(params, *args, **kwargs)
            for function in (self.equalities, self.inequalities)
        )
        return Constraints(*values)

    def init(
        self,
        params: PyTree,
        *args: Any,
        multipliers: Constraints | None = None,
        **kwargs: Any,
    ) -> PrimalDual:
        """Parameters with multipliers, which are 0 unless given.

        Args:
            params: The parameters.
            *args: Further arguments of the objective, such as a batch: for shapes.
            multipliers: Where they start. Those of inequalities must be at least 0.
            **kwargs: Further arguments by name.

        Raises:
            TypeError: If a constraint gives no real numbers.
            ValueError: If multipliers have not the shapes of the constraints, or those
                of inequalities are negative.
        """
        shapes = jax.eval_shape(lambda p: self.constraints(p, *args, **kwargs), params)
        _real(shapes)
        given = trees.zeros_like(shapes) if multipliers is None else multipliers
        start: Constraints = jax.tree.map(jnp.asarray, given)
        for field in Constraints._fields:
            _alike(field, getattr(shapes, field), getattr(start, field))
        _non_negative(start.inequalities)
        penalty = None
        if self.penalty is not None:
            penalty = jnp.asarray(self.penalty, norms.norm_dtype(start))
        return PrimalDual(params, start, penalty)

    def kkt_error(self, pair: PrimalDual, *args: Any, **kwargs: Any) -> jax.Array:
        """How far the pair is from a KKT point: 0 at the solution.

        The greatest entry of the slope of the Lagrangian, of the violations, and of
        the lesser of multiplier and slack of each inequality.
        """
        plain = Lagrangian(self.objective, self.equalities, self.inequalities)
        bare = PrimalDual(pair.params, pair.multipliers)
        slope = jax.grad(lambda p: plain(bare._replace(params=p), *args, **kwargs))
        found = self.constraints(pair.params, *args, **kwargs)
        slack = jax.tree.map(
            lambda g, m: jnp.minimum(m, -g.astype(m.dtype)),
            found.inequalities,
            pair.multipliers.inequalities,
        )
        parts = jax.tree.leaves((slope(pair.params), found.equalities, slack))
        dtype = norms.norm_dtype(parts)
        return jnp.max(
            jnp.stack([jnp.max(jnp.abs(x), initial=0).astype(dtype) for x in parts])
        )


def lagrangian(
    objective: Callable[..., Any],
    equalities: Callable[..., PyTree] | None = None,
    inequalities: Callable[..., PyTree] | None = None,
) -> Lagrangian:
    """The Lagrangian of an objective under constraints, as a loss.

    A function of a `PrimalDual`, parameters and multipliers together. Descend in the
    parameters, ascend in the multipliers: `primal_dual` does both::

        L(x, l, m) = f(x) + sum(l * h(x)) + sum(m * g(x)),    h(x) = 0, g(x) <= 0

    A constraint that cannot be differentiated, such as a rate of errors, may have the
    slope of another: return `straight_through(rate, smooth)`.

    Args:
        objective: `f(params, *args)`, returning a number.
        equalities: `h(params, *args)`, returning an array or a tree of arrays.
        inequalities: `g(params, *args)`, the same.

    Returns:
        A `Lagrangian`: call it, differentiate it, give it to `make_step`.
        `.init(params, *args)` makes the pair, `.constraints(params, *args)` the values
        of the constraints, `.kkt_error(pair, *args)` tells how near the solution is.

    Raises:
        TypeError: If something given is no function.
        ValueError: If there is no constraint at all.

    Example:
        >>> import jopt
        >>> problem = jopt.lagrangian(lambda x: x * x, inequalities=lambda x: 1.0 - x)
        >>> pair = problem.init(0.0)
        >>> tx = jopt.primal_dual(jopt.sgd(0.2), jopt.sgd(0.2))
        >>> step = jopt.make_step(problem, tx)
        >>> state = tx.init(pair)
        >>> for _ in range(100):
        ...     pair, state, _ = step(pair, state)
        >>> f"{pair.params:.3f} {pair.multipliers.inequalities:.3f}"
        '1.000 2.000'

    Reference:
        Nocedal and Wright, "Numerical Optimization", 2006, chapter 12.
    """
    return _checked(Lagrangian(objective, equalities, inequalities))


def augmented_lagrangian(
    objective: Callable[..., Any],
    equalities: Callable[..., PyTree] | None = None,
    inequalities: Callable[..., PyTree] | None = None,
    *,
    penalty: float = 1.0,
) -> Lagrangian:
    """The Lagrangian with a quadratic penalty of what is violated.

    It is convex near solutions where the plain one need not be, so that descent and
    ascent do not circle. The penalty coefficient `c` is a leaf of the pair:
    `primal_dual` holds it, `method_of_multipliers` lets it grow::

        v = h(x), or max(g(x), -m / c)
        L(x, l, m) = f(x) + sum(m * v + c / 2 * v^2)

    Its slope in the multipliers is `v`, and in the penalty half the sum of `v^2`.

    Args:
        objective: `f(params, *args)`, returning a number.
        equalities: `h(params, *args)`, returning an array or a tree of arrays.
        inequalities: `g(params, *args)`, the same.
        penalty: The first penalty coefficient, above 0.

    Returns:
        A `Lagrangian`: see `lagrangian`.

    Raises:
        TypeError: If something given is no function.
        ValueError: If there is no constraint at all, or `penalty` is not above 0.

    Example:
        >>> import jopt
        >>> problem = jopt.augmented_lagrangian(lambda x: -x * x, lambda x: x - 1.0,
        ...     penalty=4.0)
        >>> pair = problem.init(0.0)
        >>> tx = jopt.primal_dual(jopt.sgd(0.2), jopt.sgd(0.2))
        >>> step = jopt.make_step(problem, tx)
        >>> state = tx.init(pair)
        >>> for _ in range(100):
        ...     pair, state, _ = step(pair, state)
        >>> f"{pair.params:.3f} {pair.multipliers.equalities:.3f}"
        '1.000 2.000'

    Reference:
        Rockafellar, "The Multiplier Method of Hestenes and Powell Applied to Convex
        Programming", JOTA 1973; Nocedal and Wright, "Numerical Optimization", 2006,
        section 17.4.
    """
    if not (penalty > 0 and penalty < float("inf")):
        raise ValueError(f"`penalty` must lie in (0, inf), got {penalty!r}.")
    return _checked(Lagrangian(objective, equalities, inequalities, penalty))


def _checked(problem: Lagrangian) -> Lagrangian:
    for name in ("objective", *Constraints._fields):
        function = getattr(problem, name)
        if not callable(function) and not (function is None and name != "objective"):
            raise TypeError(
                f"`{name}` must be a function of the parameters, got {function!r} of "
                f"type {type(function).__name__}."
            )
    if problem.equalities is None and problem.inequalities is None:
        raise ValueError(
            "A Lagrangian needs `equalities` or `inequalities`. Without constraints, "
            "minimize the objective itself."
        )
    return problem


def _term(v: ArrayLike, m: jax.Array, c: jax.Array | None, at_most: bool) -> jax.Array:
    """What the constraints of one leaf add to the loss."""
    v = jnp.asarray(v).astype(m.dtype)
    if c is None:
        return jnp.sum(m * v)
    c = c.astype(m.dtype)
    if at_most:  # where the bound holds, the slopes in m and c vanish with m + c v
        v = jnp.maximum(v, jax.lax.stop_gradient(-m / c))
    return jnp.sum(m * v) + 0.5 * c * jnp.sum(v * v)


def _alike(field: str, values: PyTree, multipliers: PyTree) -> None:
    """Raise unless multipliers have the leaves and the shapes of the constraints."""
    if jax.tree.structure(values) != jax.tree.structure(multipliers):
        raise ValueError(
            f"The multipliers of `{field}` have the leaves {_leaves(multipliers)}, but "
            f"the constraints {_leaves(values)}. Make the pair by "
            "`problem.init(params)`."
        )
    names = trees.names(values)
    both = zip(jax.tree.leaves(values), jax.tree.leaves(multipliers), strict=True)
    for name, (v, m) in zip(names, both, strict=True):
        if jnp.shape(v) != jnp.shape(m):
            at = f" at `{name}`" if name else ""
            raise ValueError(
                f"The multipliers of `{field}`{at} have shape {jnp.shape(m)}, but the "
                f"constraints {jnp.shape(v)}. Each number that is constrained has one."
            )


def _leaves(tree: PyTree) -> str:
    names = [f"`{name}`" if name else "one" for name in trees.names(tree)]
    return ", ".join(names) or "none"


def _real(shapes: Constraints) -> None:
    for name, leaf in zip(trees.names(shapes), jax.tree.leaves(shapes), strict=True):
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise TypeError(
                f"The constraint `{name}` has dtype {leaf.dtype}, expected real "
                "numbers: for a <= b return `a - b`."
            )


def _non_negative(multipliers: PyTree) -> None:
    names = trees.names(multipliers)
    for name, m in zip(names, jax.tree.leaves(multipliers), strict=True):
        if not isinstance(m, Tracer) and not np.all(np.asarray(m) >= 0):
            at = f" at `{name}`" if name else ""
            raise ValueError(
                f"The multipliers of `inequalities`{at} must be at least 0, got "
                f"{float(np.min(np.asarray(m)))}. Start them at 0."
            )
