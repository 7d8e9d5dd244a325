"""Gradient through five steps with respect to every leaf of the optimizer."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

import jopt
from benchmarks import _common as common

STEPS = 5


def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    """Squared error of a small MLP."""
    h = jnp.tanh(x @ params["a"])
    return jnp.mean((h @ params["b"] - y) ** 2)


def final_loss(tx: Any) -> jax.Array:
    """The loss after five steps from a fixed start, as a function of the optimizer."""
    keys = jax.random.split(jax.random.key(3), 4)
    draw = [jax.random.normal(k, s) for k, s in zip(keys, SHAPES, strict=True)]
    params, x, y = {"a": draw[0], "b": draw[1]}, draw[2], draw[3]
    state = tx.init(params)
    for _ in range(STEPS):
        grads = jax.grad(loss)(params, x, y)
        updates, state = tx.update(grads, state, params)
        params = optax.apply_updates(params, updates)
    return loss(params, x, y)


SHAPES = ((6, 8), (8, 2), (20, 6), (20, 2))


def optimizer() -> jopt.Transform:
    """Clipping that acts in some of the steps, and AdamW on a short schedule."""
    rates = jopt.warmup_cosine_decay_schedule(0.01, 0.1, 2, 6, 0.005, 1.3)
    clip = jopt.clip_by_global_norm(MAX_NORM)
    return jopt.chain(clip, jopt.adamw(rates, eps=1e-3, weight_decay=0.05))


MAX_NORM = 2.0


def central(run: Any, leaves: list[Any], i: int, structure: Any) -> float:
    """Central differences at two distances, extrapolated to distance zero."""

    def slope(h: float) -> float:
        ends = []
        for sign in (1, -1):
            moved = [*leaves]
            moved[i] = leaves[i] + sign * h
            ends.append(float(run(jax.tree.unflatten(structure, moved))))
        return (ends[0] - ends[1]) / (2 * h)

    h = 1e-3 * float(leaves[i])
    return (4 * slope(h / 2) - slope(h)) / 3


def _rows() -> list[common.Row]:
    tx = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), optimizer())
    run = jax.jit(final_loss)
    slopes = jax.tree.leaves(jax.jit(jax.grad(final_loss))(tx))
    leaves, structure = jax.tree.flatten(tx)
    paths = [
        jax.tree_util.keystr(p) for p, _ in jax.tree_util.tree_leaves_with_path(tx)
    ]
    rows = []
    for i, (path, slope) in enumerate(zip(paths, slopes, strict=True)):
        exact = central(run, leaves, i, structure)
        error = abs(float(slope) - exact) / abs(exact)
        row = common.Row(
            f"d loss / d{path}",
            f"{float(slope):.8g} (error {error:.1e})",
            "by hand",
            "error <= 1e-5",
            error <= 1e-5 and exact != 0,
        )
        rows.append(row)
    return rows


def main() -> int:
    """Compare with central differences in float64."""
    jax.config.update("jax_enable_x64", True)
    return common.report(__doc__ or "", _rows)


if __name__ == "__main__":
    raise SystemExit(main())
