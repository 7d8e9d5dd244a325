"""Tests that a transform fits the training loops people have."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt

X, Y = jnp.ones((8, 4)), jnp.zeros((8, 1))


def test_linen_train_state():
    from flax import linen as nn
    from flax.training.train_state import TrainState

    model = nn.Dense(1)
    params = model.init(jax.random.key(0), X)["params"]
    traces = []

    @jax.jit
    def step(state):
        traces.append(1)

        def loss(params):
            return jnp.mean((state.apply_fn({"params": params}, X) - Y) ** 2)

        value, grads = jax.value_and_grad(loss)(state.params)
        return state.apply_gradients(grads=grads), value

    apply_fn = model.apply
    for _ in range(3):  # as a notebook cell that is run three times
        tx = jopt.chain(jopt.clip_by_global_norm(1.0), jopt.adamw(1e-2))
        state = TrainState.create(apply_fn=apply_fn, params=params, tx=tx)
        state, first = step(state)
        _, second = step(state)
    assert second < first
    assert len(traces) == 1


@pytest.mark.parametrize("schedule", [False, True])
def test_nnx_optimizer(schedule):
    from flax import nnx

    rate = jopt.linear_schedule(1e-2, 0.0, 100) if schedule else 1e-2
    model = nnx.Linear(4, 1, rngs=nnx.Rngs(0))
    tx = jopt.adamw(rate, mask=jopt.where("kernel$"))
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer):
        value, grads = nnx.value_and_grad(lambda m: ((m(X) - Y) ** 2).mean())(model)
        optimizer.update(model, grads)
        return value

    first = step(model, optimizer)
    assert step(model, optimizer) < first


def test_nnx_optimizer_says_how_to_hold_array_hyperparameters():
    from flax import nnx

    model = nnx.Linear(4, 1, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"nnx\.data"):
        nnx.Optimizer(model, jopt.sgd(jnp.asarray(0.1)), wrt=nnx.Param)


def test_exposed_hyperparameters_of_an_nnx_optimizer():
    from flax import nnx

    model = nnx.Linear(4, 1, rngs=nnx.Rngs(0))
    tx = jopt.expose(
        jopt.chain(jopt.clip(1.0), jopt.adamw(1e-2)), "learning_rate", "b2"
    )
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
    changes = {"learning_rate": 0.5, "b2": 0.75}
    optimizer.opt_state = jopt.set_hyperparams(optimizer.opt_state, changes)
    kept = optimizer.opt_state.hyperparams["adamw.learning_rate"]
    assert isinstance(kept, nnx.Variable)
    shown = jopt.hyperparams(tx, optimizer.opt_state)
    assert float(shown["adamw.learning_rate"]) == 0.5
    assert float(shown["adamw.b2"]) == 0.75


def test_equinox_filtered_model():
    eqx = pytest.importorskip("equinox")
    model = eqx.nn.MLP(4, 1, 8, 1, key=jax.random.key(0))
    params = eqx.filter(model, eqx.is_inexact_array)
    tx = jopt.adamw(1e-2, mask=jopt.where("weight$"))

    def loss(model):
        return jnp.mean((jax.vmap(model)(X) - Y) ** 2)

    grads = eqx.filter_grad(loss)(model)
    updates, _ = tx.update(grads, tx.init(params), params)
    assert loss(eqx.apply_updates(model, updates)) < loss(model)


def test_leaf_names_are_the_same_in_every_framework():
    eqx = pytest.importorskip("equinox")
    from flax import linen as nn, nnx

    from jopt._core.trees import names

    linen = nn.Dense(1).init(jax.random.key(0), X)["params"]
    state = nnx.state(nnx.Linear(4, 1, rngs=nnx.Rngs(0)), nnx.Param)
    assert names(linen) == names(state) == names(nnx.as_pure(state))
    assert names(linen) == ["bias", "kernel"]
    assert names(eqx.nn.Linear(4, 1, key=jax.random.key(0))) == ["weight", "bias"]


@pytest.mark.parametrize("target", [True, False], ids=["with target", "without"])
def test_orbax_round_trip(tmp_path, target):
    ocp = pytest.importorskip("orbax.checkpoint")
    params = {"w": jnp.arange(4.0)}
    tx = jopt.chain(jopt.clip_by_global_norm(1.0), jopt.adamw(1e-2))
    _, state = tx.update(params, tx.init(params), params)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "state", state)
        checkpointer.wait_until_finished()
        if target:
            shapes = jax.eval_shape(tx.init, params)
            restored = checkpointer.restore(tmp_path / "state", shapes)
        else:
            plain = checkpointer.restore(tmp_path / "state")
            restored = jopt.migrate(plain, tx, tx, params).state
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    jax.tree.map(np.testing.assert_array_equal, restored, state)


def test_optax_wrappers_take_a_transform():
    params = {"w": jnp.ones(2)}
    for tx in (
        optax.MultiSteps(jopt.adam(0.1), 2).gradient_transformation(),
        optax.masked(jopt.adam(0.1), {"w": True}),
        optax.partition({"a": jopt.adam(0.1)}, {"w": "a"}),
        optax.inject_hyperparams(jopt.adam)(learning_rate=0.1),
        optax.apply_if_finite(jopt.adam(0.1), 3),
    ):
        with jax.numpy_dtype_promotion("standard"):  # optax's own arithmetic needs it
            updates, _ = tx.update(params, tx.init(params), params)
        assert jnp.isfinite(updates["w"]).all()
