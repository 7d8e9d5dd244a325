"""Training all settings and seeds of an optimizer in one compiled program."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jopt._core import extras
from jopt.experiments.studies.seeds import FIRST, generator
from jopt.transforms.average import averaged_params

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Bench:
    """What is trained in a study.

    Attributes:
        init: `init(draw) -> params`, from a NumPy generator: what is compiled for a few
            random numbers takes longer than all the training.
        loss: `loss(params, rows, key)`: what is minimised, a mean over the rows.
        score: `score(params, rows)`: what is compared.
        train: Arrays with a common first axis.
        valid: The same; what settings are chosen on.
        test: The same; what is reported.
        higher: Whether a higher score is the better one.
    """

    init: Callable[[np.random.Generator], PyTree]
    loss: Callable[[PyTree, PyTree, jax.Array], jax.Array]
    score: Callable[[PyTree, PyTree], jax.Array]
    train: PyTree
    valid: PyTree
    test: PyTree
    higher: bool = True

    @property
    def rows(self) -> int:
        """How many rows there are to train on."""
        return len(jax.tree.leaves(self.train)[0])

    def first(self, seeds: int) -> tuple[PyTree, jax.Array]:
        """The initial parameters of each seed, stacked, and a key for its noise."""
        made = [self.init(generator(seed)) for seed in range(seeds)]
        params = jax.tree.map(lambda *leaves: np.stack(leaves), *made)
        return params, jnp.stack(
            [jax.random.key(FIRST + seed) for seed in range(seeds)]
        )


@dataclasses.dataclass(frozen=True)
class Population:
    """What the members of a population did: an axis of settings, and one of seeds.

    Attributes:
        settings: What was tried, such as learning rates.
        steps: After how many steps the scores were taken.
        loss: Mean training loss since the score before: (settings, seeds, points).
        valid: Validation score: (settings, seeds, points).
        test: Test score: (settings, seeds, points).
        params: The parameters at the end, with two leading axes; of all points, with
            three, where they are kept.
        higher: Whether a higher score is the better one.
    """

    settings: np.ndarray
    steps: np.ndarray
    loss: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    params: PyTree
    higher: bool

    @property
    def best(self) -> int:
        """The setting with the best mean validation score at the end."""
        return int(np.argmax(self._better(self.valid[..., -1].mean(1))))

    @property
    def setting(self) -> float:
        """The best setting."""
        return float(self.settings[self.best])

    @property
    def score(self) -> np.ndarray:
        """Test scores of the best setting at the end, one a seed."""
        return self.test[self.best, :, -1]

    @property
    def edge(self) -> bool:
        """Whether the best setting is the first or the last that was tried."""
        return len(self.settings) > 1 and self.best in (0, len(self.settings) - 1)

    def best_in_time(self) -> np.ndarray:
        """The point of each seed at which the best setting's validation score peaks."""
        return self._better(self.valid[self.best]).argmax(-1)

    def _better(self, scores: np.ndarray) -> np.ndarray:
        """The scores with their sign such that more is better; NaN is the worst."""
        signed = scores if self.higher else -scores
        return np.where(np.isfinite(signed), signed, -np.inf)


def sweep(
    bench: Bench,
    make: Callable[..., optax.GradientTransformation],
    settings: Any,
    *,
    seeds: int,
    steps: int,
    batch_size: int,
    points: int = 20,
    order: np.ndarray | None = None,
    loss: Callable[[PyTree, PyTree, jax.Array, jax.Array], jax.Array] | None = None,
    keep: bool = False,
    keyed: bool = False,
) -> Population:
    """Train an optimizer at all settings and seeds at the same time.

    A learning rate is a leaf of the optimizer's value, so `make` is traced once and the
    whole population is one compiled program.

    Args:
        bench: What is trained.
        make: From a setting, which is traced, to an optimizer.
        settings: Learning rates as a rule; any numbers that `make` or `loss` takes.
        seeds: How many: each its initial parameters, order of the data and noise.
        steps: Steps of training, a multiple of `points`.
        batch_size: Rows of a minibatch.
        points: How often the scores are taken.
        order: The rows of each step, of shape (settings, seeds, steps, rows); by
            default `epochs`, the same for all settings.
        loss: `loss(params, rows, key, setting)`, where the setting is a part of it.
        keep: Whether to return the parameters at all points, not only at the end.
        keyed: Whether `make` takes a key for each seed after the setting.

    Returns:
        What the members did.

    Raises:
        ValueError: If `steps` is no multiple of `points`.
    """
    if steps % points:
        raise ValueError(f"`steps` must be a multiple of {points}, got {steps}.")
    values = np.asarray(settings, np.float32)
    count = len(values)
    if order is None:
        drawn = epochs(bench.rows, batch_size, steps, seeds)
        order = np.broadcast_to(drawn, (count, *drawn.shape))
    shape = (count * seeds, points, steps // points)
    shuffled = jnp.asarray(order.reshape(*shape, -1))
    first, keys = bench.first(seeds)
    first = jax.tree.map(lambda a: jnp.asarray(np.concatenate([a] * count)), first)
    member = _member(bench, make if keyed else _keyless(make), loss, keep)
    program = jax.jit(jax.vmap(member, in_axes=(0, 0, 0, 0, None)))
    data = jax.tree.map(jnp.asarray, (bench.train, bench.valid, bench.test))
    each = jnp.repeat(jnp.asarray(values), seeds), first, jnp.tile(keys, count)
    found = program(*each, shuffled, data)
    params, curves = jax.device_get(found)
    parted = [x.reshape(count, seeds, points).astype(np.float64) for x in curves]
    params = jax.tree.map(lambda a: a.reshape(count, seeds, *a.shape[1:]), params)
    at = np.arange(1, points + 1) * (steps // points)
    losses, valid, test = parted
    return Population(values, at, losses, valid, test, params, bench.higher)


def epochs(rows: int, batch_size: int, steps: int, seeds: int) -> np.ndarray:
    """The rows of each step, for each seed: epochs of shuffled rows.

    Args:
        rows: How many there are.
        batch_size: How many a step takes.
        steps: How many steps there are.
        seeds: How many seeds.

    Returns:
        Indices of shape (seeds, steps, batch_size). What is left of an epoch and does
        not fill a minibatch is dropped.

    Raises:
        ValueError: If a minibatch is larger than the data.

    Example:
        >>> sorted(epochs(6, 3, 2, 1).ravel().tolist())
        [0, 1, 2, 3, 4, 5]
    """
    if not 1 <= batch_size <= rows:
        raise ValueError(f"`batch_size` must be from 1 to {rows}, got {batch_size}.")
    each = rows // batch_size
    turns = -(-steps // each)
    orders = []
    for seed in range(seeds):
        draw = generator(seed)
        parts = [draw.permutation(rows)[: each * batch_size] for _ in range(turns)]
        orders.append(np.concatenate(parts).reshape(-1, batch_size)[:steps])
    return np.stack(orders).astype(np.int32)


def rates(low: float, high: float, count: int) -> np.ndarray:
    """Learning rates from `low` to `high`, each the same multiple of the last.

    Example:
        >>> rates(0.01, 1.0, 3).round(2).tolist()
        [0.01, 0.1, 1.0]
    """
    return np.geomspace(low, high, count)


def _member(
    bench: Bench, make: Callable, loss: Callable | None, keep: bool
) -> Callable:
    """Trains one member of a population."""

    def member(
        setting: jax.Array,
        params: PyTree,
        key: jax.Array,
        order: jax.Array,
        data: PyTree,
    ) -> tuple[PyTree, PyTree]:
        tx = optax.with_extra_args_support(make(setting, key))
        train, valid, test = data

        def step(carry: PyTree, chosen: jax.Array) -> tuple[PyTree, jax.Array]:
            params, state, count = carry
            batch = jax.tree.map(lambda a: a[chosen], train)
            dice = jax.random.fold_in(key, count)

            def objective(p: PyTree) -> jax.Array:
                if loss is not None:
                    return loss(p, batch, dice, setting)
                return bench.loss(p, batch, dice)

            value, grads = jax.value_and_grad(objective)(params)
            known = extras.of_loss(value, grads, objective)
            updates, state = tx.update(grads, state, params, **known)
            return (optax.apply_updates(params, updates), state, count + 1), value

        def piece(carry: PyTree, chosen: jax.Array) -> tuple[PyTree, PyTree]:
            carry, values = jax.lax.scan(step, carry, chosen)
            shown = _shown(carry[1], carry[0])
            scores = bench.score(shown, valid), bench.score(shown, test)
            return carry, (shown if keep else None, (values.mean(), *scores))

        start = params, tx.init(params), jnp.int32(0)
        (params, state, _), (kept, curves) = jax.lax.scan(piece, start, order)
        return kept if keep else _shown(state, params), curves

    return member


def _keyless(make: Callable) -> Callable:
    return lambda setting, key: make(setting)


def _shown(state: PyTree, params: PyTree) -> PyTree:
    """The averaged parameters if the optimizer keeps any."""
    try:
        return averaged_params(state, params)
    except KeyError:
        return params
