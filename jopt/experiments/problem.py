"""What is trained in a race: a loss, initial parameters and data, of a task or own."""

import dataclasses
import hashlib
import itertools
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jopt.experiments.config import Config

PyTree = Any
LossFn = Callable[[PyTree, PyTree], jax.Array]
InitFn = Callable[[jax.Array], PyTree]

EVAL_ROWS = 1024


@dataclasses.dataclass(frozen=True)
class Held:
    """Held-out data, cut into blocks that are scored one at a time.

    Attributes:
        blocks: The data with a leading axis over blocks of equal size.
        rest: What is left over, or `None`.
        share: The share of rows that the blocks hold.
    """

    blocks: PyTree
    rest: PyTree
    share: float

    @classmethod
    def of(cls, data: PyTree, limit: int = EVAL_ROWS) -> "Held":
        """Cut arrays with a common leading axis into blocks."""
        rows = count_rows(data, "held-out data")
        size = min(rows, limit)
        full = rows // size * size
        blocks = jax.tree.map(
            lambda a: jnp.asarray(a[:full]).reshape(-1, size, *a.shape[1:]), data
        )
        rest = None
        if full < rows:
            rest = jax.tree.map(lambda a: jnp.asarray(a[full:]), data)
        return cls(blocks, rest, full / rows)

    def mean(self, function: Callable[[PyTree], Any]) -> Any:
        """The mean over all rows of a function that is a mean over the rows it gets."""
        means = jax.lax.map(function, self.blocks)
        means = jax.tree.map(lambda m: m.mean(0), means)
        if self.rest is None:
            return means
        share = self.share
        return jax.tree.map(
            lambda a, b: a * share + b * (1.0 - share), means, function(self.rest)
        )


jax.tree_util.register_dataclass(
    Held, data_fields=["blocks", "rest"], meta_fields=["share"]
)


@dataclasses.dataclass(frozen=True)
class Problem:
    """All that a race needs to know of what it trains.

    Attributes:
        loss: `loss(params, batch)`: what is minimised; a mean over the batch.
        score: `score(params, data)`: what is compared; a mean over the data.
        higher: Whether a higher score is the better one.
        metric: What the score is called.
        init: `init(key) -> params`.
        data: The training data; `batch = tree_map(lambda a: a[index], data)`.
        order: The indices: per seed and step the rows, or the number of the batch.
        valid: What the learning rate is chosen on.
        test: What is reported.
        chunk: How many members are best trained at the same time; `None` for all.
        digest: Tells data sets apart.
    """

    loss: LossFn
    score: LossFn
    higher: bool
    metric: str
    init: InitFn
    data: PyTree
    order: np.ndarray
    valid: Held
    test: Held
    chunk: int | None
    digest: str

    def population(self, config: Config) -> PyTree:
        """The initial parameters of every seed, stacked."""
        first, seeds = config.seed, config.seeds
        keys = [jax.random.key(first + i) for i in range(seeds)]
        return jax.jit(jax.vmap(self.init))(jnp.stack(keys))


def of_task(config: Config, folder: Any = None) -> Problem:
    """The problem that a task and a model make.

    Args:
        config: The settings.
        folder: The data folder.

    Returns:
        The problem: cross entropy is minimised, accuracy is compared.

    Raises:
        ValueError: If data are missing, or a minibatch is larger than the data.
    """
    from jopt.experiments import data, models

    loaded = data.load(config.task, folder)
    init, apply = models.functional(config.model, loaded.shape, loaded.classes)

    def loss(params: PyTree, batch: PyTree) -> jax.Array:
        return models.cross_entropy(apply(params, batch[0]), batch[1])

    def score(params: PyTree, batch: PyTree) -> jax.Array:
        return models.accuracy(apply(params, batch[0]), batch[1])

    heavy = config.model == "convnet"  # its activations are what fills the memory
    slow = heavy and jax.default_backend() == "cpu"
    limit = EVAL_ROWS // 8 if heavy else EVAL_ROWS
    return Problem(
        loss=loss,
        score=score,
        higher=True,
        metric="accuracy",
        init=init,
        data=jax.tree.map(jnp.asarray, loaded.train),
        order=row_order(len(loaded.train[1]), config),
        valid=Held.of(loaded.valid, limit),
        test=Held.of(loaded.test, limit),
        chunk=1 if slow else None,
        digest=digest((loaded.train, loaded.valid, loaded.test)),
    )


def of_own(
    config: Config,
    loss_fn: LossFn,
    params: PyTree,
    batches: Any,
    *,
    valid: PyTree = None,
    test: PyTree = None,
    score_fn: LossFn | None = None,
    higher_is_better: bool = False,
) -> Problem:
    """The problem of a user's own loss, parameters and batches; see `race`."""
    init = params if callable(params) else lambda key: _same(params, key)
    stream = callable(batches) or not _is_arrays(batches)
    if stream:
        train, order, rest = _from_stream(batches, config, valid is None, test is None)
    else:
        train, order, rest = _from_arrays(batches, config, valid is None, test is None)
    held = [
        (Held(part, None, 1.0) if stream else Held.of(part))
        if given is None
        else Held.of(given)
        for given, part in ((valid, rest[0]), (test, rest[1]))
    ]
    return Problem(
        loss=loss_fn,
        score=score_fn or loss_fn,
        higher=higher_is_better if score_fn else False,
        metric=getattr(score_fn, "__name__", "score") if score_fn else "loss",
        init=init,
        data=jax.tree.map(jnp.asarray, train),
        order=order,
        valid=held[0],
        test=held[1],
        chunk=None,
        digest=digest((train, held)),
    )


def row_order(rows: int, config: Config) -> np.ndarray:
    """The rows of every minibatch of every seed: epochs of shuffled data.

    Args:
        rows: The number of rows.
        config: The settings.

    Returns:
        Indices of shape (seeds, steps, rows of a minibatch). What is left of an epoch
        and does not fill a minibatch is dropped.

    Raises:
        ValueError: If a minibatch is larger than the data.
    """
    size = config.batch_size
    if size > rows:
        raise ValueError(f"`batch_size` must be at most {rows}, the rows, got {size}.")
    per_epoch = rows // size
    epochs = -(-config.steps // per_epoch)
    orders = []
    for seed in range(config.seed, config.seed + config.seeds):
        draw = np.random.default_rng(seed)
        shuffled = [draw.permutation(rows)[: per_epoch * size] for _ in range(epochs)]
        orders.append(np.concatenate(shuffled).reshape(-1, size)[: config.steps])
    return np.stack(orders).astype(np.int32)


def count_rows(data: PyTree, name: str) -> int:
    """The common length of the leading axes of arrays.

    Raises:
        ValueError: If there is none.
    """
    lengths = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(data)}
    if len(lengths) != 1 or lengths <= {(), (0,)}:
        shapes = ", ".join(str(np.shape(leaf)) for leaf in jax.tree.leaves(data))
        raise ValueError(
            f"`{name}` must be arrays with a common, non-empty first axis, got shapes "
            f"{shapes or 'of nothing'}."
        )
    return lengths.pop()[0]


def digest(tree: PyTree) -> str:
    """A short hash of arrays: their shapes, dtypes and contents."""
    sha = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        array = np.ascontiguousarray(leaf)
        sha.update(f"{array.shape}{array.dtype}".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()[:16]


def _same(params: PyTree, key: jax.Array) -> PyTree:
    del key
    return jax.tree.map(jnp.asarray, params)


def _is_arrays(batches: Any) -> bool:
    if not isinstance(batches, tuple | list | dict) and not hasattr(batches, "shape"):
        return False
    return all(hasattr(leaf, "shape") for leaf in jax.tree.leaves(batches)) and not (
        isinstance(batches, list) and isinstance(batches[0], tuple | dict)
    )


def _from_arrays(
    batches: PyTree, config: Config, split_valid: bool, split_test: bool
) -> tuple[PyTree, np.ndarray, tuple[PyTree, PyTree]]:
    """Training rows, their order, and a tenth each that is held out if need be."""
    rows = count_rows(batches, "batches")
    shuffled = np.random.default_rng(0).permutation(rows)
    tenth = max(1, rows // 10)
    sizes = [tenth if split else 0 for split in (split_valid, split_test)]
    if rows - sum(sizes) < 1:
        raise ValueError(f"`batches` has {rows} rows; too few to hold any out.")

    def take(chosen: np.ndarray) -> PyTree:
        return jax.tree.map(lambda a: np.asarray(a)[chosen], batches)

    valid, test = take(shuffled[: sizes[0]]), take(shuffled[sizes[0] : sum(sizes)])
    train = take(np.sort(shuffled[sum(sizes) :]))
    return train, row_order(rows - sum(sizes), config), (valid, test)


def _from_stream(
    batches: Callable[[int], PyTree] | Iterable[PyTree],
    config: Config,
    split_valid: bool,
    split_test: bool,
) -> tuple[PyTree, np.ndarray, tuple[PyTree, PyTree]]:
    """Batches one a step, and some more after the last that are held out."""
    extra = max(1, config.steps // 20)
    sizes = [extra if split else 0 for split in (split_valid, split_test)]
    wanted = config.steps + sum(sizes)
    if callable(batches):
        taken = [batches(step) for step in range(wanted)]
    elif isinstance(batches, Iterable):
        taken = list(itertools.islice(batches, wanted))
    else:
        raise TypeError(
            "`batches` must be arrays, an iterable of batches, or a function from step "
            f"to batch, got {type(batches).__name__}."
        )
    if len(taken) < wanted:
        raise ValueError(
            f"`batches` ended after {len(taken)}; {config.steps} steps and what is "
            f"held out need {wanted}. Lower `steps`, or give `valid` and `test`."
        )

    def stack(part: list[PyTree]) -> PyTree:
        return jax.tree.map(lambda *leaves: np.stack(leaves), *part) if part else None

    train = stack(taken[: config.steps])
    order = np.tile(np.arange(config.steps, dtype=np.int32), (config.seeds, 1))
    ends = config.steps + sizes[0]
    return train, order, (stack(taken[config.steps : ends]), stack(taken[ends:]))
