"""Projections and proximal steps: against their definitions, and scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt

X = jnp.array([[0.3, -2.0, 0.1], [1.5, 4.0, -0.7]])


def stepped(tx, params, grads):
    updates, _ = tx.update(grads, tx.init(params), params)
    return params + updates


def prox(penalty, strength=0.5):
    """The proximal point of `X` with the threshold `strength`."""
    return stepped(jopt.proximal(1.0, penalty, strength), X, jnp.zeros_like(X))


def test_a_step_into_the_set_is_left_alone():
    tx = jopt.chain(jopt.sgd(0.1), jopt.projected("l2_ball", 10.0))
    assert jnp.allclose(stepped(tx, X, X), 0.9 * X)


def test_a_named_set_is_that_of_optax():
    tx = jopt.projected("simplex", 2.0)
    ours = stepped(tx, X, jnp.zeros_like(X))
    with jax.numpy_dtype_promotion("standard"):
        theirs = optax.projections.projection_simplex(X, 2.0)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_function_takes_the_place_of_a_name():
    tx = jopt.projected(lambda x: jnp.clip(x, -1.0, 0.5))
    np.testing.assert_allclose(stepped(tx, X, 0 * X), jnp.clip(X, -1.0, 0.5))


def test_other_leaves_go_where_they_go():
    tx = jopt.chain(jopt.sgd(1.0), jopt.projected("non_negative", mask="a"))
    params = {"a": jnp.ones(2), "b": jnp.ones(2)}
    grads = jax.tree.map(lambda p: 3.0 * p, params)
    updates, _ = tx.update(grads, tx.init(params), params)
    assert updates["a"][0] == -1.0
    assert updates["b"][0] == -3.0


def test_projected_descent_finds_the_constrained_minimum():
    tx = jopt.chain(jopt.sgd(0.2), jopt.projected("simplex"))
    target = jnp.array([0.9, 0.5, -1.0])
    p = jnp.ones(3) / 3
    for _ in range(60):
        p = stepped(tx, p, p - target)
    np.testing.assert_allclose(p, [0.7, 0.3, 0.0], atol=1e-5)


def test_unknown_sets_are_refused():
    with pytest.raises(ValueError, match="Did you mean `simplex`"):
        jopt.projected("simplx")


def test_a_set_is_a_name_or_a_function():
    with pytest.raises(TypeError, match="the name of a set or a function"):
        jopt.projected(3)


def test_l1_is_the_soft_threshold():
    expected = jnp.sign(X) * jnp.maximum(jnp.abs(X) - 0.5, 0.0)
    np.testing.assert_allclose(prox("l1"), expected, atol=1e-6)


def test_group_lasso_shortens_the_leaf():
    norm = jnp.linalg.norm(X)
    np.testing.assert_allclose(prox("group_lasso"), X * (1 - 0.5 / norm), rtol=1e-5)


def test_group_lasso_drops_a_short_leaf():
    assert not prox("group_lasso", 10.0).any()


def test_rows_are_shortened_each():
    norm = jnp.linalg.norm(X, axis=1, keepdims=True)
    expected = X * jnp.maximum(1 - 3.0 / norm, 0.0)
    np.testing.assert_allclose(prox("rows", 3.0), expected, rtol=1e-5, atol=1e-6)


def test_ista_finds_the_lasso_whose_slopes_are_known():
    random = np.random.default_rng(0)
    a, b = random.standard_normal((20, 5)), random.standard_normal(20)
    lam = 4.0
    with jax.enable_x64(True):
        a, b = jnp.asarray(a), jnp.asarray(b)
        tx = jopt.proximal(0.02, "l1", lam)
        step = jax.jit(lambda x: stepped(tx, x, a.T @ (a @ x - b)))
        x = jnp.zeros(5)
        for _ in range(2000):
            x = step(x)
        x, slope = np.asarray(x), np.asarray(a.T @ (b - a @ x))
    on = x != 0
    assert 0 < on.sum() < 5
    np.testing.assert_allclose(slope[on], lam * np.sign(x[on]), rtol=1e-9)
    assert (np.abs(slope[~on]) <= lam).all()


def test_unknown_penalties_are_refused():
    with pytest.raises(ValueError, match="`penalty` must be one of"):
        jopt.proximal(0.1, "lasso", 0.5)
