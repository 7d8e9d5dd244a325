"""Momentum and Nesterov: two valleys with their trajectories, and a net."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt.experiments.studies import arms, drawing, nets
from jopt.experiments.studies.seeds import generator
from jopt.experiments.studies.statistics import interval, log_ratio
from jopt.experiments.studies.study import Check, Findings, Study, Table
from jopt.experiments.studies.sweep import rates, sweep

CONDITION = 1000.0
SHOWN = 100  # steps of a trajectory that are drawn
MAKERS: dict[str, Callable[[Any], jopt.Transform]] = {
    "plain": lambda rate: jopt.sgd(rate),
    "momentum": lambda rate: jopt.sgd(rate, momentum=0.9),
    "Nesterov": lambda rate: jopt.sgd(rate, momentum=0.9, nesterov=True),
}


def quadratic(x: jax.Array) -> jax.Array:
    """A valley that is a thousand times steeper across than along."""
    return 0.5 * (x[0] ** 2 / CONDITION + x[1] ** 2)


def rosenbrock(x: jax.Array) -> jax.Array:
    """A bent valley with its minimum at (1, 1)."""
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2


@dataclasses.dataclass(frozen=True)
class Descent:
    """What one optimizer did on a function of two numbers.

    Attributes:
        rate: The best of the learning rates.
        values: The function along the way, from the starts that were kept back.
        path: Where the first of them went.
    """

    rate: float
    values: np.ndarray
    path: np.ndarray


def descend(
    function: Callable[[jax.Array], jax.Array],
    make: Callable[[Any], jopt.Transform],
    tried: np.ndarray,
    starts: np.ndarray,
    steps: int,
) -> Descent:
    """All rates from all starts; the rate is chosen on the first half of the starts."""

    def run(rate: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        tx = make(rate)

        def step(carry: Any, _: None) -> tuple[Any, Any]:
            x, state = carry
            updates, state = tx.update(jax.grad(function)(x), state, x)
            return (x + updates, state), (function(x), x)

        return jax.lax.scan(step, (x, tx.init(x)), None, length=steps)[1]

    every = jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))
    values, paths = jax.device_get(every(jnp.asarray(tried, jnp.float32), starts))
    values = np.nan_to_num(values.astype(np.float64), nan=np.inf)
    half = len(starts) // 2
    with np.errstate(divide="ignore"):
        best = int(np.log10(values[:, :half, -1] + 1e-30).mean(1).argmin())
    return Descent(float(tried[best]), values[best, half:], paths[best, half])


def measure(quick: bool) -> Findings:
    """Steps at equal cost: the value that is left, with each at its best rate."""
    half, steps, count = (3, 100, 8) if quick else (20, 150, 40)
    draw = generator(0)
    turns = draw.uniform(0.0, 2.0 * np.pi, 2 * half)
    around = np.stack([np.cos(turns) * 10.0, np.sin(turns)], 1).astype(np.float32)
    near = draw.uniform((-1.8, -0.5), (-0.8, 2.5), (2 * half, 2)).astype(np.float32)
    valleys = {
        "quadratic": (quadratic, around, rates(0.02, 4.0, count), steps),
        "Rosenbrock": (rosenbrock, near, rates(1e-5, 1e-2, count), 10 * steps),
    }
    found = {
        valley: {
            name: descend(function, make, tried, starts, steps)
            for name, make in MAKERS.items()
        }
        for valley, (function, starts, tried, steps) in valleys.items()
    }
    net = _net(quick)
    ends = {
        valley: {name: _floored(one.values[:, -1]) for name, one in runs.items()}
        for valley, runs in found.items()
    }
    ends["net"] = {name: one.valid[one.best, :, -1] for name, one in net.items()}
    checks = tuple(
        Check(statement, log_ratio(left[b], left[a]), unit="powers of ten")
        for what, left in ends.items()
        for a, b, statement in (
            (
                "momentum",
                "plain",
                f"Momentum leaves less of the {what} than plain SGD.",
            ),
            (
                "Nesterov",
                "momentum",
                f"Nesterov leaves less of the {what} than momentum.",
            ),
        )
    )
    return _findings(found, net, ends, checks, valleys, (half, count))


def _net(quick: bool) -> arms.Arms:
    seeds, steps, count = (2, 40, 3) if quick else (8, 200, 12)
    bench = nets.digits_bench((32, 32), metric="cross entropy")
    # Chosen on the loss of the training digits: this is a matter of speed.
    bench = dataclasses.replace(bench, valid=bench.train)
    tried = rates(3e-3, 3.0, count)
    return {
        name: sweep(bench, make, tried, seeds=seeds, steps=steps, batch_size=256)
        for name, make in MAKERS.items()
    }


def _floored(values: np.ndarray) -> np.ndarray:
    """What single precision can tell from 0."""
    return np.maximum(values, 1e-14)


def _findings(
    found: Any, net: arms.Arms, ends: Any, checks: Any, valleys: Any, sizes: Any
) -> Findings:
    chosen = {v: {n: one.rate for n, one in runs.items()} for v, runs in found.items()}
    chosen["net"] = {name: one.setting for name, one in net.items()}
    rows = tuple(
        (f"{what}, {name}", f"{chosen[what][name]:.3g}", interval(np.log10(left)))
        for what, runs in ends.items()
        for name, left in runs.items()
    )
    powers = [f"{check.found.mean:.2g}" for check in checks]
    conclusion = (
        "At the best rate of each, momentum ended lower than plain SGD by "
        f"{powers[0]} powers of ten on the quadratic, {powers[2]} on Rosenbrock's "
        f"function and {powers[4]} on the net. Nesterov's ended lower than momentum by "
        f"{powers[1]}, {powers[3]} and {powers[5]} (less than 0: it ended higher). "
        "Plain momentum of 0.9 stands a rate of up to 3.8 over the curvature, "
        "Nesterov's one of 1.36: tuned as well as it, momentum can stride further."
    )
    starts, count = sizes
    spans = ", ".join(f"{k}: {v[3]} steps" for k, v in valleys.items())
    return Findings(
        (
            Table(
                "What is left at the end, in powers of ten",
                ("", "best learning rate", "log10 of the value"),
                rows,
            ),
        ),
        checks,
        conclusion,
        lambda: _draw(found, net),
        f"{spans}; {starts} random starts; {count} rates for each, the best "
        f"chosen on {starts} other starts. The net has two hidden layers of 32 units "
        "and sees 1077 digits in minibatches of 256. Momentum is 0.9.",
    )


def _draw(found: Any, net: arms.Arms) -> Any:
    figure, axes = drawing.panels(4, rows=2, width=3.3, height=3.1)
    boxes = {
        "quadratic": (quadratic, (-4.0, 11.0), (-1.2, 1.2), (0.0, 0.0)),
        "Rosenbrock": (rosenbrock, (-1.8, 1.4), (-0.6, 2.6), (1.0, 1.0)),
    }
    for row, (valley, (function, xs, ys, goal)) in enumerate(boxes.items()):
        x, y = np.meshgrid(*(np.linspace(a, b, 160) for a, b in (xs, ys)))
        height = np.log10(np.asarray(function(jnp.asarray([x, y], jnp.float32))) + 1e-3)
        runs = zip(found[valley].items(), drawing.COLOURS, strict=False)
        for column, ((name, one), colour) in enumerate(runs):
            ax, path = axes[4 * row + column], one.path[:SHOWN]
            ax.contourf(x, y, height, levels=12, cmap="Greys", alpha=0.35)
            ax.plot(*path.T, ".-", color=colour, lw=1.2, ms=4)
            ax.plot(*goal, "*", color="black", ms=12)
            ax.plot(*path[0], "o", color="black", ms=6)
            ax.set(xlim=xs, ylim=ys, title=f"{valley}: {name}")
            ax.grid(False)
            floored = _floored(one.values)
            if row == 0:
                at = np.arange(floored.shape[1])
                drawing.band(axes[3], at, floored, log=True, color=colour, label=name)
    for (name, one), colour in zip(net.items(), drawing.COLOURS, strict=False):
        curves = one.valid[one.best]
        drawing.band(axes[7], one.steps, curves, log=True, color=colour, label=name)
    axes[3].set(yscale="log", xlabel="step", title="quadratic: what is left")
    axes[7].set(yscale="log", xlabel="step", title="net: training loss")
    axes[3].legend(frameon=False)
    figure.suptitle(f"The first {SHOWN} steps from the dot, to the star; best rates")
    return figure


STUDY = Study(
    "momentum",
    "Where the curvature is uneven momentum descends faster than plain gradient "
    "descent, and Nesterov's faster still.",
    measure,
)
