"""The loop carries the rest of a model's state: averages and keys."""

import dataclasses
import functools as ft
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jopt
from jopt.experiments.tasks import load
from jopt.experiments.training import train
from tests.test_training import bits


class Net(nnx.Module):
    """Batch normalisation and dropout: both kinds of other state."""

    def __init__(self, rngs):
        self.hidden = nnx.Linear(64, 16, rngs=rngs)
        self.norm = nnx.BatchNorm(16, rngs=rngs)
        self.dropout = nnx.Dropout(0.3, rngs=rngs)
        self.head = nnx.Linear(16, 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.norm(self.hidden(x.reshape(len(x), -1))))
        return self.head(self.dropout(x))


TASK = dataclasses.replace(load("digits"), make=Net)
BATCHES = TASK.batches(64, seed=1)


@ft.cache
def begin():
    return TASK.init(jax.random.key(0))


def go(steps, batches=BATCHES, tx=None, **more):
    params, rest = begin()
    tx = tx or jopt.adamw(0.01)
    more = {"evaluate": TASK.score, "eval_every": 6, "save_every": 4, **more}
    more.setdefault("higher_is_better", True)
    return train(TASK.train_loss, params, tx, batches, steps, rest=rest, **more)


def everything(run):
    return bits((run.params, run.rest, run.state)), run.log, run.best, run.best_step


@pytest.fixture(scope="module")
def whole():
    return go(20)


def test_the_rest_changes_and_the_model_learns(whole):
    assert bits(whole.rest) != bits(begin()[1])
    assert whole.best > 0.5


@pytest.mark.parametrize("cut", [3, 9, 19])
def test_a_run_that_is_cut_ends_as_one_that_is_not(tmp_path, whole, cut):
    def until(step):
        if step == cut:
            raise InterruptedError
        return BATCHES(step)

    with pytest.raises(InterruptedError):
        go(20, until, out=tmp_path)
    assert everything(go(20, out=tmp_path, resume=True)) == everything(whole)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == whole.log


def test_it_is_a_plain_loop():
    params, rest = begin()
    step = jax.jit(jax.grad(TASK.train_loss, has_aux=True))
    for number in range(5):
        grads, rest = step(params, rest, BATCHES(number))
        params = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)
    found = go(5, tx=jopt.sgd(0.1))
    wanted = jax.tree.leaves((params, rest["norm"]))
    for a, b in zip(
        wanted, jax.tree.leaves((found.params, found.rest["norm"])), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_the_first_state_stays_as_it_is():
    before = bits(begin())
    go(2)
    assert bits(begin()) == before


def test_a_step_that_is_skipped_leaves_the_rest_as_it_was():
    def bad(step):
        batch = BATCHES(step)
        return {**batch, "x": batch["x"] * np.float32("nan")} if step == 4 else batch

    def without(step):
        return BATCHES(step + (step >= 4))

    one, other = go(10, bad), go(9, without)
    assert bits((one.params, one.rest)) == bits((other.params, other.rest))


def test_the_best_model_comes_with_its_own_rest():
    values, seen = iter([0.5, 0.9, 0.8, 0.7]), []

    def evaluate(params, rest):
        seen.append(bits((params, rest)))
        return next(values)

    found = go(100, evaluate=evaluate, patience=2)
    assert (found.stopped, found.best_step) == ("patience", 12)
    assert bits((found.params, found.rest)) == seen[1]


def test_functions_of_the_loss_are_of_the_parameters_alone():
    tx = jopt.chain(jopt.polyak_sgd(), jopt.trace(0.5))
    search = jopt.chain(jopt.sgd(0.1), jopt.scale_by_backtracking_linesearch(5))
    for each in (tx, search):
        log = go(12, tx=each, log_every=1).log
        losses = [line["loss"] for line in log if "loss" in line]
        assert np.mean(losses[-3:]) < losses[0]


def test_devices_share_a_batch_and_find_the_same():
    one = go(5, tx=jopt.sgd(0.1))  # Adam would make steps of the rounding of zeros
    shared = go(5, tx=jopt.sgd(0.1), data_parallel=True)
    assert len(shared.rest["norm"]["mean"].sharding.device_set) == jax.device_count()
    for a, b in zip(
        jax.tree.leaves(one.rest["norm"]),
        jax.tree.leaves(shared.rest["norm"]),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_rest_of_another_kind_is_refused():
    def loss(params, rest, batch):
        return jnp.sum(params * batch), {"seen": rest["seen"].astype(jnp.int8)}

    with pytest.raises(TypeError, match=r"rest\['seen'\] is int8\[\], was int32\[\]"):
        train(
            *(loss, jnp.ones(2), jopt.sgd(0.1), lambda step: jnp.ones(2), 2),
            rest={"seen": jnp.zeros((), jnp.int32)},
        )
