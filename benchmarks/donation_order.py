"""Time of one AdamW step when donated arguments come back in another order."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

import jopt
from benchmarks import _common as common

SHAPES = common.one_leaf()


def _rows() -> list[common.Row]:
    tx = jopt.adamw(1e-3)

    def right(params: Any, state: Any, grads: Any) -> Any:
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    def wrong(params: Any, state: Any, grads: Any) -> Any:
        params, state = right(params, state, grads)
        return state, params

    def loss(params: Any, grads: Any) -> jax.Array:
        return sum(
            jnp.vdot(p, g)
            for p, g in zip(
                jax.tree.leaves(params), jax.tree.leaves(grads), strict=True
            )
        )

    def job(step: Any, where: tuple[int, int]) -> Any:
        held: list[Any] = [common.filled(SHAPES, 0.1)]
        held.append(tx.init(held[0]))
        grads = common.filled(SHAPES, 1e-3)

        def run() -> None:
            out = jax.block_until_ready(step(*held, grads))
            held[:] = [out[i] for i in where]

        return run

    donated = [jax.jit(step, donate_argnums=(0, 1)) for step in (right, wrong)]
    jobs = [job(donated[0], (0, 1)), job(donated[1], (1, 0))]
    jobs.append(job(jopt.make_step(loss, tx), (0, 1)))
    good, bad, made = common.by_turns(jobs, 11)

    def text(seconds: float) -> str:
        return f"{1e3 * seconds:.1f} ms ({seconds / good:.2f}x)"

    return [
        common.Row("(params, state) come back", text(good), "-"),
        common.Row("(state, params) come back", text(bad), "-"),
        common.Row(
            "jopt.make_step, with a loss and its gradient",
            text(made),
            "-",
            "below the wrong order",
            made < bad,
        ),
    ]


def main() -> int:
    """Compare on one leaf of 16.8M parameters."""
    return common.report(__doc__ or "", _rows)


if __name__ == "__main__":
    raise SystemExit(main())
