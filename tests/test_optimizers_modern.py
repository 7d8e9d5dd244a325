"""The newer optimizers against official packages and transcriptions, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt
from jopt import matrix, optimizers
from jopt.transforms.average import averaged_params
from tests.certificates import catalogue, stored
from tests.references import modern
from tests.references.problem import relative_error, trajectory, tree

RUNS = stored.read(stored.OPTIMIZERS)["runs"]
OFFICIAL = {c.id: c for c in catalogue.PACKAGED}
FIRST, GRADS = tree()


def build(name, arguments):
    return getattr(matrix if name == "muon" else optimizers, name)(**arguments)


@pytest.mark.parametrize("case", modern.CASES, ids=str)
def test_equals_the_transcription(case):
    ours, _ = trajectory(build(case.optimizer, case.arguments), FIRST, GRADS)
    theirs = case.reference(FIRST, GRADS, **case.settings)
    assert relative_error(ours, theirs, FIRST) < 1e-9


SCHEDULE_FREE = [
    ("schedule_free_sgd", {"warmup_steps": 3, "r": 1.0}, {"warmup": 3, "r": 1.0}),
    ("schedule_free_adamw", {"b1": 0.5, "weight_decay": 0.1}, {"b1": 0.5, "b2": 0.999}),
]


@pytest.mark.parametrize(("name", "arguments", "settings"), SCHEDULE_FREE)
def test_schedule_free_averages_as_the_paper(name, arguments, settings):
    settings = settings | {"weight_decay": arguments.get("weight_decay", 0.0)}
    tx = build(name, arguments | {"learning_rate": 0.1})
    ys, xs = modern.schedule_free(FIRST, GRADS, 0.1, **settings)
    path, state = trajectory(tx, FIRST, GRADS)
    with jax.enable_x64(True):
        average = averaged_params(state, jax.tree.map(jnp.asarray, path[-1]))
    average = jax.tree.map(np.asarray, average)
    assert relative_error(path, ys, FIRST) < 1e-9
    assert relative_error([average], [xs[-1]], FIRST) < 1e-9


@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize("name", ["schedule_free_adamw", "schedule_free_sgd"])
def test_averaged_parameters_are_those_of_the_official_eval(name, index):
    case = OFFICIAL[f"{name}-{index}"]
    path, state = trajectory(case.tx, FIRST, GRADS)
    with jax.enable_x64(True):
        average = averaged_params(state, jax.tree.map(jnp.asarray, path[-1]))
    average = jax.tree.map(np.asarray, average)
    (theirs,) = stored.unpacked(RUNS[case.id]["averaged"], FIRST)
    assert relative_error([average], [theirs], FIRST) < 1e-9


READINGS = {
    "lion": (optimizers.lion(0.1), optax.lion(0.1)),
    "signum": (optimizers.signum(0.1), optax.signum(0.1)),
    "lamb": (
        optimizers.lamb(0.1, weight_decay=0.1),
        optax.lamb(0.1, weight_decay=0.1),
    ),
    "lars": (
        optimizers.lars(1.0, 0.1, decay_norm="joint"),
        optax.lars(1.0, 0.1),
    ),
    "adafactor": (
        optimizers.adafactor(0.1, 2, momentum=0.5, weight_decay_rate=0.1),
        optax.adafactor(
            0.1, 2, momentum=0.5, dtype_momentum=jnp.float64, weight_decay_rate=0.1
        ),
    ),
    "schedule_free_adamw": (
        optimizers.schedule_free_adamw(0.1),
        optax.contrib.schedule_free_adamw(0.1),
    ),
    "schedule_free_sgd": (
        optimizers.schedule_free_sgd(0.1),
        optax.contrib.schedule_free_sgd(0.1),
    ),
    "prodigy": (
        optimizers.prodigy(estim_lr0=0.01, use_bias_correction=True),
        optax.contrib.prodigy(estim_lr0=0.01),
    ),
}


@pytest.mark.parametrize("name", READINGS)
def test_named_options_give_the_reading_of_optax(name):
    ours, theirs = (
        trajectory(tx, FIRST, GRADS, "standard")[0] for tx in READINGS[name]
    )
    # optax's decay schedule of Adafactor is formed in float32
    bound = 1e-6 if name == "adafactor" else 1e-9
    assert relative_error(ours, theirs, FIRST) < bound


def test_a_learning_rate_of_zero_leaves_prodigy_as_it_was():
    tx = optimizers.prodigy(0.0)
    params = jnp.ones(3)
    state = tx.init(params)
    updates, after = tx.update(jnp.ones(3), state, params)
    assert not updates.any()
    assert all(map(jnp.array_equal, jax.tree.leaves(after), jax.tree.leaves(state)))


def test_prodigy_grows_no_faster_than_allowed():
    tx = optimizers.prodigy(growth_rate=1.02)
    params, rates = jnp.full(3, 5.0), []
    state = tx.init(params)
    for _ in range(6):
        updates, state = tx.update(params, state, params)
        params = params + updates
        rates.append(float(optax.tree.get(state, "estim_lr")))
    growth = np.divide(rates[3:], rates[2:-1])
    assert np.all(growth <= 1.02 + 1e-6) and rates[-1] > rates[2]


def test_adafactor_factors_the_last_two_axes():
    tx = optimizers.scale_by_factored_rms(min_dim_size_to_factor=2)
    params = {"w": jnp.ones((9, 2, 3)), "b": jnp.ones(9)}
    state = tx.init(params)
    assert state.v_row["w"].shape == (9, 2)
    assert state.v_col["w"].shape == (9, 3)
    assert state.v["b"].shape == (9,)


@pytest.mark.multidevice
@pytest.mark.parametrize("wrap", [lambda init: init, jax.jit])
def test_adafactor_shards_its_means_like_the_parameters(wrap):
    mesh = jax.make_mesh(
        (2, 4), ("x", "y"), axis_types=(jax.sharding.AxisType.Auto,) * 2
    )
    spec = jax.sharding.PartitionSpec("x", "y")
    p = jax.device_put(jnp.ones((8, 8)), jax.sharding.NamedSharding(mesh, spec))
    state = wrap(optimizers.scale_by_factored_rms(min_dim_size_to_factor=2).init)(p)
    assert state.v_row.sharding.shard_shape((8,)) == (4,)
    assert state.v_col.sharding.shard_shape((8,)) == (2,)


def test_prodigy_estimates_alike_along_the_imaginary_axis():
    tx = optimizers.prodigy(1.0, estim_lr0=1e-2, estim_lr_coef=10.0)
    estimates = []
    for turn in (1.0, 1j):
        g = jnp.asarray(np.array([1.0, -2.0]) * turn, jnp.complex64)
        p, state = g, tx.init(g)
        for _ in range(4):
            u, state = tx.update(g, state, p)
            p = p + u
        estimates.append(float(jopt.get(state, "estim_lr")))
    assert estimates[0] > 0.02
    assert np.isclose(*estimates, rtol=1e-5)


@pytest.mark.parametrize("eps_placement", ["square", "root"])
def test_adafactor_tells_rows_from_columns(eps_placement):
    # the squares of an outer product are one too, so its two means tell all of it
    tx = optimizers.scale_by_factored_rms(
        min_dim_size_to_factor=2, epsilon=0.0, eps_placement=eps_placement
    )
    g = jnp.outer(jnp.array([1.0, -2.0, 16.0]), jnp.array([4.0, 1.0, -0.5]))
    updates, _ = tx.update(g, tx.init(g))
    assert np.allclose(updates, np.sign(g), rtol=1e-5)


def test_adafactor_keeps_half_precision_parameters_in_float32():
    tx = optimizers.adafactor(0.1, 2)
    state = tx.init(jnp.ones((2, 3), jnp.bfloat16))
    dtypes = {x.dtype.name for x in jax.tree.leaves(state)}
    assert dtypes == {"float32", "int32"}


def test_adafactor_of_moments_whose_product_underflows():
    tx = optimizers.scale_by_factored_rms(min_dim_size_to_factor=2, epsilon=0.0)
    g = jnp.full((2, 2), 1e-15)
    updates, _ = tx.update(g, tx.init(g))
    assert np.allclose(updates, 1.0, rtol=1e-5)


def test_schedule_free_needs_a_positive_b1():
    with pytest.raises(ValueError, match=r"`b1` must lie in \(0, 1\), got 0.0"):
        optimizers.schedule_free_sgd(b1=0.0)


def test_schedule_free_averages_within_a_partition():
    from jopt.transforms.select import partition

    tx = partition(
        {"sf": optimizers.schedule_free_sgd(0.5), "sgd": optimizers.sgd(0.5)},
        {"w": "sf", "b": "sgd"},
    )
    params = {"w": jnp.ones(2), "b": jnp.ones(2)}
    state = tx.init(params)
    for _ in range(2):
        updates, state = tx.update(params, state, params)
        params = jax.tree.map(jnp.add, params, updates)
    average = averaged_params(state, params)
    assert jnp.array_equal(average["b"], params["b"])
    assert not jnp.allclose(average["w"], params["w"])


SAFE = [
    optimizers.lion(0.1),
    optimizers.signum(0.1),
    optimizers.lamb(0.1, weight_decay=0.1),
    optimizers.lars(0.1, 0.1),
    optimizers.adafactor(0.1, 2, weight_decay_rate=0.1),
    optimizers.adafactor(0.1, 2, eps=0.0),
    optimizers.schedule_free_adamw(eps=0.0, warmup_steps=2),
    optimizers.schedule_free_sgd(0.0),
    optimizers.prodigy(eps=0.0, weight_decay=0.1),
    matrix.muon(0.1, eps=0.0, ns_dtype="bfloat16"),
]
LEAVES = {
    "matrix": jnp.ones((3, 2)),
    "zero": jnp.zeros((2, 3)),
    "half": jnp.full((2, 2), 3e4, jnp.float16),
    "complex": jnp.full(3, 1 + 1j, jnp.complex64),
    "scalar": jnp.ones(()),
    "empty": jnp.ones((0, 2)),
    "integer": jnp.arange(3),
}


@pytest.mark.parametrize("tx", SAFE, ids=repr)
def test_no_state_shares_a_buffer_with_the_parameters(tx):
    params = {"w": jnp.ones((2, 2)), "b": jnp.ones(2)}
    state = tx.init(params)
    step = jax.jit(
        lambda p, s: tx.update(jax.tree.map(jnp.sin, p), s, p), donate_argnums=(0, 1)
    )
    updates, _ = step(params, state)
    assert bool(jnp.isfinite(updates["w"]).all())


@pytest.mark.parametrize("tx", SAFE, ids=repr)
def test_init_takes_shapes_alone(tx):
    shapes = jax.eval_shape(lambda: LEAVES)
    given = jax.eval_shape(tx.init, shapes)
    real = jax.eval_shape(tx.init, LEAVES)
    assert given == real
    assert len(jax.tree.leaves(tx.init(shapes))) == len(jax.tree.leaves(real))


def test_lars_scales_no_zero_tensor():
    tx = optimizers.scale_by_lars(weight_decay=0.1)
    g = jnp.array([3.0, 4.0])
    updates, _ = tx.update(g, tx.init(g), jnp.zeros(2))
    assert jnp.array_equal(updates, g)


def test_lars_without_parameters_names_the_call():
    tx = optimizers.lars(0.1)
    with pytest.raises(ValueError, match=r"needs params: call `tx.update\(grads"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))


def test_traced_hyperparameters_agree_with_static_ones():
    tx = optimizers.prodigy(estim_lr0=0.01, growth_rate=1.5, weight_decay=0.1)
    params = jnp.array([1.0, -2.0])

    def two(tx):
        state, p = tx.init(params), params
        for _ in range(2):
            updates, state = tx.update(p * 3.0, state, p)
            p = p + updates
        return p

    assert np.allclose(jax.jit(two)(tx), two(tx), rtol=4e-7)
