"""Tests of `Transform`: a value, a pytree, and an optax transformation."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec

import jopt

PARAMS = {"w": jnp.array([[1.0, -2.0], [0.5, 3.0]]), "b": jnp.zeros(2)}
GRADS = {"w": jnp.array([[0.5, -1.0], [2.0, 0.1]]), "b": jnp.array([1.0, -1.0])}


def step_counter():
    """A jitted update with the transform as an argument, and its number of traces."""
    traces = []

    @jax.jit
    def step(tx, state, params, grads):
        traces.append(1)
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return step, traces


def test_leaves_are_the_hyperparameters():
    tx = jopt.adam(1e-3, b1=0.9, b2=0.75, eps=1e-6)
    assert jax.tree.leaves(tx) == pytest.approx([1e-3, 0.1, 0.25, 1e-6])


def test_leaf_paths_name_the_arguments():
    flat, _ = jax.tree_util.tree_flatten_with_path(jopt.sgd(0.1))
    assert jax.tree_util.keystr(flat[0][0]) == ".learning_rate"


def test_twenty_learning_rates_compile_once():
    step, traces = step_counter()
    for rate in np.geomspace(1e-4, 1e-1, 20):
        tx = jopt.adam(rate)
        step(tx, tx.init(PARAMS), PARAMS, GRADS)
    assert len(traces) == 1


def test_integer_and_float_rates_compile_once():
    step, traces = step_counter()
    for rate in (1, 1.0, np.float64(1.0), np.int32(1)):
        tx = jopt.sgd(rate)
        step(tx, tx.init(PARAMS), PARAMS, GRADS)
    assert len(traces) == 1


def test_equal_calls_are_one_static_argument():
    traces = []

    def step(tx, grads):
        traces.append(1)
        return tx.update(grads, tx.init(grads))[0]

    jitted = jax.jit(step, static_argnums=0)
    for _ in range(3):
        jitted(jopt.chain(jopt.clip(1.0), jopt.adam(1e-2)), GRADS)
    assert len(traces) == 1


def test_turning_a_stage_off_changes_the_structure():
    on, off = jopt.adamw(1e-3, weight_decay=0.1), jopt.adamw(1e-3, weight_decay=0.0)
    assert jax.tree.structure(on) != jax.tree.structure(off)


@pytest.mark.parametrize("off", [0, 0.0, None])
def test_every_way_to_turn_a_stage_off_is_equal(off):
    assert jopt.adamw(1e-3, weight_decay=off) == jopt.adamw(1e-3, weight_decay=0.0)


@pytest.mark.parametrize("leaf", [None, object(), PartitionSpec("x"), "text", 3])
def test_sentinels_survive_as_leaves(leaf):
    tx = jopt.chain(jopt.clip(1.0), jopt.adam(jopt.linear_schedule(0.1, 0.0, 9)))
    treedef = jax.tree.structure(tx)
    marked = treedef.unflatten([leaf] * treedef.num_leaves)
    is_leaf = lambda node: node is leaf  # noqa: E731
    assert jax.tree.leaves(marked, is_leaf=is_leaf) == [leaf] * treedef.num_leaves


def test_survives_a_round_trip_of_its_leaves():
    tx = jopt.chain(jopt.clip(1.0), jopt.adam(0.1, b1=0.1))
    leaves, treedef = jax.tree.flatten(tx)
    assert treedef.unflatten(leaves) == tx
    assert repr(treedef.unflatten(leaves)) == repr(tx)


def test_unflattening_does_not_run_the_factory():
    runs = []

    @jopt.transform
    def counted(strength: jopt.Scalar = 1.0):
        runs.append(1)
        return jopt.Pair(lambda p: (), lambda u, s, p=None, **e: (u, s))

    tx = counted()
    jax.tree.map(lambda leaf: leaf, tx)
    assert len(runs) == 1


def test_vmap_over_transforms_equals_a_loop():
    txs = jopt.adam(jnp.array([0.1, 0.2]), b1=jnp.array([0.5, 0.9]))

    def step(tx):
        return tx.update(GRADS, tx.init(PARAMS), PARAMS)[0]

    both = jax.vmap(step, in_axes=(jopt.in_axes(txs),))(txs)
    for i, (rate, b1) in enumerate([(0.1, 0.5), (0.2, 0.9)]):
        one = step(jopt.adam(rate, b1=b1))
        np.testing.assert_allclose(both["w"][i], one["w"], rtol=3e-7)


def test_hypergradient_has_the_shape_of_the_transform():
    tx = jopt.adam(0.1)

    def loss(tx):
        updates, _ = tx.update(GRADS, tx.init(PARAMS), PARAMS)
        return jnp.sum(optax.apply_updates(PARAMS, updates)["w"])

    grads = jax.grad(loss)(tx)
    assert jax.tree.structure(grads) == jax.tree.structure(tx)


def test_out_shardings_may_be_a_transform():
    mesh = jax.make_mesh((1,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.NamedSharding(mesh, PartitionSpec())
    tx = jopt.sgd(jnp.asarray(0.1))
    shardings = jax.tree.map(lambda _: spec, tx)
    out = jax.jit(lambda t: t, out_shardings=shardings)(tx)
    assert float(out.spec.arguments["learning_rate"]) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "tx",
    [
        jopt.adam(1e-3, b2=0.95),
        jopt.chain(jopt.clip(1.0), jopt.sgd(0.1, momentum=0.9)),
        jopt.named_chain(("z", jopt.clip(1.0)), ("a", jopt.sgd(0.1))),
        jopt.adam(jopt.linear_schedule(0.1, 0.0, 9), b1=jnp.asarray(0.5)),
    ],
    ids=repr,
)
def test_pickles_by_value(tx):
    assert pickle.loads(pickle.dumps(tx)) == tx


def test_equality_and_hash_apply_defaults():
    assert jopt.adam(0.1) == jopt.adam(0.1, b1=0.9)
    assert hash(jopt.adam(0.1)) == hash(jopt.adam(0.1, b1=0.9))
    assert jopt.adam(0.1) != jopt.adam(0.2)


def test_static_arguments_tell_1_from_true():
    @jopt.transform
    def flagged(flag: object = None):
        return jopt.Pair(lambda p: (), lambda u, s, p=None, **e: (u, s))

    assert len({flagged(1), flagged(1.0), flagged(True)}) == 3


def test_arrays_compare_by_content_and_tracers_by_identity():
    assert jopt.sgd(jnp.asarray(0.1)) == jopt.sgd(jnp.asarray(0.1))

    @jax.jit
    def compare(a, b):
        assert jopt.sgd(a) == jopt.sgd(a)
        assert jopt.sgd(a) != jopt.sgd(b)
        return a

    compare(0.1, 0.1)


def test_prints_as_the_call():
    tx = jopt.chain(optax.clip_by_global_norm(1.0), jopt.adamw(1e-3, weight_decay=0.1))
    assert repr(tx) == (
        "chain(optax.clip_by_global_norm(...), "
        "adamw(learning_rate=0.001, weight_decay=0.1))"
    )


def test_html_is_escaped():
    tx = jopt.adamw(1e-3, mask="<b>")
    assert "&lt;b&gt;" in tx._repr_html_()


@pytest.mark.filterwarnings("ignore:The chararray class:DeprecationWarning")
def test_treescope_shows_the_call():
    treescope = pytest.importorskip("treescope")
    text = treescope.render_to_text(jopt.chain(jopt.clip(1.0), jopt.sgd(0.1)))
    assert "chain" in text and "sgd" in text and "learning_rate" in text


def test_wadler_lindig_shows_the_call():
    import wadler_lindig

    assert wadler_lindig.pformat(jopt.sgd(0.1)) == "sgd(learning_rate=0.1)"


def test_stages_are_named_in_the_compiled_program():
    tx = jopt.adam(0.1)
    text = jax.jit(tx.update).lower(GRADS, tx.init(PARAMS)).as_text(debug_info=True)
    assert "jopt.adam/" in text and "jopt.scale_by_adam" in text


def test_is_an_optax_transformation_anywhere():
    tx = optax.chain(jopt.clip(1.0), optax.scale(2.0), jopt.sgd(0.1))
    updates, _ = tx.update(GRADS, tx.init(PARAMS), PARAMS)
    np.testing.assert_allclose(updates["b"], [-0.2, 0.2], rtol=1e-6)


def test_optax_stages_stand_anywhere_in_a_chain():
    tx = jopt.chain(optax.clip(0.5), jopt.chain(optax.scale(2.0), jopt.sgd(0.1)))
    updates, _ = tx.update(GRADS, tx.init(PARAMS), PARAMS)
    np.testing.assert_allclose(updates["b"], [-0.1, 0.1], rtol=1e-6)


def test_an_optax_stage_keeps_its_state_dtype_in_half_precision():
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), PARAMS)
    tx = jopt.chain(optax.trace(0.9), jopt.sgd(0.1))
    state = tx.init(params)
    _, new = tx.update(params, state, params)
    assert new[0].trace["w"].dtype == state[0].trace["w"].dtype == jnp.bfloat16


def test_extra_arguments_reach_the_stage_that_reads_them():
    tx = jopt.chain(jopt.clip(1.0), jopt.reduce_on_plateau(), jopt.sgd(0.1))
    tx.update(GRADS, tx.init(PARAMS), PARAMS, value=1.0, unknown="fine")


def test_chain_of_nothing_is_the_identity():
    tx = jopt.chain()
    assert tx.update(GRADS, tx.init(PARAMS))[0]["b"] is GRADS["b"]


def test_named_chain_keeps_order_and_names():
    tx = jopt.named_chain(("z", jopt.scale(2.0)), ("a", jopt.clip(1.0)))
    again = jax.tree.unflatten(jax.tree.structure(tx), jax.tree.leaves(tx))
    updates, state = again.update(GRADS, tx.init(PARAMS))
    assert list(state) == ["z", "a"] and float(updates["b"][0]) == 1.0


def test_replace_changes_one_argument():
    tx = jopt.adamw(1e-3, weight_decay=0.1)
    assert tx.replace(learning_rate=3e-4) == jopt.adamw(3e-4, weight_decay=0.1)


# -- the boundary ------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_updates_leave_in_the_parameters_dtype(dtype):
    params = jax.tree.map(lambda p: p.astype(dtype), PARAMS)
    tx = jopt.adamw(0.1)
    updates, _ = tx.update(params, tx.init(params), params)
    assert {u.dtype for u in jax.tree.leaves(updates)} == {jnp.dtype(dtype)}


def test_moments_are_float32_for_half_precision():
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), PARAMS)
    state = jopt.scale_by_adam().init(params)
    assert state.mu["w"].dtype == state.nu["w"].dtype == jnp.float32


def test_integer_leaves_get_a_zero_update_and_no_state():
    params = {"w": jnp.ones(2), "steps": jnp.arange(3)}
    grads = {"w": jnp.ones(2), "steps": np.zeros(3, jax.dtypes.float0)}
    tx = jopt.adam(0.1)
    state = tx.init(params)
    assert len(jax.tree.leaves(state)) == 3
    updates, _ = tx.update(grads, state, params)
    assert jnp.array_equal(updates["steps"], jnp.zeros(3, int))
    assert updates["steps"].dtype == params["steps"].dtype


def test_none_leaves_pass_through():
    params = {"w": jnp.ones(2), "gone": None}
    tx = jopt.adam(0.1)
    updates, _ = tx.update(params, tx.init(params), params)
    assert updates["gone"] is None


@pytest.mark.parametrize("params", [{}, (), {"w": jnp.zeros((0, 3))}], ids=repr)
def test_empty_trees_and_leaves_work(params):
    tx = jopt.adamw(0.1)
    updates, _ = tx.update(params, tx.init(params), params)
    assert jax.tree.structure(updates) == jax.tree.structure(params)


def test_init_takes_shapes():
    shapes = jax.eval_shape(lambda: PARAMS)
    real, abstract = jopt.adam(0.1).init(PARAMS), jopt.adam(0.1).init(shapes)
    assert jax.tree.structure(real) == jax.tree.structure(abstract)


def test_state_is_a_fixed_point_of_update():
    tx = jopt.adamw(jopt.linear_schedule(0.1, 0.0, 9), b2=jopt.constant_schedule(0.9))
    state = tx.init(PARAMS)
    _, new = tx.update(GRADS, state, PARAMS)
    signature = lambda s: jax.tree.map(jax.typeof, s)  # noqa: E731
    assert signature(new) == signature(state)


def test_init_is_donatable():
    tx = jopt.adamw(0.1)
    params = jax.tree.map(jnp.copy, PARAMS)
    step = jax.jit(lambda p, s: tx.update(p, s, p), donate_argnums=(0, 1))
    updates, _ = step(params, tx.init(params))
    assert updates["w"].shape == (2, 2)


def test_a_factory_may_compute_with_traced_hyperparameters():
    @jopt.transform
    def rooted(strength: jopt.Scalar = 4.0):
        root = jnp.sqrt(strength)

        def update(updates, state, params=None, **extra):
            return jax.tree.map(lambda u: u * root, updates), state

        return jopt.Pair(lambda params: optax.EmptyState(), update)

    tx = jopt.chain(rooted(4.0), jopt.scale_by_adam())
    unbuilt = jax.tree.map(lambda leaf: leaf, tx)

    @jax.jit
    def step(tx, grads):
        state = jax.eval_shape(tx.init, grads)
        updates, _ = tx.update(grads, jax.tree.map(jnp.zeros_like, state))
        return updates

    assert jnp.isfinite(step(tx, GRADS)["w"]).all()
    jax.jit(lambda grads: unbuilt.update(grads, unbuilt.init(grads)))(GRADS)
    assert jnp.isfinite(unbuilt.update(GRADS, unbuilt.init(GRADS))[0]["w"]).all()
