"""Memory: the optimizer's state in bytes against what it reaches."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import jopt
from jopt.experiments.studies import arms, drawing, nets
from jopt.experiments.studies.study import Findings, Study, Table
from jopt.experiments.studies.sweep import rates, sweep

MAKERS: dict[str, tuple[Callable[[Any], jopt.Transform], float]] = {
    "sgd": (lambda rate: jopt.sgd(rate), 0.03),
    "sgd, momentum": (lambda rate: jopt.sgd(rate, momentum=0.9), 0.003),
    "adafactor": (
        lambda rate: jopt.adafactor(
            rate, min_dim_size_to_factor=8, multiply_by_parameter_scale=False
        ),
        0.001,
    ),
    "sm3": (lambda rate: jopt.sm3(rate), 0.003),
    "galore": (lambda rate: jopt.galore(rate, rank=8, update_proj_gap=50), 0.001),
    "adam_mini": (lambda rate: jopt.adam_mini(rate), 0.001),
    "adam": (lambda rate: jopt.adam(rate), 0.001),
}
MARGIN = 0.01


def measure(quick: bool) -> Findings:
    """Every optimizer at its own best rate, with the same cosine."""
    seeds, steps, count = (2, 20, 2) if quick else (8, 200, 9)
    bench = nets.digits_bench((64, 64), metric="cross entropy")
    found = {
        name: sweep(
            bench,
            lambda rate, make=make: make(jopt.cosine_decay_schedule(rate, steps)),
            rates(low, 100 * low, count),
            seeds=seeds,
            steps=steps,
            batch_size=64,
        )
        for name, (make, low) in MAKERS.items()
    }
    params = jax.tree.map(lambda a: a[0], bench.first(1)[0])
    count_of = sum(leaf.size for leaf in jax.tree.leaves(params))
    sizes = {
        name: jopt.state_bytes(make(0.1), params) / count_of
        for name, (make, _) in MAKERS.items()
    }
    checks = tuple(
        arms.better(
            found,
            name,
            "adam",
            f"`{name}` ends within {MARGIN} of Adam's test loss, with "
            f"{sizes[name]:.1f} bytes for a parameter instead of {sizes['adam']:.1f}.",
            "nats",
            margin=-MARGIN,
        )
        for name in MAKERS
        if name != "adam"
    )
    ends = "; ".join(
        f"{name} {sizes[name]:.1f} bytes, {one.score.mean():.3f}"
        for name, one in found.items()
    )
    conclusion = (
        f"Bytes of state for each parameter, and test loss: {ends}. The weights "
        "themselves are 4 bytes each."
    )
    return Findings(
        (
            arms.table(found, "At the best rate of each", "loss", "peak rate"),
            Table(
                "State",
                ("", "bytes for each parameter"),
                tuple((name, float(size)) for name, size in sizes.items()),
            ),
        ),
        checks,
        conclusion,
        lambda: _draw(found, sizes),
        f"A perceptron with two layers of 64 units on digits ({count_of} parameters), "
        f"minibatches of 64, {steps} steps with a cosine, {seeds} seeds; {count} peak "
        "rates over two powers of ten for each, the best chosen on validation data. "
        "GaLore has rank 8. jopt's SM3 keeps momentum.",
    )


def _draw(found: arms.Arms, sizes: dict[str, float]) -> Any:
    figure, (left, right) = drawing.panels()
    colours = list(drawing.COLOURS[: len(found)])
    for (name, one), colour in zip(found.items(), colours, strict=True):
        drawing.band(left, one.steps, arms.curve(one), color=colour, label=name, lw=2)
    low = min(one.score.mean() for one in found.values())
    left.set(xlabel="step", ylabel="test loss", ylim=(0.7 * low, 5 * low))
    left.set_title("Each at its best rate")
    left.legend(frameon=False)
    places = arms.scores(found)
    for (name, size), one, colour in zip(sizes.items(), places, colours, strict=True):
        ends = np.nan_to_num([[one.mean - one.low], [one.high - one.mean]], posinf=0.0)
        right.errorbar(size, one.mean, ends, fmt="o", color=colour, capsize=4, lw=2)
        left_of = size > 6
        right.annotate(
            name,
            (size, one.mean),
            xytext=(-8 if left_of else 8, 0),
            textcoords="offset points",
            va="center",
            ha="right" if left_of else "left",
        )
    right.set(xlabel="bytes of state for each parameter", xlim=(-0.5, 9))
    right.set(ylabel="test loss (lower is better)", title="What memory buys")
    return figure


STUDY = Study(
    "memory",
    "Optimizers that save memory lose little of what Adam reaches.",
    measure,
)
