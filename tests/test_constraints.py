"""Projections and proximal steps: against their definitions, and scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.test_util import check_grads

import jopt
from jopt.constraints import total_variation

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
    with pytest.raises(TypeError, match="must be a name or a function"):
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
    with pytest.raises(ValueError, match="`penalty` must be a function or one of"):
        jopt.proximal(0.1, "lasso", 0.5)


def test_a_function_takes_the_place_of_a_penalty():
    tx = jopt.proximal(0.5, lambda x, t: jnp.maximum(x - t, 0.0), 2.0)
    expected = jnp.maximum(X - 1.0, 0.0)  # sparse, and not negative
    np.testing.assert_allclose(stepped(tx, X, 0 * X), expected, atol=1e-6)


def test_a_projection_is_the_proximal_step_of_a_set():
    box = jopt.proximal(0.1, lambda x, _: jnp.clip(x, -1.0, 1.0), 1.0)
    projected = jopt.chain(jopt.sgd(0.1), jopt.projected("linf_ball", 1.0))
    np.testing.assert_allclose(stepped(box, X, X), stepped(projected, X, X))


FLATTENED = jax.jit(total_variation.flattened)


def optimal(y, x, t):
    """Whether `x` is the proximal point of total variation, by its dual."""
    z = np.cumsum(np.float64(y) - np.float64(x))
    scale = 1e-5 * (np.abs(y).sum() + t)
    jumps = np.sign(np.diff(x))
    on = np.abs(np.diff(x)) > scale
    assert abs(z[-1]) <= scale
    assert (np.abs(z) <= t + scale).all()
    np.testing.assert_allclose(z[:-1][on], -t * jumps[on], rtol=0, atol=scale)


@pytest.mark.parametrize("n", [2, 3, 40])
@pytest.mark.parametrize("t", [1e-3, 0.3, 2.0, 1e3])
def test_total_variation_is_flattened_exactly(n, t):
    y = np.random.default_rng(n).standard_normal((20, n)).astype(np.float32)
    y[10:] = y[10:].round(1).cumsum(axis=1)  # with ties, and far from 0
    x = np.asarray(FLATTENED(jnp.asarray(y), jnp.float32(t)))
    for row, solution in zip(y, x, strict=True):
        optimal(row, solution, t)


def test_no_total_variation_is_lost_without_strength():
    assert jnp.allclose(prox("total_variation", 0.0), X, atol=1e-6)


@pytest.mark.slow
def test_total_variation_is_that_of_cvxpy():
    cvxpy = pytest.importorskip("cvxpy")
    y = np.random.default_rng(0).standard_normal(30)
    v = cvxpy.Variable(30)
    cost = cvxpy.sum_squares(v - y) / 2 + 0.7 * cvxpy.tv(v)
    cvxpy.Problem(cvxpy.Minimize(cost)).solve(solver="CLARABEL")
    with jax.enable_x64(True):
        x = stepped(jopt.proximal(1.0, "total_variation", 0.7), jnp.asarray(y), 0 * y)
    np.testing.assert_allclose(x, v.value, atol=2e-4)  # its own tolerance


@pytest.mark.slow
def test_total_variation_has_a_slope():
    with jax.enable_x64(True):
        y = jnp.asarray(np.random.default_rng(1).standard_normal((2, 9)))

        def moved(y, t):
            return stepped(jopt.proximal(1.0, "total_variation", t), y, 0 * y)

        check_grads(moved, (y, 0.4), order=1, modes=("rev",))


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (2, 4, 3), (4,)])
def test_singular_values_shrink(shape):
    y = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    tx = jopt.proximal(1.0, "nuclear_norm", 0.8)
    x = stepped(tx, jnp.asarray(y), jnp.zeros(shape))
    if len(shape) == 1:
        y, x = y[:, None], x[:, None]
    before, after = (np.linalg.svd(np.asarray(m), compute_uv=False) for m in (y, x))
    np.testing.assert_allclose(after, np.maximum(before - 0.8, 0.0), atol=2e-6)
    assert np.linalg.norm(y - x, 2, axis=(-2, -1)).max() < 0.8 + 1e-5


def test_a_matrix_that_is_not_finite_spoils_no_other():
    y = jnp.stack([jnp.full((3, 2), jnp.inf), jnp.eye(3, 2)])
    x = stepped(jopt.proximal(1.0, "nuclear_norm", 0.5), y, jnp.zeros_like(y))
    assert jnp.isnan(x[0]).all()
    np.testing.assert_allclose(x[1], 0.5 * jnp.eye(3, 2), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("equal", [False, True])
def test_the_nuclear_norm_has_a_slope(equal):
    """Also where singular values are equal."""
    with jax.enable_x64(True):
        y = jnp.asarray(np.random.default_rng(0).standard_normal((4, 3)))
        y = 2.0 * jnp.linalg.qr(y)[0] if equal else y

        def moved(y, t):
            return stepped(jopt.proximal(1.0, "nuclear_norm", t), y, 0 * y)

        check_grads(moved, (y, 0.4), order=1, modes=("fwd", "rev"))
