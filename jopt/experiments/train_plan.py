"""What settings mean: the task, the optimizer and its schedule, checked and traced."""

import dataclasses
from typing import Any

import jax

import jopt
from jopt._core.parse import parse_optimizer, unknown
from jopt._core.schedule import Schedule
from jopt._core.transform import Transform
from jopt.experiments import tasks
from jopt.experiments.entrants import known, learning_rates
from jopt.experiments.task import Task
from jopt.experiments.train_config import called, ConfigError, TrainConfig

_OPEN = 1.2345678901234e-3  # stands for a learning rate that nobody gave
SHAPES = ("constant", "linear", "cosine", "onecycle", "wsd")


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run is made of.

    Attributes:
        config: The settings, those of the recipe filled in.
        task: The task.
        tx: The optimizer with all that is around it.
        rate: The learning rate: a number, a schedule of updates, or `None` where the
            optimizer has none or several.
    """

    config: TrainConfig
    task: Task
    tx: Transform
    rate: Any


def plan(config: TrainConfig) -> Plan:
    """Make what settings mean; all is checked, and nothing compiled.

    Args:
        config: The settings.

    Returns:
        The plan.

    Raises:
        ConfigError: If a setting names nothing, does not fit another one, or is refused
            by the model or the optimizer.
        MissingData: If data are not there.
    """
    task = _task(config)
    config = dataclasses.replace(
        config,
        optimizer=config.optimizer or task.recipe.optimizer,
        steps=config.steps or task.recipe.steps,
        batch_size=config.batch_size or task.recipe.batch_size,
    )
    _check_batches(task, config)
    tx = _optimizer(config)
    rates = list(learning_rates(tx).values())
    tx = _around(tx, config)
    try:
        params, _ = jax.eval_shape(task.init, jax.random.key(config.seed))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"`model`: {_line(error)}") from error
    try:
        jax.eval_shape(tx.init, params)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"`optimizer`: {_line(error)}") from error
    return Plan(config, task, tx, rates[0] if len(rates) == 1 else None)


def _check_batches(task: Task, config: TrainConfig) -> None:
    assert config.batch_size
    try:
        task.batches(config.batch_size, config.seed)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    devices = jax.local_device_count()
    if config.data_parallel and config.batch_size % devices:
        raise ConfigError(
            f"`batch_size` must be a multiple of the {devices} devices for "
            f"`data_parallel`, got {config.batch_size}."
        )


def _task(config: TrainConfig) -> Task:
    name, options = called(config.task, "task")
    if name not in tasks.TASKS:
        raise ConfigError(f"`task`: {unknown(name, list(tasks.TASKS))}")
    if config.model is not None:
        model, more = called(config.model, "model")
        options = options | {"model": model} | more
    try:
        return tasks.load(name, config.data, **options)
    except KeyError as error:
        raise ConfigError(f"`model`: Nothing is named {error}.") from None
    except TypeError as error:
        raise ConfigError(f"`model`: {_line(error)}") from error


def _optimizer(config: TrainConfig) -> Transform:
    """The optimizer with its learning rate set, or following its schedule."""
    assert config.optimizer is not None
    try:
        tx = parse_optimizer(config.optimizer, known(), learning_rate=_OPEN)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"`optimizer`: {error}") from error
    if not isinstance(tx, Transform):
        raise ConfigError(f"`optimizer` is a schedule: {config.optimizer!r}.")
    rates = learning_rates(tx)
    if not rates:
        raise ConfigError(
            f"`optimizer`: `{config.optimizer}` has no learning rate, so it is but a "
            "stage. Put it before one: chain(clip(1.0), adamw)."
        )
    if len(rates) != 1:
        if config.learning_rate or config.schedule or config.warmup:
            raise ConfigError(
                "`learning_rate`, `schedule` and `warmup` set the one learning rate of "
                f"an optimizer; `{config.optimizer}` has {len(rates)}. Give them there."
            )
        if _OPEN in rates.values():
            raise ConfigError("`optimizer`: give each part its learning rate.")
        return tx
    [(path, given)] = rates.items()
    rate = _rate(config, given)
    return tx if rate is given else jopt.set_hyperparams(tx, {path: rate})


def _rate(config: TrainConfig, given: Any) -> Any:
    """The learning rate: a number or a schedule of updates."""
    assert config.steps is not None
    if config.learning_rate is not None:
        given = config.learning_rate
    updates = max(1, config.steps // config.accumulate)
    if config.warmup >= updates:
        raise ConfigError(
            f"`warmup` must be below the {updates} updates of the run, got "
            f"{config.warmup}."
        )
    text = config.schedule or "constant"
    if text not in SHAPES:
        given = _own_schedule(text, config)
    elif given == _OPEN:
        raise ConfigError(
            f"`learning_rate` is needed: `{config.optimizer}` has none. Give "
            "--learning-rate, or write it there."
        )
    elif text != "constant":
        if isinstance(given, Schedule):
            raise ConfigError(
                f"`schedule` is {text!r}, and the optimizer has one: {given}. Leave "
                "out one of them."
            )
        given = _shaped(text, given, updates - config.warmup)
    return jopt.warmup(given, config.warmup) if config.warmup else given


def _own_schedule(text: str, config: TrainConfig) -> Schedule:
    """A schedule with its numbers."""
    try:
        made = jopt.parse(text, known())
    except (TypeError, ValueError) as error:
        shapes = ", ".join(SHAPES)
        raise ConfigError(f"`schedule`: {error} Or one of {shapes}.") from error
    if not isinstance(made, Schedule):
        raise ConfigError(f"`schedule` is no schedule: {text!r}.")
    if config.learning_rate is not None:
        raise ConfigError(
            "`learning_rate` is given, and `schedule` has its own numbers. Leave out "
            "the one, or name a shape of the other."
        )
    return made


def _shaped(shape: str, peak: float, updates: int) -> Any:
    """A schedule from the peak to about zero."""
    match shape:
        case "linear":
            return jopt.linear_schedule(peak, 0.0, updates)
        case "cosine":
            return jopt.cosine_decay_schedule(peak, updates)
        case "onecycle":
            return jopt.cosine_onecycle_schedule(updates, peak)
        case _:
            return jopt.wsd_schedule(peak, peak, 0, updates, max(1, updates // 5))


def _around(tx: Transform, config: TrainConfig) -> Transform:
    """The optimizer with what stands around it."""
    stages = [tx]
    if config.clip is not None:
        stages.insert(0, jopt.clip_by_global_norm(config.clip))
    if config.plateau is not None:
        stages.append(
            jopt.reduce_on_plateau(
                config.plateau_factor,
                config.plateau,
                accumulation_size=config.log_every,
            )
        )
    if config.ema is not None:
        stages.append(jopt.ema_params(config.ema))
    made = jopt.chain(*stages) if len(stages) > 1 else tx
    if config.accumulate > 1:
        made = jopt.accumulate(made, config.accumulate)
    return jopt.dynamic_loss_scale(made) if config.loss_scale else made


def _line(error: Exception) -> str:
    return " ".join(str(error.args[0] if error.args else error).split())[:300]
