"""Samples of the posterior by SGLD against a point estimate, and their calibration."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt.experiments.studies import arms, drawing, nets
from jopt.experiments.studies.statistics import difference, interval
from jopt.experiments.studies.study import Check, Findings, Study, Table
from jopt.experiments.studies.sweep import Bench, Population, rates, sweep

ROWS = 200
PRIORS = (0.3, 1.0, 3.0)  # spreads of the prior
BINS = 10


def mean_logits(members: Any, x: jax.Array) -> jax.Array:
    """The log of the mean probabilities of several nets."""
    logs = jax.nn.log_softmax(jax.vmap(nets.apply_mlp, (0, None))(members, x))
    return jax.nn.logsumexp(logs, axis=0) - np.log(len(logs))


def sampled(bench: Bench, one: Population, skip: int) -> Population:
    """The same population, judged by the mean prediction of its samples."""

    def score(members: Any, rows: Any) -> jax.Array:
        kept = jax.tree.map(lambda a: a[skip:], members)
        return nets.cross_entropies(mean_logits(kept, rows[0]), rows[1]).mean()

    def every(rows: Any) -> np.ndarray:
        part = jax.tree.map(jnp.asarray, rows)
        found = jax.jit(jax.vmap(jax.vmap(score, (0, None)), (0, None)))
        return np.asarray(found(one.params, part), np.float64)[..., None]

    return dataclasses.replace(one, valid=every(bench.valid), test=every(bench.test))


def said(one: Population, x: np.ndarray, skip: int | None) -> np.ndarray:
    """Probabilities of the best setting, for each seed: of the samples, or the last."""
    best = jax.tree.map(lambda a: jnp.asarray(a[one.best]), one.params)
    first = -1 if skip is None else skip
    kept = jax.tree.map(lambda a: a[:, first:], best)
    logs = jax.jit(jax.vmap(mean_logits, (0, None)))(kept, jnp.asarray(x))
    return np.exp(np.asarray(logs, np.float64))


def reliability(said: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """For each bin of confidence: its share of rows, mean confidence and accuracy."""
    sure, right = said.max(1), said.argmax(1) == labels
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    rows = []
    for b in range(BINS):
        inside = place == b
        if inside.any():
            rows.append((inside.mean(), sure[inside].mean(), right[inside].mean()))
    return np.asarray(rows)


def calibration_error(said: np.ndarray, labels: np.ndarray) -> float:
    """The mean distance of confidence and accuracy, over bins of confidence."""
    share, sure, right = reliability(said, labels).T
    return float((share * np.abs(sure - right)).sum())


def measure(quick: bool) -> Findings:
    """The same posterior: its samples, its maximum, and the net without a prior."""
    seeds, steps, count = (2, 60, 2) if quick else (8, 3000, 5)
    points, skip = (6, 2) if quick else (60, 20)
    bench = nets.digits_bench((32,), rows=ROWS, metric="cross entropy")

    # As many settings for all: rates alone, or rates and priors.
    alone = rates(0.003, 1.0, count * len(PRIORS))
    both = np.tile(rates(0.03, 3.0, count), len(PRIORS))
    spreads = np.repeat(PRIORS, count)

    def posterior(last: Any) -> Any:
        # Sums over all rows, as sampling needs them; the rate is one over rows.
        def make(at: Any, key: Any) -> jopt.Transform:
            rate, spread = (
                jnp.asarray(x, jnp.float32)[at.astype(jnp.int32)]
                for x in (both, spreads)
            )
            return jopt.chain(
                jopt.scale(float(ROWS)),
                jopt.add_gaussian_prior(spread),
                last(rate / ROWS, key),
            )

        return make

    makers = {
        "no prior": lambda rate, key: jopt.sgd(rate),
        "maximum": posterior(lambda rate, key: jopt.sgd(rate)),
        "SGLD": posterior(lambda rate, key: jopt.sgld(rate, key=key)),
    }
    found = {
        name: sweep(
            bench,
            make,
            alone if name == "no prior" else np.arange(len(both)),
            seeds=seeds,
            steps=steps,
            batch_size=50,
            points=points,
            keep=True,
            keyed=True,
        )
        for name, make in makers.items()
    }
    curves = dict(found)
    found["SGLD"] = sampled(bench, found["SGLD"], skip)
    x, labels = bench.test
    probabilities = {
        name: said(one, x, skip if name == "SGLD" else None)
        for name, one in found.items()
    }
    chosen = {
        name: (both[one.best], f"{spreads[one.best]:g}") for name, one in found.items()
    }
    chosen["no prior"] = (found["no prior"].setting, "none")
    sizes = seeds, steps, len(both), points - skip
    return _findings(found, curves, probabilities, labels, sizes, chosen)


def _findings(
    found: arms.Arms,
    curves: arms.Arms,
    probabilities: Any,
    labels: Any,
    sizes: Any,
    chosen: dict[str, tuple[float, str]],
) -> Findings:
    seeds, steps, count, samples = sizes
    errors = {
        name: np.asarray([calibration_error(p, labels) for p in every])
        for name, every in probabilities.items()
    }
    right = {
        name: (every.argmax(2) == labels).mean(1)
        for name, every in probabilities.items()
    }
    checks = (
        arms.better(
            found,
            "SGLD",
            "maximum",
            "Samples have a lower test loss than the maximum.",
            "nats",
        ),
        arms.better(
            found, "SGLD", "no prior", "And than the net without a prior.", "nats"
        ),
        Check(
            "Samples are better calibrated than the maximum.",
            difference(errors["maximum"], errors["SGLD"]),
            unit="calibration error",
        ),
        Check(
            "And than the net without a prior.",
            difference(errors["no prior"], errors["SGLD"]),
            unit="calibration error",
        ),
    )
    rows = tuple(
        (
            name,
            interval(found[name].score),
            interval(errors[name]),
            interval(right[name]),
        )
        for name in found
    )
    ends = "; ".join(
        f"{name} {found[name].score.mean():.3f}, {errors[name].mean():.3f} and "
        f"{right[name].mean():.1%}"
        for name in found
    )
    return Findings(
        (
            Table(
                "At the best rate of each",
                ("", "test loss", "calibration error", "test accuracy"),
                rows,
            ),
            Table(
                "How it was tuned",
                (
                    "",
                    "best learning rate",
                    "best spread of the prior",
                    "validation loss",
                ),
                tuple(
                    (
                        name,
                        f"{chosen[name][0]:.2g}{_star(chosen[name][0])}",
                        chosen[name][1],
                        interval(one.valid[one.best, :, -1]),
                    )
                    for name, one in found.items()
                ),
            ),
        ),
        checks,
        f"Test loss, calibration error and accuracy: {ends}. The rule of SGLD "
        "is that of the maximum with noise added, each at its own best settings.",
        lambda: _draw(curves, found, probabilities, labels),
        f"A perceptron with 32 hidden units on {ROWS} digits; a normal prior; "
        f"minibatches of 50, {steps} steps, {seeds} seeds; {count} settings for each "
        f"(learning rates, and spreads of the prior: {PRIORS}), the best chosen on "
        f"validation data. The prediction of SGLD is the mean of {samples} samples of "
        f"one run. The calibration error is over {BINS} bins of confidence.",
    )


def _star(rate: float) -> str:
    """The mark of a rate at the end of those that were tried with a prior."""
    return " *" if np.isclose(rate, (0.03, 3.0)).any() else ""


def _draw(curves: arms.Arms, found: arms.Arms, probabilities: Any, labels: Any) -> Any:
    figure, (left, middle, right) = drawing.panels(3, width=4.3)
    for (name, one), colour in zip(curves.items(), drawing.COLOURS, strict=False):
        label = "SGLD, one sample" if name == "SGLD" else name
        style = {"color": colour, "label": label, "lw": 2}
        drawing.band(left, one.steps, one.test[found[name].best], **style)
    end = found["SGLD"].score.mean()
    left.axhline(end, color=drawing.COLOURS[2], ls="--", label="SGLD, mean of samples")
    low = min(one.score.mean() for one in found.values())
    left.set(xlabel="step", ylabel="test loss", ylim=(0.7 * low, 40 * low))
    left.set_yscale("log")
    left.set_title("Each at its best rate")
    left.legend(frameon=False)
    middle.plot([0, 1], [0, 1], color="0.5", ls=":", label="calibrated")
    for (name, every), colour in zip(
        probabilities.items(), drawing.COLOURS, strict=False
    ):
        # All seeds together, so that a bin holds enough rows.
        rows = reliability(np.concatenate(every), np.tile(labels, len(every)))
        middle.plot(rows[:, 1], rows[:, 2], "o-", color=colour, lw=2, label=name)
    middle.set(xlabel="confidence", ylabel="accuracy", xlim=(0.2, 1), ylim=(0.2, 1))
    middle.set_title("Is a net as right as it is sure?")
    middle.legend(frameon=False)
    colours = list(drawing.COLOURS[: len(found)])
    drawing.bars(right, list(found), arms.scores(found), colours)
    right.set(xlabel="test loss (lower is better)", title="Where they end")
    return figure


STUDY = Study(
    "calibration",
    "Averaging over samples of the posterior predicts better, and is better "
    "calibrated, than a point estimate.",
    measure,
)
