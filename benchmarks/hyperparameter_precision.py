"""Do static, traced and scheduled hyperparameters agree after 50 Adam steps?"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jopt
from benchmarks import _common as common

VALUES = {"learning_rate": 1e-2, "b1": 0.9, "b2": 0.999, "eps": 1e-8}


def after_50(update: Any, tx: Any) -> np.ndarray:
    """The parameters after 50 steps along fixed gradients."""
    params = jnp.linspace(1.0, 2.0, 1000)
    state = tx.init(params)
    for i in range(50):
        grads = jnp.sin(7.0 * jnp.arange(1000.0) + 0.3 * i)
        updates, state = update(tx, grads, state, params)
        params = optax.apply_updates(params, updates)
    return np.asarray(params)


def ulps(a: np.ndarray, b: np.ndarray) -> float:
    """The greatest difference, in units of the last place of float32."""
    return float(np.max(np.abs(a - b) / np.spacing(np.abs(a))))


def _rows() -> list[common.Row]:
    def update(tx: Any, *args: Any) -> Any:
        return tx.update(*args)

    static = jax.jit(update, static_argnums=0)
    traced = jax.jit(update)
    scheduled = {name: jopt.constant_schedule(v) for name, v in VALUES.items()}
    ours = jopt.adam(**VALUES)
    base = after_50(static, ours)
    peer = optax.adam(**VALUES)
    peer_base = after_50(static, peer)
    injected = optax.inject_hyperparams(optax.adam)(**VALUES)
    constant = {n: optax.constant_schedule(v) for n, v in VALUES.items()}
    peer_schedule = optax.inject_hyperparams(optax.adam)(**constant)
    cases = {
        "traced": (after_50(traced, ours), after_50(static, injected)),
        "scheduled": (
            after_50(traced, jopt.adam(**scheduled)),
            after_50(static, peer_schedule),
        ),
        "exposed in the state": (
            after_50(traced, jopt.expose(ours, "b1", "b2", "learning_rate")),
            None,
        ),
    }
    rows = []
    for name, (mine, other) in cases.items():
        gap = ulps(base, mine)
        text = "-" if other is None else _show(peer_base, other)
        row = common.Row(
            f"static against {name}", _show(base, mine), text, "<= 4 ulp", gap <= 4
        )
        rows.append(row)
    return rows


def _show(a: np.ndarray, b: np.ndarray) -> str:
    return f"{ulps(a, b):.0f} ulp ({np.max(np.abs(a - b)):.1e})"


def main() -> int:
    """Compare in float32, on 1000 parameters between 1 and 2."""
    return common.report(__doc__ or "", _rows)


if __name__ == "__main__":
    raise SystemExit(main())
