"""Tests of the clipping stages and of the norms beneath them."""

import functools as ft

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt
from jopt._core import norms

DTYPES = ["float16", "bfloat16", "float32", "complex64"]
STAGES = [
    jopt.clip(0.5),
    jopt.clip_by_global_norm(0.5),
    jopt.clip_by_block_rms(0.5),
    jopt.adaptive_grad_clip(0.5),
]
PEERS = [
    ("clip", (0.3,)),
    ("clip_by_global_norm", (0.3,)),
    ("clip_by_global_norm", (100.0,)),
    ("clip_by_block_rms", (0.3,)),
    ("adaptive_grad_clip", (0.1,)),
    ("adaptive_grad_clip", (0.1, 1e-3, (0, 1))),
]
HUGE = 3e38


def apply(tx, grads, params=None):
    return tx.update(grads, tx.init(grads), params)


def example(dtype="float32"):
    """Leaves of every kind that occurs in a model."""
    shapes = {"bias": (4,), "kernel": (3, 4), "conv": (2, 2, 3, 4), "heads": (3, 2, 4)}
    draw = np.random.default_rng(0).normal
    tree = {k: jnp.asarray(draw(size=s), dtype) for k, s in shapes.items()}
    return tree | {"none": None}


@pytest.mark.parametrize(("name", "args"), PEERS)
def test_matches_optax(name, args):
    params = example()
    if len(args) == 3:
        params = {"kernel": params["kernel"]}
    grads = jax.tree.map(jnp.sin, params)
    ours, theirs = (
        jax.jit(ft.partial(apply, getattr(library, name)(*args)))(grads, params)[0]
        for library in (jopt, optax)
    )
    for u, v in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(u, v, rtol=4e-7)


@pytest.mark.parametrize("dtype", ["bfloat16", "complex64"])
@pytest.mark.parametrize("tx", STAGES, ids=lambda tx: tx.spec.name)
def test_traced_bound_gives_the_static_result(tx, dtype):
    params = example(dtype)
    state = tx.init(params)
    traced = jax.jit(lambda tx: tx.update(params, state, params)[0])(tx)
    static = jax.jit(lambda: tx.update(params, state, params)[0])()
    eps = 2 * float(jnp.finfo(dtype).eps)
    for u, v in zip(jax.tree.leaves(traced), jax.tree.leaves(static), strict=True):
        u, v = (np.asarray(x.astype(jnp.complex64)) for x in (u, v))
        np.testing.assert_allclose(u, v, rtol=eps)


def test_float64_is_kept():
    with jax.enable_x64(True):
        grads = jnp.array([3.0, 4.0], jnp.float64)
        out, state = apply(jopt.clip_by_global_norm(1.0), grads)
        assert state.norm.dtype == jnp.float64
        np.testing.assert_allclose(out, [0.6, 0.8], rtol=4e-16)


@pytest.mark.parametrize("tx", STAGES, ids=lambda tx: tx.spec.name)
def test_empty_tree(tx):
    assert apply(tx, {}, {})[0] == {}


@pytest.mark.parametrize("tx", STAGES, ids=lambda tx: tx.spec.name)
def test_within_bounds_is_bitwise_unchanged(tx):
    params = {"w": jnp.array([[1.0], [2.0]])}
    grads = {"w": jnp.array([[0.1], [1e-30]])}
    out, _ = jax.jit(tx.update)(grads, tx.init(params), params)
    assert jnp.array_equal(out["w"], grads["w"])


@pytest.mark.parametrize("tx", STAGES, ids=lambda tx: tx.spec.name)
def test_zero_gradients_stay_zero(tx):
    zero = jnp.zeros((2, 3))
    assert jnp.array_equal(apply(tx, zero, zero)[0], zero)


@pytest.mark.parametrize("tx", STAGES, ids=lambda tx: tx.spec.name)
def test_bound_zero_gives_zero(tx):
    name = next(iter(tx.spec.arguments))
    grads = jnp.array([[1.0, -2.0]])
    assert jnp.array_equal(apply(tx.replace(**{name: 0.0}), grads, grads)[0], 0 * grads)


@pytest.mark.parametrize("tx", STAGES, ids=lambda tx: tx.spec.name)
def test_nan_is_not_hidden(tx):
    grads = jnp.array([jnp.nan, 1.0])
    assert jnp.isnan(apply(tx, grads, jnp.ones(2))[0][0])


@pytest.mark.parametrize("tx", STAGES[1:], ids=lambda tx: tx.spec.name)
def test_infinite_norm_gives_nan(tx):
    grads = jnp.array([jnp.inf, 1.0])
    assert jnp.isnan(apply(tx, grads, jnp.ones(2))[0]).all()


@pytest.mark.parametrize("tx", STAGES[1:], ids=lambda tx: tx.spec.name)
@pytest.mark.parametrize("size", [HUGE, 1e20, 1e-20, 1e-30])
def test_direction_is_right_where_squares_leave_the_range(tx, size):
    grads = size * jnp.array([1.0, -1.0])
    name = next(iter(tx.spec.arguments))
    bound = 0.1 * size if size < 1 else 1.0
    tx = tx.replace(**{name: bound})
    out, _ = jax.jit(tx.update)(grads, tx.init(grads), jnp.array([0.6, 0.8]))
    length = bound * 2**0.5 if name == "threshold" else bound
    np.testing.assert_allclose(out, length * np.array([1, -1]) / 2**0.5, rtol=1e-6)


def test_state_counts_clipped_steps():
    tx = jopt.clip_by_global_norm(1.0)
    state = tx.init(jnp.zeros(2))
    for size in (1.0, 0.1, 2.0, 0.2):
        _, state = tx.update(size * jnp.array([3.0, 4.0]), state)
    assert (int(state.count), int(state.clipped)) == (4, 2)
    assert float(state.clip_rate) == 0.5
    assert float(state.norm) == 1.0


def test_bad_step_is_not_counted_as_clipped():
    _, state = apply(jopt.clip_by_global_norm(1.0), jnp.array([jnp.inf]))
    assert int(state.clipped) == 0


def test_clip_rate_before_the_first_step_is_zero():
    assert float(jopt.clip_by_global_norm(1.0).init(jnp.ones(2)).clip_rate) == 0.0


def test_state_is_a_fixed_point_for_scan():
    tx = jopt.clip_by_global_norm(1.0)
    grads = jnp.arange(6.0).reshape(3, 2)
    scanned, _ = jax.lax.scan(
        lambda s, g: (tx.update(g, s)[1], None), tx.init(grads[0]), grads
    )
    assert int(scanned.count) == 3


def test_first_state_may_be_donated():
    tx = jopt.clip_by_global_norm(1.0)
    step = jax.jit(lambda s, g: tx.update(g, s)[1], donate_argnums=0)
    assert int(step(tx.init(jnp.ones(2)), jnp.ones(2)).clipped) == 1


@pytest.mark.multidevice
def test_norm_under_shard_map_where_squares_overflow():
    auto = (jax.sharding.AxisType.Auto,)
    mesh = jax.make_mesh((2,), ("x",), auto, devices=jax.devices()[:2])
    spec = jax.sharding.PartitionSpec("x")
    local = jax.shard_map(
        lambda g: norms.global_norm(g).reshape(1),
        mesh=mesh,
        in_specs=spec,
        out_specs=spec,
    )
    got = jax.jit(local)(jnp.array([1e30, 2.0]))
    np.testing.assert_allclose(got, [1e30, 2.0], rtol=2e-7)


@pytest.mark.multidevice
def test_norm_of_small_leaves_sharded_in_different_ways():
    explicit = (jax.sharding.AxisType.Explicit,)
    mesh = jax.make_mesh((2,), ("x",), explicit, devices=jax.devices()[:2])
    by_row, by_column = (
        jax.device_put(
            jnp.ones((2, 2)), jax.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
        )
        for axes in [("x", None), (None, "x")]
    )
    np.testing.assert_allclose(jax.jit(norms.global_norm)([by_row, by_column]), 8**0.5)


def test_vmap_over_gradients():
    tx = jopt.clip_by_global_norm(1.0)
    grads = jnp.array([[3.0, 4.0], [HUGE, 0.0], [0.0, 0.0]])
    out = jax.vmap(lambda g: tx.update(g, tx.init(g))[0])(grads)
    np.testing.assert_allclose(out, [[0.6, 0.8], [1.0, 0.0], [0.0, 0.0]], rtol=2e-7)


def test_derivative_matches_the_formula():
    tx = jopt.clip_by_global_norm(1.0)
    jac = jax.jacrev(lambda g: tx.update(g, tx.init(g))[0])(jnp.array([3.0, 4.0]))
    unit = np.array([0.6, 0.8])
    np.testing.assert_allclose(jac, (np.eye(2) - np.outer(unit, unit)) / 5, atol=1e-7)


@pytest.mark.parametrize("tx", STAGES, ids=lambda tx: tx.spec.name)
def test_derivative_at_zero_is_the_identity(tx):
    params = jnp.ones(2)
    jac = jax.jacrev(lambda g: tx.update(g, tx.init(g), params)[0])(jnp.zeros(2))
    assert jnp.array_equal(jac, jnp.eye(2))


def test_derivative_with_respect_to_the_bound():
    grads = jnp.array([3.0, 4.0])
    rate = jax.grad(lambda tx: tx.update(grads, tx.init(grads))[0].sum())
    got = rate(jopt.clip_by_global_norm(1.0)).spec.arguments["max_norm"]
    np.testing.assert_allclose(got, 1.4, rtol=2e-7)


def test_second_derivative_of_the_norm():
    hess = jax.hessian(norms.global_norm)(jnp.array([3.0, 4.0]))
    unit = np.array([0.6, 0.8])
    np.testing.assert_allclose(hess, (np.eye(2) - np.outer(unit, unit)) / 5, atol=1e-7)


def test_norm_of_many_small_leaves():
    tree = [jnp.full((2, 2), 0.5)] * 100 + [jnp.full(2, 1.0j / 2**0.5)]
    np.testing.assert_allclose(norms.global_norm(tree), 101**0.5, rtol=4e-7)


def test_clip_keeps_the_phase_of_complex_entries():
    out, _ = apply(jopt.clip(1.0), jnp.array([6.0 + 8.0j, 0.3j]))
    np.testing.assert_allclose(out, [0.6 + 0.8j, 0.3j], rtol=2e-7)


def test_adaptive_clip_without_params_says_how():
    grads = jnp.ones(2)
    with pytest.raises(ValueError, match="`adaptive_grad_clip` needs params"):
        apply(jopt.adaptive_grad_clip(0.1), grads)


def test_adaptive_clip_of_unknown_shape_names_it():
    grads = {"w": jnp.ones((2,) * 6)}
    with pytest.raises(ValueError, match=r"shape \(2, 2, 2, 2, 2, 2\)"):
        apply(jopt.adaptive_grad_clip(0.1), grads, grads)


@pytest.mark.parametrize("bound", [-1.0, float("nan")])
def test_rejects_bad_bound(bound):
    with pytest.raises(ValueError, match="`max_norm` must lie in"):
        jopt.clip_by_global_norm(bound)
