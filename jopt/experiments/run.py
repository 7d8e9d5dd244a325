"""What a run is after some steps, and the folder that keeps it."""

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, Literal, Self

import jax
import jax.numpy as jnp

import jopt
from jopt.experiments.checkpoints import Checkpoints
from jopt.transforms.guard import ApplyIfFiniteState

PyTree = Any

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
    """

    params: PyTree
    state: PyTree
    step: int
    stopped: Literal["steps", "patience", "signal"]
    best: float | None
    best_step: int
    log: list[dict[str, Any]]
    rest: PyTree = None


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
    ):
        self.tx, self.watch, self.step = tx, watch, 0
        self.params, self.rest, self.state = params, rest, tx.init(params)
        self.best, self.best_rest = copied((params, rest)) if keep else (None, None)
        self.loss: Any = math.nan
        self.bad = _nothing()
        self.log: list[dict[str, Any]] = []

    def take(self, step: Callable[..., Any], batch: PyTree) -> None:
        """Take one step."""
        self.params, self.rest, self.state, self.bad, self.loss = step(
            self.params, self.rest, self.state, self.bad, self.tx, batch, self.step
        )
        self.step += 1

    def report(self) -> None:
        """Log the loss, and the first bad value since the last report."""
        at, where = (int(x) for x in self.bad)
        if at != NONE:
            self.log.append({"step": at, "not_finite": _place(where, self.params)})
            self.bad = _nothing()
            _raise_if_given_up(self.state)
        self.log.append({"step": self.step, "loss": float(self.loss)})

    def evaluated(self, evaluate: Callable[..., Any], averaged: bool) -> None:
        """Evaluate, and keep the parameters if they are the best."""
        params = self.params
        if averaged:
            params = jopt.averaged_params(self.state, self.params)
        rest = () if self.rest is None else (self.rest,)
        value = float(evaluate(params, *rest))
        self.log.append({"step": self.step, "value": value})
        if self.watch.better(value, self.step):
            self.best, self.best_rest = copied((params, self.rest))

    def tree(self) -> PyTree:
        """The arrays of a checkpoint."""
        names = ("params", "rest", "state", "best", "best_rest", "bad")
        return {name: getattr(self, name) for name in names}

    def notes(self) -> dict[str, Any]:
        """The rest of a checkpoint."""
        watch = self.watch
        best = [watch.best, watch.best_step, watch.waited]
        return {"tx": str(self.tx), "best": best, "lines": len(self.log)}

    def go_on(self, step: int, tree: PyTree, notes: dict[str, Any]) -> None:
        """Be what a checkpoint holds."""
        self.step = step
        vars(self).update(tree)
        self.watch.best, self.watch.best_step, self.watch.waited = notes["best"]

    def ended(self, stopped: Any) -> Trained:
        watch = self.watch
        params, rest = self.params, self.rest
        if stopped == "patience":
            params, rest = self.best, self.best_rest
        best = watch.best, watch.best_step
        return Trained(params, self.state, self.step, stopped, *best, self.log, rest)


class Folder:
    """The folder of a run, or none."""

    def __init__(self, out: str | os.PathLike[str] | None, run: Run):
        self.path = None if out is None else pathlib.Path(out)
        self.run, self.kept = run, None
        self.saved = NONE  # the step that was saved last, or gone on from
        self.lines = 0  # of the log that are written

    def __enter__(self) -> Self:
        if self.path is not None:
            self.kept = Checkpoints(self.path / "checkpoints")
        return self

    def __exit__(self, *error: Any) -> None:
        if self.kept is not None:
            self._write_log()
            self.kept.close()

    def begin(self, resume: bool) -> None:
        """Go on from the newest checkpoint, if asked to."""
        if self.kept is None or not self.kept.steps():
            return
        run = self.run
        if not resume:
            raise ValueError(
                f"`out`: {self.path} holds a run. Go on with it by `resume=True`, or "
                "name another folder."
            )
        found = self.kept.restore(run.tree())
        if found.notes["tx"] != str(run.tx):
            raise ValueError(
                f"`resume`: the run in {self.path} had the optimizer\n"
                f"{found.notes['tx']}\nand is to go on with\n{run.tx}\nUse the same, "
                "or begin another run from its parameters."
            )
        run.go_on(*found)
        run.log = self._cut_log(found.notes["lines"])
        self.saved = run.step

    def save(self) -> None:
        """Write the log, then the checkpoint, which says how much of the log counts."""
        if self.kept is not None and self.run.step != self.saved:
            self._write_log()
            self.kept.save(self.run.step, self.run.tree(), self.run.notes())
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
    leaves = jax.tree.leaves(tree, is_leaf=_is_guard)
    return (leaf for leaf in leaves if _is_guard(leaf))


def _is_guard(node: Any) -> bool:
    return isinstance(node, ApplyIfFiniteState)


def _raise_if_given_up(state: PyTree) -> None:
    if any(guards(state)):
        jopt.check_finite(state)


def _nothing() -> jax.Array:
    return jnp.full(2, NONE, jnp.int32)


def copied(tree: PyTree) -> PyTree:
    """A copy, which steps may take away."""
    return jax.tree.map(lambda x: jnp.array(x, copy=True), tree)
