"""Constraints: a penalty against multipliers."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt.experiments.studies import drawing
from jopt.experiments.studies.seeds import generator
from jopt.experiments.studies.statistics import interval, log_ratio
from jopt.experiments.studies.study import Check, Findings, Study, Table
from jopt.experiments.studies.sweep import rates

SIZE, EQUATIONS = 10, 3
PENALTIES = (1.0, 10.0, 100.0, 1000.0)
WAYS = (*(f"penalty {p:g}" for p in PENALTIES), "Lagrangian", "augmented Lagrangian")


def problems(count: int) -> tuple[np.ndarray, ...]:
    """Quadratics, linear equations, and where the first is least under the second."""
    found = []
    for seed in range(count):
        draw = generator(seed)
        turn = np.linalg.qr(draw.standard_normal((SIZE, SIZE)))[0]
        hessian = turn @ np.diag(np.geomspace(1.0, 10.0, SIZE)) @ turn.T
        centre = draw.standard_normal(SIZE)
        rows = np.linalg.qr(draw.standard_normal((SIZE, EQUATIONS)))[0].T
        right = draw.standard_normal(EQUATIONS)
        whole = np.block([[hessian, rows.T], [rows, np.zeros((EQUATIONS, EQUATIONS))]])
        solved = np.linalg.solve(whole, np.concatenate([hessian @ centre, right]))
        found.append((hessian, centre, rows, right, solved[:SIZE]))
    return tuple(np.stack(x).astype(np.float32) for x in zip(*found, strict=True))


def run(way: str, setting: jax.Array, problem: Any, steps: int) -> jax.Array:
    """The distance to the solution, and the violation, after each step.

    A setting is a rate, and by how much that of the multipliers is larger.
    """
    rate, ratio = setting
    hessian, centre, rows, right, solution = problem

    def objective(x: jax.Array) -> jax.Array:
        return 0.5 * (x - centre) @ hessian @ (x - centre)

    def equations(x: jax.Array) -> jax.Array:
        return rows @ x - right

    def scores(x: jax.Array) -> jax.Array:
        return jnp.stack([jnp.linalg.norm(x - solution), jnp.linalg.norm(equations(x))])

    sgd = jopt.sgd(rate)
    function: Any
    if way in ("Lagrangian", "augmented Lagrangian"):
        if way == "Lagrangian":
            function = jopt.lagrangian(objective, equations)
        else:
            function = jopt.augmented_lagrangian(objective, equations, penalty=10.0)
        start, tx = (
            function.init(jnp.zeros(SIZE)),
            jopt.primal_dual(sgd, jopt.sgd(rate * ratio)),
        )
    else:
        weight = float(way.split()[1])
        start, tx = jnp.zeros(SIZE), sgd

        def penalised(x: jax.Array) -> jax.Array:
            return objective(x) + 0.5 * weight * jnp.square(equations(x)).sum()

        function = penalised

    def step(carry: Any, _: None) -> Any:
        at, state = carry
        updates, state = tx.update(jax.grad(function)(at), state, at)
        at = jax.tree.map(jnp.add, at, updates)
        return (at, state), scores(at if isinstance(at, jax.Array) else at.params)

    return jax.lax.scan(step, (start, tx.init(start)), None, length=steps)[1]


def measure(quick: bool) -> Findings:
    """Every way at its own best rate, for the same steps."""
    seeds, steps, count = (2, 50, 5) if quick else (12, 150, 12)
    given = problems(2 * seeds)
    many, few = rates(1e-4, 1.0, 2 * count), rates(1e-3, 1.0, count)
    alone = [(rate, 1.0) for rate in many]
    pairs = [(rate, ratio) for rate in few for ratio in (1.0, 10.0)]
    found, best = {}, {}
    for way in WAYS:
        every = jax.jit(
            jax.vmap(
                jax.vmap(lambda s, p, way=way: run(way, s, p, steps), (None, 0)),
                (0, None),
            )
        )
        tried = alone if way.startswith("penalty") else pairs
        paths = np.asarray(every(jnp.asarray(tried, jnp.float32), given), np.float64)
        paths = np.maximum(np.nan_to_num(paths, nan=1e9, posinf=1e9), 1e-7)
        # The first half of the problems chooses the rate, the other is reported.
        at = int(np.log10(paths[:, :seeds, -1, 0]).mean(1).argmin())
        found[way], best[way] = paths[at, seeds:], float(tried[at][0])
    return _findings(found, best, (seeds, steps, count))


def _findings(found: Any, best: dict[str, float], sizes: Any) -> Findings:
    seeds, steps, count = sizes
    off = {way: one[:, -1, 0] for way, one in found.items()}
    broken = {way: one[:, -1, 1] for way, one in found.items()}
    nearest = min(WAYS[: len(PENALTIES)], key=lambda way: np.log(off[way]).mean())
    checks = (
        Check(
            "A penalty of 1000 breaks the constraint less than a fifth as much as 100.",
            log_ratio(0.2 * broken["penalty 100"], broken["penalty 1000"]),
            unit="powers of ten",
        ),
        Check(
            "Of all penalties the largest does not end nearest to the solution.",
            log_ratio(off["penalty 1000"], off[nearest]),
            unit="powers of ten",
        ),
        Check(
            f"A Lagrangian ends nearer than the best penalty, {nearest.split()[1]}.",
            log_ratio(off[nearest], off["Lagrangian"]),
            unit="powers of ten",
        ),
        Check(
            "So does an augmented Lagrangian.",
            log_ratio(off[nearest], off["augmented Lagrangian"]),
            unit="powers of ten",
        ),
        Check(
            "The augmented one ends nearer than the plain one.",
            log_ratio(off["Lagrangian"], off["augmented Lagrangian"]),
            unit="powers of ten",
        ),
    )
    ends = ", ".join(f"{way} {np.median(one):.1g}" for way, one in off.items())
    rows = tuple(
        (
            way,
            f"{best[way]:.2g}",
            interval(np.log10(off[way])),
            interval(np.log10(broken[way])),
        )
        for way in WAYS
    )
    columns = ("", "best rate", "log10 of the distance", "log10 of the violation")
    return Findings(
        (Table("At the best rate of each", columns, rows),),
        checks,
        f"Distance to the solution after {steps} steps: {ends}. A penalty solves "
        "another problem, and the nearer that is to the right one the smaller the "
        "steps have to be; multipliers solve the right one.",
        lambda: _draw(found),
        f"Quadratics of {SIZE} variables and condition 10 under {EQUATIONS} linear "
        f"equations, whose solution is known; gradient descent, {steps} steps, {seeds} "
        f"problems; {2 * count} settings for each way, the best chosen on {seeds} "
        "other problems: rates, and for the Lagrangians half as many, with multipliers "
        "that move at the same rate or ten times it. The augmented one has a penalty "
        "of 10.",
    )


def _draw(found: Any) -> Any:
    figure, (left, right) = drawing.panels()
    for i, (way, one) in enumerate(found.items()):
        penalty = i < len(PENALTIES)
        colour = str(0.8 - 0.22 * i) if penalty else drawing.COLOURS[i % 2]
        style = {"color": colour, "lw": 1.5 if penalty else 2.5, "label": way}
        at = np.arange(1, one.shape[1] + 1)
        drawing.band(left, at, one[..., 0], log=True, **style)
        drawing.band(right, at, one[..., 1], log=True, **style)
    left.set(yscale="log", xlabel="step", ylabel="distance to the solution")
    right.set(yscale="log", xlabel="step", ylabel="violation of the constraint")
    left.set_title("How near the solution")
    right.set_title("How well the constraint is kept")
    figure.legend(*left.get_legend_handles_labels(), loc="outside right", frameon=False)
    return figure


STUDY = Study(
    "constrained",
    "Multipliers meet a constraint that a penalty only nears, and an augmented "
    "Lagrangian does so fastest.",
    measure,
)
