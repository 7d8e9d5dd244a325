"""The report of a run: one HTML file that needs nothing else, not even a script."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any, TYPE_CHECKING

import numpy as np

from jopt._core.schedule import Schedule
from jopt.experiments import report, svg, wording
from jopt.experiments.train_plan import Plan

if TYPE_CHECKING:
    from jopt.experiments.train_run import Result

Line = dict[str, Any]  # of the log

_SIZE = (520, 300)
COLOURED = 6


def page(made: Plan, log: Sequence[Line], result: "Result") -> str:
    """The whole report as an HTML document.

    Args:
        made: What the run is made of.
        log: The lines of `metrics.jsonl`.
        result: How it ended.
    """
    task = made.task
    figures = [
        _figure("Loss", "of the minibatches that are logged", _losses(log)),
        _figure(
            f"Validation {task.metric}",
            _score_note(made, result),
            _scores(log, task.metric),
        ),
        _figure("Learning rate", _rate_note(made), _rates(made)),
        _figure(
            "Update ratios",
            "the norm of each leaf's update over that of the leaf, coloured by layer",
            _ratios(log),
            _keys(log),
        ),
    ]
    body = (
        f"{_head(made, result)}"
        f'<section class="pictures">{"".join(figures)}</section>'
        f"{_events(log, result)}{_facts('Settings', _settings(made))}"
        f"{_facts('Versions and data', _origin(result))}"
        f"<section><h2>Optimizer</h2><pre>{_text(str(made.tx))}</pre></section>"
    )
    return report.document(f"jopt train: {task.name}", body)


def _head(made: Plan, result: "Result") -> str:
    metric, config = result.metric, made.config
    if result.test is None:
        said = f"Stopped after {result.step} of {config.steps} steps, to be gone on."
    else:
        said = f"Test {metric} {wording.score(result.test, metric)}"
        if result.valid is not None:
            said += (
                f", of the weights after step {result.best_step}, which had the best "
                f"validation {metric}: {wording.score(result.valid, metric)}"
            )
        said += "."
    rate = "" if config.learning_rate is None else f" at {config.learning_rate:g}"
    rate += f", {config.schedule}" if config.schedule else ""
    setting = (
        f"{config.optimizer}{rate}, {result.step} steps of {config.batch_size} rows, "
        f"{result.parameters:,} parameters, {wording.duration(result.seconds)}"
    )
    name = made.task.name + (f", {config.model}" if config.model else "")
    return (
        f'<header><p class="kicker">jopt train</p><h1>{_text(name)}</h1>'
        f'<p class="verdict">{_text(said)}</p>'
        f'<p class="setting">{_text(setting)}</p></header>'
    )


def _figure(title: str, note: str, picture: str, keys: str = "") -> str:
    if not picture:
        return ""
    return (
        f"<figure><figcaption><b>{_text(title)}</b> {_text(note)}</figcaption>"
        f"{picture}{keys}</figure>"
    )


def _losses(log: Sequence[Line]) -> str:
    points = [(line["step"], line["loss"]) for line in log if "loss" in line]
    if not points:
        return ""
    steps, values = zip(*points, strict=True)
    plot = _plot(steps, _free_scale(values), "Loss against steps")
    plot.curve(steps, values, "line c1")
    _crosses(plot, log)
    return plot.svg()


def _scores(log: Sequence[Line], metric: str) -> str:
    points = [(line["step"], line["value"]) for line in log if "value" in line]
    if not points:
        return ""
    steps, values = zip(*points, strict=True)
    share = metric == "accuracy" and min(values) >= 0.0 and max(values) <= 1.0
    scale = svg.accuracy(values) if share else svg.linear(values, pad=0.06)
    plot = _plot(steps, scale, f"Validation {metric} against steps")
    plot.curve(steps, values, "line c2")
    for point in points:
        plot.dot(point, "fill c2", 2.5, f"{wording.score(point[1], metric)}")
    return plot.svg()


def _score_note(made: Plan, result: "Result") -> str:
    weights = "averaged weights" if made.config.ema is not None else "weights"
    kept = f"; those after step {result.best_step} are kept" if result.best_step else ""
    return f"of the {weights}{kept}"


def _rates(made: Plan) -> str:
    steps, rate = made.config.steps, made.rate
    if rate is None or steps is None:
        return ""
    every = made.config.accumulate
    xs = np.unique(np.linspace(0, steps - 1, 200).round().astype(int))
    ys = [float(rate(int(x) // every)) for x in xs] if _is_schedule(rate) else None
    ys = ys or [float(rate)] * len(xs)
    top = max(ys)
    scale = svg.linear([0.0, top * 1.04])
    plot = _plot([steps], scale, "Learning rate against steps")
    plot.curve(xs.tolist(), ys, "line c3")
    return plot.svg()


def _rate_note(made: Plan) -> str:
    cut = "; before what the plateau cuts off" if made.config.plateau else ""
    return f"{made.rate if _is_schedule(made.rate) else 'constant'}{cut}"


def _is_schedule(rate: Any) -> bool:
    return isinstance(rate, Schedule)


def _ratios(log: Sequence[Line]) -> str:
    lines = [line for line in log if "ratios" in line]
    values = [x for line in lines for x in line["ratios"].values() if x > 0]
    if not values:
        return ""
    steps = [line["step"] for line in lines]
    kinds = _colours(log)
    plot = _plot(steps, svg.log(values, pad=0.04), "Update ratios against steps")
    for leaf in lines[0]["ratios"]:
        ys = [line["ratios"][leaf] or math.nan for line in lines]
        plot.curve(steps, ys, f"line {kinds[_layer(leaf)]}", leaf)
    return plot.svg()


def _colours(log: Sequence[Line]) -> dict[str, str]:
    """The class of each layer: the first ones have a colour of their own."""
    leaves = next((line["ratios"] for line in log if "ratios" in line), {})
    layers = list(dict.fromkeys(_layer(leaf) for leaf in leaves))
    return {
        layer: f"c{i + 1}" if i < COLOURED else "rest" for i, layer in enumerate(layers)
    }


def _layer(leaf: str) -> str:
    """The layer of a leaf: the first part of its path."""
    return leaf.strip("[]'\"").split("]")[0].strip("'\"")


def _keys(log: Sequence[Line]) -> str:
    """Which colour is which layer."""
    kinds = _colours(log)
    shown = [layer for layer, kind in kinds.items() if kind != "rest"]
    items = [(kinds[layer], layer) for layer in shown]
    if len(shown) < len(kinds):
        items.append(("rest", "the others"))
    rows = (f'<li><i class="key {kind}"></i>{_text(name)}</li>' for kind, name in items)
    return f'<ul class="keys">{"".join(rows)}</ul>'


def _crosses(plot: svg.Plot, log: Sequence[Line]) -> None:
    for line in log:
        if "not_finite" in line:
            plot.cross(line["step"], "cross", line["not_finite"], top=True)


def _plot(steps: Sequence[float], scale: svg.Scale, label: str) -> svg.Plot:
    return svg.Plot(svg.linear([0, *steps]), scale, _SIZE, label=label, x_label="step")


def _free_scale(values: Sequence[float]) -> svg.Scale:
    """Logarithmic where the values are positive and far apart."""
    finite = [v for v in values if math.isfinite(v)]
    if finite and min(finite) > 0.0 and max(finite) > 5.0 * min(finite):
        return svg.log(finite, pad=0.04)
    return svg.linear(finite, pad=0.04)


def _events(log: Sequence[Line], result: "Result") -> str:
    rows = [
        f"<li>Step {line['step']} was skipped: {_text(line['not_finite'])}.</li>"
        for line in log
        if "not_finite" in line
    ]
    ends = {
        "steps": "All steps were taken.",
        "patience": f"Ended after step {result.step}: nothing improved any more.",
        "signal": f"Asked to end after step {result.step}; the checkpoint is there.",
    }
    rows.append(f"<li>{ends[result.stopped]}</li>")
    return f'<section><h2>Events</h2><ul class="notes">{"".join(rows)}</ul></section>'


def _settings(made: Plan) -> Mapping[str, Any]:
    return {name: x for name, x in vars(made.config).items() if x is not None}


def _origin(result: "Result") -> Mapping[str, Any]:
    return result.versions | {"data": result.data}


def _facts(title: str, facts: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<dt>{_text(name)}</dt><dd>{_text(_plain(value))}</dd>"
        for name, value in facts.items()
    )
    return f"<section><h2>{title}</h2><dl>{rows}</dl></section>"


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _text(text: str) -> str:
    return html.escape(text)
