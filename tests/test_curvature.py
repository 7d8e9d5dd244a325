"""Estimates of curvature: against matrices that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jopt

KEY = jax.random.key(0)
X = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)


def mean_of(estimate, count=2000):
    """The mean of many estimates."""
    return jax.tree.map(
        lambda h: h.mean(0), jax.jit(jax.vmap(estimate))(jax.random.split(KEY, count))
    )


# -- Hutchinson --------------------------------------------------------------------


def test_hutchinson_is_exact_where_the_hessian_is_diagonal():
    def grad(p):
        return {"a": 3.0 * p["a"], "b": p["b"] ** 3}

    p = {"a": jnp.ones((2, 2)), "b": jnp.array([2.0, -1.0])}
    h = jopt.hutchinson(grad, p, KEY)
    np.testing.assert_array_equal(h["a"], jnp.full((2, 2), 3.0))
    np.testing.assert_array_equal(h["b"], [12.0, 3.0])


def test_hutchinson_is_unbiased():
    a = np.array([[2.0, 0.5, -0.3], [0.5, 1.0, 0.2], [-0.3, 0.2, -1.0]], np.float32)
    h = mean_of(lambda key: jopt.hutchinson(lambda p: a @ p, jnp.ones(3), key))
    np.testing.assert_allclose(h, np.diag(a), atol=0.06)


def test_samples_of_hutchinson_are_averaged():
    a = np.array([[2.0, 0.5], [0.5, 1.0]], np.float32)
    h = jopt.hutchinson(lambda p: a @ p, jnp.ones(2), KEY, samples=400)
    np.testing.assert_allclose(h, np.diag(a), atol=0.1)


def test_no_samples_are_refused():
    with pytest.raises(ValueError, match="`samples` must be at least 1, got 0"):
        jopt.hutchinson(lambda p: p, jnp.ones(2), KEY, samples=0)


# -- Gauss, Newton and Bartlett ----------------------------------------------------

W = np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)


def variances(likelihood, logits):
    """The variance of a label, by which the diagonal is weighted."""
    if likelihood == "categorical":
        p = jax.nn.softmax(logits)
        return p * (1 - p)
    if likelihood == "bernoulli":
        p = jax.nn.sigmoid(logits)
        return p * (1 - p)
    return jnp.ones_like(logits)


@pytest.mark.parametrize("likelihood", ["categorical", "bernoulli", "normal"])
def test_gauss_newton_bartlett_is_unbiased(likelihood):
    def estimate(key):
        return jopt.gauss_newton_bartlett(
            lambda w: X @ w, W, key, likelihood=likelihood
        )

    exact = (X**2).T @ variances(likelihood, X @ W) / len(X)
    np.testing.assert_allclose(mean_of(estimate), exact, rtol=0.2, atol=0.01)


def test_every_token_counts():
    x = X.reshape(2, 4, 3)
    one = jopt.gauss_newton_bartlett(lambda w: X @ w, W, KEY)
    two = jopt.gauss_newton_bartlett(lambda w: x @ w, W, KEY)
    np.testing.assert_allclose(one.sum(), two.sum(), rtol=2.0)
    exact = (X**2).T @ variances("categorical", X @ W) / len(X)
    mean = mean_of(lambda key: jopt.gauss_newton_bartlett(lambda w: x @ w, W, key))
    np.testing.assert_allclose(mean, exact, rtol=0.2, atol=0.01)


def test_an_unknown_likelihood_is_refused():
    with pytest.raises(ValueError, match='must be one of "categorical"'):
        jopt.gauss_newton_bartlett(lambda w: X @ w, W, KEY, likelihood="poisson")


def test_a_loss_in_the_place_of_outputs_is_refused():
    with pytest.raises(ValueError, match="not its loss"):
        jopt.gauss_newton_bartlett(lambda w: jnp.sum(w), W, KEY)


# -- AdaHessian --------------------------------------------------------------------


def test_with_the_gradient_as_the_diagonal_adahessian_is_adam():
    g = jnp.array([3.0, -1.0, 0.0])
    ours, adam = jopt.adahessian(0.1, eps=1e-8), jopt.adam(0.1)
    state, theirs = ours.init(g), adam.init(g)
    for factor in (1.0, -0.5, 2.0):
        u, state = ours.update(factor * g, state, hessian=factor * g)
        v, theirs = adam.update(factor * g, theirs)
        np.testing.assert_allclose(u, v, rtol=1e-6)


def test_adahessian_averages_the_kernels_of_convolutions():
    p, h = jnp.zeros((2, 2, 1, 1)), jnp.array([1.0, -3.0, 2.0, 2.0])
    tx = jopt.scale_by_adahessian(b1=0.0, eps=0.0)
    state = tx.init(p)
    assert state.nu.shape == (1, 1, 1, 1)
    u, _ = tx.update(jnp.ones_like(p), state, hessian=h.reshape(p.shape))
    np.testing.assert_allclose(u, jnp.full(p.shape, 0.5), rtol=1e-6)


def test_adahessian_without_an_estimate_is_momentum():
    tx, g = jopt.scale_by_adahessian(eps=0.0), jnp.array([3.0, -1.0])
    np.testing.assert_allclose(tx.update(g, tx.init(g))[0], g, rtol=1e-6)


def test_adahessian_corrects_by_the_number_of_estimates():
    tx, g = jopt.scale_by_adahessian(b1=0.0, eps=0.0), jnp.array([1.0])
    _, state = tx.update(g, tx.init(g), hessian=None)
    _, state = tx.update(g, state, hessian=None)
    u, state = tx.update(g, state, hessian=jnp.array([4.0]))
    np.testing.assert_allclose(u, 0.25, rtol=1e-6)
    np.testing.assert_allclose(tx.update(g, state)[0], 0.25, rtol=1e-6)


def test_adahessian_takes_axes_from_a_function():
    tx = jopt.scale_by_adahessian(averaged_axes=lambda name, leaf: (0,))
    assert tx.init({"w": jnp.ones((3, 2))}).nu["w"].shape == (1, 2)


@pytest.mark.parametrize("axes", ["columns", lambda name, leaf: (5,)])
def test_adahessian_refuses_other_axes(axes):
    with pytest.raises(ValueError, match="`averaged_axes` must be"):
        jopt.scale_by_adahessian(averaged_axes=axes).init(jnp.ones((2, 2)))
