"""The problems every comparison is made on, and how far apart two runs are.

Parameters are an array or a dict of arrays; gradients are heavy-tailed: one of each
step, of Student's t with 1.5 degrees of freedom. All is float64.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

Tree = Any
Problem = tuple[Tree, list[Tree]]
Extra = Callable[[Tree, Tree], dict[str, Any]]
Read = Callable[[Tree, Tree], Tree]


def vector(steps: int = 12, size: int = 7) -> Problem:
    """First parameters and gradients: one vector."""
    random = np.random.default_rng(0)
    first = random.standard_normal(size)
    return first, list(random.standard_t(1.5, (steps, size)))


def tree(steps: int = 10) -> Problem:
    """First parameters and gradients: a matrix and a vector."""
    random = np.random.default_rng(0)
    first = {"b": random.standard_normal(5), "w": random.standard_normal((4, 3))}
    random = np.random.default_rng(1)
    grads = [
        {"b": random.standard_t(1.5, 5), "w": random.standard_t(1.5, (4, 3))}
        for _ in range(steps)
    ]
    return first, grads


def matrix() -> Problem:
    """The matrix of `tree` alone."""
    first, grads = tree()
    return {"w": first["w"]}, [{"w": g["w"]} for g in grads]


SHAPES = {"wide": (3, 5), "tall": (5, 3), "square": (4, 4), "stack": (2, 3, 5)}


def shapes(steps: int = 8) -> Problem:
    """First parameters and gradients: matrices of every shape."""
    random = np.random.default_rng(0)
    first = {k: random.standard_normal(s) for k, s in SHAPES.items()}
    grads = [
        {k: random.standard_t(1.5, s) for k, s in SHAPES.items()} for _ in range(steps)
    ]
    return first, grads


def layer(steps: int = 10) -> Problem:
    """First parameters and gradients: a dense layer, and a leaf beside it."""
    first, grads = tree(steps)

    def named(x: Tree) -> Tree:
        return {"bias": x["w"][0], "kernel": x["w"][1:], "scale": x["b"]}

    return named(first), [named(g) for g in grads]


def rows() -> Problem:
    """The problem of `tree`, with gradients that are zero in some rows."""
    first, grads = tree()
    random = np.random.default_rng(2)
    sparse = [
        {k: np.where(random.random((len(x),) + (1,) * (x.ndim - 1)) < 0.5, x, 0.0)}
        for g in grads
        for k, x in g.items()
    ]
    return first, [a | b for a, b in zip(sparse[::2], sparse[1::2], strict=True)]


def holes() -> Problem:
    """The problem of `tree`, with gradients that are NaN in some places."""
    first, grads = tree()
    for t, name, place in ((1, "w", (0, 2)), (4, "b", 3), (5, "w", ...)):
        grads[t][name][place] = np.nan
    return first, grads


def saddle() -> Problem:
    """The matrix of `tree`, multipliers, and a penalty with its slope."""
    first, grads = tree()
    random = np.random.default_rng(3)
    first = {"c": np.ones(()), "m": np.abs(first["b"]), "w": first["w"]}
    slopes = (
        random.standard_t(1.5, (len(grads), 5)) * np.geomspace(9.0, 0.01, 10)[:, None]
    )
    pairs = zip(grads, slopes, strict=True)
    return first, [{"c": np.sum(m**2) / 2, "m": m, "w": g["w"]} for g, m in pairs]


PROBLEMS = {
    "vector": vector,
    "tree": tree,
    "matrix": matrix,
    "shapes": shapes,
    "rows": rows,
    "holes": holes,
    "saddle": saddle,
    "layer": layer,
}


@partial(jax.jit, static_argnames=("extra", "read"))
def _run(
    tx: Any,
    params: Tree,
    grads: Tree,
    extra: Extra | None = None,
    read: Read | None = None,
) -> tuple[Tree, Tree]:
    def step(carry: tuple[Tree, Tree], g: Tree) -> tuple[tuple[Tree, Tree], Tree]:
        params, state = carry
        more = extra(params, g) if extra else {}
        updates, state = tx.update(g, state, params, **more)
        params = optax.apply_updates(params, updates)
        return (params, state), read(state, params) if read else params

    (_, state), path = jax.lax.scan(step, (params, tx.init(params)), grads)
    return path, state


def trajectory(
    tx: Any,
    first: Tree,
    grads: list[Tree],
    precision: str = "strict",
    extra: Extra | None = None,
    read: Read | None = None,
) -> tuple[list[Tree], Tree]:
    """The parameters after each step, and the last state, in float64.

    A transform of jopt is an argument of the compiled run, so that settings which
    differ in numbers alone share it. One of optax is closed over. `extra` makes further
    arguments of the update from parameters and gradient. `read` takes from state and
    parameters what is looked at in their place, such as an average.
    """
    rank = "raise" if precision == "strict" else "allow"
    run = _run if _is_value(tx) else _closed(tx)
    with (
        jax.enable_x64(True),
        jax.numpy_dtype_promotion(precision),
        jax.numpy_rank_promotion(rank),
    ):
        stacked = jax.tree.map(lambda *g: jnp.stack(g), *grads)
        start = jax.tree.map(jnp.asarray, first)
        path, state = run(tx, start, stacked, extra=extra, read=read)
    path = jax.tree.map(np.asarray, path)
    return [jax.tree.map(lambda x, i=i: x[i], path) for i in range(len(grads))], state


def _is_value(tx: Any) -> bool:
    """Whether it is a pytree of numbers, rather than a pair of functions."""
    return not any(callable(leaf) for leaf in jax.tree.leaves(tx))


def _closed(tx: Any) -> Any:
    def run(_: Any, params: Tree, grads: Tree, **functions: Any) -> Any:
        closed = partial(_run.__wrapped__, tx, **functions)
        return jax.jit(closed)(params, grads)

    return run


def relative_error(ours: list[Tree], theirs: list[Tree], first: Tree) -> float:
    """The greatest difference on the way, over the greatest distance travelled."""
    leaves = [jax.tree.leaves(run) for run in (list(ours), list(theirs))]
    starts = jax.tree.leaves(first) * len(theirs)
    worst = max(float(np.max(np.abs(a - b))) for a, b in zip(*leaves, strict=True))
    way = max(
        float(np.max(np.abs(b - p))) for b, p in zip(leaves[1], starts, strict=True)
    )
    return worst / way
