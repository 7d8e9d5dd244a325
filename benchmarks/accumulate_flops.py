"""Optimizer flops of a micro-step when every fourth one steps, beside MultiSteps."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

import jopt
from benchmarks import _common as common

K = 4
SHAPES = {"w": jax.ShapeDtypeStruct((256, 256), jnp.float32)}


def flops(tx: Any) -> float:
    """Flops of one update in the compiled program; a branch counts as run."""
    state = jax.eval_shape(tx.init, SHAPES)
    compiled = jax.jit(tx.update).lower(SHAPES, state, SHAPES).compile()
    return compiled.cost_analysis()["flops"]


def branch_flops(tx: Any) -> tuple[float, float]:
    """Flops of a micro-step that waits, and of one that steps.

    Every micro-step adds to the sums; what the bare optimizer needs stands in a branch.
    """
    text = jax.jit(tx.update).lower(SHAPES, jax.eval_shape(tx.init, SHAPES), SHAPES)
    if "conditional" not in text.compile().as_text():
        raise RuntimeError("The compiled update has no branch: it always steps.")
    whole, void = flops(tx), flops(jopt.accumulate(jopt.identity(), K))
    return void, whole


def timed(tx: Any) -> float:
    """Seconds of K micro-steps."""
    params = common.filled(SHAPES, 0.5)
    update = jax.jit(tx.update)

    def job() -> None:
        state = tx.init(params)
        for _ in range(5 * K):
            _, state = update(params, state, params)
        jax.block_until_ready(state)

    return common.by_turns([job], 7)[0] / 5


def _rows() -> list[common.Row]:
    pairs = {
        "AdamW": (jopt.adamw(1e-3), optax.adamw(1e-3)),
        "Muon": (jopt.muon(1e-3), optax.contrib.muon(1e-3)),
    }
    rows = []
    for name, (inner, peer) in pairs.items():
        ours, theirs = jopt.accumulate(inner, K), optax.MultiSteps(peer, K)
        wait, step = branch_flops(ours)
        bare = flops(peer)
        mine = ((K - 1) * wait + step) / K
        other = flops(theirs)
        rows.append(
            common.Row(
                f"{name}, k = {K}: flops per micro-step and parameter",
                f"{mine / 2**16:.1f} ({mine / other:.3f}x)",
                f"{other / 2**16:.1f}; one bare step {bare / 2**16:.1f}",
                "<= 0.3x",
                mine <= 0.3 * other,
            )
        )
        seconds = timed(ours), timed(theirs)
        ms = [f"{1e3 * s:.2f} ms" for s in seconds]
        rows.append(common.Row(f"{name}: time of {K} micro-steps", *ms))
    return rows


def main() -> int:
    """Count on a matrix of 256 by 256, for AdamW and for Muon."""
    return common.report(__doc__ or "", _rows)


if __name__ == "__main__":
    raise SystemExit(main())
