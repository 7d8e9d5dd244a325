"""A training loop one can leave alone: it stops, resumes and reports by itself."""

import dataclasses
import functools as ft
import json
import math
import os
import pathlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt._core import extras
from jopt.experiments.checkpoints import Checkpoints
from jopt.experiments.problem import count_rows
from jopt.transforms.guard import ApplyIfFiniteState

PyTree = Any
Batches = Callable[[int], PyTree]

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
    """

    params: PyTree
    state: PyTree
    step: int
    stopped: Literal["steps", "patience", "signal"]
    best: float | None
    best_step: int
    log: list[dict[str, Any]]


def minibatches(data: PyTree, batch_size: int, seed: int = 0) -> Batches:
    """The minibatch of each step: epochs of shuffled rows.

    It depends on the step alone, so a run that is resumed sees what it would have seen.

    Args:
        data: Arrays with a common first axis.
        batch_size: Rows of a minibatch.
        seed: Decides the order.

    Returns:
        A function from step, counted from 0, to minibatch. What is left of an epoch and
        does not fill a minibatch is dropped.

    Raises:
        ValueError: If the arrays have no common first axis, or a minibatch is larger
            than the data.

    Example:
        >>> import numpy as np
        >>> batch = minibatches({"x": np.arange(10)}, batch_size=4)
        >>> sorted([*batch(0)["x"], *batch(1)["x"]]) == sorted(set(batch(0)["x"]) |
        ...     set(batch(1)["x"]))
        True
    """
    rows = count_rows(data, "data")
    if not 1 <= batch_size <= rows:
        raise ValueError(f"`batch_size` must be from 1 to {rows}, got {batch_size}.")
    per_epoch = rows // batch_size

    @ft.lru_cache(maxsize=2)
    def order(epoch: int) -> np.ndarray:
        return np.random.default_rng((seed, epoch)).permutation(rows)

    def batch(step: int) -> PyTree:
        epoch, at = divmod(step, per_epoch)
        chosen = order(epoch)[at * batch_size : (at + 1) * batch_size]
        return jax.tree.map(lambda a: np.asarray(a)[chosen], data)

    return batch


def train(
    loss_fn: Callable[[PyTree, PyTree], jax.Array],
    params: PyTree,
    tx: jopt.Transform,
    batches: Batches,
    steps: int,
    *,
    evaluate: Callable[[PyTree], Any] | None = None,
    eval_every: int = 100,
    higher_is_better: bool = False,
    patience: int | None = None,
    min_delta: float = 0.0,
    averaged: bool = False,
    out: str | os.PathLike[str] | None = None,
    save_every: int = 100,
    resume: bool = False,
    guard: bool = True,
    log_every: int = 10,
    data_parallel: bool = False,
) -> Trained:
    """Train, with checkpoints from which the run goes on as if nothing had happened.

    A run that was killed and resumed ends with the same bits, in parameters, state and
    log, as one that was not, on the same machine. SIGTERM ends it after the step or
    evaluation under way, with a checkpoint. A step whose gradient or update is not
    finite is skipped, and the log names the first bad leaf.

    Args:
        loss_fn: `loss_fn(params, batch)`, a mean over the batch.
        params: Where to begin; they stay as they are.
        tx: The optimizer.
        batches: A function from step to batch, such as `minibatches` makes; it has to
            give the same for the same step.
        steps: How many steps to take in all.
        evaluate: A function from parameters to the number that is watched.
        eval_every: Steps between evaluations; the last step is evaluated too.
        higher_is_better: Whether a higher number is the better one.
        patience: How many evaluations in a row without improvement end the run, which
            then returns the parameters of the best. Defaults to no end.
        min_delta: By how much the number has to be better to count, at least 0.
        averaged: Whether to evaluate the averaged parameters, which a stage such as
            `ema_params` keeps.
        out: The folder of the run: `checkpoints/` and `metrics.jsonl`. Without it
            nothing is written.
        save_every: Steps between checkpoints; the last step is saved too.
        resume: Whether to go on from the newest checkpoint in `out`, where there is
            one. Everything else has to be as it was.
        guard: Whether to skip steps that are not finite, by `apply_if_finite`.
        log_every: Steps between losses in the log.
        data_parallel: Whether each device of this process takes its share of a batch.

    Returns:
        The end of the run.

    Raises:
        FloatingPointError: If `apply_if_finite` has given up.
        ValueError: If an argument is out of range, `out` holds a run and `resume` was
            not asked for, or the checkpoint is of another run.
        CorruptCheckpointError, RunInUseError, SaveFailedError: See `Checkpoints`.

    Example:
        >>> import jax.numpy as jnp, numpy as np, jopt
        >>> from jopt.experiments.training import minibatches, train
        >>> x = np.linspace(-1.0, 1.0, 64, dtype=np.float32)
        >>> batches = minibatches((x, 3.0 * x), batch_size=16)
        >>> loss = lambda w, batch: jnp.mean((w * batch[0] - batch[1]) ** 2)
        >>> found = train(loss, jnp.zeros(()), jopt.adam(0.1), batches, steps=200)
        >>> round(float(found.params), 2), found.stopped
        (3.0, 'steps')
    """
    _positive(steps=steps, eval_every=eval_every, save_every=save_every)
    _positive(log_every=log_every, patience=1 if patience is None else patience)
    if not (math.isfinite(min_delta) and min_delta >= 0):
        raise ValueError(f"`min_delta` must be at least 0, got {min_delta}.")
    if patience is not None and evaluate is None:
        raise ValueError("`patience` needs `evaluate`, the number that it watches.")
    if resume and out is None:
        raise ValueError("`resume` needs `out`, the folder to go on with.")
    if guard and not any(_guards(jax.eval_shape(tx.init, params))):
        tx = jopt.apply_if_finite(tx)
    watch = Watch(higher_is_better, patience, min_delta)
    layout = Layout(data_parallel)
    run = Run(tx, layout.copied(params), watch, evaluate is not None)
    step = _compiled(loss_fn, guard)

    with Asked() as asked, Folder(out, run) as folder:
        folder.begin(resume)
        while run.step < steps and not (asked.to_end or watch.tired):
            run.take(step, layout.batch(batches(run.step)))
            last = run.step == steps
            if run.step % log_every == 0 or last:
                run.report()
            if evaluate is not None and (run.step % eval_every == 0 or last):
                run.evaluated(evaluate, averaged)
            if run.step % save_every == 0 or last:
                folder.save()
        folder.save()
    if watch.tired:
        return run.ended("patience")
    return run.ended("signal" if run.step < steps else "steps")


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

    def __init__(self, tx: jopt.Transform, params: PyTree, watch: Watch, keep: bool):
        self.tx, self.watch, self.step = tx, watch, 0
        self.params, self.state = params, tx.init(params)
        self.best = _copied(params) if keep else None
        self.loss: Any = math.nan
        self.bad = _nothing()
        self.log: list[dict[str, Any]] = []

    def take(self, step: Callable[..., Any], batch: PyTree) -> None:
        """Take one step."""
        self.params, self.state, self.bad, self.loss = step(
            self.params, self.state, self.bad, self.tx, batch, self.step
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

    def evaluated(self, evaluate: Callable[[PyTree], Any], averaged: bool) -> None:
        """Evaluate, and keep the parameters if they are the best."""
        params = self.params
        if averaged:
            params = jopt.averaged_params(self.state, self.params)
        value = float(evaluate(params))
        self.log.append({"step": self.step, "value": value})
        if self.watch.better(value, self.step):
            self.best = _copied(params)

    def tree(self) -> PyTree:
        """The arrays of a checkpoint."""
        names = ("params", "state", "best", "bad")
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
        params = self.best if stopped == "patience" else self.params
        best = watch.best, watch.best_step
        return Trained(params, self.state, self.step, stopped, *best, self.log)


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


class Asked:
    """Whether the process was asked to end, by SIGTERM."""

    def __init__(self):
        self.to_end = False
        self._old: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._old = signal.signal(signal.SIGTERM, self._ask)
        return self

    def __exit__(self, *error: Any) -> None:
        if self._old is not None:
            signal.signal(signal.SIGTERM, self._old)

    def _ask(self, *signal_and_frame: Any) -> None:
        del signal_and_frame
        self.to_end = True


class Layout:
    """Where arrays lie: on one device, or batches shared out to all."""

    def __init__(self, parallel: bool):
        self.mesh = None
        if parallel:
            devices = jax.local_devices()
            self.mesh = jax.sharding.Mesh(np.array(devices), ("data",))

    def copied(self, params: PyTree) -> PyTree:
        """A copy of the parameters, which steps may take away."""
        params = _copied(params)
        return params if self.mesh is None else jax.device_put(params, self._spec())

    def batch(self, batch: PyTree) -> PyTree:
        """The batch, laid out."""
        if self.mesh is None:
            return batch
        rows, shares = count_rows(batch, "batch"), self.mesh.size
        if rows % shares:
            raise ValueError(
                f"`data_parallel`: {rows} rows of a batch cannot be shared out evenly "
                f"to {shares} devices. Choose a multiple of {shares}."
            )
        return jax.device_put(batch, self._spec("data"))

    def _spec(self, *axes: str) -> jax.sharding.NamedSharding:
        assert self.mesh is not None
        return jax.sharding.NamedSharding(self.mesh, jax.P(*axes))


@ft.lru_cache(maxsize=4)  # so that a run that goes on does not compile again
def _compiled(loss_fn: Callable[..., Any], guard: bool) -> Callable[..., Any]:
    """One step, which also tells the first value that was not finite."""

    def step(params, state, bad, tx, batch, number):
        def value_fn(p: PyTree) -> jax.Array:
            return loss_fn(p, batch)

        loss, grads = jax.value_and_grad(value_fn)(params)
        known = extras.of_loss(loss, grads, value_fn)
        updates, state = tx.update(grads, state, params, **known)
        good = [jnp.isfinite(x).all() for x in (loss, *jax.tree.leaves(grads))]
        if guard:  # it has seen the updates, and made zeros of them
            good.append(next(_guards(state)).last_finite)
        good = jnp.stack(good)
        new = ~good.all() & (bad[0] == NONE)
        found = jnp.stack([jnp.asarray(number, jnp.int32), jnp.argmin(good)])
        bad = jnp.where(new, found.astype(jnp.int32), bad)
        return jopt.apply_updates(params, updates), state, bad, loss

    return jax.jit(step, donate_argnums=(0, 1, 2))


def _place(index: int, params: PyTree) -> str:
    """What the number of a bad value means."""
    if index == 0:
        return "loss"
    leaves = jax.tree_util.tree_leaves_with_path(params)
    if index <= len(leaves):
        path, _ = leaves[index - 1]
        return f"gradient of params{jax.tree_util.keystr(path)}"
    return "update, of a gradient that is finite"


def _guards(tree: PyTree) -> Iterator[Any]:
    leaves = jax.tree.leaves(tree, is_leaf=_is_guard)
    return (leaf for leaf in leaves if _is_guard(leaf))


def _is_guard(node: Any) -> bool:
    return isinstance(node, ApplyIfFiniteState)


def _raise_if_given_up(state: PyTree) -> None:
    if any(_guards(state)):
        jopt.check_finite(state)


def _nothing() -> jax.Array:
    return jnp.full(2, NONE, jnp.int32)


def _copied(params: PyTree) -> PyTree:
    return jax.tree.map(lambda p: jnp.array(p, copy=True), params)


def _positive(**arguments: int) -> None:
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"`{name}` must be a whole number from 1, got {value!r}.")
