"""FTRL, SparseAdam, SM3 and Adam-mini where they differ from Adam and Adagrad."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jopt


def run(tx, p, grads):
    state = tx.init(p)
    for g in grads:
        u, state = tx.update(g, state, p)
        p = jax.tree.map(jnp.add, p, u)
    return p, state


def test_ftrl_makes_small_parameters_exactly_zero():
    tx = jopt.ftrl(0.5, l1_regularization_strength=1.0)
    g = jnp.array([3.0, 0.1])
    p, _ = run(tx, jnp.zeros(2), [g] * 4)
    assert p[0] < -1.0 and p[1] == 0.0


def test_ftrl_returns_a_parameter_to_zero_exactly():
    tx = jopt.ftrl(0.5, l1_regularization_strength=1.0)
    p, _ = run(tx, jnp.full(1, 0.3), [jnp.array([0.01])])
    assert p[0] == 0.0


def test_ftrl_holds_everything_at_a_rate_of_zero():
    tx, p, g = jopt.ftrl(0.0), jnp.ones(2), jnp.array([3.0, -1.0])
    state = tx.init(p)
    u, after = tx.update(g, state, p)
    np.testing.assert_array_equal(u, 0.0)
    jax.tree.map(np.testing.assert_array_equal, after, state)


def test_ftrl_refuses_a_rate_that_grows():
    with pytest.raises(ValueError, match="`learning_rate_power` must be at most 0"):
        jopt.ftrl(0.1, 0.5)


def test_sparse_adam_leaves_unused_rows_and_their_moments():
    tx, p = jopt.sparse_adam(0.1), jnp.ones((3, 2))
    u, state = tx.update(jnp.ones((3, 2)), tx.init(p))
    used = jnp.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    u, after = tx.update(used, state)
    np.testing.assert_array_equal(u[1:], 0.0)
    np.testing.assert_array_equal(after[0].nu[1:], state[0].nu[1:])
    assert np.all(u[0] != 0.0)


def test_sparse_adam_counts_all_steps():
    tx, p = jopt.sparse_adam(0.1), jnp.zeros((1, 1))
    _, state = tx.update(jnp.zeros((1, 1)), tx.init(p))
    u, _ = tx.update(jnp.ones((1, 1)), state)
    correction = np.sqrt(1 - 0.999**2) / (1 - 0.9**2)
    size = 0.1 * correction * 0.1 / (np.sqrt(0.001) + 1e-8)
    np.testing.assert_allclose(u, [[-size]], rtol=1e-6)


def test_sm3_keeps_one_number_per_index_of_each_axis():
    state = jopt.scale_by_sm3().init(jnp.zeros((2, 3, 4)))
    assert [x.shape for x in state.mu] == [(2,), (3,), (4,)]


def test_sm3_takes_small_gradients_as_large_ones():
    u, _ = jopt.sm3(0.1, 0.0).update(
        jnp.full(2, 1e-8), jopt.sm3(0.1, 0.0).init(jnp.zeros(2))
    )
    np.testing.assert_allclose(u, -0.1, rtol=1e-6)


def test_adam_mini_has_one_second_moment_per_output():
    tx = jopt.scale_by_adam_mini()
    nu = tx.init({"w": jnp.zeros((4, 3)), "b": jnp.zeros(3)}).nu
    assert nu["w"].shape == (1, 3) and nu["b"].shape == (1,)


def test_adam_mini_takes_the_axis_from_a_function():
    tx = jopt.scale_by_adam_mini(block_axis=lambda n, p: 0 if n == "table" else None)
    nu = tx.init({"table": jnp.zeros((4, 3)), "w": jnp.zeros((4, 3))}).nu
    assert nu["table"].shape == (4, 1) and nu["w"].shape == (1, 1)


def test_adam_mini_names_the_leaf_without_the_axis():
    with pytest.raises(ValueError, match="got 2 for `w` of shape"):
        jopt.adam_mini(0.1, block_axis=2).init({"w": jnp.zeros((4, 3))})
