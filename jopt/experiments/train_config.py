"""The settings of `jopt train`: typed, strict, and the whole of what makes a run."""

import ast
import dataclasses
import difflib
import functools as ft
import json
import math
import os
import pathlib
import re
import tomllib
import typing
from typing import Any

FILE = "config.toml"


class ConfigError(ValueError):
    """A setting is unknown, of the wrong kind, or out of range."""


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Train a model on a task, into a folder from which the run can go on.

    What is `None` is left to the recipe of the task, or is off.

    Attributes:
        task: A task, such as digits.
        model: The model and its options: "convnet", "mlp(width=128)".
        optimizer: The optimizer and its options: "adamw", "adamw(3e-3, b2=0.95)",
            "chain(add_noise(0.01, 0.55, key=0), sgd)".
        learning_rate: The learning rate, or the peak of its schedule.
        schedule: "constant", "linear", "cosine", "onecycle" or "wsd" over all steps;
            or a schedule of jopt with its numbers, "step_decay(0.1, 100, 0.5)".
        warmup: Steps in which the learning rate rises from 0 to the schedule's start.
        steps: Steps in all.
        batch_size: Rows of a minibatch.
        seed: Decides the first weights, the order of the data and the dropout.
        accumulate: Steps whose gradients are averaged before the weights move.
        clip: The greatest norm of the whole gradient.
        ema: The decay of an average of the weights, which then is what is evaluated.
        plateau: Means of `log_every` losses in a row, none lower than before, after
            which the learning rate is cut.
        plateau_factor: What it is multiplied by then.
        loss_scale: Whether to scale the loss, for models that compute in float16.
        patience: Evaluations without improvement after which the run ends.
        min_delta: By how much a score has to be better to count.
        eval_every: Steps between evaluations.
        save_every: Steps between checkpoints.
        log_every: Steps between losses in the log.
        guard: Whether to skip steps that are not finite.
        data_parallel: Whether each device takes its share of a minibatch.
        tensorboard: Whether to write what TensorBoard reads, too.
        data: The folder of data sets; by default what the variable JOPT_DATA names.
    """

    task: str = "digits"
    model: str | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    schedule: str | None = None
    warmup: int = 0
    steps: int | None = None
    batch_size: int | None = None
    seed: int = 0
    accumulate: int = 1
    clip: float | None = None
    ema: float | None = None
    plateau: int | None = None
    plateau_factor: float = 0.5
    loss_scale: bool = False
    patience: int | None = None
    min_delta: float = 0.0
    eval_every: int = 50
    save_every: int = 100
    log_every: int = 10
    guard: bool = True
    data_parallel: bool = False
    tensorboard: bool = False
    data: str | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            _check_kind(name, value)
        for name, (low, high, open_ends) in _RANGES.items():
            value = getattr(self, name)
            if value is None:
                continue
            inside = low < value < high if open_ends else low <= value <= high
            if not inside:
                said = _said(low, high, open_ends)
                raise ConfigError(f"`{name}` {said}, got {value:g}.")


_RANGES: dict[str, tuple[float, float, bool]] = {
    **dict.fromkeys(("steps", "batch_size", "accumulate"), (1, math.inf, False)),
    **dict.fromkeys(("eval_every", "save_every", "log_every"), (1, math.inf, False)),
    **dict.fromkeys(("plateau", "patience"), (1, math.inf, False)),
    **dict.fromkeys(("seed", "warmup", "min_delta"), (0, math.inf, False)),
    **dict.fromkeys(("learning_rate", "clip"), (0, math.inf, True)),
    **dict.fromkeys(("ema", "plateau_factor"), (0, 1, True)),
}
_KINDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
}


@ft.cache
def kinds() -> dict[str, tuple[type, bool]]:
    """The type of each setting, and whether it may be `None`."""
    hints = typing.get_type_hints(TrainConfig)
    either = {name: typing.get_args(hint) for name, hint in hints.items()}
    return {
        name: ((*either[name], hints[name])[0], bool(either[name])) for name in hints
    }


def read(path: str | os.PathLike[str]) -> TrainConfig:
    r"""The settings of a TOML file.

    Args:
        path: The file.

    Returns:
        The settings; those that the file does not name have their defaults.

    Raises:
        ConfigError: If the file cannot be read, is no TOML, holds a key twice or a key
            that is no setting, or a value of the wrong kind or out of range. The
            message names the file, the line and the key.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp(), "run.toml")
        >>> _ = file.write_text("steps = 200\noptimiser = 'adamw'")
        >>> read(file)
        Traceback (most recent call last):
        ...
        jopt.experiments.train_config.ConfigError: ...run.toml, line 2: Nothing is
        named `optimiser`. Did you mean `optimizer`?
    """
    path = pathlib.Path(path)
    try:
        text = path.read_bytes().decode()
        found = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML: {error}.") from None
    known = kinds()
    for key, value in found.items():
        try:
            if key not in known:
                raise ConfigError(_unknown(key, list(known)))
            if known[key][0] is float and type(value) is int:
                found[key] = float(value)
            TrainConfig(**{key: found[key]})
        except ConfigError as error:
            raise ConfigError(f"{path}, line {_line(text, key)}: {error}") from None
    return TrainConfig(**found)


def write(config: TrainConfig, path: str | os.PathLike[str]) -> None:
    """Write settings as TOML, whole or not at all; what is `None` is left out."""
    path = pathlib.Path(path)
    made = path.with_name(f".{path.name}")
    with made.open("w", encoding="utf-8") as file:
        file.write(text(config))
        file.flush()
        os.fsync(file.fileno())
    os.replace(made, path)


def text(config: TrainConfig) -> str:
    """Settings as TOML.

    Example:
        >>> print(text(TrainConfig(steps=20)).splitlines()[:2])
        ['task = "digits"', 'warmup = 0']
    """
    given = {name: x for name, x in vars(config).items() if x is not None}
    return "".join(f"{name} = {_toml(value)}\n" for name, value in given.items())


def called(text: str, setting: str) -> tuple[str, dict[str, Any]]:
    """The name and the options of a text such as `mlp(width=128)`.

    Args:
        text: A name, or a call with keywords of numbers, texts, tuples and lists.
        setting: Whose value it is: for the error.

    Raises:
        ConfigError: If it is anything else.

    Example:
        >>> called("mlp(width=128, activation='gelu')", "model")
        ('mlp', {'width': 128, 'activation': 'gelu'})
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body
        if isinstance(node, ast.Name):
            return node.id, {}
        match node:
            case ast.Call(func=ast.Name(id=name), args=[], keywords=keywords):
                options = {str(k.arg): ast.literal_eval(k.value) for k in keywords}
                if None not in [k.arg for k in keywords]:
                    return name, options
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    raise ConfigError(
        f"`{setting}` must be a name, or a name with options such as "
        f"`name(width=128)`, got {text!r}."
    )


def _check_kind(name: str, value: Any) -> None:
    kind, optional = kinds()[name]
    if value is None and optional:
        return
    wrong = type(value) is not kind and not (kind is float and type(value) is int)
    if wrong:
        raise ConfigError(f"`{name}` must be {_KINDS[kind]}, got {value!r}.")
    if kind is float and value is not None and not math.isfinite(value):
        raise ConfigError(f"`{name}` must be finite, got {value}.")


def _said(low: float, high: float, open_ends: bool) -> str:
    if math.isinf(high):
        return f"must be {'above' if open_ends else 'at least'} {low:g}"
    return f"must lie between {low:g} and {high:g}"


def _unknown(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f"Did you mean `{close[0]}`?" if close else f"Known: {', '.join(known)}."
    return f"Nothing is named `{key}`. {hint}"


def _line(text: str, key: str) -> int:
    """Where a key stands."""
    pattern = re.compile(rf"\s*[\[\"']*{re.escape(key)}\b")
    lines = enumerate(text.splitlines(), 1)
    return next((number for number, line in lines if pattern.match(line)), 1)


def _toml(value: Any) -> str:
    if isinstance(value, str):  # a text of JSON is one of TOML, but for this sign
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
