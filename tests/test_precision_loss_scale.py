"""Tests of `jopt.dynamic_loss_scale` and `jopt.scale_loss`."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt

RATE = jopt.linear_schedule(0.1, 0.0, 10)
P = jnp.array([1.0, -2.0, 3.0])
GOOD = jnp.array([0.5, -0.25, 1.0])


def same_bits(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.asarray(x).tobytes() == np.asarray(y).tobytes() for x, y in pairs)


def run(tx, grads, params=P, scaled=True):
    """Train on gradients, multiplied by the scale of the state."""
    state, step = tx.init(params), jax.jit(tx.update)
    for g in grads:
        g = g * state.scale.astype(g.dtype) if scaled else g
        u, state = step(g, state, params)
        params = optax.apply_updates(params, u)
    return params, state


@pytest.mark.parametrize("power", [-8, 0, 3, 15, 24])
def test_unscaling_is_exact(power):
    inner = jopt.adamw(RATE, weight_decay=0.1)
    low = min(2.0**power, 1.0)
    tx = jopt.dynamic_loss_scale(inner, 2.0**power, min_scale=low)
    g = jax.random.normal(jax.random.key(0), (3,))
    params, state = run(tx, [g, g * 1e-4, g])
    plain, plain_state = run(
        jopt.dynamic_loss_scale(inner, 1.0), [g, g * 1e-4, g], scaled=False
    )
    assert same_bits((params, state.inner_state), (plain, plain_state.inner_state))


def test_first_step_is_that_of_the_inner_one():
    inner = jopt.adam(0.1)
    params, _ = run(jopt.dynamic_loss_scale(inner), [GOOD])
    u, _ = jax.jit(inner.update)(GOOD, inner.init(P), P)
    assert same_bits(params, P + u)


@pytest.mark.parametrize("value", [jnp.nan, jnp.inf, -jnp.inf])
def test_bad_step_leaves_everything_bitwise(value):
    tx = jopt.dynamic_loss_scale(jopt.adamw(RATE, weight_decay=0.1))
    params, state = run(tx, [GOOD, GOOD])
    after, then = run(tx, [GOOD, GOOD, GOOD.at[1].set(value)])
    assert same_bits((params, state.inner_state), (after, then.inner_state))


def test_scale_is_growths_and_backoffs_exactly():
    good, bad = GOOD, GOOD.at[0].set(jnp.inf)
    tx = jopt.dynamic_loss_scale(jopt.sgd(0.1), 1024.0, 3)
    seen, state = [], tx.init(P)
    for g in [good, good, good, bad, good, good, bad, bad, good, good, good]:
        _, state = tx.update(g, state, P)
        seen.append(float(state.scale) / 1024)
    expected = [1, 1, 2, 1, 1, 1, 0.5, 0.25, 0.25, 0.25, 0.5]
    assert seen == expected
    assert (int(state.total_notfinite), int(state.good_steps)) == (3, 0)


def test_scale_stays_within_its_bounds():
    tx = jopt.dynamic_loss_scale(jopt.sgd(0.1), 2.0, 1, min_scale=1.0, max_scale=4.0)
    _, state = run(tx, [GOOD] * 5)
    assert float(state.scale) == 4.0
    _, state = run(tx, [GOOD * jnp.nan] * 5)
    assert float(state.scale) == 1.0


def test_factor_one_is_a_fixed_scale():
    tx = jopt.dynamic_loss_scale(jopt.sgd(0.1), 64.0, 1, factor=1)
    params, state = run(tx, [GOOD, GOOD * jnp.inf, GOOD])
    assert float(state.scale) == 64.0
    assert int(state.total_notfinite) == 1
    assert same_bits(params, run(tx, [GOOD, GOOD])[0])


def test_counters_saturate():
    tx = jopt.dynamic_loss_scale(jopt.sgd(0.1))
    last = jnp.asarray(2**31 - 1, jnp.int32)
    state = tx.init(P)._replace(total_notfinite=last)
    _, state = tx.update(GOOD * jnp.nan, state, P)
    assert int(state.total_notfinite) == 2**31 - 1


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"initial": 1000.0}, "`initial` must be a power of two"),
        ({"factor": 1.5}, "`factor` must be a power of two"),
        ({"factor": 0.5}, r"`factor` must lie in \[1"),
        ({"initial": -2.0}, "`initial` must lie in"),
        ({"growth_interval": 0}, "`growth_interval` must be at least 1"),
        ({"initial": 2.0**30}, "between `min_scale` and `max_scale`"),
    ],
)
def test_wrong_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        jopt.dynamic_loss_scale(jopt.sgd(0.1), **arguments)


def loss_fn(w, x):
    return jnp.mean((w.astype(jnp.float32) * 1e-4 - x) ** 2) * 1e-3


def test_float16_training_needs_it():
    """Gradients of 2.5e-10: float16 has none so small, scaled ones arrive."""
    x, w = jnp.full(8, 1e-2), jnp.zeros(8, jnp.float16)
    assert (jax.grad(loss_fn)(w, x) == 0).all()
    tx = jopt.dynamic_loss_scale(jopt.adam(1e-2, eps=0.0))
    state = tx.init(w)
    g = jax.grad(lambda w: jopt.scale_loss(loss_fn(w, x), state))(w)
    u, _ = tx.update(g, state, w)
    np.testing.assert_allclose(np.asarray(u, np.float32), 0.01, rtol=1e-3)


def test_works_with_make_step():
    x, w = jnp.full(8, 1e-2), jnp.zeros(8, jnp.float16)
    tx = jopt.dynamic_loss_scale(jopt.master_weights(jopt.adam(1e-2, eps=0.0)))
    step = jopt.make_step(lambda w, x, scale: scale * loss_fn(w, x), tx)
    state = tx.init(w)
    for _ in range(20):
        scale = jnp.copy(jopt.get(state, "scale"))
        w, state, loss = step(w, state, x, scale=scale)
    assert float(w.mean()) == pytest.approx(0.2, rel=0.05)
    assert float(loss / scale) < float(loss_fn(jnp.zeros(8), x))


def test_overflow_is_recovered_from():
    """A first scale far too large halves until the gradients fit."""
    tx = jopt.dynamic_loss_scale(jopt.sgd(1e-3), 2.0**20)
    w, state = jnp.ones(4, jnp.float16), None
    state = tx.init(w)
    for _ in range(8):
        g = jax.grad(lambda w, s=state: jopt.scale_loss((w * 3).sum(), s))(w)
        u, state = tx.update(g, state, w)
        w = w + u
    assert int(state.total_notfinite) == 6
    assert float(w[0]) == pytest.approx(1 - 2 * 3e-3, rel=2e-3)


def test_state_is_a_fixed_point():
    tx = jopt.dynamic_loss_scale(jopt.adamw(RATE))
    state = tx.init(P)
    _, after = jax.jit(tx.update)(GOOD, state, P)
    spec = lambda t: jax.tree.map(jax.typeof, t)  # noqa: E731
    assert spec(after) == spec(state)


def test_population_skips_member_by_member():
    tx = jopt.dynamic_loss_scale(jopt.adam(0.1))
    p = jnp.ones((3, 2))
    state = jax.vmap(tx.init)(p)
    _, state = jax.vmap(tx.update)(p.at[1].set(jnp.inf), state, p)
    assert state.total_notfinite.tolist() == [0, 1, 0]
    assert state.scale.tolist() == [2.0**15, 2.0**14, 2.0**15]


def test_donation_is_safe():
    tx = jopt.dynamic_loss_scale(jopt.adam(0.1), initial=jnp.asarray(4.0))
    p = jnp.ones(3)
    state = tx.init(p)
    step = jax.jit(lambda p, s: tx.update(p * 0.5, s, p), donate_argnums=(0, 1))
    for _ in range(3):
        p, state = step(p, state)
    assert float(tx.init(jnp.ones(3)).scale) == 4.0


@pytest.mark.multidevice
@pytest.mark.parametrize("kind", list(jax.sharding.AxisType)[:2])
def test_one_bad_shard_skips_on_all_devices(kind):
    mesh = jax.make_mesh((8,), ("x",), axis_types=(kind,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x", None))
    p = jax.device_put(jnp.ones((16, 4)), sharding)
    g = jax.device_put(jnp.ones((16, 4)).at[11, 2].set(jnp.nan), sharding)
    tx = jopt.dynamic_loss_scale(jopt.adam(0.1))
    u, state = jax.jit(tx.update)(g, jax.jit(tx.init)(p), p)
    assert u.sharding.is_equivalent_to(sharding, 2)
    assert not np.asarray(u).any()
    assert int(state.total_notfinite) == 1


def test_gradient_flows_through_the_unscaling():
    tx = jopt.dynamic_loss_scale(jopt.sgd(0.5), 8.0)

    def moved(g):
        return tx.update(g, tx.init(P), P)[0].sum()

    assert jax.grad(moved)(GOOD).tolist() == [-0.5 / 8] * 3


def test_scale_loss_needs_the_wrapper():
    with pytest.raises(KeyError, match="Wrap the optimizer"):
        jopt.scale_loss(jnp.ones(()), jopt.adam(0.1).init(P))


def test_scale_loss_finds_the_scale_in_a_chain():
    tx = jopt.chain(jopt.identity(), jopt.dynamic_loss_scale(jopt.scale(0.5), 8.0))
    assert float(jopt.scale_loss(jnp.float16(2.0), tx.init(P))) == 16.0


def test_get_reads_the_scale():
    state = jopt.dynamic_loss_scale(jopt.adamw(RATE), 8.0).init(P)
    assert float(jopt.get(state, "scale")) == 8.0


def test_repr_shows_what_differs():
    tx = jopt.dynamic_loss_scale(jopt.sgd(0.1), 8.0, factor=4)
    text = "dynamic_loss_scale(inner=sgd(learning_rate=0.1), initial=8.0, factor=4.0)"
    assert repr(tx) == text
