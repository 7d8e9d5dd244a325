"""A training loop one can leave alone: it stops, resumes and reports by itself."""

import functools as ft
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt._core import extras
from jopt.experiments import processes
from jopt.experiments.problem import count_rows
from jopt.experiments.run import (
    copied,
    Folder,
    found,
    guards,
    Logger,
    NONE,
    Run,
    Trained,
    Watch,
)
from jopt.precision.loss_scale import DynamicLossScaleState

PyTree = Any
Batches = Callable[[int], PyTree]


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
    loss_fn: Callable[..., Any],
    params: PyTree,
    tx: jopt.Transform,
    batches: Batches,
    steps: int,
    *,
    rest: PyTree = None,
    evaluate: Callable[..., Any] | None = None,
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
    loggers: Sequence[Logger] = (),
    ratios: bool = False,
    data_parallel: bool = False,
) -> Trained:
    """Train, with checkpoints from which the run goes on as if nothing had happened.

    A run that was killed and resumed ends with the same bits, in parameters, state and
    log, as one that was not, on the same machine. SIGTERM ends it after the step or
    evaluation under way, with a checkpoint. A step whose gradient or update is not
    finite is skipped, and the log names the first bad leaf.

    Args:
        loss_fn: `loss_fn(params, batch)`, a mean over the batch; with `rest`,
            `loss_fn(params, rest, batch)`, which returns the loss and the next `rest`.
        params: Where to begin; they stay as they are.
        tx: The optimizer.
        batches: A function from step to batch, such as `minibatches` makes; it has to
            give the same for the same step.
        steps: How many steps to take in all.
        rest: The rest of the model's state, which changes with a step and has no
            gradient, such as the averages of batch normalisation and the keys of
            dropout. A step that the guard skips leaves it as it was.
        evaluate: A function from parameters, and `rest` where it is given, to the
            number that is watched.
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
        loggers: Functions `log(step, scalars)`, called with each loss and evaluation.
        ratios: Whether to log, with each loss, the norm of each leaf's update over
            that of the leaf.
        data_parallel: Whether each device takes its share of a batch: those of this
            process, or of all that `jax.distributed` joined. Each process then calls
            `train` with the same arguments, the whole batches among them, and the
            first one writes to `out`, which all have to see.

    Returns:
        The end of the run.

    Raises:
        FloatingPointError: If `apply_if_finite` has given up.
        ValueError: If an argument is out of range, `out` holds a run and `resume` was
            not asked for, or the checkpoint is of another run.
        TypeError: If `loss_fn` returns a `rest` of another kind than it is given.
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
    if guard:
        tx = guarded(tx, params)
    watch = Watch(higher_is_better, patience, min_delta)
    layout = Layout(data_parallel)
    run = Run(tx, copied(params), copied(rest), watch, evaluate is not None, loggers)
    run.hold(layout.spread(run.tree()))
    step = _compiled(loss_fn, guard, rest is not None, ratios)

    spread = layout.spread if layout.shared else None
    with Asked() as asked, Folder(out, run, spread) as folder:
        folder.begin(resume)
        ending = layout.agreed(asked.to_end)
        while run.step < steps and not (ending or watch.tired):
            last = run.step + 1 == steps
            told = (run.step + 1) % log_every == 0 or last
            run.take(step, layout.batch(batches(run.step)), told)
            if told:
                run.report()
            if evaluate is not None and (run.step % eval_every == 0 or last):
                run.evaluated(evaluate, averaged)
            if run.step % save_every == 0 or last:
                folder.save()
            if told or not layout.shared:
                ending = layout.agreed(asked.to_end)
        folder.save()
    if watch.tired:
        return run.ended("patience")
    return run.ended("signal" if run.step < steps else "steps")


def guarded(tx: jopt.Transform, params: PyTree) -> jopt.Transform:
    """The optimizer with a guard, unless it has one."""
    if any(_skipping(jax.eval_shape(tx.init, params))):
        return tx
    return jopt.apply_if_finite(tx)


class Asked:
    """Whether the process was asked to end, by SIGTERM or another signal.

    One that is inside another has the signals of the outer one.
    """

    def __init__(self, *signals: int):
        self.signals = signals or (signal.SIGTERM,)
        self.number = 0  # the first signal that came
        self._old: dict[int, Any] = {}
        self._outer: Asked | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in self.signals:
                self._outer = getattr(signal.getsignal(number), "__self__", None)
                if not isinstance(self._outer, Asked):
                    self._outer = None
                    self._old[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *error: Any) -> None:
        for number, old in self._old.items():
            signal.signal(number, old)

    @property
    def to_end(self) -> bool:
        """Whether a signal came."""
        return bool(self.number or (self._outer and self._outer.number))

    def _ask(self, number: int, frame: Any) -> None:
        del frame
        self.number = self.number or number
        if number == signal.SIGINT:  # a second Ctrl-C ends it at once
            signal.signal(number, signal.default_int_handler)


class Layout:
    """Where arrays lie: on one device, or batches shared out to all."""

    def __init__(self, parallel: bool):
        self.mesh = None
        self.shared = parallel and processes.many()
        if parallel:
            devices = jax.devices() if self.shared else jax.local_devices()
            self.mesh = jax.sharding.Mesh(np.array(devices), ("data",))

    def spread(self, tree: PyTree) -> PyTree:
        """A tree, held by each device."""
        return tree if self.mesh is None else self._put(tree, self._spec())

    def agreed(self, flag: bool) -> bool:
        """Whether a process says so."""
        return processes.any_of(flag) if self.shared else flag

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
        return self._put(batch, self._spec("data"))

    def _put(self, tree: PyTree, sharding: jax.sharding.NamedSharding) -> PyTree:
        if self.shared:
            return jax.tree.map(lambda x: processes.spread(x, sharding), tree)
        return jax.device_put(tree, sharding)

    def _spec(self, *axes: str) -> jax.sharding.NamedSharding:
        assert self.mesh is not None
        return jax.sharding.NamedSharding(self.mesh, jax.P(*axes))


@ft.lru_cache(maxsize=4)  # so that a run that goes on does not compile again
def _compiled(
    loss_fn: Callable[..., Any], guard: bool, with_rest: bool, ratios: bool
) -> Callable[..., Any]:
    """One step, which also tells the first value that was not finite."""

    def step(params, rest, state, bad, tx, batch, number, told):
        def both(p: PyTree) -> tuple[jax.Array, PyTree]:
            return loss_fn(p, rest, batch) if with_rest else (loss_fn(p, batch), rest)

        def scaled(p: PyTree) -> tuple[jax.Array, PyTree]:
            loss, new = both(p)
            return (jopt.scale_loss(loss, state) if scales else loss), (loss, new)

        scales = any(_loss_scales(state))
        (_, (loss, new_rest)), grads = jax.value_and_grad(scaled, has_aux=True)(params)
        known = extras.of_loss(loss, grads, lambda p: both(p)[0])
        updates, new_state = tx.update(grads, state, params, **known)
        good = [jnp.isfinite(x).all() for x in (loss, *jax.tree.leaves(grads))]
        _same_kind(rest, new_rest)
        if guard:  # it has seen the updates, and made zeros of them
            taken = _taken(state, new_state)
            good.append(taken)
            new_rest = jax.tree.map(ft.partial(jnp.where, taken), new_rest, rest)
        bad = _first_bad(bad, jnp.stack(good), number)
        sizes = _ratios(updates, params, told) if ratios else None
        params = jopt.apply_updates(params, updates)
        return params, new_rest, new_state, bad, loss, sizes

    return jax.jit(step, donate_argnums=(0, 1, 2, 3))


def _loss_scales(state: PyTree) -> Iterator[DynamicLossScaleState]:
    return found(state, DynamicLossScaleState)


def _skipping(state: PyTree) -> Iterator[Any]:
    """What in a state skips steps that are not finite."""
    yield from guards(state)
    yield from _loss_scales(state)


def _taken(old: PyTree, new: PyTree) -> jax.Array:
    """Whether the step was taken, and not skipped."""
    said = [guard.last_finite for guard in guards(new)]
    pairs = zip(_loss_scales(old), _loss_scales(new), strict=True)
    said += [a.total_notfinite == b.total_notfinite for a, b in pairs]
    return jnp.stack(said).all()


def _ratios(updates: PyTree, params: PyTree, told: jax.Array) -> jax.Array:
    """The norm of each leaf's update over that of the leaf, in steps that are told."""

    def norm(x: jax.Array) -> jax.Array:
        return jnp.sqrt(jnp.sum(jnp.square(jnp.abs(x).astype(jnp.float32))))

    def of_leaves() -> jax.Array:
        pairs = zip(jax.tree.leaves(updates), jax.tree.leaves(params), strict=True)
        return jnp.stack([norm(u) / jnp.maximum(norm(p), 1e-12) for u, p in pairs])

    blank = jnp.zeros(len(jax.tree.leaves(params)), jnp.float32)
    return jax.lax.cond(told, of_leaves, lambda: blank)


def _first_bad(bad: jax.Array, good: jax.Array, number: jax.Array) -> jax.Array:
    """The step and the place of the first bad value."""
    new = ~good.all() & (bad[0] == NONE)
    found = jnp.stack([jnp.asarray(number, jnp.int32), jnp.argmin(good)])
    return jnp.where(new, found.astype(jnp.int32), bad)


def _same_kind(old: PyTree, new: PyTree) -> None:
    """Raise unless the rest of a state has the structure, shapes and dtypes it had."""
    kinds = [
        {
            jax.tree_util.keystr(path): jax.typeof(leaf).str_short()
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        }
        for tree in (old, new)
    ]
    told = [
        f"rest{path} is {kinds[1].get(path, 'gone')}, was {kinds[0].get(path, 'not')}"
        for path in sorted(kinds[0] | kinds[1])
        if kinds[0].get(path) != kinds[1].get(path)
    ]
    if told or jax.tree.structure(old) != jax.tree.structure(new):
        raise TypeError(
            "`loss_fn` must return a `rest` of the structure, shapes and dtypes that "
            f"it is given: {'; '.join(told[:5]) or 'its containers differ'}."
        )


def _positive(**arguments: int) -> None:
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"`{name}` must be a whole number from 1, got {value!r}.")
