"""Tests of `jopt.stochastic_round`, `jopt.apply_updates` and the landing of updates."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding, PartitionSpec as P

import jopt
from jopt.precision import rounding

HALVES = [jnp.bfloat16, jnp.float16]
KEY = jax.random.key(0)


def every_half(dtype):
    """All numbers of a 16-bit dtype, NaN and infinity too."""
    bits = np.arange(2**16, dtype=np.uint16)
    return jax.lax.bitcast_convert_type(jnp.asarray(bits), dtype)


def same_bits(a, b):
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


def mean(x):
    return float(np.asarray(x, np.float64).mean())


# -- stochastic_round ----------------------------------------------------------------


@pytest.mark.parametrize("dtype", HALVES)
def test_numbers_that_the_dtype_has_are_kept(dtype):
    x = every_half(dtype)
    y = jopt.stochastic_round(x.astype(jnp.float32), dtype, KEY)
    real = ~np.isnan(np.asarray(x, np.float32))
    assert same_bits(np.asarray(y)[real], np.asarray(x)[real])
    assert np.isnan(np.asarray(y, np.float32)[~real]).all()


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("value", [1.001, -0.3, 1000.1, 3e-5, -7e-8, 2e-9])
def test_the_mean_is_the_number(dtype, value):
    n = 200_000
    y = jopt.stochastic_round(jnp.full(n, value, jnp.float32), dtype, KEY)
    below, above = np.unique(np.asarray(y, np.float64))  # the two neighbours
    assert below < value < above
    share = (value - below) / (above - below)
    error = (above - below) * np.sqrt(share * (1 - share) / n)
    assert abs(mean(y) - value) < 5 * error + 1e-7 * abs(value)


@pytest.mark.parametrize("dtype", HALVES)
def test_finite_numbers_overflow_where_rounding_to_nearest_does(dtype):
    largest = float(jnp.finfo(dtype).max)
    half_step = largest * float(jnp.finfo(dtype).eps) / 4
    x = jnp.array([largest + 0.9 * half_step, largest + 1.1 * half_step], jnp.float32)
    x = jnp.concatenate([jnp.tile(x, 1000), -jnp.tile(x, 1000)])
    y = jopt.stochastic_round(x, dtype, KEY)
    assert same_bits(y, x.astype(dtype))


@pytest.mark.parametrize("dtype", HALVES)
def test_nan_and_infinity_stay(dtype):
    x = jnp.array([jnp.nan, jnp.inf, -jnp.inf, -jnp.nan] * 100, jnp.float32)
    y = jopt.stochastic_round(x, dtype, KEY)
    np.testing.assert_array_equal(np.asarray(y, np.float32), np.asarray(x))


def test_derivative_is_one():
    f = lambda x: jopt.stochastic_round(x, jnp.bfloat16, KEY).astype(jnp.float32).sum()  # noqa: E731
    assert jax.grad(f)(jnp.array([1.001, -2.0])).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("x", "dtype", "key", "error", "match"),
    [
        (jnp.ones(2), "float32", KEY, ValueError, "bfloat16 or float16, got float32"),
        (jnp.ones(2, int), "bfloat16", KEY, TypeError, "real floats, got int32"),
        (jnp.ones(2, complex), "bfloat16", KEY, TypeError, "real floats, got complex"),
        (jnp.ones(2), "bfloat16", 0, TypeError, "got 0. Use a new one at each step"),
        (jnp.ones(2), "bfloat16", jax.random.split(KEY), ValueError, r"shape \(2,\)"),
    ],
)
def test_wrong_arguments(x, dtype, key, error, match):
    with pytest.raises(error, match=match):
        jopt.stochastic_round(x, dtype, key)


# -- rounding and landing ------------------------------------------------------------


@pytest.mark.parametrize("dtype", HALVES)
def test_rounded_is_the_cast(dtype):
    x = jax.random.normal(KEY, (100_000,)) * 2.0 ** jnp.linspace(-30.0, 15.0, 100_000)
    y = jax.jit(rounding.rounded, static_argnums=1)(x, jnp.dtype(dtype))
    assert same_bits(y, x.astype(dtype).astype(jnp.float32))


def pairs(exponent, sign):
    """All pairs of bfloat16 with one in [1, 2), the other scaled by 2^exponent."""
    mantissas = (1 + jnp.arange(128) / 128).astype(jnp.bfloat16)
    p = jnp.repeat(mantissas, 128)
    q = jnp.tile(mantissas, 128) * jnp.asarray(sign * 2.0**exponent, jnp.bfloat16)
    return p, q


@jax.jit
def land(p, q):
    return p + rounding.reach(q.astype(jnp.float32), p).astype(p.dtype)


@pytest.mark.parametrize("exponent", [-1, 0, 1])
def test_every_target_within_a_factor_of_two_is_hit(exponent):
    p, q = pairs(exponent, 1)
    near = (q <= 2 * p) & (2 * q >= p)
    assert near.any()
    assert same_bits(jnp.where(near, land(p, q), q), q)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("exponent", range(-9, 10))
def test_every_other_target_is_missed_by_a_last_place_at_most(exponent, sign):
    p, q = pairs(exponent, sign)
    step = np.abs(np.asarray(q, np.float64) - np.asarray(p, np.float64))
    unit = 2.0 ** (np.floor(np.log2(np.maximum(step, 1e-30))) - 7)
    missed = np.abs(np.asarray(land(p, q), np.float64) - np.asarray(q, np.float64))
    assert (missed <= unit).all()


# -- apply_updates -------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64"])
def test_adds_as_optax_does(dtype):
    p = {"a": jnp.linspace(1, 2, 7).astype(dtype), "b": jnp.ones((), dtype)}
    u = jax.tree.map(lambda x: x * jnp.asarray(0.1, dtype), p)
    ours, theirs = jopt.apply_updates(p, u), optax.apply_updates(p, u)
    assert jax.tree.all(jax.tree.map(same_bits, ours, theirs))


def test_the_sum_of_wide_updates_is_rounded_once():
    # A little more than half the spacing at 1. Rounded first, it would tie, and stay.
    p, u = jnp.ones((), jnp.bfloat16), jnp.asarray(2.0**-8 + 2.0**-17, jnp.float32)
    assert float(jopt.apply_updates(p, u)) == 1 + 2.0**-7


def test_equals_optax_where_leaves_are_none():
    p, u = {"a": None, "b": jnp.ones(2)}, {"a": None, "b": jnp.ones(2)}
    assert jopt.apply_updates(p, u)["a"] is None


def test_none_keeps_a_subtree():
    p = {"a": {"x": jnp.ones(2), "f": jnp.sin}, "b": jnp.ones(2)}
    new = jopt.apply_updates(p, {"a": None, "b": jnp.ones(2)})
    assert new["a"] is p["a"]


def test_masked_node_keeps_its_parameter():
    p = [jnp.ones(2), jnp.ones(2)]
    assert jopt.apply_updates(p, [optax.MaskedNode(), p[1]])[0] is p[0]


def test_float0_keeps_an_integer():
    p = {"n": jnp.array(3), "w": jnp.array(1.0)}
    u = jax.grad(lambda p: p["w"] * 2.0, allow_int=True)(p)
    assert int(jopt.apply_updates(p, u)["n"]) == 3


def test_updates_of_jopt_keep_integers_and_booleans():
    p = {"n": jnp.array(3), "on": jnp.array(True), "w": jnp.ones(2)}
    tx = jopt.sgd(0.5)
    u, _ = tx.update(p, tx.init(p), p)
    new = jopt.apply_updates(p, u)
    assert (int(new["n"]), bool(new["on"]), new["w"].tolist()) == (3, True, [0.5, 0.5])


@pytest.mark.parametrize(
    ("p", "u", "error", "match"),
    [
        (jnp.ones((2, 3)), jnp.ones(3), ValueError, r"`a/w` has shape \(3,\)"),
        (jnp.ones(3), jnp.ones((2, 3)), ValueError, r"parameter has shape \(3,\)"),
        (jnp.ones(3), jnp.ones(()), ValueError, r"has shape \(\)"),
        (jnp.ones(3, int), jnp.ones(3), TypeError, "float32, but the parameter is int"),
        (jnp.ones(3), jnp.ones(3, complex), TypeError, "Take its real part"),
        (None, jnp.ones(3), ValueError, "in `params` it is nothing"),
        ({"x": jnp.ones(3)}, jnp.ones(3), ValueError, "in `params` it is a dict"),
        (jnp.ones(3), {"x": jnp.ones(3)}, ValueError, "different trees"),
    ],
)
def test_misfits_are_refused(p, u, error, match):
    with pytest.raises(error, match=match):
        jopt.apply_updates({"a": {"w": p}}, {"a": {"w": u}})


def test_integer_key_is_refused():
    with pytest.raises(TypeError, match="Use a new one at each step"):
        jopt.apply_updates(jnp.ones(2), jnp.ones(2), key=0)


def test_rounds_16_bit_leaves_only():
    p = {"h": jnp.ones(20_000, jnp.bfloat16), "w": jnp.ones(2)}
    u = {"h": jnp.full(20_000, 1e-3), "w": jnp.full(2, 1e-3)}
    new = jopt.apply_updates(p, u, key=KEY)
    assert same_bits(new["w"], jopt.apply_updates(p, u)["w"])
    assert mean(new["h"]) == pytest.approx(1.001, abs=1e-4)


def test_each_leaf_has_its_own_noise():
    p = [jnp.ones(1000, jnp.bfloat16)] * 2
    a, b = jopt.apply_updates(p, [jnp.full(1000, 4e-3)] * 2, key=KEY)
    assert not same_bits(a, b)


@pytest.mark.multidevice
@pytest.mark.parametrize("spec", [P("x"), P()], ids=["sharded", "replicated"])
def test_devices_round_alike(spec):
    mesh = jax.make_mesh((8,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    p, u = jnp.ones(800, jnp.bfloat16), jnp.full(800, 4e-3)
    alone = jopt.apply_updates(p, u, key=KEY)
    p, u = jax.device_put((p, u), NamedSharding(mesh, spec))
    spread = jax.jit(jopt.apply_updates)(p, u, key=KEY)
    assert spread.sharding.is_equivalent_to(p.sharding, 1)
    copies = {np.asarray(shard.data).tobytes() for shard in spread.addressable_shards}
    assert same_bits(spread, alone)
    assert spec != P() or len(copies) == 1


def test_members_of_a_population_round_by_their_own_keys():
    p, u = jnp.ones((2, 500), jnp.bfloat16), jnp.full((2, 500), 4e-3)
    new = jax.vmap(lambda p, u, k: jopt.apply_updates(p, u, key=k))(
        p, u, jax.random.split(KEY)
    )
    assert not same_bits(new[0], new[1])
