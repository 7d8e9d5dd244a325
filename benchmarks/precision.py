"""Where do 1000 steps of 1e-3 take a bfloat16 1.0, and at what cost in state?"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jopt
from benchmarks import _common as common

STEPS, RATE, COPIES = 1000, 1e-3, 4096
KEY = jax.random.key(0)

Wrap = Callable[[Any], Any]


def plain(tx: Any) -> Any:
    """No wrapper."""
    return tx


def rounding(tx: Any) -> Any:
    """Stochastic rounding, as a wrapper."""
    return jopt.round_stochastically(tx, key=0)


WAYS: dict[str, tuple[Wrap, bool, bool]] = {  # the wrapper, whether keyed, the bar
    "plain bfloat16": (plain, False, False),
    "kahan(tx)": (jopt.kahan, False, True),
    "master_weights(tx)": (jopt.master_weights, False, True),
    "round_stochastically(tx, key)": (rounding, False, True),
    "apply_updates(..., key=key)": (plain, True, True),
}


def final(tx: Any, keyed: bool) -> np.ndarray:
    """4096 parameters after the steps; the right value is 2."""

    def body(carry: Any, i: jax.Array) -> Any:
        params, state = carry
        updates, state = tx.update(-jnp.ones_like(params), state, params)
        key = jax.random.fold_in(KEY, i) if keyed else None
        return (jopt.apply_updates(params, updates, key=key), state), None

    params = jnp.ones(COPIES, jnp.bfloat16)
    start = params, tx.init(params)
    (params, _), _ = jax.lax.scan(body, start, jnp.arange(STEPS))
    return np.asarray(params, np.float64)


def _show(end: np.ndarray) -> str:
    return f"{end.mean():.4f} ({end.min():.4f} to {end.max():.4f})"


def _rows() -> list[common.Row]:
    rows = []
    for name, (wrap, keyed, barred) in WAYS.items():
        end = final(wrap(jopt.sgd(RATE)), keyed)
        peer = "-" if barred else _show(final(optax.sgd(RATE), False))
        bar = "2 within 1%" if barred else ""
        ok = bool(abs(end.mean() - 2.0) <= 0.02) if barred else None
        rows.append(common.Row(f"{name}: mean end", _show(end), peer, bar, ok))
    shape = jax.ShapeDtypeStruct((1000, 1000), jnp.bfloat16)
    for name, (wrap, _, _) in WAYS.items():
        added = jopt.state_bytes(wrap(jopt.sgd(RATE)), shape) / 1e6
        adamw = jopt.state_bytes(wrap(jopt.adamw(RATE)), shape) / 1e6
        shown = f"{added:.0f} added, {adamw:.0f} with AdamW"
        rows.append(common.Row(f"{name}: state bytes per parameter", shown, "-"))
    return rows


def main() -> int:
    """Compare on 4096 parameters with constant gradients."""
    return common.report(__doc__ or "", _rows)


if __name__ == "__main__":
    raise SystemExit(main())
