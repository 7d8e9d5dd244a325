"""Wasserstein distance and divergences for matching two distributions."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt.experiments.studies import drawing
from jopt.experiments.studies.seeds import generator
from jopt.experiments.studies.statistics import Interval, interval, log_ratio
from jopt.experiments.studies.study import Check, Findings, Study, Table
from jopt.experiments.studies.sweep import rates

SAMPLES = 100
WIDTH = 0.4  # of the kernels that make densities of samples


def log_density(at: jax.Array, samples: jax.Array) -> jax.Array:
    """The log of a density made of samples by normal kernels."""
    z = (at[:, None] - samples[None]) / WIDTH
    norm = np.log(len(samples) * WIDTH * np.sqrt(2 * np.pi))
    return jax.nn.logsumexp(-0.5 * z * z, axis=1) - norm


def kl(x: jax.Array, y: jax.Array) -> jax.Array:
    """The divergence of Kullback and Leibler from the target `y` to the model `x`."""
    return (log_density(y, y) - log_density(y, x)).mean()


def js(x: jax.Array, y: jax.Array) -> jax.Array:
    """The divergence of Jensen and Shannon; it is at most log 2."""

    def part(a: jax.Array, b: jax.Array) -> jax.Array:
        ours, theirs = log_density(a, a), log_density(a, b)
        return (ours - jnp.logaddexp(ours, theirs)).mean() + np.log(2.0)

    return 0.5 * (part(x, y) + part(y, x))


LOSSES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "Wasserstein": jopt.wasserstein_1d,
    "KL": kl,
    "Jensen-Shannon": js,
}


def follow(
    loss: Callable[[jax.Array, jax.Array], jax.Array],
    tried: np.ndarray,
    away: float,
    seeds: int,
    steps: int,
) -> tuple[float, np.ndarray]:
    """Move a normal distribution onto another; its distance to it along the way.

    Half of the seeds choose the rate, and the others are returned.
    """

    def run(rate: jax.Array, noise: jax.Array) -> jax.Array:
        tx = jopt.sgd(jopt.cosine_decay_schedule(rate, steps))

        def step(carry: Any, pair: jax.Array) -> Any:
            params, state = carry

            def objective(params: jax.Array) -> jax.Array:
                return loss(params[0] + jnp.exp(params[1]) * pair[0], pair[1])

            updates, state = tx.update(jax.grad(objective)(params), state, params)
            params = params + updates
            off = jnp.hypot(params[0], jnp.exp(params[1]) - 1.0)
            return (params, state), off

        start = jnp.asarray([away, 0.5])
        return jax.lax.scan(step, (start, tx.init(start)), noise)[1]

    shape = (2 * seeds, steps, 2, SAMPLES)
    noise = generator(0).standard_normal(shape).astype(np.float32)
    every = jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))
    found = np.asarray(every(jnp.asarray(tried, jnp.float32), noise), np.float64)
    found = np.nan_to_num(found, nan=1e6, posinf=1e6)
    best = int(found[:, :seeds, -1].mean(1).argmin())
    return float(tried[best]), found[best, seeds:]


def measure(quick: bool) -> Findings:
    """From near, where the distributions overlap, and from far away."""
    seeds, steps, count = (2, 30, 3) if quick else (8, 300, 13)
    starts = {"near": 1.0, "far": 10.0}
    tried = rates(0.001, 30.0, count)
    found = {
        start: {
            name: follow(loss, tried, away, seeds, steps)
            for name, loss in LOSSES.items()
        }
        for start, away in starts.items()
    }
    left = {
        start: {name: one[1][:, -1] for name, one in runs.items()}
        for start, runs in found.items()
    }
    whole = np.full(seeds, 1.0)
    checks = (
        Check(
            "From far away the Wasserstein distance leads to within 0.5 of the target.",
            log_ratio(0.5 * whole, left["far"]["Wasserstein"]),
            unit="powers of ten",
        ),
        Check(
            "From there the Jensen-Shannon divergence leads less than a tenth of the "
            "way.",
            log_ratio(left["far"]["Jensen-Shannon"], 0.9 * starts["far"] * whole),
            unit="powers of ten",
        ),
        Check(
            "So does the KL divergence.",
            log_ratio(left["far"]["KL"], 0.9 * starts["far"] * whole),
            unit="powers of ten",
        ),
        Check(
            "From near all three end within 0.5.",
            _least(log_ratio(0.5 * whole, one) for one in left["near"].values()),
            unit="powers of ten",
        ),
    )
    ends = {
        start: ", ".join(f"{n} {x.mean():.2g}" for n, x in runs.items())
        for start, runs in left.items()
    }
    conclusion = (
        f"What is left of the way, from a distance of 1: {ends['near']}; from 10: "
        f"{ends['far']}. Where the distributions do not overlap, the Jensen-Shannon "
        "divergence is flat at log 2. The KL divergence is so only for densities that "
        "end somewhere; with normal kernels it grows as the square of the distance, "
        "and its gradient with it. A distance of 1 is left where the mean is right and "
        "the spread has shrunk to nothing."
    )
    rows = tuple(
        (f"{start}, {name}", f"{one[0]:.3g}", interval(one[1][:, -1]))
        for start, runs in found.items()
        for name, one in runs.items()
    )
    return Findings(
        (
            Table(
                "Distance to the target at the end",
                ("", "best learning rate", "distance in mean and spread"),
                rows,
            ),
        ),
        checks,
        conclusion,
        lambda: _draw(found, starts),
        "A normal distribution of two parameters, mean and spread, is moved onto the "
        f"standard one by SGD with a cosine, {steps} steps, on {SAMPLES} fresh samples "
        f"of each; densities by normal kernels of width {WIDTH}. {count} rates for "
        f"each, the best chosen on {seeds} other seeds than the {seeds} reported.",
    )


def _least(intervals: Any) -> Interval:
    return min(intervals, key=lambda one: one.low)


def _draw(found: Any, starts: dict[str, float]) -> Any:
    figure, (left, *others) = drawing.panels(3, width=4.3)
    z = generator(0).standard_normal((2, SAMPLES)).astype(np.float32)
    away = np.linspace(0.0, 12.0, 49, dtype=np.float32)
    for (name, loss), colour in zip(LOSSES.items(), drawing.COLOURS, strict=False):
        heights = jax.vmap(lambda d, loss=loss: loss(z[0] + d, z[1]))(away)
        left.plot(away, heights, color=colour, lw=2, label=name)
    left.set(xlabel="distance of the means", ylabel="loss", ylim=(0, 14))
    left.set_title("The losses")
    left.legend(frameon=False)
    for ax, (start, runs) in zip(others, found.items(), strict=True):
        for (name, one), colour in zip(runs.items(), drawing.COLOURS, strict=False):
            at = np.arange(1, one[1].shape[1] + 1)
            drawing.band(ax, at, one[1], log=True, color=colour, label=name, lw=2)
        ax.set(yscale="log", xlabel="step", ylabel="distance to the target")
        ax.set_ylim(0.005, 50.0)
        ax.set_title(f"From {start}: a distance of {starts[start]:g}")
    return figure


STUDY = Study(
    "transport",
    "Where two distributions do not overlap, the Wasserstein distance has a useful "
    "gradient and the KL and Jensen-Shannon divergences have none.",
    measure,
)
