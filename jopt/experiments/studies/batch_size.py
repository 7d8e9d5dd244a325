"""Batch, mini-batch and single-sample descent at equal compute."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt.experiments.studies import arms, drawing, nets
from jopt.experiments.studies.statistics import Interval, interval, log_ratio
from jopt.experiments.studies.study import Check, Findings, Study, Table
from jopt.experiments.studies.sweep import Bench, epochs, rates, sweep

ROWS = 1000
SIZES = {"single": 1, "10": 10, "50": 50, "200": 200, "full batch": ROWS}


def measure(quick: bool) -> Findings:
    """Every size sees each digit equally often, at its own best rate."""
    seeds, count, passes = (2, 3, 2) if quick else (8, 13, 20)
    bench = nets.digits_bench(rows=ROWS)
    tried = rates(3e-3, 10.0, count)
    found = {
        name: sweep(
            bench,
            jopt.sgd,
            tried,
            seeds=seeds,
            steps=passes * ROWS // size,
            batch_size=size,
            points=passes,
        )
        for name, size in SIZES.items()
    }
    seconds = {n: _seconds(bench, s, 2 if quick else 7) for n, s in SIZES.items()}
    mini = max(
        ("10", "50", "200"), key=lambda n: found[n].valid[found[n].best].mean(0)[-1]
    )
    checks = (
        arms.better(
            found,
            mini,
            "full batch",
            f"Minibatches of {mini} end higher than the full batch after {passes} "
            "passes.",
            "accuracy",
        ),
        arms.better(
            found,
            mini,
            "single",
            f"Minibatches of {mini} end higher than single samples.",
            "accuracy",
        ),
        Check(
            f"A pass in minibatches of {mini} takes less time than one in single "
            "samples.",
            log_ratio(seconds["single"], seconds[mini]),
            unit="powers of ten",
        ),
    )
    ratio = float(np.median(seconds["single"]) / np.median(seconds[mini]))
    means = {name: one.score.mean() for name, one in found.items()}
    conclusion = (
        f"After {passes} passes: single samples {means['single']:.1%}, minibatches of "
        f"{mini} {means[mini]:.1%}, the full batch {means['full batch']:.1%} of the "
        f"test digits. A pass in single samples took {ratio:.1f} times as long as one "
        f"in minibatches of {mini}: many small steps use the processor badly, and the "
        "net here is so small that this costs little."
    )
    times = {name: interval(1000 * np.asarray(s)) for name, s in seconds.items()}
    return Findings(
        (
            arms.table(found, f"After {passes} passes over the data", "accuracy"),
            Table(
                "What a pass costs",
                ("", "steps", "milliseconds"),
                tuple((n, ROWS // SIZES[n], t) for n, t in times.items()),
            ),
        ),
        checks,
        conclusion,
        lambda: _draw(found, times),
        f"A perceptron with 32 hidden units on {ROWS} digits, plain SGD, {passes} "
        f"passes over the data for every size, {seeds} seeds; {count} rates for each "
        "size, the best chosen on validation data. Times are of one net on one "
        "machine.",
    )


def _seconds(bench: Bench, size: int, repeats: int) -> list[float]:
    """What a pass over the data takes, with one net, compiled."""
    data = jax.tree.map(jnp.asarray, bench.train)
    key = jax.random.key(0)

    @jax.jit
    def run(params: Any, order: jax.Array) -> Any:
        def step(params: Any, rows: jax.Array) -> tuple[Any, None]:
            batch = jax.tree.map(lambda a: a[rows], data)
            grads = jax.grad(bench.loss)(params, batch, key)
            return jax.tree.map(lambda p, g: p - 0.01 * g, params, grads), None

        return jax.lax.scan(step, params, order)[0]

    params = jax.tree.map(lambda a: jnp.asarray(a[0]), bench.first(1)[0])
    order = jnp.asarray(epochs(bench.rows, size, bench.rows // size, 1)[0])
    jax.block_until_ready(run(params, order))
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(run(params, order))
        taken.append(time.perf_counter() - start)
    return taken


def _draw(found: arms.Arms, times: dict[str, Interval]) -> Any:
    figure, (left, middle, right) = drawing.panels(3, width=4.3)
    for (name, one), colour in zip(found.items(), drawing.COLOURS, strict=False):
        style = {"color": colour, "lw": 2, "label": name}
        passes = np.arange(1, len(one.steps) + 1)
        drawing.band(left, passes, arms.curve(one), **style)
        middle.plot(passes * times[name].mean / 1000, arms.curve(one).mean(0), **style)
    left.set(xlabel="passes over the data", ylabel="test accuracy", ylim=(0.5, 1))
    left.set_title("Equal compute")
    left.legend(frameon=False, title="rows of a step", loc="lower right")
    middle.set(xlabel="seconds", xscale="log", ylabel="test accuracy", ylim=(0.5, 1))
    middle.set_title("The same against time")
    drawing.bars(right, list(found), arms.scores(found), list(drawing.COLOURS[:5]))
    right.set(xlabel="test accuracy at the end", title="Where they end")
    return figure


STUDY = Study(
    "batch_size",
    "At equal compute mini-batches do better than both the full batch and single "
    "samples.",
    measure,
)
