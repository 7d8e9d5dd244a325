"""Steps to a training loss of 0.01 on the digits, K-FAC beside a tuned Adam."""

import functools as ft
import itertools
import statistics
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

import jopt
from benchmarks import _common as common
from jopt.experiments import data

TARGET = 0.01
SEEDS = 3
BATCH = 256
ADAM_STEPS, KFAC_STEPS = 300, 80
ADAM = tuple(itertools.product([1e-3 * 2**i for i in range(8)], (0.9, 0.8)))
KFAC = tuple(itertools.product((0.05, 0.1, 0.2), (3e-4, 1e-3, 3e-3)))


class MLP(nn.Module):
    """64-64-64-10 with ReLU: that of the race."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in (64, 64):
            x = nn.relu(nn.Dense(width)(x))
        return nn.Dense(10)(x)


MODEL = MLP()


def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    """The mean cross entropy."""
    logits = MODEL.apply({"params": params}, x)
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def digits() -> tuple[jax.Array, jax.Array]:
    """The 1077 training images of the race, as vectors, and their labels."""
    images, labels = data.load("digits").train
    return jnp.asarray(images.reshape(len(images), -1)), jnp.asarray(labels)


def update(tx: Any, params: Any, state: Any, x: Any, y: Any, key: Any) -> Any:
    """One step on a batch; K-FAC gets new factors in each."""
    grads, more = jax.grad(loss)(params, x, y), {}
    if tx.spec.name == "kfac":
        more["factors"] = jopt.kronecker_factors(
            lambda p: MODEL.apply({"params": p}, x), params, key
        )
    updates, state = tx.update(grads, state, params, **more)
    return optax.apply_updates(params, updates), state


def first_steps(tx: Any, seed: Any, images: Any, labels: Any, steps: int) -> jax.Array:
    """Steps until the loss of all training images is down; `steps + 1` if never."""
    key = jax.random.key(seed)
    params = MODEL.init(key, images)["params"]

    def step(carry: Any, key: Any) -> Any:
        for_batch, for_labels = jax.random.split(key)
        rows = jax.random.choice(for_batch, len(images), (BATCH,), replace=False)
        carry = update(tx, *carry, images[rows], labels[rows], for_labels)
        return carry, loss(carry[0], images, labels)

    keys = jax.random.split(jax.random.fold_in(key, 1), steps)
    _, losses = jax.lax.scan(step, (params, tx.init(params)), keys)
    down = losses <= TARGET
    return jnp.where(down.any(), jnp.argmax(down) + 1, steps + 1)


def swept_adam(images: Any, labels: Any) -> np.ndarray:
    """Steps of every setting and seed of Adam, as one program."""
    stacked = jopt.stack(*(jopt.adam(rate, b1) for rate, b1 in ADAM))
    run = ft.partial(first_steps, images=images, labels=labels, steps=ADAM_STEPS)
    seeds = jax.vmap(run, (None, 0))
    every = jax.vmap(seeds, (jopt.in_axes(stacked), None))
    return np.asarray(jax.jit(every)(stacked, jnp.arange(SEEDS)))


def looped_kfac(images: Any, labels: Any) -> np.ndarray:
    """The same of K-FAC, one after the other: its solves are slow under `vmap`."""
    run = jax.jit(first_steps, static_argnames="steps")
    found = [
        [run(kfac(*given), seed, images, labels, KFAC_STEPS) for seed in range(SEEDS)]
        for given in KFAC
    ]
    return np.array(found)


def kfac(rate: float, damping: float) -> jopt.Transform:
    """K-FAC as it is run here: without momentum."""
    return jopt.kfac(rate, None, damping)


def best(
    steps: np.ndarray, settings: tuple[tuple[float, float], ...]
) -> tuple[int, tuple[float, float], str]:
    """The least median over seeds, its setting, and the steps of all seeds."""
    medians = [int(statistics.median(row)) for row in steps.tolist()]
    i = int(np.argmin(medians))
    return medians[i], settings[i], ", ".join(map(str, steps[i].tolist()))


def seconds(txs: list[Any], images: Any, labels: Any) -> list[float]:
    """The median time of one compiled step of each."""
    params = MODEL.init(jax.random.key(0), images)["params"]
    x, y, key = images[:BATCH], labels[:BATCH], jax.random.key(1)
    step = jax.jit(update)

    def job(tx: Any) -> Any:
        state = tx.init(params)
        return lambda: jax.block_until_ready(step(tx, params, state, x, y, key))

    return common.by_turns([job(tx) for tx in txs], 100)


def _rows() -> list[common.Row]:
    images, labels = digits()
    adam_steps, (rate, b1), adam_all = best(swept_adam(images, labels), ADAM)
    steps, (ours, damping), all_steps = best(looped_kfac(images, labels), KFAC)
    txs = [jopt.adam(rate, b1), kfac(ours, damping)]
    adam_time, time = seconds(txs, images, labels)
    ratio = steps / adam_steps
    return [
        common.Row(
            f"median of {SEEDS} seeds, batches of {BATCH}: steps",
            f"{steps} ({all_steps}), {ratio:.2f}x; rate {ours}, damping {damping}, "
            f"no momentum: best of {len(KFAC)}",
            f"Adam {adam_steps} ({adam_all}); rate {rate}, b1 {b1}: best of "
            f"{len(ADAM)}",
            "<= 0.5x",
            ratio <= 0.5,
        ),
        common.Row(
            "time of a step, factors and inverses each time",
            f"{1e3 * time:.2f} ms ({time / adam_time:.1f}x)",
            f"Adam {1e3 * adam_time:.2f} ms",
        ),
        common.Row(
            "time of the steps to the target",
            f"{1e3 * steps * time:.0f} ms",
            f"Adam {1e3 * adam_steps * adam_time:.0f} ms",
        ),
    ]


def main() -> int:
    """Both are tuned on a grid, and judged by the loss of all training images."""
    return common.report(__doc__ or "", _rows)


if __name__ == "__main__":
    raise SystemExit(main())
