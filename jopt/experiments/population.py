"""Training a population: all rates and seeds of one optimizer in one program."""

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jopt._core import extras
from jopt.experiments.config import Config
from jopt.experiments.entrants import Entrant
from jopt.experiments.problem import Problem
from jopt.transforms.average import averaged_params

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Program:
    """The compiled programs of one entrant.

    Attributes:
        init: `init(rates, params) -> state`.
        advance: Some steps of training: `advance(rates, params, state, order, steps,
            data) -> (params, state, mean, loss)`; `mean` are averaged parameters or
            `None`.
        seconds: What compiling took.
        state_bytes: Bytes of optimizer state for each parameter.
    """

    init: Callable[..., PyTree]
    advance: Callable[..., tuple[PyTree, PyTree, PyTree, jax.Array]]
    seconds: float
    state_bytes: float


@dataclasses.dataclass(frozen=True)
class Curves:
    """What the population of one entrant did.

    Attributes:
        train: Mean training loss between scores: (rates, seeds, points).
        valid: Validation score: (rates, seeds, points + 1); the first is untrained.
        test: Test score at the end: (rates, seeds).
        diverged: Whether a loss was not finite: (rates, seeds).
        seconds: What running took.
    """

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    diverged: np.ndarray
    seconds: float


class Track:
    """A problem made ready for many entrants: what they share is compiled once."""

    def __init__(self, problem: Problem, config: Config):
        self.problem = problem
        self.config = config
        self.params = problem.population(config)
        self.pieces = np.diff([0, *config.schedule()]).tolist()
        self._evaluate = jax.jit(jax.vmap(self._scores, in_axes=(0, None)))

    def chunk(self, entrant: Entrant) -> int:
        """How many members are trained at the same time."""
        members = len(entrant.rates) * self.config.seeds
        return min(members, self.config.batch or self.problem.chunk or members)

    def compile(self, entrant: Entrant) -> Program:
        """Compile one entrant's programs; may run in a thread."""
        start = time.perf_counter()
        chunk = self.chunk(entrant)
        rates = jax.ShapeDtypeStruct((chunk,), jnp.result_type(float))
        params = jax.tree.map(lambda a: _shaped(a, chunk), self.params)
        init = jax.vmap(lambda rate, p: entrant.make(rate).init(p))
        state = jax.eval_shape(init, rates, params)
        data = jax.tree.map(lambda a: _shaped(a), self.problem.data)
        shape = (chunk, max(self.pieces), *self.problem.order.shape[2:])
        order = jax.ShapeDtypeStruct(shape, np.int32)
        steps = jax.ShapeDtypeStruct((), np.int32)
        program = jax.jit(self._advance(entrant), donate_argnums=(1, 2))
        advance = program.lower(rates, params, state, order, steps, data).compile()
        compiled = jax.jit(init).lower(rates, params).compile()
        size = _bytes(state) / chunk
        count = sum(leaf.size for leaf in jax.tree.leaves(params)) / chunk
        seconds = time.perf_counter() - start
        return Program(compiled, advance, seconds, size / count)

    def run(
        self, entrant: Entrant, program: Program, tick: Callable[[float], None]
    ) -> Curves:
        """Train all members of an entrant.

        Args:
            entrant: The entrant.
            program: Its compiled programs.
            tick: Called with the share of the work done since the last call.

        Returns:
            The curves.
        """
        start = time.perf_counter()
        config, chunk = self.config, self.chunk(entrant)
        members = list(itertools.product(entrant.rates, range(config.seeds)))
        parts = []
        for first in range(0, len(members), chunk):
            part = members[first : first + chunk]
            filled = part + part[-1:] * (chunk - len(part))
            share = len(part) / len(members) / len(self.pieces)
            parts.append([])
            for out in self._train(filled, program):
                parts[-1].append([np.asarray(a)[: len(part)] for a in out])
                tick(share)
        return self._curves(parts, len(entrant.rates), time.perf_counter() - start)

    def _train(
        self, members: list[tuple[float, int]], program: Program
    ) -> Iterator[tuple[np.ndarray, ...]]:
        """Train one chunk; yield loss, validation loss and score, and test score."""
        rates = jnp.asarray([rate for rate, _ in members], jnp.result_type(float))
        seeds = np.asarray([seed for _, seed in members])
        params = jax.tree.map(lambda a: a[seeds], self.params)
        state = program.init(rates, params)
        valid = self._evaluate(params, self.problem.valid)
        loss, test = np.zeros(len(seeds)), np.zeros(len(seeds))
        at = 0
        yield jax.device_get((loss, *valid, test))
        for piece in self.pieces:
            order = self._order(seeds, at, piece)
            params, state, mean, loss = program.advance(
                rates, params, state, order, np.int32(piece), self.problem.data
            )
            at += piece
            shown = params if mean is None else mean
            valid = self._evaluate(shown, self.problem.valid)
            if at == self.config.steps:
                _, test = self._evaluate(shown, self.problem.test)
            yield jax.device_get((loss, *valid, test))

    def _order(self, seeds: np.ndarray, at: int, steps: int) -> np.ndarray:
        """The data's order for the coming steps, filled up to a fixed length."""
        order = self.problem.order[seeds, at : at + steps]
        rest = max(self.pieces) - steps
        return np.pad(order, [(0, 0), (0, rest)] + [(0, 0)] * (order.ndim - 2))

    def _curves(
        self, parts: list[list[list[np.ndarray]]], rates: int, seconds: float
    ) -> Curves:
        points = [
            [np.concatenate(p) for p in zip(*step, strict=True)]
            for step in zip(*parts, strict=True)
        ]
        train, valid_loss, valid, test = (
            np.stack(column, -1).astype(np.float64).reshape(rates, -1, len(points))
            for column in zip(*points, strict=True)
        )
        finite = np.isfinite(train) & np.isfinite(valid_loss) & np.isfinite(valid)
        diverged = ~(finite[..., 1:].all(-1) & np.isfinite(test[..., -1]))
        return Curves(train[..., 1:], valid, test[..., -1], diverged, seconds)

    def _scores(self, params: PyTree, held: Any) -> tuple[jax.Array, jax.Array]:
        loss, score = self.problem.loss, self.problem.score
        return held.mean(lambda data: (loss(params, data), score(params, data)))

    def _advance(self, entrant: Entrant) -> Callable[..., Any]:
        """Several steps of training, for a population.

        The number of steps is an argument, so that one program fits all pieces.
        """
        loss = self.problem.loss

        def member(
            rate: jax.Array,
            params: PyTree,
            state: PyTree,
            order: jax.Array,
            steps: jax.Array,
            data: PyTree,
        ) -> tuple[PyTree, PyTree, PyTree, jax.Array]:
            tx = optax.with_extra_args_support(entrant.make(rate))

            def step(i: jax.Array, carry: PyTree) -> PyTree:
                params, state, total = carry
                batch = jax.tree.map(lambda a: a[order[i]], data)
                value, grads = jax.value_and_grad(loss)(params, batch)
                known = extras.of_loss(value, grads, lambda p: loss(p, batch))
                updates, state = tx.update(grads, state, params, **known)
                params = optax.apply_updates(params, updates)
                return params, state, total + value.astype(total.dtype)

            start = params, state, jnp.zeros((), jnp.result_type(float))
            params, state, total = jax.lax.fori_loop(0, steps, step, start)
            mean = total / steps.astype(total.dtype)
            return params, state, _averaged(state, params), mean

        return jax.vmap(member, in_axes=(0, 0, 0, 0, None, None))


def _averaged(state: PyTree, params: PyTree) -> PyTree:
    """The averaged parameters if the optimizer keeps any, else `None`."""
    try:
        return averaged_params(state, params)
    except KeyError:
        return None


def _shaped(array: jax.Array, leading: int | None = None) -> jax.ShapeDtypeStruct:
    shape = array.shape if leading is None else (leading, *array.shape[1:])
    return jax.ShapeDtypeStruct(shape, array.dtype)


def _bytes(tree: PyTree) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
