"""Memory traffic, temporaries and time of one optimizer step, beside optax's."""

from typing import Any

import jax
import optax

import jopt
from benchmarks import _common as common

SHAPES = {
    "one leaf of 16.8M": common.one_leaf(),
    "148 leaves, 31M": common.gpt_shapes(12, 384, 25_000, 512),
}
CHAINS = {
    "clip + AdamW": (
        lambda: jopt.chain(jopt.clip_by_global_norm(1.0), jopt.adamw(1e-3)),
        lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3)),
        0.6,
    ),
    "AdamW": (lambda: jopt.adamw(1e-3), lambda: optax.adamw(1e-3), 1.0),
    "SGD momentum": (
        lambda: jopt.sgd(1e-3, momentum=0.9),
        lambda: optax.sgd(1e-3, momentum=0.9),
        1.0,
    ),
}
NOISE = 1.05  # of a time ratio, where the bar is "not above"


class Job:
    """A compiled step that is run again and again on its own output."""

    def __init__(self, tx: Any, shapes: Any, compiled: Any):
        self.params = common.filled(shapes, 0.1)
        self.state = jax.jit(tx.init)(self.params)
        self.grads = common.filled(shapes, 1e-3)
        self.compiled = compiled

    def __call__(self) -> None:
        new = self.compiled(self.params, self.state, self.grads)
        self.params, self.state = jax.block_until_ready(new)


def _rows(shape: str, name: str) -> list[common.Row]:
    shapes = SHAPES[shape]
    ours, theirs, time_bar = CHAINS[name]
    txs = (ours(), theirs())
    steps = [common.compiled_step(tx, shapes) for tx in txs]
    n = common.count(shapes)
    traffic = [common.bytes_that_run(step) / n for step in steps]
    spare = [step.memory_analysis().temp_size_in_bytes / n for step in steps]
    jobs = [Job(tx, shapes, step) for tx, step in zip(txs, steps, strict=True)]
    seconds = common.by_turns(jobs, 15)
    ratio = seconds[0] / seconds[1]
    clips = name.startswith("clip")
    most = 45.0 if clips else traffic[1] + 0.05
    allowed = time_bar if clips else NOISE
    what = f"{name}, {shape}"
    ms = [f"{1e3 * s:.1f} ms" for s in seconds]
    bound = "<= 45" if clips else "<= optax"
    return [
        common.Row(
            f"{what}: bytes per parameter",
            *(f"{b:.2f}" for b in traffic),
            bound,
            traffic[0] <= most,
        ),
        common.Row(
            f"{what}: temporaries, bytes per parameter",
            *(f"{b:.2f}" for b in spare),
            "< 1",
            spare[0] < 1,
        ),
        common.Row(
            f"{what}: time of a step",
            f"{ms[0]} ({ratio:.2f}x)",
            ms[1],
            f"<= {time_bar}x" if clips else f"<= 1x (noise {NOISE}x)",
            ratio <= allowed,
        ),
    ]


def main() -> int:
    """Measure all chains on both trees."""
    return common.report(
        __doc__ or "",
        lambda: [r for shape in SHAPES for name in CHAINS for r in _rows(shape, name)],
    )


if __name__ == "__main__":
    raise SystemExit(main())
