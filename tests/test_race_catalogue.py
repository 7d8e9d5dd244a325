"""The race takes every optimizer of the catalogue."""

import jax
import jax.numpy as jnp
import pytest

import jopt
from jopt.experiments.entrants import gather
from tests.cases import OPTIMIZERS

PARAMS = {"b": jnp.ones(3), "w": jnp.ones((4, 3))}


def _loss(params):
    return sum(jnp.sum(p**2) for p in jax.tree.leaves(params))


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_can_be_entered_by_name(name):
    (entrant,) = gather(name, 3, 10)
    tx = entrant.make(entrant.rates[1])
    known = {"value": jnp.ones(()), "value_fn": _loss, "grad_fn": jax.grad(_loss)}
    step = jax.eval_shape(lambda: tx.update(PARAMS, tx.init(PARAMS), PARAMS, **known))
    assert jax.tree.structure(step[0]) == jax.tree.structure(PARAMS)


@pytest.mark.slow
def test_every_optimizer_runs_in_a_race():
    result = jopt.race(optimizers=sorted(OPTIMIZERS), rates=1, steps=3, seeds=1)
    assert {row.name for row in result.rows} == set(OPTIMIZERS)
