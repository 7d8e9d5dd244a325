"""Clipping and exploding gradients in a recurrent net."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt.experiments.studies import arms, drawing, nets
from jopt.experiments.studies.seeds import generator
from jopt.experiments.studies.statistics import interval, log_ratio
from jopt.experiments.studies.study import Check, Findings, Study, Table
from jopt.experiments.studies.sweep import Bench, epochs, rates, sweep

WIDTH, LENGTH, CLASSES = 24, 12, 4
GAIN = 1.3  # recurrent weights beyond 1: gradients may grow from step to step
MAX_NORM = 1.0


def rows(count: int, seed: int) -> Any:
    """Noise, with one of four marks somewhere in the first half: which one was it?"""
    draw = generator(seed)
    x = 0.3 * draw.standard_normal((count, LENGTH, CLASSES))
    y = draw.integers(0, CLASSES, count)
    x[np.arange(count), draw.integers(0, LENGTH // 2, count), y] += 3.0
    return x.astype(np.float32), y.astype(np.int32)


def said(params: Any, x: jax.Array) -> jax.Array:
    """Logits after the last step."""

    def step(h: jax.Array, at: jax.Array) -> tuple[jax.Array, None]:
        z = h @ params["over"] + at @ params["into"] + params["bias"][None]
        return jnp.tanh(z), None

    start = jnp.zeros((len(x), WIDTH))
    h, _ = jax.lax.scan(step, start, jnp.moveaxis(x, 1, 0))
    return h @ params["out"]


def bench() -> Bench:
    """A recurrent net whose gradients may explode."""

    def init(draw: np.random.Generator) -> Any:
        return {
            "over": nets.normal(draw, (WIDTH, WIDTH), GAIN / WIDTH**0.5),
            "into": nets.normal(draw, (CLASSES, WIDTH), CLASSES**-0.5),
            "bias": np.zeros(WIDTH, np.float32),
            "out": nets.normal(draw, (WIDTH, CLASSES), WIDTH**-0.5),
        }

    def loss(params: Any, batch: Any, key: jax.Array) -> jax.Array:
        del key
        return nets.cross_entropies(said(params, batch[0]), batch[1]).mean()

    def score(params: Any, batch: Any) -> jax.Array:
        return nets.accuracy(said(params, batch[0]), batch[1])

    return Bench(init, loss, score, rows(2000, 0), rows(300, 1), rows(500, 2))


def norms(bench: Bench, rate: float, seeds: int, steps: int) -> np.ndarray:
    """The norm of each step's gradient, without clipping."""
    data = jax.tree.map(jnp.asarray, bench.train)
    tx = jopt.sgd(rate)

    def run(params: Any, order: jax.Array) -> jax.Array:
        def step(carry: Any, chosen: jax.Array) -> Any:
            params, state = carry
            batch = jax.tree.map(lambda a: a[chosen], data)
            grads = jax.grad(bench.loss)(params, batch, jax.random.key(0))
            updates, state = tx.update(grads, state, params)
            return (jopt.apply_updates(params, updates), state), jopt.global_norm(grads)

        return jax.lax.scan(step, (params, tx.init(params)), order)[1]

    order = jnp.asarray(epochs(bench.rows, 32, steps, seeds))
    first = jax.tree.map(jnp.asarray, bench.first(seeds)[0])
    return np.asarray(jax.jit(jax.vmap(run))(first, order), np.float64)


def measure(quick: bool) -> Findings:
    """SGD with and without clipping, at the same rates."""
    seeds, steps, count = (2, 40, 3) if quick else (8, 600, 9)
    trained = bench()
    tried = rates(0.003, 30.0, count)
    makers = {
        "no clipping": lambda rate: jopt.sgd(rate),
        "clipped": lambda rate: jopt.chain(
            jopt.clip_by_global_norm(MAX_NORM), jopt.sgd(rate)
        ),
    }
    found = {
        name: sweep(
            trained, make, tried, seeds=seeds, steps=steps, batch_size=32, points=20
        )
        for name, make in makers.items()
    }
    plain, clipped = found.values()
    sizes = norms(trained, plain.setting, seeds, steps)
    spikes = sizes.max(1), np.median(sizes, 1)
    reach = {name: _widest(one.test[..., -1], tried) for name, one in found.items()}
    checks = (
        Check(
            "Without clipping some gradient is 10 times the median one.",
            log_ratio(spikes[0], 10.0 * spikes[1]),
            unit="powers of ten",
        ),
        arms.better(
            found,
            "clipped",
            "no clipping",
            "With clipping the best rate ends higher.",
            "accuracy",
        ),
        Check(
            "With clipping larger rates still learn (to 80%).",
            log_ratio(reach["clipped"], reach["no clipping"]),
            unit="powers of ten",
        ),
    )
    means = {name: one.score.mean() for name, one in found.items()}
    conclusion = (
        f"Without clipping the net reached {means['no clipping']:.1%} at a rate of "
        f"{plain.setting:.2g}, with it {means['clipped']:.1%} at "
        f"{clipped.setting:.2g}. The largest gradient of a run was "
        f"{np.median(spikes[0] / spikes[1]):.0f} times its median one. The largest "
        f"rate that learned was {np.median(reach['clipped']):.2g} with clipping and "
        f"{np.median(reach['no clipping']):.2g} without."
    )
    every = tuple(
        (f"{rate:.3g}", interval(a), interval(b))
        for rate, a, b in zip(
            tried, plain.test[..., -1], clipped.test[..., -1], strict=True
        )
    )
    return Findings(
        (
            arms.table(found, "At the best rate of each", "accuracy"),
            Table("All rates", ("learning rate", *makers), every),
        ),
        checks,
        conclusion,
        lambda: _draw(found, sizes, plain.setting),
        f"A recurrent net of {WIDTH} tanh units, recurrent weights drawn with gain "
        f"{GAIN}, tells which of {CLASSES} marks it saw in the first half of {LENGTH} "
        f"steps; SGD, minibatches of 32, {steps} steps, {seeds} seeds; {count} rates "
        f"with and without clipping to a norm of {MAX_NORM:g}, the best chosen on "
        "validation data.",
    )


def _widest(scores: np.ndarray, tried: np.ndarray) -> np.ndarray:
    """The largest rate of each seed that learned; the smallest where none did."""
    learned = scores > 0.8
    return np.where(learned, tried[:, None], tried[0]).max(0)


def _draw(found: arms.Arms, sizes: np.ndarray, rate: float) -> Any:
    figure, (left, middle, right) = drawing.panels(3, width=4.3)
    colours = drawing.COLOURS[1], drawing.COLOURS[0]
    for one in sizes[:4]:
        left.plot(one, color=colours[0], alpha=0.6, lw=0.9)
    left.axhline(MAX_NORM, color=colours[1], ls="--", label="clipped to this")
    left.set(yscale="log", xlabel="step", ylabel="norm of the gradient")
    left.set_title(f"Four runs without clipping, rate {rate:.2g}")
    left.legend(frameon=False)
    for (name, one), colour in zip(found.items(), colours, strict=True):
        drawing.band(middle, one.steps, arms.curve(one), color=colour, label=name, lw=2)
        ends = one.test[..., -1].T
        drawing.band(right, one.settings, ends, color=colour, lw=2, marker="o", ms=4)
    middle.set(xlabel="step", ylabel="test accuracy", title="Each at its best rate")
    middle.legend(frameon=False)
    right.set(xscale="log", xlabel="learning rate", ylabel="test accuracy at the end")
    right.set_title("At every rate")
    return figure


STUDY = Study(
    "clipping",
    "In recurrent nets gradients explode, and clipping them lets the net learn better "
    "and at larger rates.",
    measure,
)
