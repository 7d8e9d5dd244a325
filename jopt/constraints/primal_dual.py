"""Descent in parameters, ascent in multipliers."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import extras, numerics as nx, select
from jopt._core.spec import did_you_mean
from jopt._core.transform import chain, transform
from jopt._core.types import Count, Inner, NonNegative, Pair, Positive, PyTree
from jopt.constraints.lagrangian import Constraints, PrimalDual
from jopt.constraints.projected import projected
from jopt.transforms import average
from jopt.transforms.basic import set_to_zero
from jopt.transforms.scale import scale
from jopt.transforms.select import partition

ROLES = ("params", "equalities", "inequalities", "penalty")


class MethodOfMultipliersState(NamedTuple):
    """State of `method_of_multipliers`."""

    count: jax.Array
    violation: jax.Array  # at the last step of the multipliers
    inner_state: PyTree


@transform
def primal_dual(
    primal: Inner,
    dual: Inner,
    *,
    order: Literal["simultaneous", "primal_first", "dual_first"] = "simultaneous",
    roles: Any = None,
) -> Pair:
    """Descend in the parameters of a Lagrangian, ascend in its multipliers.

    Multipliers of inequalities are held at 0 or above. Where parameters and multipliers
    circle each other, put `scale_by_nupi` before the rate of the multipliers, take an
    `augmented_lagrangian`, or wrap all in `extragradient`. Each step::

        x = x + primal(dL/dx)
        l = l + dual(-dL/dl)
        m = max(m + dual(-dL/dm), 0)

    Args:
        primal: The optimizer of the parameters.
        dual: The optimizer of the multipliers, such as `sgd(0.1)`. It is given the
            gradient with the sign turned.
        order: `"simultaneous"`; or who goes first, so that the other sees where it
            went: that costs a second gradient.
        roles: Only for trees other than `PrimalDual`: which leaves are `"params"`,
            `"equalities"`, `"inequalities"` (their multipliers) or `"penalty"`, as the
            labels of `partition`.

    Returns:
        A transform of pairs, as `lagrangian(...).init(params)` makes them. It needs
        `params`, which is the pair; unless simultaneous, `grad_fn` too, which
        `jopt.make_step` passes.

    Raises:
        TypeError: In `init`, if the tree is no `PrimalDual` and no roles are given.
        ValueError: If there is no such role.

    Example:
        >>> import jax, jax.numpy as jnp, jopt
        >>> problem = jopt.lagrangian(lambda x: x * x, lambda x: x - 3.0)
        >>> pair = problem.init(1.0)
        >>> tx = jopt.primal_dual(jopt.sgd(0.1), jopt.sgd(0.5))
        >>> updates, _ = tx.update(jax.grad(problem)(pair), tx.init(pair), pair)
        >>> print(updates.params, updates.multipliers.equalities)
        -0.2 -1.0

    Reference:
        Arrow, Hurwicz and Uzawa, "Studies in Linear and Non-Linear Programming", 1958;
        Gallego-Posada et al., "Cooper: A Library for Constrained Optimization in Deep
        Learning", 2025, arXiv:2504.01212.
    """
    stages = {
        "params": primal,
        "multipliers": chain(scale(-1.0), dual),
        "penalty": set_to_zero(),
    }
    pair = _with_projection(stages, roles).raw
    if order == "simultaneous":
        return pair

    def update(updates, state, params=None, **extra):
        params = extras.need_params(params, "primal_dual")
        first = "params" if order == "primal_first" else "multipliers"
        leads = jax.tree.map(lambda group: group == first, _groups(roles, params))
        ahead, _ = pair.update(updates, state, params, **extra)

        def moved(lead: bool, p: jax.Array, u: jax.Array) -> jax.Array:
            return average.stored(p, u) if lead else p

        there = jax.tree.map(moved, leads, params, ahead)
        g = extras.gradient_at(extra, there, updates, "primal_dual")
        mixed = jax.tree.map(lambda lead, u, g: u if lead else g, leads, updates, g)
        return pair.update(mixed, state, params, **extra)

    return Pair(pair.init, update)


@transform
def method_of_multipliers(
    primal: Inner,
    every: Count = 100,
    growth: Positive = 10.0,
    shrink: Positive = 0.25,
    *,
    tolerance: NonNegative = 1e-4,
    limit: Positive = 1e4,
    roles: Any = None,
) -> Pair:
    """Minimize an augmented Lagrangian, and now and then move multipliers and penalty.

    The multipliers need no rate: the penalty is their rate. Parameters move at each
    step, multipliers at every so many, once the parameters have come to rest. The
    penalty grows where the violation did not shrink enough; `primal` must bear that:
    a line search, Adam, or a small rate. At every `every`-th step::

        m = m + c * v                     (for inequalities max(m + c * g, 0))
        c = growth * c    if |v| > tolerance and |v| > shrink * |v last time|

    Args:
        primal: The optimizer of the parameters.
        every: Steps of the parameters for one of the multipliers.
        growth: By what the penalty grows, at least 1.
        shrink: The share of the last violation that is small enough.
        tolerance: The norm of the violation that is small enough.
        limit: How far the penalty may grow.
        roles: As for `primal_dual`.

    Returns:
        A transform of pairs, as `augmented_lagrangian(...).init(params)` makes them. It
        needs `params`, which is the pair.

    Raises:
        TypeError: In `init`, if the tree is no `PrimalDual` and no roles are given.
        ValueError: In `init`, if there is not exactly one penalty.

    Example:
        >>> import jopt
        >>> problem = jopt.augmented_lagrangian(lambda x: x**4, lambda x: x - 1.0)
        >>> pair = problem.init(0.0)
        >>> tx = jopt.method_of_multipliers(jopt.sgd(0.05), every=20, limit=10.0)
        >>> step, state = jopt.make_step(problem, tx), tx.init(pair)
        >>> for _ in range(400):
        ...     pair, state, _ = step(pair, state)
        >>> f"{pair.params:.3f} {-pair.multipliers.equalities:.3f} {pair.penalty:.0f}"
        '1.000 4.000 10'

    Reference:
        Hestenes, "Multiplier and Gradient Methods", JOTA 1969; Birgin and Martinez,
        "Practical Augmented Lagrangian Methods for Constrained Optimization", 2014,
        Algorithm 4.1.
    """
    stages = {
        "params": primal,
        "multipliers": set_to_zero(),
        "penalty": set_to_zero(),
    }
    inner = partition(stages, lambda params: _groups(roles, params)).raw
    project = projected("non_negative", mask=lambda p: _bounded(roles, p)).raw

    def init(params):
        c = _penalty(_groups(roles, params), params)
        start = jnp.full((), jnp.inf, c.dtype)
        count = jnp.zeros((), jnp.int32)
        return MethodOfMultipliersState(count, start, inner.init(params))

    def update(updates, state, params=None, **extra):
        params = extras.need_params(params, "method_of_multipliers")
        groups = _groups(roles, params)
        c = _penalty(groups, params)
        out, inner_state = inner.update(updates, state.inner_state, params, **extra)
        count = nx.increment(state.count)
        turn = count % every == 0
        size = jnp.maximum(_penalty(groups, updates).astype(c.dtype), 0.0)
        size = nx.sqrt(2.0 * size).astype(state.violation.dtype)
        enough = jnp.maximum(
            nx.cast(shrink, size.dtype) * state.violation,
            jnp.asarray(nx.cast(tolerance, size.dtype), size.dtype),
        )
        most = jnp.maximum(jnp.asarray(nx.cast(limit, c.dtype), c.dtype), c)
        grown = jnp.minimum(nx.cast(growth, c.dtype) * c, most)
        grown = jnp.where(turn & (size > enough), grown - c, jnp.zeros_like(c))

        def leaf(group: str, u: jax.Array, v: jax.Array) -> jax.Array:
            if group == "penalty":
                return grown.astype(u.dtype)
            if group == "multipliers":
                return jnp.where(turn, nx.times(v, c), jnp.zeros_like(v))
            return u

        out = jax.tree.map(leaf, groups, out, updates)
        out, _ = project.update(out, (), params)
        kept = jnp.where(turn & (size < jnp.inf), size, state.violation)
        return out, MethodOfMultipliersState(count, kept, inner_state)

    return Pair(init, update)


def _with_projection(stages: dict[str, Any], roles: Any) -> Any:
    """Each group through its own stage; multipliers of inequalities end at 0 or up."""
    return chain(
        partition(stages, lambda params: _groups(roles, params)),
        projected("non_negative", mask=lambda params: _bounded(roles, params)),
    )


def _groups(roles: Any, params: PyTree) -> PyTree:
    """The role of each leaf, with one name for both kinds of multipliers."""
    own = {"equalities": "multipliers", "inequalities": "multipliers"}
    return jax.tree.map(lambda role: own.get(role, role), _roles(roles, params))


def _bounded(roles: Any, params: PyTree) -> PyTree:
    return jax.tree.map(lambda role: role == "inequalities", _roles(roles, params))


def _roles(roles: Any, params: PyTree) -> PyTree:
    if roles is None:
        return _by_field(params)
    out = select.labels(roles, params, "roles")
    for role in jax.tree.leaves(out):
        if role not in ROLES:
            raise ValueError(
                f"`roles` must be of {', '.join(map(repr, ROLES))}, got {role!r}."
                + did_you_mean(role, ROLES)
            )
    return out


def _by_field(pair: PyTree) -> PyTree:
    if not isinstance(pair, PrimalDual):
        raise TypeError(
            "`primal_dual` and `method_of_multipliers` take a `jopt.PrimalDual`, got "
            f"{type(pair).__name__}. Make one by `jopt.lagrangian(...).init(params)`, "
            "or name the `roles` of the leaves."
        )

    def all_of(tree: PyTree, role: str) -> PyTree:
        return jax.tree.map(lambda _: role, tree)

    kinds = (
        all_of(m, k) for m, k in zip(pair.multipliers, Constraints._fields, strict=True)
    )
    params, penalty = all_of(pair.params, "params"), all_of(pair.penalty, "penalty")
    return PrimalDual(params, Constraints(*kinds), penalty)


def _penalty(groups: PyTree, tree: PyTree) -> jax.Array:
    """The leaf of a tree that is, or belongs to, the penalty."""
    both = zip(jax.tree.leaves(groups), jax.tree.leaves(tree), strict=True)
    found = [leaf for group, leaf in both if group == "penalty"]
    if len(found) != 1 or found[0].shape:
        raise ValueError(
            "`method_of_multipliers` needs one penalty coefficient, a number, found "
            f"{len(found)} leaves. Take `jopt.augmented_lagrangian(...)`."
        )
    return found[0]
