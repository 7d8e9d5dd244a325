"""Tests of `add_noise`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jopt

N = 20_000


def draw(tx, steps=1, dtype="float32"):
    params = jnp.zeros(N, dtype)
    state = tx.init(params)
    for _ in range(steps):
        noise, state = tx.update(params, state)
    return noise, state


@pytest.mark.parametrize("steps", [1, 8])
def test_variance_falls_as_the_formula(steps):
    noise, _ = draw(jopt.add_noise(4.0, 1.0, key=0), steps)
    wanted = 4.0 / steps
    # five standard errors of a variance
    assert abs(float(noise.var()) - wanted) < 5 * wanted * (2 / N) ** 0.5


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64"])
def test_dtype_and_variance_of_every_kind(dtype):
    noise, _ = draw(jopt.add_noise(1.0, 0.55, key=0), dtype=dtype)
    assert noise.dtype == jnp.dtype(dtype)
    power = np.square(np.abs(np.asarray(noise.astype(jnp.complex64)))).mean()
    assert abs(power - 1) < 5 * (2 / N) ** 0.5


def test_every_form_of_one_key_draws_alike():
    forms = [0, np.int64(0), jax.random.key(0), jax.random.PRNGKey(0)]
    first, *rest = (draw(jopt.add_noise(1.0, 0.5, key))[0] for key in forms)
    assert all(jnp.array_equal(first, noise) for noise in rest)


def test_steps_and_leaves_draw_anew():
    tx = jopt.add_noise(1.0, 0.0, key=0)
    zero = [jnp.zeros(3), jnp.zeros(3)]
    first, state = tx.update(zero, tx.init(zero))
    second, _ = tx.update(zero, state)
    drawn = {tuple(np.asarray(leaf).tolist()) for leaf in first + second}
    assert len(drawn) == 4


def test_zero_eta_changes_nothing():
    assert jnp.array_equal(draw(jopt.add_noise(0.0, 0.5, key=0))[0], jnp.zeros(N))


def test_donated_state_leaves_the_key_usable():
    key = jax.random.key(3)
    tx = jopt.add_noise(1.0, 0.5, key)
    step = jax.jit(lambda state: tx.update(jnp.zeros(2), state)[1], donate_argnums=0)
    step(tx.init(jnp.zeros(2)))
    assert jnp.isfinite(jax.random.normal(key))


def test_scan_keeps_the_state():
    tx = jopt.add_noise(1.0, 0.5, key=0)
    zero = {"w": jnp.zeros(2), "empty": jnp.zeros((0, 2)), "none": None}

    def step(state, _):
        noise, state = tx.update(zero, state)
        return state, noise["w"]

    state, noise = jax.lax.scan(step, tx.init(zero), length=3)
    assert int(state.count) == 3
    assert len(np.unique(noise)) == 6


def test_equal_keys_make_equal_stages():
    one, two = (jopt.add_noise(1.0, 0.5, jax.random.key(1)) for _ in range(2))
    assert one == two != jopt.add_noise(1.0, 0.5, jax.random.key(2))


@pytest.mark.parametrize("key", ["0", 0.5, True, None, jnp.zeros(2)])
def test_rejects_what_is_no_key(key):
    with pytest.raises(TypeError, match="`key` must be a key"):
        jopt.add_noise(1.0, 0.5, key)


def test_rejects_several_keys():
    with pytest.raises(ValueError, match="give one key"):
        jopt.add_noise(1.0, 0.5, jax.random.split(jax.random.key(0), 3))


def test_a_key_stays_known_within_jit():
    tx = jopt.chain(
        jopt.add_noise(1.0, 0.5, jax.random.key(1)),
        jopt.sgd(jopt.linear_schedule(0.1, 0.0, 10)),
    )
    step = jax.jit(lambda tx, g, state: tx.update(g, state)[0])
    g = jnp.ones(3)
    assert jnp.isfinite(step(tx, g, tx.init(g))).all()
