"""L-BFGS: a quasi-Newton method that remembers its latest steps."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jopt._core import extras, norms, numerics as nx, trees
from jopt._core.numerics import times
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import Count, Inner, LearningRate, Pair, PyTree
from jopt.optimizers import moments
from jopt.second_order import _stack
from jopt.second_order.zoom import scale_by_zoom_linesearch
from jopt.transforms.scale import scale_by_learning_rate

_WOLFE = scale_by_zoom_linesearch(initial_guess_strategy="one")


class ScaleByLbfgsState(NamedTuple):
    """State of `scale_by_lbfgs`.

    Of each pair it holds the step `s` and the change `y` of the gradient, in a ring.
    With the oldest first, `r` is the inverse of the upper triangle of `<s_i, y_j>`.
    """

    count: jax.Array
    params: PyTree
    updates: PyTree
    diff_params_memory: PyTree  # s of each pair, along a first axis
    diff_updates_memory: PyTree  # y of each pair
    curvatures: jax.Array  # <s, y> of each pair; 0 while there is none
    r: jax.Array
    scale: jax.Array  # <s, y> / |y|^2 of the latest pair; 0 while there is none
    place: jax.Array  # where in the ring the next pair goes


@optimizer(rates=(0.1, 1.0), tags=("second-order",))
def lbfgs(
    learning_rate: LearningRate = 1.0,
    memory_size: Count = 10,
    scale_init_precond: bool = True,
    linesearch: Inner = _WOLFE,
) -> Transform:
    """L-BFGS, with a line search for the strong Wolfe conditions.

    For smooth losses that are the same at every step, and for which a few digits more
    than those of a first-order method are wanted: fits, inverse problems, physics. Of
    mini-batches its pairs are mostly noise. `jopt.make_step` passes what the search
    needs. Each step, with `H` as in `scale_by_lbfgs`::

        params -= learning_rate * a * H g    # a: of the line search

    Args:
        learning_rate: Multiplies the direction before the search. 1 with a line
            search; without one, at most 1.
        memory_size: How many pairs to remember.
        scale_init_precond: Whether `H` starts from a multiple of the identity, rather
            than from the identity.
        linesearch: The last stage, such as `scale_by_backtracking_linesearch(20)`.
            `jopt.identity()`: no search.

    Returns:
        A transform with `2 memory_size + 3` slots per parameter. It needs `params`,
        and `value_fn` with a line search.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import lbfgs, make_step
        >>> step = make_step(lambda p: (p[0] - 1) ** 2 + 100 * p[1] ** 2, lbfgs())
        >>> p = jnp.array([0.0, 1.0])
        >>> state = step.tx.init(p)
        >>> for _ in range(12):
        ...     p, state, loss = step(p, state)
        >>> bool(loss < 1e-10)
        True

    Reference:
        Liu and Nocedal, "On the limited memory BFGS method for large scale
        optimization", Mathematical Programming 1989, Algorithm 2.1.
    """
    stages = [
        scale_by_lbfgs(memory_size, scale_init_precond),
        scale_by_learning_rate(learning_rate),
    ]
    return chain(*stages, linesearch)


@transform
def scale_by_lbfgs(memory_size: Count = 10, scale_init_precond: bool = True) -> Pair:
    """Multiply updates by an approximation of the inverse Hessian: L-BFGS.

    It comes from the latest pairs `s`, a step, and `y`, how the gradient changed over
    it. With the oldest first::

        H = c I
        H = (I - s y' / y's) H (I - y s' / y's) + s s' / y's    for each pair

    where `c = s'y / y'y` of the latest pair; before there is one, `min(1, 1 / |g|)`.
    It is computed in blocks, by four products with the memory, which nothing copies or
    moves: a new pair takes the place of the oldest.

    A pair with `s'y` at most `sqrt(eps) |s| |y|` is left out: no positive Hessian whose
    condition the numbers can hold gives one. Where a step was 0, as after a search that
    failed, all is forgotten.

    Args:
        memory_size: How many pairs to remember.
        scale_init_precond: Whether `c` is as above, rather than 1.

    Returns:
        A transform with `2 memory_size + 2` slots per parameter. It needs `params`.

    Differs from optax in:
        Pairs that would make `H` indefinite are left out.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import scale_by_lbfgs
        >>> tx, p = scale_by_lbfgs(), jnp.array([3.0, 4.0])
        >>> tx.update(p, tx.init(p), p)[0]
        Array([0.6, 0.8], dtype=float32)

    Reference:
        Nocedal and Wright, "Numerical Optimization", 2nd edition 2006, Algorithm 7.4;
        in blocks: Byrd, Nocedal and Schnabel, "Representations of quasi-Newton
        matrices and their use in limited memory methods", Mathematical Programming
        1994, Theorem 2.2.
    """

    def init(params):
        dtype = norms.norm_dtype(params)
        return ScaleByLbfgsState(
            jnp.zeros((), jnp.int32),
            trees.copy_like(params),
            trees.zeros_like(params),
            _stack.zeros(params, memory_size),
            _stack.zeros(params, memory_size),
            jnp.zeros(memory_size, dtype),
            jnp.zeros((memory_size, memory_size), dtype),
            jnp.zeros((), dtype),
            jnp.zeros((), jnp.uint32),
        )

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "scale_by_lbfgs")
        state, products = _remember(state, updates, params)
        scale = jnp.ones_like(state.scale)
        if scale_init_precond:
            first = _first(updates).astype(scale.dtype)
            scale = jnp.where(state.scale > 0, state.scale, first)
        return _direction(state, updates, products, scale), state

    return Pair(init, update)


def _first(updates: PyTree) -> jax.Array:
    """`min(1, 1 / |g|)`: a first step no longer than 1."""
    length = norms.global_norm(updates)
    return 1.0 / jnp.maximum(length, 1.0)


def _remember(
    state: ScaleByLbfgsState, updates: PyTree, params: PyTree
) -> tuple[ScaleByLbfgsState, jax.Array]:
    """The state with a new pair, and the products of all `s` with the gradient."""
    s = jax.tree.map(_less, params, state.params)
    y = jax.tree.map(_less, updates, state.updates)
    kept, moved, sy, yy = _judged(s, y, state.count > 0)
    here = _ring(state) == state.place
    steps = _stack.put(state.diff_params_memory, s, state.place, kept)
    changes = _stack.put(state.diff_updates_memory, y, state.place, kept)
    with_y, with_g = (_stack.along(steps, here.size, x) for x in (y, updates))
    r = _bordered(state.r, with_y, sy, here)
    curvatures = jnp.where(here, sy, state.curvatures)
    scale = sy / yy

    def new(x: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(moved, jnp.where(kept, x, old), jnp.zeros_like(old))

    return ScaleByLbfgsState(
        count=nx.increment(state.count),
        params=moments.like(params, state.params),
        updates=moments.like(updates, state.updates),
        diff_params_memory=steps,
        diff_updates_memory=changes,
        curvatures=new(curvatures, state.curvatures),
        r=new(r, state.r),
        scale=new(scale, state.scale),
        place=jnp.where(kept, _following(state), state.place),
    ), with_g


def _judged(s: PyTree, y: PyTree, known: jax.Array) -> tuple[jax.Array, ...]:
    """Whether a pair is kept, whether a step was taken, `<s, y>` and `<y, y>`.

    The products are 1 where the pair is not kept.
    """
    ss, sy, yy = (norms.inner_product(a, b) for a, b in ((s, s), (s, y), (y, y)))
    least = np.sqrt(np.finfo(sy.dtype).eps).astype(sy.dtype)
    size = jnp.sqrt(ss) * jnp.sqrt(yy)
    kept = known & (sy > least * size) & jnp.isfinite(size) & jnp.isfinite(sy)
    moved = ~(ss <= 0)  # NaN is no reason to forget
    one = jnp.ones_like(sy)
    return kept, moved, jnp.where(kept, sy, one), jnp.where(kept, yy, one)


def _ring(state: ScaleByLbfgsState) -> jax.Array:
    return jnp.arange(state.curvatures.shape[0], dtype=state.place.dtype)


def _following(state: ScaleByLbfgsState) -> jax.Array:
    last = state.place >= state.curvatures.shape[0] - 1
    return jnp.where(last, jnp.zeros_like(state.place), state.place + 1)


def _bordered(
    r: jax.Array, products: jax.Array, sy: jax.Array, here: jax.Array
) -> jax.Array:
    """The inverse of a triangle that loses its first row and gains a last column."""
    r = jnp.where(here[:, None] | here[None, :], jnp.zeros_like(r), r)
    column = jnp.where(here, jnp.ones_like(products), -_product(r, products)) / sy
    return jnp.where(here[None, :], column[:, None], r)


def _direction(
    state: ScaleByLbfgsState, updates: PyTree, products: jax.Array, scale: jax.Array
) -> PyTree:
    """`H g`: both loops of the two-loop recursion as products of matrices."""
    first = _product(state.r, products)
    held = _stack.mixed(state.diff_updates_memory, first)
    middle = jax.tree.map(
        lambda g, h: times(g - h.astype(g.dtype), scale), updates, held
    )
    turned = _stack.along(state.diff_updates_memory, first.size, middle)
    second = _product(state.r.T, state.curvatures * first - turned)
    more = _stack.mixed(state.diff_params_memory, second)
    return jax.tree.map(lambda m, x: m + x.astype(m.dtype), middle, more)


def _product(matrix: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.matmul(matrix, x, precision=lax.Precision.HIGHEST)


def _less(new: jax.Array, old: jax.Array) -> jax.Array:
    return new.astype(old.dtype) - old
