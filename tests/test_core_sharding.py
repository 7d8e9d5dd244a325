"""Tests that the state is sharded as the parameters are, on eight devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P

import jopt
from jopt._core import numerics as nx

pytestmark = pytest.mark.multidevice


@pytest.fixture(params=[AxisType.Auto, AxisType.Explicit], ids=["auto", "explicit"])
def params(request):
    mesh = jax.make_mesh((8,), ("x",), axis_types=(request.param,))
    sharding = NamedSharding(mesh, P("x", None))
    return {"w": jax.device_put(jnp.ones((16, 4)), sharding)}


@pytest.mark.parametrize("jit", [True, False], ids=["jit", "eager"])
def test_moments_are_sharded_as_their_parameter(params, jit):
    init = jopt.adam(0.1).init
    state = (jax.jit(init) if jit else init)(params)
    for moment in (state[0].mu["w"], state[0].nu["w"]):
        assert moment.sharding.is_equivalent_to(params["w"].sharding, 2)


def test_one_trace_over_steps(params):
    tx = jopt.chain(jopt.clip_by_global_norm(1.0), jopt.adamw(0.1))
    traces = []

    @jax.jit
    def step(params, state):
        traces.append(1)
        return tx.update(params, state, params)

    state = jax.jit(tx.init)(params)
    updates = params
    for _ in range(3):
        updates, state = step(params, state)
    assert updates["w"].sharding.is_equivalent_to(params["w"].sharding, 2)
    assert len(traces) == 1


def test_equals_one_device(params):
    tx = jopt.chain(jopt.clip_by_global_norm(1.0), jopt.adamw(0.1))
    local = {"w": jnp.asarray(jax.device_get(params["w"]))}
    sharded, _ = jax.jit(tx.update)(params, tx.init(params), params)
    alone, _ = jax.jit(tx.update)(local, tx.init(local), local)
    np.testing.assert_allclose(alone["w"], jax.device_get(sharded["w"]), rtol=1e-6)


SPLIT = [((16, 8), P("x")), ((8, 16), P(None, "x")), ((3, 16, 8), P(None, "x", None))]


def on_explicit_axes(shapes):
    mesh = jax.make_mesh((8,), ("x",), axis_types=(AxisType.Explicit,))
    draws = np.random.default_rng(0)

    def draw(shape, spec):
        array = jnp.asarray(draws.normal(size=shape), jnp.float32)
        return jax.device_put(array, NamedSharding(mesh, spec))

    return [draw(*row) for row in shapes]


@pytest.mark.parametrize("jit", [True, False], ids=["jit", "eager"])
def test_matrices_split_in_several_ways_are_orthogonalised_together(jit):
    arrays = on_explicit_axes(SPLIT)
    fn = jax.jit(jopt.orthogonalize_all) if jit else jopt.orthogonalize_all
    alone = jopt.orthogonalize_all([jnp.asarray(np.asarray(x)) for x in arrays])
    for x, o, a in zip(arrays, fn(arrays), alone, strict=True):
        assert o.sharding.is_equivalent_to(x.sharding, x.ndim)
        np.testing.assert_allclose(o, a, atol=1e-5)


@pytest.mark.parametrize("split", [(P("x"), P()), (P(), P("x"))])
def test_a_quotient_may_have_one_side_split(split):
    x, y = on_explicit_axes([((8,), spec) for spec in split])
    np.testing.assert_allclose(nx.divide(x, y), np.asarray(x) / np.asarray(y), 1e-6)
