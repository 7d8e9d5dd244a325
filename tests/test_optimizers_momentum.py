"""ASGD, AggMo, SGD-SaI, NovoGrad, Rprop and the optimistic methods at their edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jopt


def test_asgd_averages_from_the_step_it_is_told():
    tx, p = jopt.asgd(1.0, lambd=0.0, t0=2), jnp.zeros(1)
    state, seen = tx.init(p), []
    for g in (1.0, 2.0, 3.0, 4.0, 5.0):
        u, state = tx.update(jnp.array([g]), state, p)
        p = p + u
        seen.append(p)
    # as PyTorch: shares of 1, 1, 1, 1 and 1/2
    expected = (seen[3] + seen[4]) / 2
    np.testing.assert_allclose(jopt.averaged_params(state, p), expected, rtol=1e-6)


def test_asgd_averages_the_leaves_it_is_given():
    params = {"a": jnp.ones(1), "b": jnp.ones(1)}
    two = {"asgd": jopt.asgd(1.0, lambd=0.0, t0=0), "none": jopt.set_to_zero()}
    tx = jopt.partition(two, {"a": "asgd", "b": "none"})
    u, state = tx.update(params, tx.init(params), params)
    now = {"a": params["a"] + u["a"], "b": jnp.full(1, 7.0)}
    assert jopt.averaged_params(state, now)["b"] == 7.0


def test_aggmo_needs_a_beta():
    with pytest.raises(ValueError, match="`betas` must have at least one"):
        jopt.aggmo(0.1, ())


def test_aggmo_names_the_beta_that_is_out_of_range():
    with pytest.raises(ValueError, match=r"`betas\[1\]` must lie in"):
        jopt.aggmo(0.1, (0.5, 1.0))


def test_aggmo_of_one_beta_is_heavy_ball():
    g = [jnp.array([1.0, -2.0]), jnp.array([0.5, 4.0])]
    one, other = jopt.aggmo(0.1, (0.9,)), jopt.sgd(0.1, 0.9)
    states = one.init(g[0]), other.init(g[0])
    for x in g:
        a, left = one.update(x, states[0])
        b, right = other.update(x, states[1])
        states = left, right
        np.testing.assert_array_equal(a, b)


def test_sgd_sai_waits_for_a_gradient():
    tx, g = jopt.scale_by_gsnr(0.0), jnp.array([3.0, -4.0])
    _, state = tx.update(jnp.zeros(2), tx.init(g))
    u, _ = tx.update(g, state)
    np.testing.assert_allclose(u, g * 5.0 / np.std(g, ddof=1), rtol=1e-6)


def test_sgd_sai_keeps_the_ratio_of_the_first_gradient():
    tx, g = jopt.scale_by_gsnr(0.0), jnp.array([3.0, -4.0])
    u, state = tx.update(g, tx.init(g))
    again, _ = tx.update(jnp.array([1.0, 1.0]), state)
    np.testing.assert_allclose(again, u / g, rtol=1e-6)


@pytest.mark.parametrize("g", [jnp.array(2.0), jnp.full(3, 2.0)], ids=["one", "equal"])
def test_sgd_sai_leaves_what_has_no_spread(g):
    tx = jopt.scale_by_gsnr()
    np.testing.assert_array_equal(tx.update(g, tx.init(g))[0], g)


def test_novograd_starts_at_the_first_gradient_that_is_not_zero():
    tx, g = jopt.scale_by_novograd(b2=0.9, eps=0.0), jnp.array([3.0, -4.0])
    _, state = tx.update(jnp.zeros(2), tx.init(g))
    np.testing.assert_allclose(tx.update(g, state)[0], g / 5.0, rtol=1e-6)


def test_rprop_tells_signs_of_gradients_whose_product_underflows():
    tx, g = jopt.rprop(0.1), jnp.array([1e-30])
    _, state = tx.update(g, tx.init(g))
    np.testing.assert_allclose(tx.update(g, state)[0], -0.12, rtol=1e-6)


def test_optimistic_gradient_descent_solves_a_bilinear_game():
    tx, first = jopt.optimistic_gradient_descent(0.1), jnp.array([1.0, 2.0])

    def step(carry, _):
        p, state = carry
        u, state = tx.update(jnp.array([p[1], -p[0]]), state)
        return (p + u, state), None

    (p, _), _ = jax.lax.scan(step, (first, tx.init(first)), None, 1000)
    assert jnp.linalg.norm(p) < 0.1


def test_a_key_within_a_chain_stays_a_value_under_jit():
    tx, g = jopt.noisy_sgd(0.1, key=jax.random.key(1)), jnp.ones(2)
    state = tx.init(g)
    u = jax.jit(lambda tx, state: tx.update(g, state)[0])(tx, state)
    np.testing.assert_allclose(u, tx.update(g, state)[0], rtol=1e-6)


def test_ranger_keeps_slow_weights():
    tx, p = jopt.ranger(0.1, sync_period=2), jnp.ones(2)
    u, state = tx.update(jnp.ones(2), tx.init(p), p)
    np.testing.assert_array_equal(jopt.averaged_params(state, p + u), 1.0)
