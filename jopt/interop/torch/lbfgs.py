"""`torch.optim.LBFGS`: a step of it is a loop of quasi-Newton steps."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jopt._core import extras, numerics as nx, sums, trees
from jopt._core.numerics import times
from jopt._core.sums import number
from jopt._core.transform import transform
from jopt._core.types import Bounds, Count, LearningRate, NonNegative, Pair, PyTree
from jopt.interop.torch._wolfe import Point, searched
from jopt.optimizers import moments
from jopt.second_order import _stack
from jopt.transforms.average import stored

Evaluations = Annotated[int | None, Bounds(1, optional=True)]


class LBFGSState(NamedTuple):
    """State of `LBFGS`, by PyTorch's names; pairs lie in a ring."""

    func_evals: jax.Array  # in all steps
    n_iter: jax.Array
    d: PyTree  # the latest direction
    t: jax.Array  # how far along it the parameters went
    old_dirs: PyTree  # changes of the gradient, along a first axis
    old_stps: PyTree  # the steps over which it changed
    ro: jax.Array  # one over the inner product of each pair
    h_diag: jax.Array  # the first guess of the inverse Hessian is this, times identity
    prev_flat_grad: PyTree  # the gradient before the latest step
    pairs: jax.Array  # how many are held
    place: jax.Array  # where in the ring the next one goes


@transform
def LBFGS(
    lr: LearningRate = 1.0,
    max_iter: Count = 20,
    max_eval: Evaluations = None,
    tolerance_grad: NonNegative = 1e-7,
    tolerance_change: NonNegative = 1e-9,
    history_size: Count = 100,
    line_search_fn: Literal["strong_wolfe", None] = None,
) -> Pair:
    """`torch.optim.LBFGS`: an update is a `step(closure)`, so many iterations.

    For numbers that must be those of PyTorch. Elsewhere `jopt.lbfgs` is to be
    preferred: its update is one iteration, its search does not lose its way where the
    loss is not finite, and its memory is read in blocks.

    Each iteration, with `H` from the latest pairs of a step `s` and a change `y` of the
    gradient, a pair with `s'y <= 1e-10` left out::

        d = -H g                            # from H = I s'y / y'y of the latest pair
        t = lr                              # at the very first: min(1, 1 / |g|_1) lr
        params += t d                       # "strong_wolfe": t from a search, lr first

    The last one is that after which `max_iter` iterations or `max_eval` evaluations
    are done, the largest entry of the gradient is at most `tolerance_grad`, that of
    `t d` at most `tolerance_change`, or the loss changed by less than that. Where
    `g'd > -tolerance_change` it ends without its step.

    Args:
        lr: The rate, at least 0; the first step that a search tries.
        max_iter: The most iterations of an update, at least 1.
        max_eval: Evaluations after which no iteration begins, at least 1. Defaults to
            5/4 of `max_iter`.
        tolerance_grad: See above; at least 0.
        tolerance_change: See above; at least 0.
        history_size: The most pairs to remember, at least 1.
        line_search_fn: `None` or `"strong_wolfe"`.

    Returns:
        A transform with `2 history_size + 2` slots per parameter. It needs `params`,
        `value_fn` and `grad_fn`, as `jopt.make_step` passes them, and stands alone or
        first: what comes before it sees the first gradient only. It has no derivative
        in reverse. On a mesh of Auto axes a stage behind it may be compiled twice.

    Raises:
        ValueError: If a number is out of range, or there is no such search.

    Differs from torch in:
        A place where the loss or its slope is not finite is too far for the search,
        which then halves, and a pair whose products overflow is left out: PyTorch goes
        on with NaN. `max_eval` is at least 1.

    Example:
        >>> import jax.numpy as jnp, jopt
        >>> from jopt.interop import torch
        >>> def loss(p):
        ...     return 100.0 * (p[1] - p[0] ** 2) ** 2 + (1.0 - p[0]) ** 2
        >>> tx = torch.LBFGS(history_size=5, line_search_fn="strong_wolfe")
        >>> step = jopt.make_step(loss, tx)
        >>> p = jnp.array([-1.0, 1.5])
        >>> state = tx.init(p)
        >>> for _ in range(3):
        ...     p, state, _ = step(p, state)
        >>> [f"{x:.3f}" for x in p]
        ['1.000', '1.000']

    Reference:
        Liu and Nocedal, "On the limited memory BFGS method for large scale
        optimization", Mathematical Programming 1989, Algorithm 2.1.

        Nocedal and Wright, "Numerical Optimization", 2nd edition 2006, Algorithms 7.4,
        3.5 and 3.6.
    """
    most = max_iter * 5 // 4 if max_eval is None else max_eval

    def init(params):
        return LBFGSState(
            func_evals=jnp.zeros((), jnp.int32),
            n_iter=jnp.zeros((), jnp.int32),
            d=trees.zeros_like(params),
            t=number(0.0),
            old_dirs=_stack.zeros(params, history_size),
            old_stps=_stack.zeros(params, history_size),
            ro=jnp.zeros(history_size, jnp.result_type(float)),
            h_diag=number(1.0),
            prev_flat_grad=trees.zeros_like(params),
            pairs=jnp.zeros((), jnp.uint32),
            place=jnp.zeros((), jnp.uint32),
        )

    def update(updates, state, params=None, **extra):
        params = extras.need_params(params, "LBFGS")
        at = _loss(extra, params, state.d)
        ends = number(tolerance_grad), number(tolerance_change)
        rules = _Rules(number(lr), *ends, max_iter, most, line_search_fn is not None)
        extras.need(extra, "value_fn", "LBFGS")
        value = extra.get("value")
        value = extra["value_fn"](params) if value is None else value
        here = _first(state, number(value), moments.like(updates, state.d), rules)
        end = lax.while_loop(lambda s: ~s.done, lambda s: _iterated(s, at, rules), here)
        evals = jnp.minimum(end.evals, _ENOUGH - state.func_evals)
        state = end.state._replace(func_evals=state.func_evals + evals)
        return moments.like(end.moved, updates), state

    return Pair(init, update)


_ENOUGH = 2**31 - 1  # where counts stop


class _Rules(NamedTuple):
    lr: jax.Array
    grad: jax.Array
    change: jax.Array
    iterations: int
    evals: int
    search: bool


class _Now(NamedTuple):
    """Where a step stands between two iterations."""

    state: LBFGSState
    moved: PyTree  # the way from where the step began
    value: jax.Array
    grad: PyTree
    iterations: jax.Array  # of this step, as are the evaluations
    evals: jax.Array
    done: jax.Array


def _loss(
    extra: dict[str, Any], params: PyTree, like: PyTree
) -> Callable[[PyTree], tuple[jax.Array, PyTree]]:
    """The loss and its gradient as functions of the way from the parameters."""

    def at(moved: PyTree) -> tuple[jax.Array, PyTree]:
        there = jax.tree.map(stored, params, moved)
        grad = extras.gradient_at(extra, there, like, "LBFGS")
        return number(extra["value_fn"](there)), grad

    return at


def _first(state: LBFGSState, value: jax.Array, grad: PyTree, r: _Rules) -> _Now:
    still = jax.tree.map(jnp.zeros_like, grad)
    none, one = jnp.zeros((), jnp.int32), jnp.ones((), jnp.int32)
    return _Now(state, still, value, grad, none, one, _largest(grad) <= r.grad)


def _iterated(now: _Now, at: Callable[[PyTree], Any], r: _Rules) -> _Now:
    """One iteration: remember, turn, step, and see whether it was the last."""
    state, g = _remembered(now), now.grad
    d = _direction(state, g)
    slope = sums.dot(g, d)
    stuck, last = slope > -r.change, now.iterations >= r.iterations - 1

    def probe(t: jax.Array) -> tuple[Point, PyTree]:
        value, grad = at(_plus(now.moved, d, t))
        return Point(t, value, sums.dot(grad, d)), grad

    t = _first_step(state, g, r)
    if r.search:
        start = Point(jnp.zeros_like(t), now.value, slope)
        most = r.evals - now.evals
        end, grad, tried = searched(probe, t, start, g, _largest(d), most, stuck)
        t = jnp.where(stuck, t, end.step)
    else:
        unseen = stuck | last  # nobody asks for the loss after the last
        stay = Point(t, now.value, slope), g
        end, grad = lax.cond(unseen, lambda: stay, lambda: probe(t))
        tried = jnp.where(unseen, 0, 1).astype(jnp.int32)
    there = _plus(now.moved, d, t)
    moved = jax.tree.map(lambda a, b: jnp.where(stuck, a, b), now.moved, there)
    evals = now.evals + tried
    done = stuck | last | (evals >= r.evals)
    done = done | (_largest(grad) <= r.grad) | (_largest(d) * t <= r.change)
    done = done | (jnp.abs(end.value - now.value) < r.change)
    state, n = state._replace(d=d, t=t), now.iterations + 1
    return _Now(state, moved, end.value, grad, n, evals, done)


def _first_step(state: LBFGSState, g: PyTree, r: _Rules) -> jax.Array:
    """What is tried first: in the first iteration of all, no more than moves by 1."""
    short = jnp.minimum(1.0, 1.0 / sums.magnitudes(_reals(g)))
    short = jnp.where((state.n_iter == 1) & ~jnp.isnan(short), short, 1.0)
    return short * r.lr


def _remembered(now: _Now) -> LBFGSState:
    """The state with the pair of the latest step, and with the present gradient."""
    state = now.state
    y = jax.tree.map(jnp.subtract, now.grad, state.prev_flat_grad)
    s = jax.tree.map(lambda x: times(x, state.t), state.d)
    ys, yy = sums.dot(y, s), sums.dot(y, y)
    kept = (ys > 1e-10) & jnp.isfinite(ys) & jnp.isfinite(yy)
    one = jnp.ones_like(ys)
    ys, yy = jnp.where(kept, ys, one), jnp.where(kept, yy, one)
    size = jnp.asarray(state.ro.shape[0], state.place.dtype)
    here = jnp.arange(state.ro.shape[0], dtype=size.dtype) == state.place
    more = kept.astype(size.dtype)
    return state._replace(
        n_iter=nx.increment(state.n_iter),
        old_dirs=_stack.put(state.old_dirs, y, state.place, kept),
        old_stps=_stack.put(state.old_stps, s, state.place, kept),
        ro=jnp.where(here & kept, one / ys, state.ro),
        h_diag=jnp.where(kept, ys / yy, state.h_diag),
        prev_flat_grad=now.grad,
        pairs=jnp.minimum(state.pairs + more, size),
        place=(state.place + more) % size,
    )


def _direction(state: LBFGSState, g: PyTree) -> PyTree:
    """`-H g`, by both loops over the pairs that are held."""
    size = jnp.asarray(state.ro.shape[0], state.place.dtype)
    oldest = state.place + size - state.pairs

    def pair(i: jax.Array) -> tuple[jax.Array, PyTree, PyTree]:
        at = (oldest + i) % size
        s, y = (
            jax.tree.map(lambda x: lax.dynamic_index_in_dim(x, at, 0, False), stack)
            for stack in (state.old_stps, state.old_dirs)
        )
        return at, s, y

    def back(i: jax.Array, carry: tuple[PyTree, jax.Array]) -> Any:
        q, al = carry
        at, s, y = pair(state.pairs - 1 - i)
        a = sums.dot(s, q) * state.ro[at]
        return _plus(q, y, -a), al.at[at].set(a)

    def forth(i: jax.Array, r: PyTree) -> PyTree:
        at, s, y = pair(i)
        return _plus(r, s, al[at] - sums.dot(y, r) * state.ro[at])

    begin = jnp.zeros_like(state.pairs)
    q = jax.tree.map(jnp.negative, g), jnp.zeros_like(state.ro)
    q, al = lax.fori_loop(begin, state.pairs, back, q)
    r = jax.tree.map(lambda x: times(x, state.h_diag), q)
    return lax.fori_loop(begin, state.pairs, forth, r)


def _plus(x: PyTree, y: PyTree, factor: jax.Array) -> PyTree:
    return jax.tree.map(lambda x, y: x + times(y, factor), x, y)


def _reals(tree: PyTree) -> list[jax.Array]:
    """The leaves, those of complex numbers as two: PyTorch counts them so."""
    leaves = jax.tree.leaves(tree)
    pairs = ((x.real, x.imag) if jnp.iscomplexobj(x) else (x,) for x in leaves)
    return [x for pair in pairs for x in pair]


def _largest(tree: PyTree) -> jax.Array:
    tops = [number(jnp.max(jnp.abs(x), initial=0.0)) for x in _reals(tree)]
    return jnp.max(jnp.stack([number(0.0), *tops]))
