"""The same models and the same training step with Flax linen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax.training.train_state import TrainState

import jopt
from jopt.experiments import data, models


class MLP(nn.Module):
    classes: int

    @nn.compact
    def __call__(self, x):
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(nn.Dense(64, name="hidden1")(x))
        x = nn.relu(nn.Dense(64, name="hidden2")(x))
        return nn.Dense(self.classes, name="head")(x)


class ConvNet(nn.Module):
    classes: int

    @nn.compact
    def __call__(self, x):
        for i, features in enumerate((32, 64)):
            x = nn.relu(nn.Conv(features, (3, 3), name=f"conv{i + 1}")(x))
            x = nn.max_pool(x, (2, 2), strides=(2, 2))
        x = nn.relu(nn.Dense(128, name="dense")(x.reshape(x.shape[0], -1)))
        return nn.Dense(self.classes, name="head")(x)


TWINS = {"mlp": MLP(10), "convnet": ConvNet(10)}


@pytest.mark.parametrize("name", TWINS)
def test_twins_have_the_same_parameters_and_logits(name):
    init, apply = models.functional(name, (8, 8, 1), 10)
    params, x = (
        init(jax.random.key(0)),
        jax.random.normal(jax.random.key(1), (2, 8, 8, 1)),
    )
    ours, theirs = apply(params, x), TWINS[name].apply({"params": params}, x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_training_step_with_train_state():
    digits = data.load("digits")
    x, y = (jnp.asarray(a[:128]) for a in digits.train)
    params = TWINS["mlp"].init(jax.random.key(0), x)["params"]
    state = TrainState.create(
        apply_fn=TWINS["mlp"].apply, params=params, tx=jopt.adamw(1e-2)
    )

    @jax.jit
    def step(state):
        def loss(params):
            return models.cross_entropy(state.apply_fn({"params": params}, x), y)

        value, grads = jax.value_and_grad(loss)(state.params)
        return state.apply_gradients(grads=grads), value

    state, first = step(state)
    for _ in range(30):
        state, last = step(state)
    assert last < 0.1 * first
    assert state.step == 31
