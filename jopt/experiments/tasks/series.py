"""Tasks on time series: from a window of the past to what comes."""

import csv
import dataclasses
import gzip
import io
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jopt.experiments import data, models
from jopt.experiments.models.layers import counted, named
from jopt.experiments.task import Recipe, Rows, Task
from jopt.experiments.tasks import kinds

ETTH1 = data.Original(
    "timeseries/ETTh1.csv.gz",
    "a1bc44e983dda9aaeb448f16d1dca5d28f98cb51131681f31a45144476e7ac89",
    "It is ETT-small/ETTh1.csv of https://github.com/zhouhaoyi/ETDataset, gzipped "
    "(CC BY-ND 4.0).",
)
RIDERSHIP = data.Original(
    "timeseries/cta_ridership_daily.csv.gz",
    "36254ea0668e8d3825130837e84a76a4b1b0b597522a5a0de91ede3336148d61",
    "It is the CTA's daily boarding totals, of https://data.cityofchicago.org or the "
    "folder ridership of https://github.com/ageron/data, gzipped.",
)
MONTH = 30 * 24  # hours, as the published split has it
MILLION = 1e6
RECIPES = {
    "etth1": Recipe(
        "adam(cosine_decay_schedule(5e-3, 2000))",
        steps=2000,
        batch_size=32,
        score=0.372,
        minutes=0.05,
        published="0.374 (NLinear, window 336; the last value: 1.295; Zeng et al., "
        "AAAI 2023, Table 2)",
    ),
    "ridership": Recipe(
        "adamw(cosine_decay_schedule(3e-3, 2000), weight_decay=0.01)",
        steps=2000,
        batch_size=32,
        score=0.04135,
        minutes=0.06,
        published="none on this test part",
    ),
}


@dataclasses.dataclass(frozen=True)
class Windows:
    """How a series is cut.

    Attributes:
        window: How many values are seen.
        horizon: How many are to be told.
    """

    window: int
    horizon: int

    def of(self, series: np.ndarray, start: int, end: int) -> Rows:
        """All rows whose targets lie from `start` to `end`; views, not copies.

        What is seen may lie before `start`, as is usual.
        """
        first = max(0, start - self.window)
        length = self.window + self.horizon
        cut = np.lib.stride_tricks.sliding_window_view(series[first:end], length, 0)
        return {"x": cut[..., : self.window], "y": cut[..., self.window :]}


def etth1(
    folder: pathlib.Path | None = None,
    model: str = "mlp",
    quick: bool = False,
    window: int = 336,
    horizon: int = 96,
    **options: Any,
) -> Task:
    """Seven readings of an electricity transformer, by the hour, four days ahead.

    The series are scaled by the training part, and so is the score; the parts are the
    12, 4 and 4 months that are usual. Each series is told from its own past by the same
    model, as differences to the last value.

    Args:
        folder: The data folder; it holds `timeseries/ETTh1.csv.gz`.
        model: `"mlp"`; by default without a hidden layer: NLinear.
        quick: Fewer rows and steps.
        window: Hours that are seen.
        horizon: Hours ahead.
        options: Options of the model.

    Reference:
        Zeng, Chen, Zhang, Xu, "Are Transformers Effective for Time Series Forecasting?"
        AAAI 2023, arXiv:2205.13504.
    """
    table = _table(ETTH1.read("etth1", folder))
    names = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
    values = np.array([[float(row[name]) for name in names] for row in table])
    ends = [12 * MONTH, 16 * MONTH, 20 * MONTH]
    series = kinds.Scale.of(values[: ends[0]])(values)
    cut = Windows(counted("window", window), counted("horizon", horizon))
    return _forecast(
        "etth1", series, ends, cut, model, {"depth": 0, **options}, quick, "MSE"
    )


def ridership(
    folder: pathlib.Path | None = None,
    model: str = "mlp",
    quick: bool = False,
    window: int = 56,
    horizon: int = 7,
    **options: Any,
) -> Task:
    """How many board Chicago's buses and trains, by the day, a week ahead.

    Trained on 2001 to 2016, validated on 2017, tested on 2018 and 2019; the score is
    the mean absolute error in millions of boardings a day.

    Args:
        folder: The data folder; it holds `timeseries/cta_ridership_daily.csv.gz`.
        model: `"mlp"`.
        quick: Fewer rows and steps.
        window: Days that are seen.
        horizon: Days ahead.
        options: Options of the model.
    """
    days = {}  # two months are in the file twice
    for row in _table(RIDERSHIP.read("ridership", folder)):
        month, day, year = row["service_date"].split("/")
        days[year, month, day] = [int(row["bus"]), int(row["rail_boardings"])]
    order = sorted(days)
    series = np.array([days[day] for day in order], np.float32) / np.float32(MILLION)
    years = [year for year, _, _ in order]
    ends = [years.index(year) for year in ("2017", "2018", "2020")]
    cut = Windows(counted("window", window), counted("horizon", horizon))
    return _forecast("ridership", series, ends, cut, model, options, quick, "MAE")


def naive(task: Task, part: str = "test", back: int = 1) -> float:
    """The score of telling that all stays as it was.

    Args:
        task: A task of this module.
        part: The part that is scored.
        back: The value of how long ago stays: 1 for the last, 7 for that of a week ago.

    Returns:
        The score.
    """
    rows = task.parts[part]
    horizon = rows["y"].shape[-1]
    last = rows["x"][..., rows["x"].shape[-1] - back :]
    repeated = np.resize(np.arange(back), horizon)
    return task.judge(last[..., repeated], rows)


def _forecast(
    name: str,
    series: np.ndarray,
    ends: list[int],
    cut: Windows,
    model: str,
    options: dict[str, Any],
    quick: bool,
    metric: str,
) -> Task:
    make = named("model", model, models.MODELS)
    starts = [cut.window, *ends[:-1]]
    names = ("train", "valid", "test")
    parts = {
        part: cut.of(series, start, end)
        for part, start, end in zip(names, starts, ends, strict=True)
    }
    power = 2 if metric == "MSE" else 1

    def outputs(model: Any, rows: Rows) -> jax.Array:
        x = rows["x"]
        last = x[..., -1:]
        said = model((x - last).reshape(-1, cut.window))
        return last + said.reshape(*x.shape[:-1], cut.horizon)

    def judge(said: np.ndarray, rows: Rows) -> float:
        errors = np.abs(said.astype(np.float64) - rows["y"])
        return float(np.mean(errors**power))

    task = Task(
        name=name,
        parts=parts,
        make=lambda rngs: make((cut.window,), cut.horizon, rngs=rngs, **options),
        outputs=outputs,
        loss=lambda said, rows: jnp.mean(jnp.abs(said - rows["y"]) ** power),
        judge=judge,
        metric=metric,
        higher_is_better=False,
        recipe=RECIPES[name],
    )
    return kinds.quickened(task, quick)


def _table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(gzip.decompress(content).decode())))
