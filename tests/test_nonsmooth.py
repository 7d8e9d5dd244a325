"""Gradient sampling, Polyak's targets and the proximal point: where they lead."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jopt

SLOPES = np.array([[3.0, 1.0], [-1.0, 2.0], [-2.0, -3.0], [0.0, 1.0]])


def corner(x):
    """Least at 0, where three of the pieces meet."""
    return jnp.max(jnp.asarray(SLOPES) @ x)


def run(tx, function, x, steps):
    """Parameters and states after each step."""

    def step(carry, _):
        x, state = carry
        value, g = jax.value_and_grad(function)(x)
        known = {"value": value, "value_fn": function, "grad_fn": jax.grad(function)}
        u, state = tx.update(g, state, x, **known)
        return (x + u, state), (x + u, state)

    return jax.jit(lambda x: jax.lax.scan(step, (x, tx.init(x)), length=steps)[1])(x)


def test_gradient_sampling_finds_a_corner_in_float64():
    with jax.enable_x64(True):
        x = jnp.array([1.0, 0.5])
        points, _ = run(jopt.gradient_sampling(6), corner, x, 120)
        assert corner(points[-1]) < 1e-9


def test_values_never_rise():
    points, _ = run(jopt.gradient_sampling(6), lambda x: jnp.abs(x).sum(), X, 40)
    values = np.abs(points).sum(1)
    assert (np.diff(values) <= 0).all()


X = jnp.array([1.0, -0.5, 0.25])
FLAT = {
    "value_fn": lambda x: jnp.float32(0.0),
    "grad_fn": lambda x: jnp.ones_like(x),
}


@pytest.mark.slow
def test_a_search_without_end_takes_no_step_and_shrinks_the_ball():
    tx = jopt.gradient_sampling(4, max_rounds=3)
    u, state = tx.update(jnp.ones(3), tx.init(X), X, **FLAT)
    np.testing.assert_array_equal(u, jnp.zeros(3))
    assert jopt.get(state, "radius") == jnp.float32(0.1) * jnp.float32(0.1)
    assert jopt.get(state, "tolerance") == jnp.float32(0.1)


def test_a_small_gradient_ends_the_stage():
    tx = jopt.gradient_sampling(4, 0.5, 0.5, radius_factor=0.5, tolerance_factor=0.25)
    small = {"value_fn": jnp.sum, "grad_fn": lambda x: 1e-3 * jnp.ones_like(x)}
    u, state = tx.update(1e-3 * jnp.ones(3), tx.init(X), X, **small)
    assert not np.any(u)
    assert jopt.get(state, "radius") == 0.25
    assert jopt.get(state, "tolerance") == 0.125


def test_nan_in_the_gradient_shows_and_leaves_the_ball():
    tx = jopt.gradient_sampling(4)
    u, state = tx.update(jnp.array([1.0, jnp.nan, 0.0]), tx.init(X), X, **FLAT)
    assert np.isnan(u).all()
    assert jopt.get(state, "radius") == jnp.float32(0.1)


def test_samples_beyond_the_domain_are_left_out():
    def root(x):
        return jnp.sqrt(x).sum()  # not a number below 0

    points, _ = run(jopt.gradient_sampling(8, 0.5), root, jnp.array([0.3, 0.2]), 1)
    assert np.isfinite(points).all()
    assert root(points[-1]) < root(jnp.array([0.3, 0.2]))


@pytest.mark.parametrize("missing", ["value_fn", "grad_fn"])
def test_gradient_sampling_names_what_is_missing(missing):
    tx = jopt.gradient_sampling(4)
    given = {name: fn for name, fn in FLAT.items() if name != missing}
    with pytest.raises(ValueError, match=f"`gradient_sampling` needs {missing}"):
        tx.update(X, tx.init(X), X, **given)


def test_with_the_least_value_it_is_polyak_sgd_without_a_bound():
    g, value = jnp.array([0.1, 0.2, -0.1]), jnp.float32(3.0)
    ours = jopt.subgradient(f_min=1.0)
    theirs = jopt.polyak_sgd(1e6, f_min=1.0)
    one, _ = ours.update(g, ours.init(X), X, value=value)
    two, _ = theirs.update(g, theirs.init(X), X, value=value)
    np.testing.assert_allclose(one, two, rtol=1e-6)


def test_no_step_below_the_least_value():
    tx = jopt.subgradient(f_min=1.0)
    assert not np.any(tx.update(X, tx.init(X), X, value=jnp.float32(0.5))[0])


def test_the_target_follows_what_is_reached():
    tx = jopt.subgradient(delta=1.0, growth=2.0, shrink=0.5, min_delta=0.75)
    state, seen = tx.init(X), []
    for value in (5.0, 4.0, 4.5, jnp.nan, 4.5):
        _, state = tx.update(X, state, X, value=jnp.float32(value))
        seen.append([float(jopt.get(state, n)) for n in ("best", "delta", "level")])
    # reached: twice as far; missed: half, not less than 0.75; NaN: as it was
    assert seen == [
        [5.0, 1.0, 4.0],
        [4.0, 2.0, 2.0],
        [4.0, 1.0, 3.0],
        [4.0, 1.0, 3.0],
        [4.0, 0.75, 3.25],
    ]


def test_an_estimated_target_leads_to_the_minimum():
    points, _ = run(jopt.subgradient(), corner, jnp.array([1.0, 0.5]), 1000)
    assert min(map(corner, points)) < 1e-3


def test_one_round_is_gradient_descent():
    tx = jopt.proximal_point(0.1, rounds=1)
    u, _ = tx.update(X, tx.init(X), X, grad_fn=lambda x: x)
    np.testing.assert_allclose(u, -0.1 * X, rtol=1e-6)


def test_many_rounds_are_the_proximal_step():
    points, _ = run(
        jopt.proximal_point(0.3, rounds=400), lambda x: jnp.abs(x).sum(), X, 1
    )
    soft = np.sign(X) * np.maximum(np.abs(X) - 0.3, 0.0)
    np.testing.assert_allclose(points[0], soft, atol=5e-3)


def test_an_implicit_step_is_stable_at_any_rate():
    def bowl(x):
        return 50.0 * x @ x

    points, _ = run(jopt.proximal_point(1e4, 30, inner_rate=0.01), bowl, X, 5)
    assert bowl(points[-1]) < 1e-6 * bowl(X)


def test_without_a_rate_nothing_moves():
    tx = jopt.proximal_point(0.0, 5, inner_rate=0.0)
    u, _ = tx.update(X, tx.init(X), X, grad_fn=lambda x: x)
    assert not np.any(u)
