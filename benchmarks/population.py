"""A population of optimizers as one program by vmap, against a loop over members."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

import jopt
from benchmarks import _common as common

STEPS = 50
BARS = {8: 4.0, 32: 3.5}


def init(key: jax.Array) -> Any:
    """An MLP 64-32-10."""
    a, b = jax.random.split(key)
    return {
        "a": {"w": jax.random.normal(a, (64, 32)) / 8, "b": jnp.zeros(32)},
        "b": {"w": jax.random.normal(b, (32, 10)) / 6, "b": jnp.zeros(10)},
    }


def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    """Cross-entropy of the MLP."""
    h = jax.nn.relu(x @ params["a"]["w"] + params["a"]["b"])
    logits = h @ params["b"]["w"] + params["b"]["b"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def step(tx: Any, params: Any, state: Any, x: jax.Array, y: jax.Array) -> Any:
    """One training step; the optimizer is an argument."""
    grads = jax.grad(loss)(params, x, y)
    updates, state = tx.update(grads, state, params)
    return optax.apply_updates(params, updates), state


def _row(members: int) -> common.Row:
    rates = [1e-4 * 1.2**i for i in range(members)]
    keys = jax.random.split(jax.random.key(0), members)
    x = jax.random.normal(jax.random.key(1), (32, 64))
    y = jax.random.randint(jax.random.key(2), (32,), 0, 10)
    txs = [jopt.adamw(rate) for rate in rates]
    stacked = jopt.stack(*txs)
    axes = (jopt.in_axes(stacked), 0, 0, None, None)
    together, alone = jax.jit(jax.vmap(step, axes)), jax.jit(step)
    peer = optax.inject_hyperparams(optax.adamw)(1e-3)
    peer_step = jax.jit(lambda p, s, x, y: step(peer, p, s, x, y))
    every = jax.vmap(init)(keys)
    each = [init(key) for key in keys]

    def population() -> None:
        params, state = every, jax.vmap(txs[0].init)(every)
        for _ in range(STEPS):
            params, state = together(stacked, params, state, x, y)
        jax.block_until_ready(params)

    def loop() -> None:
        for tx, params in zip(txs, each, strict=True):
            state = tx.init(params)
            for _ in range(STEPS):
                params, state = alone(tx, params, state, x, y)
            jax.block_until_ready(params)

    def peer_loop() -> None:
        for rate, params in zip(rates, each, strict=True):
            state = peer.init(params)
            state.hyperparams["learning_rate"] = jnp.asarray(rate)
            for _ in range(STEPS):
                params, state = peer_step(params, state, x, y)
            jax.block_until_ready(params)

    jobs = (population, loop, peer_loop)
    fast, slow, peers = common.by_turns(jobs, 5)
    done = members * STEPS
    gain, bar = min(slow, peers) / fast, BARS[members]
    return common.Row(
        f"{members} members: steps a second, vmap (loop)",
        f"{done / fast:.0f} ({done / slow:.0f}), {gain:.1f}x",
        f"({done / peers:.0f})",
        f">= {bar}x the faster loop",
        gain >= bar,
    )


def main() -> int:
    """Measure populations of 8 and of 32 on a small MLP."""
    return common.report(__doc__ or "", lambda: [_row(n) for n in BARS])


if __name__ == "__main__":
    raise SystemExit(main())
