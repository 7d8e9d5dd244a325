"""Tests of `jopt.accumulate`."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt

P = {"w": jnp.linspace(-1.0, 1.0, 12).reshape(3, 4), "b": jnp.ones(4)}


def micro_grads(n, params=P):
    """One gradient per micro-batch, stacked."""
    key = jax.random.key(0)
    return jax.tree.map(lambda p: jax.random.normal(key, (n, *p.shape)), params)


def at(tree, i):
    return jax.tree.map(lambda x: x[i], tree)


def train(tx, gs, n, params=P):
    state, step = tx.init(params), jax.jit(tx.update)
    for i in range(n):
        u, state = step(at(gs, i), state, params)
        params = optax.apply_updates(params, u)
    return params, state


def difference(a, b):
    apart = jax.tree.map(lambda x, y: float(jnp.max(jnp.abs(x - y))), a, b)
    return max(jax.tree.leaves(apart))


@pytest.mark.parametrize("k", [1, 2, 4, 7])
def test_micro_batches_equal_their_mean(k):
    gs = micro_grads(3 * k)
    big = jax.tree.map(lambda g: g.reshape(3, k, *g.shape[1:]).mean(1), gs)
    inner = jopt.sgd(0.1, momentum=0.9)
    ours, _ = train(jopt.accumulate(inner, k), gs, 3 * k)
    assert difference(ours, train(inner, big, 3)[0]) <= 1.2e-7  # one ulp at 1


@pytest.mark.parametrize("k", [2, 4])
def test_micro_batches_equal_their_mean_under_scan(k):
    gs = micro_grads(3 * k)
    tx = jopt.accumulate(jopt.adam(0.1), k)

    def body(carry, g):
        params, state = carry
        u, state = tx.update(g, state, params)
        return (optax.apply_updates(params, u), state), None

    (ours, _), _ = jax.jit(lambda c, gs: jax.lax.scan(body, c, gs))((P, tx.init(P)), gs)
    assert difference(ours, train(tx, gs, 3 * k)[0]) <= 1.2e-7


def test_parameters_stay_bitwise_between_steps():
    tx = jopt.accumulate(jopt.adamw(0.1, weight_decay=0.1), 3)
    params, _ = train(tx, micro_grads(2), 2)
    assert difference(params, P) == 0.0


def test_matches_multi_steps():
    gs = micro_grads(8)
    with jax.numpy_dtype_promotion("standard"):  # optax needs it
        ours, _ = train(jopt.accumulate(optax.adam(0.1), 4), gs, 8)
        theirs, _ = train(optax.MultiSteps(optax.adam(0.1), 4), gs, 8)
    assert difference(ours, theirs) <= 2e-7


def test_vmap_over_the_state_gives_the_same():
    tx, gs = jopt.accumulate(jopt.adam(0.1), 2), micro_grads(4)
    two = jax.tree.map(lambda x: jnp.stack([x, x]), (tx.init(P), P))
    state, params = two
    for i in range(4):
        g = jax.tree.map(lambda x: jnp.stack([x, x]), at(gs, i))
        u, state = jax.vmap(tx.update)(g, state, params)
        params = optax.apply_updates(params, u)
    assert difference(at(params, 1), train(tx, gs, 4)[0]) <= 1.2e-7


def test_schedule_inside_counts_optimizer_steps():
    rate = jopt.linear_schedule(1.0, 0.0, 10)
    tx = jopt.accumulate(jopt.sgd(rate), 2)
    _, state = train(tx, micro_grads(4), 4)
    assert float(jopt.get(state, "learning_rate")) == pytest.approx(0.9)


def test_counters():
    _, state = train(jopt.accumulate(jopt.sgd(0.1), 3), micro_grads(7), 7)
    assert (int(state.mini_step), int(state.gradient_step)) == (1, 2)


def test_bfloat16_gradients_are_summed_in_float32():
    p = jnp.zeros(1, jnp.bfloat16)
    tx = jopt.accumulate(jopt.identity(), 512)
    state, step = tx.init(p), jax.jit(tx.update)
    for _ in range(512):
        u, state = step(jnp.ones(1, jnp.bfloat16), state, p)
    assert float(u[0]) == 1.0  # a bfloat16 sum stops at 256


def test_nan_of_one_cycle_does_not_reach_the_next():
    tx, p = jopt.accumulate(jopt.sgd(1.0), 2), jnp.zeros(1)
    state = tx.init(p)
    for g in (jnp.nan, 1.0, 1.0, 3.0):
        u, state = tx.update(jnp.array([g]), state, p)
    assert float(u[0]) == -2.0


def test_extra_arguments_reach_the_inner_transform():
    def update(updates, state, params=None, *, value):
        return jax.tree.map(lambda u: u * value, updates), state

    inner = optax.GradientTransformationExtraArgs(lambda p: (), update)
    tx, p = jopt.accumulate(inner, 2), jnp.zeros(1)
    state = tx.init(p)
    for value in (2.0, 3.0):
        u, state = tx.update(jnp.ones(1), state, p, value=value)
    assert float(u[0]) == 3.0


def test_state_is_a_fixed_point():
    tx = jopt.accumulate(jopt.adam(0.1), 2)
    state = tx.init(P)
    _, new = jax.eval_shape(tx.update, P, state, P)
    assert jax.tree.map(jnp.shape, state) == jax.tree.map(lambda x: x.shape, new)
    assert jax.tree.leaves(jax.tree.map(lambda a, b: a.dtype == b.dtype, state, new))


def flops(update, state, p):
    compiled = jax.jit(update).lower(p, state, p).compile()
    return compiled.cost_analysis().get("flops", 0.0) / p.size


def test_micro_steps_cost_a_third_of_multi_steps():
    # With the counter a constant, XLA keeps the one branch that runs.
    p, k = jnp.ones((256, 256)), 4
    tx = jopt.accumulate(jopt.adamw(0.1), k)
    state = tx.init(p)

    def at_step(i):
        def update(g, s, p):
            return tx.update(g, s._replace(mini_step=jnp.asarray(np.int32(i))), p)

        return update

    ours = sum(flops(at_step(i), state, p) for i in range(k)) / k
    with jax.numpy_dtype_promotion("standard"):
        multi = optax.MultiSteps(optax.adamw(0.1), k)
        assert ours <= 0.3 * flops(multi.update, multi.init(p), p)


def test_compiled_program_has_no_parameter_sized_copies():
    p = jnp.ones((256, 256))
    tx = jopt.accumulate(jopt.adam(0.1), 4)
    step = jax.jit(tx.update, donate_argnums=(0, 1))
    compiled = step.lower(p, tx.init(p), p).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < p.nbytes


def test_hypergradient_through_a_cycle():
    def last(rate):
        tx, p = jopt.accumulate(jopt.adam(rate), 2), jnp.ones(3)
        state = tx.init(p)
        for _ in range(4):
            u, state = tx.update(p, state, p)
            p = p + u
        return jnp.sum(p)

    wanted = (last(0.11) - last(0.09)) / 0.02
    assert float(jax.grad(last)(0.1)) == pytest.approx(float(wanted), rel=1e-3)


@pytest.mark.parametrize(("k", "error"), [(0, ValueError), (2.0, TypeError)])
def test_every_k_is_a_positive_integer(k, error):
    with pytest.raises(error, match="`every_k` must be"):
        jopt.accumulate(jopt.sgd(0.1), k)
