"""Tests of `jopt.monitor` and of `jopt.get`."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState

import jopt

P = {"w": jnp.array([6.0, 0.0]), "b": jnp.array([[8.0, 0.0]])}
G = {"w": jnp.array([3.0, 0.0]), "b": jnp.array([[0.0, 4.0]])}


def after(tx, params=P, grads=G):
    return tx.update(grads, tx.init(params), params)[1]


@pytest.mark.parametrize(("slot", "value"), [("norm", 5), ("rms", 2.5), ("ratio", 0.5)])
def test_values(slot, value):
    assert float(jopt.get(after(jopt.monitor()), slot)) == value


def test_updates_pass_unchanged():
    tx = jopt.monitor(per_leaf=True)
    u, _ = tx.update(G, tx.init(P), P)
    assert all(jax.tree.leaves(jax.tree.map(jnp.array_equal, u, G)))


def test_norm_of_each_leaf():
    state = after(jopt.monitor("g", per_leaf=True))
    assert {k: float(v) for k, v in jopt.get(state, "g.norms").items()} == {
        "b": 4.0,
        "w": 3.0,
    }


def test_several_by_name():
    tx = jopt.chain(jopt.monitor("before"), jopt.scale(0.5), jopt.monitor("after"))
    state = after(tx)
    norms = jopt.get(state, "before.norm"), jopt.get(state, "after.norm")
    assert tuple(map(float, norms)) == (5.0, 2.5)


def test_nan_shows():
    state = after(jopt.monitor(), grads={"w": jnp.array([jnp.nan, 0.0]), "b": G["b"]})
    assert np.isnan(jopt.get(state, "norm"))


def test_ratio_without_params_is_nan():
    tx = jopt.monitor()
    _, state = tx.update(G, tx.init(P))
    assert np.isnan(jopt.get(state, "ratio"))


def test_large_bfloat16_gradients_have_a_finite_norm():
    g = jnp.full(4, 1e30, jnp.bfloat16)
    norm = jopt.get(after(jopt.monitor(), g, g), "norm")
    assert norm.dtype == jnp.float32
    assert float(norm) == pytest.approx(2e30, rel=1e-2)


def test_state_is_a_fixed_point_under_scan():
    tx = jopt.monitor(per_leaf=True)
    body = lambda s, g: (tx.update(g, s, P)[1], None)  # noqa: E731
    gs = jax.tree.map(lambda g: jnp.stack([g, 2.0 * g]), G)
    state, _ = jax.lax.scan(body, tx.init(P), gs)
    assert float(jopt.get(state, "norm")) == 10.0


def test_empty_tree():
    tx = jopt.monitor()
    assert float(jopt.get(tx.update({}, tx.init({}), {})[1], "ratio")) == 0.0


BAD = [("", ValueError), ("a.b", ValueError), (1, TypeError)]


@pytest.mark.parametrize(("name", "error"), BAD)
def test_bad_names(name, error):
    with pytest.raises(error, match="`name` must be a"):
        jopt.monitor(name)


# -- get ---------------------------------------------------------------------------

CHAIN = jopt.chain(
    jopt.clip_by_global_norm(1.0), jopt.adam(jopt.linear_schedule(0.5, 0.0, 10))
)


def test_get_field():
    assert float(jopt.get(after(CHAIN), "mu")["w"][0]) == pytest.approx(0.06)


def test_get_scheduled_learning_rate():
    assert float(jopt.get(after(CHAIN), "learning_rate")) == 0.5


def test_get_norm_that_clipping_saw():
    assert float(jopt.get(after(CHAIN), "clip_by_global_norm.norm")) == 5.0


def test_get_property():
    assert float(jopt.get(after(CHAIN), "clip_rate")) == 1.0


def test_get_state_of_a_stage():
    assert isinstance(jopt.get(after(CHAIN), "scale_by_adam"), optax.ScaleByAdamState)


def test_get_leaf_inside_a_slot():
    assert jopt.get(after(CHAIN), "mu.w").shape == (2,)


def test_get_by_name_in_named_chain():
    tx = jopt.named_chain(
        ("clip", jopt.clip_by_global_norm(1.0)), ("go", jopt.sgd(0.1))
    )
    assert float(jopt.get(after(tx), "clip.norm")) == 5.0


def test_get_prefers_fields_to_parameters_of_that_name():
    params = {"norm": jnp.ones(2), "count": jnp.ones(2)}
    state = after(jopt.chain(jopt.monitor(), jopt.scale_by_adam()), params, params)
    assert jopt.get(state, "norm").shape == ()
    assert jopt.get(state, "scale_by_adam.count").dtype == jnp.int32


def test_get_under_jit():
    assert (
        float(jax.jit(lambda s: jopt.get(s, "clip_by_global_norm.norm"))(after(CHAIN)))
        == 5
    )


def test_get_from_optax_state():
    masked = optax.masked(optax.adam(0.1), {"w": True, "b": False})
    state = optax.chain(optax.clip(1.0), masked).init(P)
    assert int(jopt.get(state, "count")) == 0


def test_get_from_optax_inject_hyperparams():
    state = after(optax.inject_hyperparams(optax.sgd)(learning_rate=0.25))
    assert float(jopt.get(state, "learning_rate")) == 0.25


def test_get_from_exposed():
    state = after(jopt.expose(jopt.adam(0.25), "learning_rate", "b1"))
    assert float(jopt.get(state, "learning_rate")) == 0.25
    assert float(jopt.get(state, "b1")) == pytest.approx(0.9)


def test_get_from_nnx_optimizer():
    model = nnx.Linear(2, 1, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, CHAIN, wrt=nnx.Param)
    optimizer.update(model, nnx.grad(lambda m: jnp.sum(m(jnp.ones((1, 2)))))(model))
    norm = jopt.get(optimizer, "clip_by_global_norm.norm")
    assert float(norm) == pytest.approx(3.0**0.5)


def test_get_from_train_state():
    state = TrainState.create(apply_fn=None, params=P, tx=CHAIN).apply_gradients(
        grads=G
    )
    assert float(jopt.get(state, "clip_rate")) == 1.0


def test_get_from_state_restored_as_dicts():
    restored = [{"norm": np.float32(5.0)}, {"count": 1, "mu": {"w": np.zeros(2)}}]
    assert jopt.get(restored, "mu.w").shape == (2,)


def test_ambiguous_name_lists_paths_that_work():
    state = after(jopt.chain(jopt.monitor("a"), jopt.monitor("b")))
    with pytest.raises(ValueError, match=r"`norm` is ambiguous") as info:
        jopt.get(state, "norm")
    paths = [text for text in str(info.value).split("`") if text.endswith(".norm")]
    assert [float(jopt.get(state, path)) for path in paths] == [5.0, 5.0]


def test_misspelt_name():
    with pytest.raises(KeyError, match="Did you mean `clip_rate`"):
        jopt.get(after(CHAIN), "clip_rte")


def test_constant_hyperparameter_says_where_it_is():
    with pytest.raises(KeyError, match=r"jopt\.hyperparams\(tx, state\)"):
        jopt.get(after(CHAIN), "b2")
