"""What a run is after some steps, and the folder that keeps it."""

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Self, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt.experiments.checkpoints import Checkpoints, restore, steps_in
from jopt.experiments.processes import is_first, local, wait
from jopt.transforms.guard import ApplyIfFiniteState

PyTree = Any
Logger = Callable[[int, Mapping[str, float]], None]
State = TypeVar("State")

LOG = "metrics.jsonl"
NONE = -1  # no bad value yet


@dataclasses.dataclass(frozen=True)
class Trained:
    """How a run ended.

    Attributes:
        params: The last parameters; those of the best evaluation where the run stopped
            for want of patience.
        state: The last state of the optimizer.
        step: How many steps were taken.
        stopped: Why: `"steps"`, all were taken; `"patience"`, nothing improved;
            `"signal"`, the process was asked to end.
        best: The best evaluation, or `None`.
        best_step: After how many steps it was taken.
        log: Lines of losses, evaluations and events, as they are in `metrics.jsonl`.
        rest: The rest of the model's state that belongs to `params`.
        best_params: The parameters of the best evaluation, or `None`.
        best_rest: The rest of the model's state that belongs to them.
    """

    params: PyTree
    state: PyTree
    step: int
    stopped: Literal["steps", "patience", "signal"]
    best: float | None
    best_step: int
    log: list[dict[str, Any]]
    rest: PyTree = None
    best_params: PyTree = None
    best_rest: PyTree = None


class Watch:
    """The number that is watched: its best, and for how long that has stood."""

    def __init__(self, higher: bool, patience: int | None, min_delta: float):
        self.sign = -1.0 if higher else 1.0
        self.patience, self.min_delta = patience, min_delta
        self.best: float | None = None
        self.best_step = 0
        self.waited = 0

    def better(self, value: float, step: int) -> bool:
        """Take a value, and say whether it is the best so far."""
        first = self.best is None and not math.isnan(value)
        if first or self.sign * ((self.best or 0.0) - value) > self.min_delta:
            self.best, self.best_step, self.waited = value, step, 0
            return True
        self.waited += 1
        return False

    @property
    def tired(self) -> bool:
        """Whether to stop."""
        return self.patience is not None and self.waited >= self.patience


class Run:
    """What a run is after some steps; all of it goes into a checkpoint."""

    def __init__(
        self,
        tx: jopt.Transform,
        params: PyTree,
        rest: PyTree,
        watch: Watch,
        keep: bool,
        loggers: Sequence[Logger] = (),
    ):
        self.loggers = loggers
        self.tx, self.watch, self.step = tx, watch, 0
        self.params, self.rest, self.state = params, rest, tx.init(params)
        self.best, self.best_rest = copied((params, rest)) if keep else (None, None)
        self.loss: Any = math.nan
        self.ratios: Any = None  # of the last step, if they are asked for
        self.bad = _nothing()
        self.log: list[dict[str, Any]] = []

    def take(self, step: Callable[..., Any], batch: PyTree, told: bool) -> None:
        """Take one step; one that is told of measures its updates."""
        now = self.params, self.rest, self.state, self.bad
        after = step(*now, self.tx, batch, self.step, told)
        self.params, self.rest, self.state, self.bad, self.loss, self.ratios = after
        self.step += 1

    def report(self) -> None:
        """Log the loss, and the first bad value since the last report."""
        at, where = np.asarray(local(self.bad)).tolist()
        if at != NONE:
            self.log.append({"step": at, "not_finite": _place(where, self.params)})
            self._tell({"not_finite": 1.0}, at)
            self.bad = _nothing()
            _raise_if_given_up(local(self.state))
        line: dict[str, Any] = {"step": self.step, "loss": float(local(self.loss))}
        self._tell({"loss": line["loss"]})
        if self.ratios is not None:
            leaves = jax.tree_util.tree_leaves_with_path(self.params)
            names = [jax.tree_util.keystr(path) for path, _ in leaves]
            sizes = [float(f"{size:.4g}") for size in np.asarray(local(self.ratios))]
            line["ratios"] = dict(zip(names, sizes, strict=True))
        self.log.append(line)

    def _tell(self, scalars: dict[str, float], step: int | None = None) -> None:
        for log in self.loggers:
            log(self.step if step is None else step, scalars)

    def evaluated(self, evaluate: Callable[..., Any], averaged: bool) -> None:
        """Evaluate, and keep the parameters if they are the best."""
        params, rest = local((self.params, self.rest))
        if averaged:
            params = jopt.averaged_params(local(self.state), params)
        rest = () if rest is None else (rest,)
        value = float(evaluate(params, *rest))
        self.log.append({"step": self.step, "value": value})
        self._tell({"value": value})
        if self.watch.better(value, self.step):
            self.best, self.best_rest = copied((params, local(self.rest)))

    def tree(self) -> PyTree:
        """The arrays of a checkpoint."""
        names = ("params", "rest", "state", "best", "best_rest", "bad")
        return {name: getattr(self, name) for name in names}

    def hold(self, tree: PyTree) -> None:
        """Have other arrays."""
        vars(self).update(tree)

    def notes(self) -> dict[str, Any]:
        """The rest of a checkpoint."""
        watch = self.watch
        best = [watch.best, watch.best_step, watch.waited]
        return {"tx": str(self.tx), "best": best, "lines": len(self.log)}

    def go_on(self, step: int, tree: PyTree, notes: dict[str, Any]) -> None:
        """Be what a checkpoint holds."""
        self.step = step
        self.hold(tree)
        self.watch.best, self.watch.best_step, self.watch.waited = notes["best"]

    def ended(self, stopped: Any) -> Trained:
        watch = self.watch
        params, rest = self.params, self.rest
        if stopped == "patience":
            params, rest = self.best, self.best_rest
        best = (None, None) if watch.best is None else (self.best, self.best_rest)
        return Trained(
            *(params, self.state, self.step, stopped),
            *(watch.best, watch.best_step, self.log, rest, *best),
        )


class Folder:
    """The folder of a run, or none."""

    def __init__(
        self,
        out: str | os.PathLike[str] | None,
        run: Run,
        spread: Callable[[PyTree], PyTree] | None = None,
    ):
        self.path = None if out is None else pathlib.Path(out)
        self.run, self.kept = run, None
        self.spread = spread  # given if processes share the run: the first one writes
        self.saved = NONE  # the step that was saved last, or gone on from
        self.lines = 0  # of the log that are written

    def __enter__(self) -> Self:
        if self.path is not None and (self.spread is None or is_first()):
            self.kept = Checkpoints(self.path / "checkpoints")
        if self.spread is not None:
            wait("the folder is there")
        return self

    def __exit__(self, *error: Any) -> None:
        if self.kept is not None:
            self._write_log()
            self.kept.close()

    def begin(self, resume: bool) -> None:
        """Go on from the newest checkpoint, if asked to."""
        if self.path is None or not steps_in(self.path / "checkpoints"):
            return
        run = self.run
        if not resume:
            raise ValueError(
                f"`out`: {self.path} holds a run. Go on with it by `resume=True`, or "
                "name another folder."
            )
        found = restore(self.path / "checkpoints", local(run.tree()))
        if found.notes["tx"] != str(run.tx):
            raise ValueError(
                f"`resume`: the run in {self.path} had the optimizer\n"
                f"{found.notes['tx']}\nand is to go on with\n{run.tx}\nUse the same, "
                "or begin another run from its parameters."
            )
        run.go_on(*found)
        if self.spread is not None:
            run.hold(self.spread(run.tree()))
            wait("all have read")
        run.log = self._cut_log(found.notes["lines"])
        self.saved = run.step

    def save(self) -> None:
        """Write the log, then the checkpoint, which says how much of the log counts."""
        if self.kept is not None and self.run.step != self.saved:
            self._write_log()
            self.kept.save(self.run.step, local(self.run.tree()), self.run.notes())
            self.saved = self.run.step

    def _write_log(self) -> None:
        """Add what is new."""
        assert self.path is not None
        new, self.lines = self.run.log[self.lines :], len(self.run.log)
        with (self.path / LOG).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in new)
            file.flush()
            os.fsync(file.fileno())  # the checkpoint that comes counts on them

    def _cut_log(self, lines: int) -> list[dict[str, Any]]:
        """The first lines of the log; those behind them were not to count."""
        assert self.path is not None
        path, self.lines = self.path / LOG, lines
        kept = path.read_text(encoding="utf-8").splitlines(keepends=True)[:lines]
        if self.kept is not None:
            made = self.path / f".{LOG}"
            made.write_text("".join(kept), encoding="utf-8")
            os.replace(made, path)
        return [json.loads(line) for line in kept]


def _place(index: int, params: PyTree) -> str:
    """What the number of a bad value means."""
    if index == 0:
        return "loss"
    leaves = jax.tree_util.tree_leaves_with_path(params)
    if index <= len(leaves):
        path, _ = leaves[index - 1]
        return f"gradient of params{jax.tree_util.keystr(path)}"
    return "update, of a gradient that is finite"


def guards(tree: PyTree) -> Iterator[Any]:
    """The states of `apply_if_finite` in a state."""
    return found(tree, ApplyIfFiniteState)


def found(tree: PyTree, kind: type[State]) -> Iterator[State]:
    """The nodes of a kind in a tree."""
    leaves = jax.tree.leaves(tree, is_leaf=lambda node: isinstance(node, kind))
    return (leaf for leaf in leaves if isinstance(leaf, kind))


def _raise_if_given_up(state: PyTree) -> None:
    if any(guards(state)):
        jopt.check_finite(state)


def _nothing() -> np.ndarray:
    return np.full(2, NONE, np.int32)  # NumPy's, which lie on no device


def copied(tree: PyTree) -> PyTree:
    """A copy, which steps may take away."""
    return jax.tree.map(lambda x: jnp.array(x, copy=True), tree)
