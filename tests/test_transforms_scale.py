"""Tests of the stages that scale, decay, centre or replace updates."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt

DTYPES = ["float16", "bfloat16", "float32", "complex64"]
STAGES = [
    jopt.identity(),
    jopt.set_to_zero(),
    jopt.centralize(),
    jopt.scale(0.5),
    jopt.scale_by_learning_rate(0.5),
    jopt.scale_by_schedule(jopt.constant_schedule(0.5)),
    jopt.scale_by_sign(),
    jopt.scale_by_trust_ratio(),
    jopt.add_decayed_weights(0.1),
]
HALVING = optax.exponential_decay(1.0, 1, 0.5)
PEERS = [
    ("identity", (), {}),
    ("set_to_zero", (), {}),
    ("scale", (-0.3,), {}),
    ("scale_by_learning_rate", (0.3,), {}),
    ("scale_by_learning_rate", (0.3,), {"flip_sign": False}),
    ("scale_by_learning_rate", (HALVING,), {}),
    ("scale_by_schedule", (HALVING,), {}),
    ("scale_by_sign", (), {}),
    ("scale_by_trust_ratio", (), {}),
    ("scale_by_trust_ratio", (0.1, 0.5, 1e-3), {}),
    ("add_decayed_weights", (0.3,), {}),
    ("add_decayed_weights", (0.3,), {"mask": {"w": True, "b": False, "none": None}}),
]


def example(dtype="float32"):
    return {
        "w": jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)), dtype),
        "b": jnp.zeros(4, dtype),
        "none": None,
    }


def run(tx, params, steps=3):
    state = tx.init(params)
    for i in range(steps):
        grads = jax.tree.map(lambda p, i=i: jnp.cos(p * (i + 1)), params)
        updates, state = tx.update(grads, state, params)
    return updates


@pytest.mark.parametrize(("name", "args", "options"), PEERS)
def test_matches_optax(name, args, options):
    params = example()
    with jax.numpy_dtype_promotion("standard"):
        ours = run(getattr(jopt, name)(*args, **options), params)
        theirs = run(getattr(optax, name)(*args, **options), params)
    for leaf in ("w", "b"):
        np.testing.assert_allclose(ours[leaf], theirs[leaf], rtol=4e-7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tx", STAGES, ids=lambda tx: tx.spec.name)
def test_result_has_dtype_of_parameters(tx, dtype):
    params = example(dtype) | {"empty": jnp.zeros((0, 3), dtype), "one": jnp.ones(())}
    params["one"] = params["one"].astype(dtype)
    out, _ = jax.jit(tx.update)(params, tx.init(params), params)
    assert {u.dtype.name for u in jax.tree.leaves(out)} == {dtype}
    assert all(jnp.isfinite(u).all() for u in jax.tree.leaves(out))


@pytest.mark.parametrize("tx", STAGES, ids=lambda tx: tx.spec.name)
def test_traced_hyperparameters_give_the_static_result_for_complex_leaves(tx):
    params = {"w": jnp.array([[1.0 + 2.0j, 3.0j]])}
    update = lambda tx: tx.update(params, tx.init(params), params)[0]["w"]  # noqa: E731
    np.testing.assert_allclose(jax.jit(update)(tx), update(tx), rtol=4e-7)


@pytest.mark.parametrize("tx", STAGES, ids=lambda tx: tx.spec.name)
def test_derivative_at_zero_is_finite(tx):
    params = jnp.zeros((2, 2))
    update = lambda g: tx.update(g, tx.init(g), params)[0]  # noqa: E731
    assert jnp.isfinite(jax.jacrev(update)(jnp.zeros((2, 2)))).all()


@pytest.mark.parametrize("tx", STAGES, ids=lambda tx: tx.spec.name)
def test_empty_tree(tx):
    assert tx.update({}, tx.init({}), {})[0] == {}


def test_set_to_zero_hides_nan():
    tx = jopt.set_to_zero()
    out, _ = tx.update(jnp.array([jnp.nan]), tx.init(jnp.ones(1)))
    assert jnp.array_equal(out, jnp.zeros(1))


def test_learning_rates_by_vmap():
    grads = jnp.array([1.0, 2.0])
    stacked = jopt.scale_by_learning_rate(jnp.array([0.1, 0.5]))
    out = jax.vmap(lambda tx: tx.update(grads, tx.init(grads))[0])(stacked)
    np.testing.assert_allclose(out, [[-0.1, -0.2], [-0.5, -1.0]], rtol=2e-7)


def test_negative_learning_rate_says_how_to_ascend():
    with pytest.raises(ValueError, match="negate the loss"):
        jopt.scale_by_learning_rate(-0.1)


# -- trust ratio -------------------------------------------------------------------


@pytest.mark.parametrize("size", [3e38, 1e20, 1e-20, 1e-30])
def test_trust_ratio_where_squares_leave_the_range(size):
    params = jnp.array([3.0, 4.0])
    tx = jopt.scale_by_trust_ratio()
    out, _ = tx.update(size * jnp.array([0.6, -0.8]), tx.init(params), params)
    np.testing.assert_allclose(out, [3.0, -4.0], rtol=1e-6)


def test_trust_ratio_leaves_zero_parameters_their_update():
    grads = jnp.array([1.0, 2.0])
    tx = jopt.scale_by_trust_ratio(eps=1e-3)
    out, _ = tx.update(grads, tx.init(grads), jnp.zeros(2))
    assert jnp.array_equal(out, grads)


def test_trust_ratio_without_params_says_how():
    tx = jopt.scale_by_trust_ratio()
    with pytest.raises(ValueError, match="`scale_by_trust_ratio` needs params"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))


# -- weight decay ------------------------------------------------------------------


def test_decay_zero_needs_no_params():
    tx = jopt.add_decayed_weights(0.0)
    grads = jnp.ones(2)
    assert jnp.array_equal(tx.update(grads, tx.init(grads))[0], grads)


def test_decay_without_params_says_how():
    tx = jopt.add_decayed_weights(0.1)
    with pytest.raises(ValueError, match="`add_decayed_weights` needs params"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))


def test_decay_of_leaves_chosen_by_pattern():
    params = {"kernel": jnp.ones(2), "bias": jnp.ones(2)}
    tx = jopt.add_decayed_weights(0.5, mask="kernel")
    out, _ = tx.update(jax.tree.map(jnp.zeros_like, params), tx.init(params), params)
    assert jnp.array_equal(out["kernel"], jnp.full(2, 0.5))
    assert jnp.array_equal(out["bias"], jnp.zeros(2))


def test_mask_that_fits_nothing_is_found_by_init():
    with pytest.raises(ValueError, match="matches no leaf"):
        jopt.add_decayed_weights(0.5, mask="kernal").init({"kernel": jnp.ones(2)})


# -- centre ------------------------------------------------------------------------


def test_centralize_of_a_convolution_leaves_each_output_without_mean():
    grads = jnp.asarray(np.random.default_rng(0).normal(size=(3, 3, 2, 5)), "float32")
    tx = jopt.centralize()
    out, _ = tx.update(grads, tx.init(grads))
    np.testing.assert_allclose(out.mean((0, 1, 2)), np.zeros(5), atol=1e-7)


def test_centralize_by_the_first_axis_matches_optax():
    params = example()
    ours = run(jopt.centralize(unit_axis=0), params)
    np.testing.assert_allclose(
        ours["w"], run(optax.centralize(), params)["w"], atol=1e-7
    )


def test_centralize_leaves_vectors():
    grads = jnp.array([1.0, 2.0])
    tx = jopt.centralize()
    assert jnp.array_equal(tx.update(grads, tx.init(grads))[0], grads)
