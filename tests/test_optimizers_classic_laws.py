"""Numerical laws of the classic optimizers: ends of ranges, leaves, dtypes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jopt import constant_schedule, Decay, optimizers

ADAPTIVE = {
    "adagrad": {"initial_accumulator_value": 0.0},
    "adadelta": {"learning_rate": 1.0},
    "rmsprop": {},
    "adam": {},
    "adamw": {"weight_decay": 0.0},
    "nadam": {},
    "nadamw": {"weight_decay": 0.0},
    "amsgrad": {},
    "adamax": {},
    "adamaxw": {"weight_decay": 0.0},
    "radam": {},
}
ALL = ADAPTIVE | {"sgd": {"momentum": 0.9}}


def build(name, **changes):
    return getattr(optimizers, name)(**({"learning_rate": 0.1} | ALL[name] | changes))


@jax.jit
def update_jitted(tx, g, state):
    return tx.update(g, state)


@jax.jit
def descend(tx, start):
    """Fifty steps on a bowl, with the optimizer an argument of the program."""
    scales = jnp.array([1e-3, 0.1, 1.0, 30.0])

    def step(carry, _):
        params, state = carry
        updates, state = tx.update(scales * params, state, params)
        return (params + updates, state), None

    return jax.lax.scan(step, (start, tx.init(start)), length=50)[0][0]


START = jnp.array([1.0, -2.0, 3.0, -4.0])
SETTINGS = {"learning_rate": 1e-3, "b1": 0.9, "b2": 0.999, "weight_decay": 0.1}


def ulps(ours, theirs):
    return np.max(np.abs(np.asarray(ours) - theirs) / np.spacing(np.abs(theirs)))


@pytest.mark.parametrize("kind", ["traced", "array", "scheduled"])
def test_every_kind_of_hyperparameter_gives_the_same_fifty_steps(kind):
    tx = optimizers.adamw(**SETTINGS)
    static = np.asarray(jax.jit(lambda p: descend.__wrapped__(tx, p))(START))
    if kind == "array":
        arrays = {k: np.asarray(v) for k, v in SETTINGS.items()}
        tx = optimizers.adamw(**arrays)
    elif kind == "scheduled":
        schedules = {k: constant_schedule(v) for k, v in SETTINGS.items()}
        tx = optimizers.adamw(**schedules)
    assert ulps(descend(tx, START), static) <= 4


@pytest.mark.parametrize("name", ["adam", "amsgrad"])
@pytest.mark.parametrize("digits", range(1, 9))
def test_first_step_is_the_learning_rate(name, digits):
    g = jnp.array([3.0, -0.7, 1e-3, 250.0])
    tx = build(name, eps=0, b2=Decay(complement=10.0**-digits))
    updates, _ = update_jitted(tx, g, tx.init(g))
    assert ulps(updates, -np.sign(g) * np.float32(0.1)) <= 4


@pytest.mark.parametrize("digits", range(1, 9))
def test_first_step_is_the_learning_rate_where_the_rate_is_static(digits):
    g = jnp.array([3.0, -0.7, 1e-3, 250.0])
    tx = build("adam", eps=0, b2=1.0 - 10.0**-digits)
    updates, _ = jax.jit(tx.update)(g, tx.init(g))
    assert ulps(updates, -np.sign(g) * np.float32(0.1)) <= 4


@pytest.mark.parametrize("name", ADAPTIVE)
def test_no_epsilon_and_no_gradient_is_no_step(name):
    tx, g = build(name, eps=0), jnp.zeros(2)
    updates, _ = tx.update(g, tx.init(g))
    assert jnp.array_equal(updates, g)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_a_traced_epsilon_may_be_zero(name):
    tx, g = build(name, eps=jnp.zeros(())), jnp.zeros(2)
    updates, _ = update_jitted(tx, g, tx.init(g))
    assert jnp.array_equal(updates, g)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_without_an_epsilon_hypergradients_are_finite_beside_a_zero_gradient(name):
    tx = build(name, eps=0.0)

    def loss(tx):
        def step(carry, _):
            params, state = carry
            g = params * jnp.array([1.0, 0.0])
            updates, state = tx.update(g, state, params)
            return (params + updates, state), None

        params = jnp.array([1.0, 2.0])
        carry = params, tx.init(params)
        return jnp.sum(jax.lax.scan(step, carry, length=5)[0][0] ** 2)

    hypergradient = jax.jit(jax.grad(loss))(tx)
    assert all(map(jnp.isfinite, jax.tree.leaves(hypergradient)))


def test_sgd_treats_a_complex_leaf_as_two_real_ones():
    tx, g = build("sgd"), jnp.array([3.0 - 1.0j, 0.5j])
    state, parts = tx.init(g), tx.init((g.real, g.imag))
    for _ in range(3):
        whole, state = update_jitted(tx, g, state)
        (real, imag), parts = update_jitted(tx, (g.real, g.imag), parts)
    np.testing.assert_allclose(whole, jax.lax.complex(real, imag), rtol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adadelta", "adamw", "nadamw", "adamaxw"])
def test_without_decay_no_params_are_needed(name):
    tx, g = build(name, weight_decay=0), jnp.ones(2)
    updates, _ = tx.update(g, tx.init(g))
    assert jnp.all(updates < 0)


@pytest.mark.parametrize("name", ["sgd", "adadelta", "adamw", "nadamw", "adamaxw"])
def test_with_decay_missing_params_are_an_error(name):
    tx, g = build(name, weight_decay=0.1), jnp.ones(2)
    with pytest.raises(ValueError, match="needs params"):
        tx.update(g, tx.init(g))


def test_adamw_decays_only_where_the_mask_says():
    params = {"kernel": jnp.ones((1, 2)), "bias": jnp.ones(2)}
    tx = optimizers.adamw(0.5, weight_decay=0.5, mask="kernel")
    updates, _ = tx.update(
        jax.tree.map(jnp.zeros_like, params), tx.init(params), params
    )
    assert jnp.all(updates["kernel"] == -0.25) and jnp.all(updates["bias"] == 0)


@pytest.mark.parametrize("name", ["adam", "nadam", "amsgrad"])
def test_mu_dtype_is_that_of_the_first_moment(name):
    tx, g = build(name, mu_dtype=jnp.bfloat16), jnp.ones(2)
    _, state = tx.update(g, tx.init(g))
    assert state[0].mu.dtype == jnp.bfloat16 and state[0].nu.dtype == jnp.float32


def test_the_momentum_of_nadam_keeps_its_digits_near_one():
    tx, g = optimizers.nadam(0.1, b1=1 - 1e-6, momentum_decay=1e9, eps=0), jnp.ones(1)
    updates, _ = tx.update(g, tx.init(g))
    np.testing.assert_allclose(updates, [-0.15], rtol=1e-5)


@jax.jit
def steps_at(tx, counts, g):
    """The first update of a steady gradient, as of other step counts."""

    def step(count):
        stage, *rest = tx.init(g)
        return tx.update(g, (stage._replace(count=count - 1), *rest))[0]

    return jax.vmap(step)(counts)


@pytest.mark.parametrize("digits", range(1, 8))
def test_the_rectifier_of_radam_keeps_its_digits(digits):
    counts = np.array([1, 5, 6, 7, 100, 20_000], np.int32)
    tx = optimizers.radam(1.0, b1=0.0, b2=Decay(complement=10.0**-digits), eps=0)
    ours = steps_at(tx, counts, np.ones(1, np.float32))
    with jax.enable_x64(True):
        exact = steps_at(tx, counts, np.ones(1))
    np.testing.assert_allclose(ours, exact, rtol=1e-5)


@pytest.mark.parametrize("name", ["adam", "nadam", "radam"])
def test_the_count_stops_at_its_largest_value(name):
    tx, g = build(name), jnp.ones(2)
    state = tx.init(g)
    last = state[0]._replace(count=jnp.int32(2**31 - 1))
    updates, after = tx.update(g, (last, *state[1:]))
    assert after[0].count == 2**31 - 1 and jnp.all(jnp.isfinite(updates))


@pytest.mark.parametrize(
    "name, changes, message",
    [
        ("sgd", {"momentum": None, "nesterov": True}, "`nesterov=True` needs"),
        ("sgd", {"momentum": 0, "dampening": 0.5}, "`dampening=0.5` needs"),
        ("sgd", {"nesterov": True, "dampening": 0.5}, "not both"),
        ("rmsprop", {"nesterov": True}, "`nesterov=True` needs `momentum`"),
        ("amsgrad", {"corrected": True, "bias_correction_nu": False}, "`corrected"),
        ("radam", {"threshold": 3}, "`threshold` must be at least 4, got 3"),
        ("nadam", {"momentum_decay": -1}, "`momentum_decay` must lie in"),
        ("adam", {"b2": 1.0}, r"`b2` must lie in \[0, 1\), got 1.0"),
    ],
)
def test_wrong_arguments_name_the_cure(name, changes, message):
    with pytest.raises(ValueError, match=message):
        build(name, **changes)


def test_adamw_reads_and_writes_forty_bytes_a_parameter():
    tx, params = optimizers.adamw(1e-3), jnp.ones(1 << 16)

    def step(params, state, g):
        updates, state = tx.update(g, state, params)
        return params + updates, state

    jitted = jax.jit(step, donate_argnums=(0, 1))
    compiled = jitted.lower(params, tx.init(params), params).compile()
    cost = compiled.cost_analysis()
    assert cost is not None
    assert cost["bytes accessed"] / params.size < 40.1
    assert compiled.memory_analysis().temp_size_in_bytes < params.size
