"""Compilations that 20 values of each hyperparameter cost in one jitted step."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import optax

import jopt
from benchmarks import _common as common

VALUES = [0.5 + i / 50 for i in range(20)]  # factors; all stay in range
PARAMS = {"w": jnp.ones((4, 3)), "b": jnp.ones(3)}
DEFAULTS = {
    "max_norm": 1.0,
    "init_value": 1e-5,
    "peak_value": 1e-3,
    "end_value": 1e-6,
    "exponent": 1.0,
    "b1": 0.9,
    "b2": 0.999,
    "eps": 1e-8,
    "weight_decay": 1e-4,
}
ADAMW = ("b1", "b2", "eps", "weight_decay")


def build(lib: Any, values: dict[str, float]) -> Any:
    """`chain(clip_by_global_norm, adamw(warmup_cosine))` of jopt or of optax."""
    schedule = lib.warmup_cosine_decay_schedule(
        values["init_value"],
        values["peak_value"],
        10,
        100,
        values["end_value"],
        values["exponent"],
    )
    adamw = lib.adamw(schedule, **{name: values[name] for name in ADAMW})
    return lib.chain(lib.clip_by_global_norm(values["max_norm"]), adamw)


def compilations(txs: Iterator[Any], **options: Any) -> int:
    """How many programs one jitted step compiles for these transforms."""
    traces = 0

    def step(tx: Any, params: Any, state: Any, grads: Any) -> Any:
        nonlocal traces
        traces += 1
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    run = jax.jit(step, **options)
    for tx in txs:
        run(tx, PARAMS, tx.init(PARAMS), PARAMS)
    return traces


def _rows() -> list[common.Row]:
    def sweep(lib: Any, name: str) -> Iterator[Any]:
        for factor in VALUES:
            yield build(lib, {**DEFAULTS, name: DEFAULTS[name] * factor})

    def replaced(change: Callable[[Any, float], Any]) -> Iterator[Any]:
        tx = build(jopt, DEFAULTS)
        for factor in VALUES:
            yield change(tx, factor)

    rows = []
    for name in DEFAULTS:
        ours = compilations(sweep(jopt, name))
        theirs = compilations(sweep(optax, name), static_argnums=0)
        row = common.Row(f"20 values of {name}", f"{ours}", f"{theirs}", "1", ours == 1)
        rows.append(row)
    edit = compilations(
        replaced(lambda tx, f: jopt.set_hyperparams(tx, {"adamw.b2": f}))
    )
    what = "20 edits by set_hyperparams"
    rows.append(common.Row(what, f"{edit}", "-", "1", edit == 1))
    return rows


def main() -> int:
    """Count for each float hyperparameter of the chain."""
    return common.report(__doc__ or "", _rows)


if __name__ == "__main__":
    raise SystemExit(main())
