"""Time to lower and compile clip + AdamW + apply on 964 leaves, beside optax's."""

import statistics
import time

import jax
import optax

import jopt
from benchmarks import _common as common

WIDTHS = (64, 768)
ROUNDS = 3


def _seconds(tx: optax.GradientTransformation, shapes: common.ShapeTree) -> float:
    jax.clear_caches()
    start = time.perf_counter()
    common.compiled_step(tx, shapes)
    return time.perf_counter() - start


def _row(width: int) -> common.Row:
    shapes = common.gpt_shapes(80, width, 50_257, 1024)
    ours = jopt.chain(jopt.clip_by_global_norm(1.0), jopt.adamw(1e-3))
    theirs = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3))
    times = [(_seconds(ours, shapes), _seconds(theirs, shapes)) for _ in range(ROUNDS)]
    mine, other = map(statistics.median, zip(*times, strict=True))
    leaves = len(jax.tree.leaves(shapes))
    return common.Row(
        f"{leaves} leaves of a GPT-2 of width {width}",
        f"{mine:.2f} s ({mine / other:.2f}x)",
        f"{other:.2f} s",
        "<= 0.7x",
        mine <= 0.7 * other,
    )


def main() -> int:
    """Measure two widths: small leaves and large ones compile differently."""
    return common.report(__doc__ or "", lambda: [_row(width) for width in WIDTHS])


if __name__ == "__main__":
    raise SystemExit(main())
