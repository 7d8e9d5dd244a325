"""Tests of `kahan`, `master_weights` and `round_stochastically`."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P

import jopt

HALVES = ["bfloat16", "float16"]
WRAPPERS = {
    "kahan": jopt.kahan,
    "master_weights": jopt.master_weights,
    "round_stochastically": lambda tx: jopt.round_stochastically(tx, key=0),
}
wrappers = pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)


def same_bits(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(bits(x) == bits(y) for x, y in pairs)


def bits(x):
    if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
        x = jax.random.key_data(x)
    return np.asarray(x).tobytes()


def train(tx, p, grads, add=optax.apply_updates):
    """One step for each of the stacked gradients, in one compiled loop."""

    def body(carry, g):
        p, s = carry
        u, s = tx.update(g, s, p)
        return (add(p, u), s), None

    (p, s), _ = jax.jit(lambda c, gs: jax.lax.scan(body, c, gs))((p, tx.init(p)), grads)
    return p, s


def thousand(dtype):
    return jnp.full((1000, 4096), -1.0, dtype)


# -- the experiment ------------------------------------------------------------------


def test_plain_bfloat16_does_not_move():
    p, _ = train(jopt.sgd(1e-3), jnp.ones(4096, jnp.bfloat16), thousand("bfloat16"))
    assert (p == 1).all()


@pytest.mark.parametrize("add", [optax.apply_updates, jopt.apply_updates])
@pytest.mark.parametrize("name", ["kahan", "master_weights"])
def test_a_thousand_small_steps_reach_two(name, add):
    tx = WRAPPERS[name](jopt.sgd(1e-3))
    p, _ = train(tx, jnp.ones((), jnp.bfloat16), thousand("bfloat16")[:, 0], add)
    assert float(p) == pytest.approx(2.0, rel=0.01)


def test_a_thousand_randomly_rounded_steps_reach_two_on_average():
    tx = WRAPPERS["round_stochastically"](jopt.sgd(1e-3))
    p, _ = train(tx, jnp.ones(4096, jnp.bfloat16), thousand("bfloat16"))
    assert np.asarray(p, np.float64).mean() == pytest.approx(2.0, rel=0.01)


def test_a_thousand_steps_of_apply_updates_reach_two_on_average():
    p, u = jnp.ones(4096, jnp.bfloat16), jnp.full(4096, 1e-3)

    def body(p, i):
        key = jax.random.fold_in(jax.random.key(0), i)
        return jopt.apply_updates(p, u, key=key), None

    p, _ = jax.lax.scan(body, p, jnp.arange(1000))
    assert np.asarray(p, np.float64).mean() == pytest.approx(2.0, rel=0.01)


# -- kahan ---------------------------------------------------------------------------


def gradients(dtype, steps=50, n=200):
    key = jax.random.key(1)
    return jax.random.normal(key, (steps, n)).astype(dtype)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("rate", [1e-4, 3e-2, 2.0])
def test_kahan_stays_within_a_rounding_of_the_exact_sum(dtype, rate):
    gs = gradients(dtype)
    p = jnp.linspace(-1.0, 1.0, 200).astype(dtype)
    new, state = train(jopt.kahan(jopt.sgd(rate)), p, gs)
    exact = np.asarray(p, np.float64) - rate * np.asarray(gs, np.float64).sum(0)
    sum_of_both = np.asarray(new, np.float64) + np.asarray(
        state.compensation, np.float64
    )
    eps = float(jnp.finfo(dtype).eps)
    largest = np.abs(exact).max() + rate * np.abs(np.asarray(gs, np.float64)).max()
    assert np.abs(sum_of_both - exact).max() < 50 * eps**2 * largest


def test_kahan_compensation_is_below_half_a_step_of_the_parameter():
    p = jnp.linspace(1.0, 2.0, 200).astype(jnp.bfloat16)
    p, state = train(jopt.kahan(jopt.sgd(1e-3)), p, gradients("bfloat16"))
    assert (jnp.abs(state.compensation) <= jnp.bfloat16(2.0**-7)).all()


def test_kahan_holds_still_without_gradient():
    p = jnp.linspace(-1.0, 1.0, 9).astype(jnp.bfloat16)
    new, _ = train(jopt.kahan(jopt.sgd(0.1)), p, jnp.zeros((5, 9), jnp.bfloat16))
    assert same_bits(new, p)


# -- master_weights ------------------------------------------------------------------


@pytest.mark.parametrize("dtype", HALVES)
def test_parameters_are_the_rounded_float32_run(dtype):
    gs = gradients(dtype)
    p = jnp.linspace(1.0, 2.0, 200).astype(dtype)
    inner = jopt.adamw(1e-3, weight_decay=0.1)
    new, state = train(jopt.master_weights(inner), p, gs)
    wide, _ = train(inner, p.astype(jnp.float32), gs.astype(jnp.float32))
    assert same_bits(state.master_params, wide)
    assert same_bits(new, wide.astype(dtype))


def test_inner_state_is_that_of_float32_training():
    gs = gradients("bfloat16")
    p = jnp.linspace(1.0, 2.0, 200).astype(jnp.bfloat16)
    _, state = train(jopt.master_weights(jopt.adamw(1e-3)), p, gs)
    wide = p.astype(jnp.float32), gs.astype(jnp.float32)
    assert same_bits(state.inner_state, train(jopt.adamw(1e-3), *wide)[1])


def test_parameter_is_the_rounded_copy_after_any_step_that_can_land():
    p = jnp.linspace(-1.0, 1.0, 200).astype(jnp.bfloat16)
    tx = jopt.master_weights(jopt.sgd(0.3))
    for g in gradients("bfloat16", steps=20):
        u, state = tx.update(g, tx.init(p), p)
        new, target = p + u, state.master_params.astype(jnp.bfloat16)
        near = (
            (p * target > 0) & (2 * abs(p) >= abs(target)) & (2 * abs(target) >= abs(p))
        )
        assert same_bits(jnp.where(near, new, target), target)
        p = new


def test_change_from_outside_is_followed():
    tx = jopt.master_weights(jopt.sgd(1e-3))
    p = jnp.ones(2, jnp.bfloat16)
    _, state = tx.update(p, tx.init(p), p)
    outside = jnp.array([0.5, 3.0], jnp.bfloat16)
    _, state = tx.update(jnp.zeros_like(p), state, outside)
    assert state.master_params.tolist() == [0.5, 3.0]


def test_held_parameter_is_not_left_behind():
    tx = jopt.chain(jopt.master_weights(jopt.sgd(0.01)), jopt.freeze("^a"))
    p = {"a": jnp.ones(2, jnp.bfloat16), "b": jnp.ones(2, jnp.bfloat16)}
    gs = jax.tree.map(lambda x: jnp.ones((50, *x.shape), x.dtype), p)
    new, state = train(tx, p, gs)
    assert same_bits(new["a"], p["a"])
    assert float(state[0].master_params["a"][0]) == pytest.approx(0.99)
    assert float(new["b"][0]) == pytest.approx(0.5, rel=0.01)


def test_float64_copy_of_float32():
    with jax.enable_x64(True):
        gs, p = jnp.full((1000, 1), -1.0, jnp.float32), jnp.ones(1, jnp.float32)
        tx = jopt.master_weights(jopt.sgd(1e-9), dtype="float64")
        p, state = train(tx, p, gs)
        assert float(state.master_params[0]) == pytest.approx(1 + 1e-6, rel=1e-15)
        assert float(p[0]) == np.float32(1 + 1e-6)


@pytest.mark.parametrize(
    ("dtype", "match"),
    [("float16", "float32 or float64, got float16"), ("float64", "JAX has turned off")],
)
def test_wrong_dtype_of_the_copy(dtype, match):
    with pytest.raises(ValueError, match=match):
        jopt.master_weights(jopt.sgd(0.1), dtype=dtype)


# -- round_stochastically ------------------------------------------------------------


def test_equals_apply_updates_with_a_key():
    p = jnp.linspace(1.0, 2.0, 500).astype(jnp.bfloat16)
    g = gradients("bfloat16", 1, 500)[0]
    tx = jopt.round_stochastically(jopt.sgd(0.01), key=3)
    u, _ = tx.update(g, tx.init(p), p)
    key = jax.random.split(jax.random.key(3))[1]
    step = g.astype(jnp.float32) * -0.01
    assert same_bits(p + u, jopt.apply_updates(p, step, key=key))


def test_each_step_draws_anew():
    tx = jopt.round_stochastically(jopt.sgd(1e-3), key=0)
    p = jnp.ones(1000, jnp.bfloat16)
    first, state = tx.update(p, tx.init(p), p)
    second, _ = tx.update(p, state, p)
    assert not same_bits(first, second)


def test_wrong_key():
    with pytest.raises(TypeError, match="`key` must be a key"):
        jopt.round_stochastically(jopt.sgd(0.1), key="0")


# -- all three -----------------------------------------------------------------------

TREE = {
    "h": jnp.linspace(1.0, 2.0, 6).astype(jnp.bfloat16).reshape(2, 3),
    "s": jnp.ones((), jnp.float16),
    "w": jnp.ones(3),
    "z": jnp.ones(2, jnp.complex64),
    "n": jnp.array(3),
    "none": None,
    "empty": jnp.ones((0, 3), jnp.bfloat16),
}


@wrappers
def test_state_is_a_fixed_point(wrap):
    tx = wrap(jopt.adamw(1e-2))
    state = tx.init(TREE)
    u, after = jax.jit(tx.update)(TREE, state, TREE)
    spec = lambda t: jax.tree.map(jax.typeof, t)  # noqa: E731
    assert spec(after) == spec(state)
    assert jax.tree.map(lambda x: x.dtype, u) == jax.tree.map(lambda x: x.dtype, TREE)


@wrappers
def test_wide_leaves_are_those_of_the_inner_one(wrap):
    inner = jopt.adamw(1e-2)
    ours, _ = wrap(inner).update(TREE, wrap(inner).init(TREE), TREE)
    plain, _ = inner.update(TREE, inner.init(TREE), TREE)
    assert same_bits((ours["w"], ours["z"]), (plain["w"], plain["z"]))


@wrappers
def test_needs_params(wrap):
    tx = wrap(jopt.sgd(0.1))
    with pytest.raises(ValueError, match="needs params"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))


@wrappers
def test_works_in_an_optax_chain_around_an_optax_optimizer(wrap):
    tx = optax.chain(wrap(jopt.chain(optax.sgd(1e-3))))
    p = jnp.ones(4096, jnp.bfloat16)
    new, _ = train(tx, p, thousand("bfloat16")[:100])
    assert np.asarray(new, np.float64).mean() == pytest.approx(1.1, rel=0.01)


@wrappers
def test_donating_parameters_and_fresh_state(wrap):
    tx = wrap(jopt.sgd(0.1, momentum=0.9))
    p = jnp.ones(8, jnp.bfloat16)
    state = tx.init(p)

    def step(p, s):
        u, s = tx.update(jnp.ones_like(p), s, p)
        return p + u, s

    step = jax.jit(step, donate_argnums=(0, 1))
    for _ in range(3):
        p, state = step(p, state)
    assert jnp.isfinite(p).all()


@wrappers
def test_vmap_equals_a_loop(wrap):
    tx = wrap(jopt.sgd(1e-2, momentum=0.9))
    p = jnp.linspace(1.0, 2.0, 12).astype(jnp.bfloat16).reshape(3, 4)
    state = jax.vmap(tx.init)(p)
    many, _ = jax.vmap(tx.update)(p, state, p)
    one, _ = tx.update(p[1], tx.init(p[1]), p[1])
    assert same_bits(many[1], one)


@wrappers
def test_gradient_through_the_update_is_that_of_the_inner_one(wrap):
    def moved(tx, g):
        p = jnp.linspace(1.0, 2.0, 4).astype(jnp.bfloat16)
        u, _ = tx.update(g, tx.init(p), p)
        return (u.astype(jnp.float32) * jnp.arange(4.0)).sum()

    g = jnp.ones(4, jnp.float32)
    ours = jax.grad(moved, 1)(wrap(jopt.sgd(0.5)), g)
    assert ours.tolist() == [-0.0, -0.5, -1.0, -1.5]


@wrappers
@pytest.mark.multidevice
@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_state_is_sharded_as_its_parameter(wrap, kind):
    mesh = jax.make_mesh((8,), ("x",), axis_types=(kind,))
    sharding = NamedSharding(mesh, P("x", None))
    p = jax.device_put(jnp.ones((16, 4), jnp.bfloat16), sharding)
    tx = wrap(jopt.sgd(0.1, momentum=0.9))
    state = jax.jit(tx.init)(p)
    u, after = jax.jit(tx.update)(p, state, p)
    arrays = [x for x in jax.tree.leaves((state, after, u)) if x.ndim == 2]
    assert all(x.sharding.is_equivalent_to(sharding, 2) for x in arrays)


BYTES = {"kahan": 2, "master_weights": 4, "round_stochastically": 0}


@pytest.mark.parametrize("name", WRAPPERS)
def test_describe_shows_its_bytes(name):
    info = jopt.describe(WRAPPERS[name](jopt.sgd(0.1)), jnp.ones(1000, jnp.bfloat16))
    stage = info.stages[0]
    assert stage.path == name
    key = 8 if name == "round_stochastically" else 0
    assert stage.bytes == BYTES[name] * 1000 + key


@wrappers
def test_guards_and_accumulation_go_around_it(wrap):
    tx = jopt.apply_if_finite(jopt.accumulate(wrap(jopt.sgd(1e-3)), 2))
    p = jnp.ones(4096, jnp.bfloat16)
    new, _ = train(tx, p, thousand("bfloat16")[:200])
    assert np.asarray(new, np.float64).mean() == pytest.approx(1.1, rel=0.01)
