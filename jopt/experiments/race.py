"""The race: which optimizer, at which learning rate, trains this model best."""

import concurrent.futures
import dataclasses
import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jopt.experiments import (
    entrants as field,
    outdir,
    problem as problems,
    results,
    terminal,
)
from jopt.experiments.config import Config
from jopt.experiments.entrants import Entrant, Optimizers
from jopt.experiments.population import Curves, Program, Track
from jopt.experiments.problem import LossFn, Problem
from jopt.experiments.results import RaceResult
from jopt.experiments.standings import Entry

PyTree = Any


class RaceInterrupted(KeyboardInterrupt):
    """Ctrl-C during a race; what was finished is kept.

    Attributes:
        result: The result of the entrants that finished.
    """

    def __init__(self, message: str, result: RaceResult):
        super().__init__(message)
        self.result = result


def race(
    loss_fn: LossFn | None = None,
    params: PyTree = None,
    batches: Any = None,
    *,
    valid: PyTree = None,
    test: PyTree = None,
    score_fn: LossFn | None = None,
    higher_is_better: bool = False,
    task: str = "digits",
    model: str = "mlp",
    optimizers: Optimizers | None = None,
    rates: int | Sequence[float] = 8,
    seeds: int = 3,
    steps: int = 300,
    batch_size: int = 64,
    batch: int | None = None,
    seed: int = 0,
    points: int = 30,
    target: float | None = None,
    data: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    quiet: bool = False,
) -> RaceResult:
    """Train with many optimizers at many learning rates, and rank them.

    Give your own loss, parameters and batches, or none of them and name a task and a
    model. All rates and seeds of an optimizer train side by side in one compiled
    program. The learning rate is chosen on validation data, the score reported is
    that of test data.

    Args:
        loss_fn: `loss_fn(params, batch)` gives a scalar, a mean over the batch.
        params: Initial parameters, or a function from a key to them; with the
            function each seed starts elsewhere.
        batches: Arrays with a common first axis, from which minibatches are drawn; or
            a function from step to batch; or an iterable of batches.
        valid: Arrays on which the learning rate is chosen. By default a tenth of the
            arrays, or some batches after the last step.
        test: Arrays on which the score is reported. By default as `valid`.
        score_fn: `score_fn(params, data)` gives what is compared, a mean over the
            data; by default the loss.
        higher_is_better: Whether a higher score of `score_fn` is the better one.
        task: `"digits"`; or `"images"`, your own in a folder for each class; or
            `"tinyimagenet10"` from a data folder.
        model: `"mlp"` or `"convnet"`.
        optimizers: Texts, transforms, or functions of the learning rate; a sequence,
            or a dict by name. By default twelve well-known ones.
        rates: How many learning rates, spread over the range worth searching for each
            optimizer; or the rates.
        seeds: How many seeds.
        steps: Steps of training.
        batch_size: Rows of a minibatch.
        batch: Members of a population trained at the same time; by default all of
            them, or what suits the model. Fewer take less memory.
        seed: The first seed.
        points: How often the validation score is taken.
        target: The validation score to be reached; by default 95% of the way from the
            untrained score to the best.
        data: The folder of image sets; by default the variable `JOPT_DATA`.
        out: A new or empty folder for `results.json` and `report.html`; by default
            nothing is written.
        resume: Whether to go on with the race that `out` holds.
        quiet: Whether to show no progress.

    Returns:
        The result: it prints, plots and renders itself.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If an argument is out of range, or data are missing.
        RaceInterrupted: On Ctrl-C; its `result` has what was finished.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jax.random.normal(jax.random.key(0), (100, 3))
        >>> def loss(w, batch):
        ...     return jnp.mean((batch @ (w - jnp.array([1.0, -2.0, 0.5]))) ** 2)
        >>> result = race(
        ...     loss, jnp.zeros(3), x, optimizers=["sgd", "adam"],
        ...     rates=[0.01, 0.1], steps=30, batch_size=16, quiet=True,
        ... )
        >>> result.best().name, result.best().rate
        ('sgd', 0.1)
    """
    given = {"loss_fn": loss_fn, "params": params, "batches": batches}
    held = {"valid": valid, "test": test, "score_fn": score_fn}
    own = _is_own(given, held)
    if own:
        task = model = "own"
    grid: Any = rates
    if isinstance(rates, Iterable) and not isinstance(rates, str):
        grid = tuple(rates)
    config = Config(
        task, model, grid, seeds, steps, batch_size, batch, seed, points, target
    ).checked(own)
    runners = field.gather(optimizers, config.rates, config.steps)
    if own:
        problem = problems.of_own(
            config, **given, **held, higher_is_better=higher_is_better
        )
    else:
        problem = problems.of_task(config, data)
    return run(problem, config, runners, out=out, resume=resume, quiet=quiet)


def run(
    problem: Problem,
    config: Config,
    runners: Sequence[Entrant],
    *,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    quiet: bool = False,
) -> RaceResult:
    """Run a race whose arguments are checked; see `race`."""
    check(problem, config, runners)
    folder = outdir.OutDir(out, resume)
    before = folder.earlier(_blank(problem, config, runners), runners)
    folder.open()
    view = terminal.view(quiet, len(runners), len(before.entries))
    start = time.perf_counter()
    result, stopped = before, False
    try:
        with view:
            for entry in _entries(problem, config, runners, before, view):
                seconds = before.seconds + time.perf_counter() - start
                entries = _in_order([*result.entries, entry], result.planned)
                result = dataclasses.replace(result, entries=entries, seconds=seconds)
                folder.keep(result)
                view.finished(entry, result)
    except KeyboardInterrupt:
        stopped = True
    folder.close(result)
    if stopped:
        raise RaceInterrupted(folder.farewell(result), result)
    return result


def check(problem: Problem, config: Config, runners: Sequence[Entrant]) -> None:
    """Trace the loss and each optimizer's start; nothing is compiled.

    Raises:
        TypeError: If the loss is not a scalar.
        ValueError: If a loss or an optimizer refuses the parameters.
    """
    params = jax.eval_shape(problem.init, jax.random.key(config.seed))
    index = jax.ShapeDtypeStruct(problem.order.shape[2:], np.int32)

    def loss(params: PyTree, data: PyTree, index: jax.Array) -> Any:
        return problem.loss(params, jax.tree.map(lambda a: a[index], data))

    try:
        out = jax.eval_shape(loss, params, problem.data, index)
    except Exception as error:
        raise ValueError(f"`loss_fn` fails on a batch: {_line(error)}") from error
    if getattr(out, "shape", None) != () or not jnp.issubdtype(out.dtype, jnp.floating):
        raise TypeError(f"`loss_fn` must return one floating-point number, got {out}.")
    rate = jax.ShapeDtypeStruct((), jnp.result_type(float))
    for runner in runners:
        try:
            jax.eval_shape(lambda r, p, x=runner: x.make(r).init(p), rate, params)
        except Exception as error:
            message = f"`{runner.name}` fails on these parameters: {_line(error)}"
            raise ValueError(message) from error


def versions() -> dict[str, str]:
    """Of Python, the packages that matter, and the machine."""
    found = {"python": platform.python_version()}
    for package in ("jopt", "jax", "jaxlib", "optax", "flax", "numpy"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            module = sys.modules.get(package)
            found[package] = getattr(module, "__version__", "not installed")
    device = jax.devices()[0]
    found["device"] = f"{device.platform}: {device.device_kind}"
    found["machine"] = f"{platform.machine()}, {os.cpu_count()} cores"
    return found


def _blank(problem: Problem, config: Config, runners: Sequence[Entrant]) -> RaceResult:
    """The result before anyone has started."""
    return RaceResult(
        config=config.to_dict() | {"data": problem.digest},
        versions=versions(),
        metric=problem.metric,
        higher=problem.higher,
        steps=(0, *config.schedule()),
        entries=(),
        planned=tuple(runner.name for runner in runners),
        seconds=0.0,
    )


def _is_own(given: dict[str, Any], held: dict[str, Any]) -> bool:
    """Whether a user's own problem is given: in full, or not at all."""
    missing = [name for name, value in given.items() if value is None]
    if not missing:
        return True
    extra = [name for name, value in (given | held).items() if value is not None]
    if not extra:
        return False
    raise ValueError(
        f"`{extra[0]}` is given, but `{missing[0]}` is not. Give your own `loss_fn`, "
        "`params` and `batches`, or none of them and a `task`."
    )


def _entries(
    problem: Problem,
    config: Config,
    runners: Sequence[Entrant],
    before: RaceResult,
    view: terminal.View,
) -> Iterator[Entry]:
    """Compile one entrant while another one runs; yield each as it finishes."""
    done = {entry.name for entry in before.entries}
    waiting = [runner for runner in runners if runner.name not in done]
    if not waiting:
        return
    pool = concurrent.futures.ThreadPoolExecutor(1, "jopt-compile")
    try:
        track = Track(problem, config)
        futures = [pool.submit(track.compile, runner) for runner in waiting]
        for runner, future in zip(waiting, futures, strict=True):
            view.running(runner.name)
            try:
                program = future.result()
                curves = track.run(runner, program, view.tick)
            except Exception as error:
                yield _failed(runner, config, error)
            else:
                yield _entry(runner, program, curves)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _entry(runner: Entrant, program: Program, curves: Curves) -> Entry:
    return Entry(
        name=runner.name,
        rates=runner.rates,
        chains=tuple(runner.chain(rate) for rate in runner.rates),
        train=results.rounded(curves.train),
        valid=results.rounded(curves.valid),
        test=results.rounded(curves.test),
        diverged=curves.diverged,
        state_bytes=round(program.state_bytes, 3),
        compile_seconds=round(program.seconds, 2),
        run_seconds=round(curves.seconds, 2),
    )


def _failed(runner: Entrant, config: Config, error: Exception) -> Entry:
    """The entry of an optimizer that raised: it scores last, the others go on."""
    shape = len(runner.rates), config.seeds
    points = len(config.schedule())
    return Entry(
        name=runner.name,
        rates=runner.rates,
        chains=tuple(runner.chain(rate) for rate in runner.rates),
        train=np.full((*shape, points), np.nan),
        valid=np.full((*shape, points + 1), np.nan),
        test=np.full(shape, np.nan),
        diverged=np.ones(shape, bool),
        state_bytes=0.0,
        compile_seconds=0.0,
        run_seconds=0.0,
        error=_line(error),
    )


def _in_order(entries: Sequence[Entry], names: Sequence[str]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: names.index(entry.name)))


def _line(error: Exception) -> str:
    """An exception as one line."""
    text = " ".join(str(error.args[0] if error.args else error).split())
    return f"{type(error).__name__}: {text[:200]}"
