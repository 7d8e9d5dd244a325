"""What wrappers and filters do where it matters: one reason to fail each."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt


def close(a, b):
    return jax.tree.all(jax.tree.map(lambda x, y: jnp.allclose(x, y, 1e-6), a, b))


def run(tx, grads, p, **extra):
    state = tx.init(p)
    for g in grads:
        u, state = tx.update(g, state, p, **extra)
        p = jax.tree.map(jnp.add, p, u)
    return p, state


def test_cautious_stage_and_optimizer_agree():
    p, grads = jnp.zeros(3), [jnp.array([1.0, -2.0, 3.0]), jnp.array([-1.0, -1.0, 1.0])]
    stage = jopt.chain(
        jopt.cautious(jopt.scale_by_adam(), flip_sign=False),
        jopt.scale_by_learning_rate(0.1),
    )
    assert close(
        run(stage, grads, p)[0], run(jopt.cautious(jopt.adam(0.1)), grads, p)[0]
    )


def test_cautious_sees_signs_of_tiny_numbers():
    tx, g = jopt.cautious(jopt.sgd(1.0)), jnp.full(2, 1e-25)
    assert jnp.all(tx.update(g, tx.init(g), g)[0] < 0)


def test_outer_nesterov_without_momentum_is_lookahead():
    p, grads = jnp.zeros(2), [jnp.array([1.0, -2.0])] * 5
    outer = jopt.outer_nesterov(jopt.adam(0.1), 0.5, 0.0, sync_period=2)
    ahead = jopt.lookahead(jopt.adam(0.1), sync_period=2, slow_step_size=0.5)
    assert close(run(outer, grads, p)[0], run(ahead, grads, p)[0])


def test_averaged_params_of_ema_nesterov_are_without_the_look_ahead():
    p = jnp.zeros(1)
    q, state = run(jopt.ema_nesterov(jopt.sgd(1.0), 0.5, 1.0), [-jnp.ones(1)] * 2, p)
    assert q[0] > jopt.averaged_params(state, q)[0] == 2.5


def test_hyperball_keeps_the_norm():
    p = jnp.arange(1.0, 7.0).reshape(2, 3)
    tx = jopt.chain(jopt.scale_by_adam(), jopt.hyperball(0.1))
    moved, _ = run(tx, [jnp.cos(p + i) for i in range(20)], p)
    assert abs(jnp.linalg.norm(moved) / jnp.linalg.norm(p) - 1) < 1e-5


def test_hyperball_of_a_stack_keeps_each_norm():
    p = jnp.arange(1.0, 13.0).reshape(2, 2, 3)
    tx = jopt.hyperball(0.5, stacked=True)
    u, _ = tx.update(jnp.cos(p), tx.init(p), p)
    sizes = [np.linalg.norm(x, axis=(1, 2)) for x in (p, p + u)]
    assert np.allclose(*sizes, rtol=1e-5)


def test_hyperball_stays_where_a_step_would_land_on_zero():
    tx, p = jopt.hyperball(1.0), jnp.array([0.0, 2.0])
    assert jnp.array_equal(tx.update(p, tx.init(p), p)[0], jnp.zeros(2))


def test_radial_brake_lets_inward_steps_pass():
    tx, p = jopt.radial_brake(1.0), jnp.array([2.0, 0.0])
    u = jnp.array([-1.0, 1.0])
    assert close(tx.update(u, tx.init(p), p)[0], u)


def test_ortho_grad_of_a_gradient_along_its_parameter_is_zero():
    tx, p = jopt.ortho_grad(), jnp.array([1.0, 2.0, 3.0])
    assert jnp.array_equal(tx.update(0.3 * p, tx.init(p), p)[0], jnp.zeros(3))


def test_skip_spikes_reads_the_loss():
    tx, p = jopt.skip_spikes(jopt.sgd(1.0), window=4), jnp.zeros(1)
    state, g = tx.init(p), jnp.ones(1)
    for value in (1.0, 2.0, 100.0):
        u, state = tx.update(g, state, p, value=jnp.float32(value))
    assert (float(u[0]), int(state.skipped)) == (0.0, 1)


def test_skip_spikes_forgets_what_is_not_finite():
    tx, p = jopt.skip_spikes(jopt.sgd(1.0), window=4), jnp.zeros(1)
    state = tx.init(p)
    for g in (1.0, 2.0, jnp.nan, 1.0):
        u, state = tx.update(jnp.array([g]), state, p)
    assert (float(u[0]), int(state.skipped)) == (-1.0, 1)


def test_skip_large_updates_leaves_the_inner_state():
    tx, p = jopt.skip_large_updates(jopt.adam(0.1), 1.0), jnp.zeros(1)
    state = tx.init(p)
    _, after = tx.update(jnp.array([jnp.inf]), state, p)
    assert close(after.inner_state, state.inner_state)


def test_zclip_lets_ordinary_norms_pass_bitwise():
    tx, g = jopt.zclip(warmup_steps=2), jnp.array([0.3, 0.7])
    state = tx.init(g)
    for scale in (1.0, 1.5, 1.2):
        u, state = tx.update(scale * g, state)
    assert jnp.array_equal(u, jnp.float32(1.2) * g) and int(state.clipped) == 0


def test_spam_does_not_silence_a_sleeping_entry():
    tx = jopt.spam(1.0, grace_steps=0)
    g = jnp.array([1.0, 0.0])
    _, state = tx.update(g, tx.init(g))
    u, _ = tx.update(jnp.array([1.0, 1.0]), state)
    assert u[1] < 0


def test_mars_exact_takes_the_old_parameters_on_the_batch_of_now():
    tx, p = jopt.mars_correction(1.0, 0.5, exact=True, clip=False), jnp.array([1.0])
    _, state = tx.update(p, tx.init(p), p, grad_fn=lambda q: q)
    q = jnp.array([3.0])
    u, _ = tx.update(10 * q, state, q, grad_fn=lambda q: 10 * q)
    assert float(u[0]) == 30.0 + (30.0 - 10.0)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (jopt.apply_every(2), optax.apply_every(2)),
        (jopt.keep_params_nonnegative(), optax.keep_params_nonnegative()),
        (jopt.normalize_by_update_norm(2.0), optax.normalize_by_update_norm(2.0)),
        (jopt.scale_by_param_block_norm(), optax.scale_by_param_block_norm()),
        (jopt.zero_nans(), optax.zero_nans()),
    ],
    ids=lambda tx: type(tx).__name__,
)
def test_small_stages_equal_optax(ours, theirs):
    p = {"a": jnp.array([0.5, 2.0]), "b": jnp.array([3.0])}
    s, t = ours.init(p), theirs.init(p)
    for scale in (-1.0, 2.0, 0.1):
        g = jax.tree.map(lambda x, c=scale: c * x, p)
        u, s = ours.update(g, s, p)
        with jax.numpy_dtype_promotion("standard"):
            v, t = theirs.update(g, t, p)
        assert close(u, v)


def test_keep_params_nonnegative_refuses_complex_leaves():
    tx, p = jopt.keep_params_nonnegative(), jnp.ones(1, jnp.complex64)
    with pytest.raises(TypeError, match="complex leaf"):
        tx.update(p, tx.init(p), p)


def test_split_parts_have_second_moments_of_their_own():
    tx, p = jopt.split_real_and_imaginary(jopt.adam(0.1)), jnp.array([1.0 + 1.0j])
    u, _ = tx.update(jnp.array([4.0 - 0.5j]), tx.init(p), p)
    assert close(u, jnp.array([-0.1 + 0.1j]))


def test_conditions_must_be_functions():
    with pytest.raises(TypeError, match="`should_transform_fn` must be a function"):
        jopt.conditionally_mask(jopt.sgd(0.1), True)


def test_galore_leaves_small_matrices_to_adam():
    p, g = jnp.zeros((2, 3)), jnp.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])
    tx, adam = jopt.galore(0.1, rank=2), jopt.adam(0.1)
    u, _ = tx.update(g, tx.init(p), p)
    v, _ = adam.update(g, adam.init(p), p)
    assert np.allclose(u, v, rtol=1e-4)
