"""Steps within a set: problems whose solutions are known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jopt

RANDOM = np.random.default_rng(0)
M = RANDOM.standard_normal((6, 6)).astype(np.float32)
SYMMETRIC = jnp.asarray(M @ M.T / 6)
VALUES, VECTORS = np.linalg.eigh(SYMMETRIC)


@functools.partial(jax.jit, static_argnums=(1, 3))
def minimized(tx, loss, x, steps):
    def step(carry, _):
        x, state = carry
        updates, state = tx.update(jax.grad(loss)(x), state, x)
        return (x + updates, state), None

    return jax.lax.scan(step, (x, tx.init(x)), None, steps)[0]


def quotient(x):
    return -jnp.sum(x * (SYMMETRIC @ x))


def orthonormal(*shape):
    return jnp.linalg.qr(jnp.asarray(RANDOM.standard_normal(shape), jnp.float32))[0]


def test_the_leading_eigenvector_is_found_on_the_sphere():
    tx = jopt.riemannian(jopt.sgd(0.1), "sphere")
    x, _ = minimized(tx, quotient, orthonormal(6, 1)[:, 0], 500)
    assert abs(jnp.linalg.norm(x) - 1.0) < 3e-7
    np.testing.assert_allclose(abs(x @ VECTORS[:, -1]), 1.0, atol=1e-6)


@pytest.mark.parametrize("inner", [jopt.sgd(0.1), jopt.sgd(0.02, momentum=0.9)])
def test_principal_components_are_found_on_the_stiefel_manifold(inner):
    tx = jopt.riemannian(inner, "stiefel")
    x, _ = minimized(tx, quotient, orthonormal(6, 2), 1500)
    np.testing.assert_allclose(x.T @ x, np.eye(2), atol=1e-6)
    leading = VECTORS[:, -2:]
    np.testing.assert_allclose(x @ x.T, leading @ leading.T, atol=1e-4)


def test_wide_matrices_have_orthonormal_rows():
    tx = jopt.riemannian(jopt.adam(0.1), "stiefel")
    x, _ = minimized(tx, lambda x: jnp.sum(x[0]), orthonormal(5, 3).T, 10)
    np.testing.assert_allclose(x @ x.T, np.eye(3), atol=1e-6)


def test_the_manifold_is_kept_over_many_steps():
    """Oblique, batched and complex; the phases of columns do not turn by themselves."""
    key = jax.random.key(0)
    x = jax.random.normal(key, (2, 5, 3), jnp.complex64)
    for manifold in ("oblique", "stiefel"):
        tx = jopt.retracted(manifold)
        on = x + tx.update(0 * x, tx.init(x), x)[0]
        again = on + tx.update(0 * on, tx.init(on), on)[0]
        np.testing.assert_allclose(again, on, atol=1e-6)
        norms = jnp.linalg.norm(on, axis=-2)
        np.testing.assert_allclose(norms, np.ones((2, 3)), atol=1e-6)


def test_a_tangent_step_does_not_leave_at_first_order():
    x = orthonormal(5, 3)
    tx = jopt.tangent("stiefel")
    u, _ = tx.update(orthonormal(5, 3), tx.init(x), x)
    np.testing.assert_allclose(x.T @ u + u.T @ x, np.zeros((3, 3)), atol=1e-6)


def test_other_leaves_stay_off_the_manifold():
    tx = jopt.riemannian(jopt.sgd(0.5), "sphere", "a")
    p = {"a": jnp.array([0.6, 0.8]), "b": jnp.ones(2)}
    updates, _ = tx.update({"a": p["a"], "b": p["b"]}, tx.init(p), p)
    np.testing.assert_allclose(updates["a"], np.zeros(2), atol=1e-7)
    np.testing.assert_allclose(updates["b"], [-0.5, -0.5])


RETURNS = jnp.array([0.3, 0.9, 0.1, 0.8, 0.2, 0.7])


def portfolio(x):
    return 0.5 * x @ SYMMETRIC @ x - RETURNS @ x


def check_simplex(x, atol):
    """The conditions of the best point of a simplex."""
    slope = jax.grad(portfolio)(x)
    assert (x >= 0).all()
    np.testing.assert_allclose(jnp.sum(x), 1.0, atol=1e-5)
    on = x > 1e-3
    assert 1 < jnp.sum(on) < 6
    np.testing.assert_allclose(slope[on], jnp.min(slope), atol=atol)


def test_mirror_descent_finds_a_portfolio():
    x, _ = minimized(jopt.mirror_descent(1.0), portfolio, jnp.full(6, 1 / 6), 2000)
    check_simplex(x, 1e-5)


def test_the_gap_of_frank_wolfe_bounds_the_loss():
    best, _ = minimized(jopt.mirror_descent(1.0), portfolio, jnp.full(6, 1 / 6), 2000)
    tx = jopt.frank_wolfe("simplex")
    x, state = minimized(tx, portfolio, jnp.zeros(6), 3000)
    above = portfolio(x) - portfolio(best)
    assert -1e-6 < above < state.gap < 5e-3
    check_simplex(x, 0.02)


@pytest.mark.parametrize(
    ("region", "target", "solution"),
    [
        ("l1_ball", [2.0, 0.2, -1.5], [0.75, 0.0, -0.25]),
        ("l2_ball", [3.0, 0.0, -4.0], [0.6, 0.0, -0.8]),
        ("linf_ball", [3.0, 0.5, -4.0], [1.0, 0.5, -1.0]),
    ],
)
def test_frank_wolfe_finds_the_nearest_point_of_a_ball(region, target, solution):
    target = jnp.array(target)
    x, state = minimized(
        jopt.frank_wolfe(region),
        lambda x: 0.5 * jnp.sum((x - target) ** 2),
        jnp.zeros(3),
        2000,
    )
    np.testing.assert_allclose(x, solution, atol=0.02)
    assert 0 <= state.gap < 0.02


def test_frank_wolfe_finds_a_matrix_of_low_rank():
    u, v = orthonormal(5, 2), orthonormal(4, 2)
    target = u @ jnp.diag(jnp.array([2.0, 1.5])) @ v.T
    x, _ = minimized(
        jopt.frank_wolfe("nuclear_ball", 1.0),
        lambda x: 0.5 * jnp.sum((x - target) ** 2),
        jnp.zeros((5, 4)),
        2000,
    )
    np.testing.assert_allclose(
        x, u @ jnp.diag(jnp.array([0.75, 0.25])) @ v.T, atol=0.02
    )
    assert jnp.linalg.norm(x, "nuc") < 1.0 + 1e-5


def test_the_rate_of_frank_wolfe_may_be_given():
    tx = jopt.frank_wolfe("l2_ball", 2.0, 0.25)
    u, state = tx.update(jnp.array([3.0, 4.0]), tx.init(jnp.zeros(2)), jnp.zeros(2))
    np.testing.assert_allclose(u, [-0.3, -0.4], rtol=1e-6)
    np.testing.assert_allclose(state.gap, 10.0, rtol=1e-6)


def test_the_sum_is_what_it_is_told_to_be():
    x, _ = minimized(jopt.mirror_descent(0.5, total=3.0), portfolio, jnp.ones(6), 5)
    np.testing.assert_allclose(jnp.sum(x), 3.0, rtol=1e-6)


def test_rows_may_be_distributions():
    x = jnp.full((2, 3), 1 / 3)
    tx = jopt.mirror_descent(50.0, axis=-1)
    x, _ = minimized(tx, lambda x: x[0, 0] - x[1, 2], x, 20)
    np.testing.assert_allclose(x, [[0.0, 0.5, 0.5], [0.0, 0.0, 1.0]], atol=1e-5)


def test_an_entry_comes_back_after_a_steep_slope():
    """Rounding makes no 0 of it, which would stay."""
    tx = jopt.mirror_descent(1.0)
    x = jnp.array([0.5, 0.5])
    for g in (jnp.array([1e3, 0.0]), jnp.array([-30.0, 0.0])):
        x = x + tx.update(g, tx.init(x), x)[0]
    assert x[0] > 0.99


def test_real_sets_refuse_complex_leaves():
    x = jnp.ones(2, jnp.complex64)
    for tx in (jopt.mirror_descent(0.1), jopt.frank_wolfe("simplex")):
        with pytest.raises(TypeError, match="takes real leaves"):
            tx.update(x, tx.init(x), x)


@pytest.mark.parametrize("make", [jopt.frank_wolfe, jopt.retracted, jopt.tangent])
def test_unknown_sets_are_refused(make):
    with pytest.raises(ValueError, match="must be one of"):
        make("ball")
