"""Tests of `trace` and `ema`."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt

DTYPES = ["float16", "bfloat16", "float32", "complex64"]
STAGES = [
    jopt.trace(0.9),
    jopt.trace(0.9, True),
    jopt.trace(0.9, dampening=0.5),
    jopt.ema(0.9),
    jopt.ema(0.9, False),
]
PEERS = [
    ("trace", (0.9,)),
    ("trace", (0.9, True)),
    ("ema", (0.9,)),
    ("ema", (0.9, False)),
]


def run(tx, grads):
    state = tx.init(grads[0])
    out = []
    for g in grads:
        u, state = tx.update(g, state)
        out.append(u)
    return out, state


@pytest.mark.parametrize(("name", "args"), PEERS)
def test_matches_optax(name, args):
    grads = [{"w": jnp.sin(jnp.arange(6.0) * i), "none": None} for i in range(1, 6)]
    ours, state = run(getattr(jopt, name)(*args), grads)
    with jax.numpy_dtype_promotion("standard"):
        theirs, other = run(getattr(optax, name)(*args), grads)
    for u, v in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(u["w"], v["w"], rtol=4e-6, atol=1e-7)
    assert jax.tree.structure(state) == jax.tree.structure(other)


def test_dampening_by_hand():
    grads = [jnp.array([g]) for g in (8.0, 4.0, 2.0)]
    out, _ = run(jopt.trace(0.5, dampening=0.75), grads)
    assert [float(u[0]) for u in out] == [8.0, 5.0, 3.0]


def test_dampening_and_nesterov_exclude_each_other():
    with pytest.raises(ValueError, match="not both"):
        jopt.trace(0.9, nesterov=True, dampening=0.1)


def test_dampening_zero_is_plain():
    assert jopt.trace(0.9, dampening=0.0) == jopt.trace(0.9)


def test_dampening_may_follow_a_schedule():
    drop = jopt.constant_schedule(0.5).then(jopt.constant_schedule(0.75), at=2)
    out, _ = run(jopt.trace(0.5, dampening=drop), [jnp.array([8.0])] * 3)
    assert [float(u[0]) for u in out] == [8.0, 8.0, 6.0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tx", STAGES, ids=repr)
def test_slots_are_wide_and_updates_in_the_dtype_of_gradients(tx, dtype):
    grads = {"w": jnp.ones((2, 2), dtype), "empty": jnp.zeros((0,), dtype)}
    out, state = run(tx, [grads])
    assert out[0]["w"].dtype == jnp.dtype(dtype)
    slot = getattr(state, "trace", None) or getattr(state, "ema", None)
    assert slot["w"].dtype in (jnp.float32, jnp.complex64)


@pytest.mark.parametrize("tx", STAGES, ids=repr)
def test_traced_hyperparameters_give_the_static_result_for_complex_leaves(tx):
    grads = [jnp.array([1.0 + 2.0j]), jnp.array([0.5 - 1.0j])]
    static, _ = run(tx, grads)
    traced = jax.jit(lambda tx: run(tx, grads)[0])(tx)
    np.testing.assert_allclose(traced[1], static[1], rtol=4e-7)


@pytest.mark.parametrize("name", ["trace", "ema"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_accumulator_dtype_is_kept(name, dtype):
    tx = getattr(jopt, name)(0.9, accumulator_dtype=dtype)
    _, state = run(tx, [jnp.ones(2)] * 2)
    assert state[-1].dtype == jnp.dtype(dtype)


def test_wide_accumulator_keeps_what_float32_loses():
    with jax.enable_x64(True):
        tx = jopt.trace(1.0, accumulator_dtype="float64")
        _, state = run(tx, [jnp.array([g], jnp.float32) for g in (1.0, 1e-9)])
        np.testing.assert_allclose(state.trace, 1 + 1e-9, rtol=3e-16)


def test_ema_holds_a_steady_value():
    out, _ = run(jopt.ema(0.99), [jnp.array([0.3])] * 10)
    np.testing.assert_allclose(jnp.stack(out), 0.3, rtol=2e-6)


@pytest.mark.parametrize("tx", STAGES, ids=repr)
def test_scan_equals_loop(tx):
    grads = jnp.sin(jnp.arange(12.0)).reshape(4, 3)

    def step(state, g):
        u, state = tx.update(g, state)
        return state, u

    _, scanned = jax.lax.scan(step, tx.init(grads[0]), grads)
    np.testing.assert_allclose(scanned, jnp.stack(run(tx, grads)[0]), atol=3e-7)


@pytest.mark.parametrize("name", ["trace", "ema"])
def test_hypergradient(name):
    grads = [jnp.array([1.0]), jnp.array([2.0])]
    last = lambda d: run(getattr(jopt, name)(d), grads)[0][1][0]  # noqa: E731
    slope = (last(0.51) - last(0.49)) / 0.02
    np.testing.assert_allclose(jax.grad(last)(0.5), slope, rtol=1e-3)


@pytest.mark.parametrize("tx", STAGES, ids=repr)
def test_empty_tree(tx):
    assert run(tx, [{}])[0] == [{}]
