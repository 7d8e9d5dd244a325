"""A run of `jopt train`: from settings to a folder with all there is to know of it."""

import dataclasses
import json
import os
import pathlib
import time
from typing import Any

import jax

from jopt.experiments import train_config, train_report
from jopt.experiments.problem import digest
from jopt.experiments.progress import Progress, TensorBoard
from jopt.experiments.race import versions
from jopt.experiments.run import Logger, Trained
from jopt.experiments.train_config import ConfigError, TrainConfig
from jopt.experiments.train_plan import Plan, plan
from jopt.experiments.training import train

RESULT, REPORT = "result.json", "report.html"


@dataclasses.dataclass(frozen=True)
class Result:
    """How a run ended, as `result.json` has it.

    Attributes:
        stopped: `"steps"`, `"patience"`, or `"signal"`: it is to be gone on with.
        step: How many steps were taken.
        metric: What the score is called.
        valid: The best score on the validation part, or `None`.
        best_step: After how many steps it was taken.
        test: The score of the best parameters on the test part, at the end of a run.
        parameters: How many numbers the model has.
        data: Tells the rows of the task from others.
        seconds: How long the run took, since it was last gone on with.
        versions: Of the packages and the machine.
    """

    stopped: str
    step: int
    metric: str
    valid: float | None
    best_step: int
    test: float | None
    parameters: int
    data: str
    seconds: float
    versions: dict[str, str]


def run(
    config: TrainConfig,
    out: str | os.PathLike[str],
    *,
    resume: bool = False,
    quiet: bool = False,
) -> tuple[Trained, Result]:
    """Train by settings, into a folder.

    Args:
        config: The settings.
        out: The folder: a new or an empty one. It gets `config.toml`, `metrics.jsonl`,
            `checkpoints/`, `result.json` and `report.html`.
        resume: Whether to go on with the run in the folder, whose settings have to be
            `config`; see `saved`.
        quiet: Whether to show no progress.

    Returns:
        The end of the run, and what `result.json` has.

    Raises:
        ConfigError: If a setting is wrong, or the folder not to be used.
        MissingData: If data are not there.
        FloatingPointError, CorruptCheckpointError, RunInUseError, SaveFailedError: See
            `jopt.experiments.training.train`.

    Example:
        >>> import tempfile
        >>> config = TrainConfig("digits", steps=20, learning_rate=0.01)
        >>> found, result = run(config, tempfile.mkdtemp(), quiet=True)
        >>> found.stopped, result.step, result.metric
        ('steps', 20, 'accuracy')
    """
    made = plan(config)
    folder = pathlib.Path(out)
    if not resume:
        _begin(folder, made.config)
    loggers: list[Any] = [] if quiet else [_progress(made)]
    if config.tensorboard:
        loggers.append(TensorBoard(folder / "tensorboard"))
    start = time.perf_counter()
    try:
        found = _train(made, folder, resume, loggers)
    finally:
        for log in loggers:
            log.close()
    result = _result(made, found, time.perf_counter() - start)
    _write(folder / RESULT, json.dumps(dataclasses.asdict(result), indent=1) + "\n")
    _write(folder / REPORT, train_report.page(made, found.log, result))
    return found, result


def saved(out: str | os.PathLike[str]) -> TrainConfig:
    """The settings of the run in a folder.

    Raises:
        ConfigError: If there is no run.
    """
    path = pathlib.Path(out) / train_config.FILE
    if not path.is_file():
        raise ConfigError(f"{out} holds no run: there is no {path}.")
    return train_config.read(path)


def _begin(folder: pathlib.Path, config: TrainConfig) -> None:
    """Make the folder, and keep the settings."""
    try:
        if folder.is_dir() and any(folder.iterdir()):
            again = (folder / train_config.FILE).exists()
            cure = f"Go on by `--resume {folder}`, or n" if again else "N"
            raise ConfigError(f"`out`: {folder} is not empty. {cure}ame another.")
        folder.mkdir(parents=True, exist_ok=True)
        train_config.write(config, folder / train_config.FILE)
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise ConfigError(f"`out`: {folder} cannot be made: {reason}.") from None


def _progress(made: Plan) -> Progress:
    assert made.config.steps is not None
    return Progress(made.config.steps, made.task.metric)


def _train(
    made: Plan, folder: pathlib.Path, resume: bool, loggers: list[Logger]
) -> Trained:
    task, config = made.task, made.config
    assert config.steps and config.batch_size
    params, rest = task.init(jax.random.key(config.seed))
    return train(
        task.train_loss,
        params,
        made.tx,
        task.batches(config.batch_size, config.seed),
        config.steps,
        rest=rest,
        evaluate=task.score,
        eval_every=config.eval_every,
        higher_is_better=task.higher_is_better,
        patience=config.patience,
        min_delta=config.min_delta,
        averaged=config.ema is not None,
        out=folder,
        save_every=config.save_every,
        resume=resume,
        guard=config.guard,
        log_every=config.log_every,
        loggers=loggers,
        ratios=True,
        data_parallel=config.data_parallel,
    )


def _result(made: Plan, found: Trained, seconds: float) -> Result:
    task, test = made.task, None
    if found.stopped != "signal":
        model = (found.params, found.rest)
        if found.best is not None:
            model = (found.best_params, found.best_rest)
        test = task.score(*model, "test")
    return Result(
        stopped=found.stopped,
        step=found.step,
        metric=task.metric,
        valid=found.best,
        best_step=found.best_step,
        test=test,
        parameters=sum(leaf.size for leaf in jax.tree.leaves(found.params)),
        data=digest({name: dict(rows) for name, rows in task.parts.items()}),
        seconds=round(seconds, 2),
        versions=versions(),
    )


def _write(path: pathlib.Path, text: str) -> None:
    made = path.with_name(f".{path.name}")
    made.write_text(text, encoding="utf-8")
    os.replace(made, path)
