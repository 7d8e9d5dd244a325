"""Tests of `jopt.apply_if_finite` and `jopt.check_finite`."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt

P = {"w": jnp.array([1.0, -2.0, 3.0]), "b": jnp.ones(())}
GOOD = {"w": jnp.array([0.5, -0.25, 1.0]), "b": jnp.ones(())}


def bad(value):
    return {"w": jnp.array([0.5, value, 1.0]), "b": jnp.ones(())}


def run(tx, gs, params=P):
    state, step = tx.init(params), jax.jit(tx.update)
    for g in gs:
        u, state = step(g, state, params)
        params = optax.apply_updates(params, u)
    return params, state


def same_bits(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(bits(x) == bits(y) for x, y in pairs)


def bits(x):
    if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
        x = jax.random.key_data(x)
    return np.asarray(x).tobytes()


RATE = jopt.linear_schedule(0.1, 0.0, 10)
INNERS = [
    jopt.adamw(RATE, weight_decay=0.1),
    jopt.chain(jopt.add_noise(0.1, 0.55, 0), jopt.sgd(RATE, momentum=0.9)),
    optax.adam(0.1),
]


@pytest.mark.parametrize("value", [jnp.nan, jnp.inf, -jnp.inf])
@pytest.mark.parametrize("inner", INNERS, ids=["adamw", "noisy", "optax"])
def test_bad_step_leaves_everything_bitwise(inner, value):
    tx = jopt.apply_if_finite(inner)
    with jax.numpy_dtype_promotion("standard"):  # optax needs it
        params, state = run(tx, [GOOD, GOOD])
        after, then = run(tx, [GOOD, GOOD, bad(value)])
    assert same_bits((params, state.inner_state), (after, then.inner_state))


def test_skipped_steps_do_not_count():
    tx = jopt.apply_if_finite(jopt.adamw(RATE))
    params, state = run(tx, [GOOD, GOOD])
    after, then = run(tx, [bad(jnp.nan), GOOD, bad(jnp.inf), GOOD])
    assert same_bits((params, state.inner_state), (after, then.inner_state))


def test_good_steps_are_those_of_the_inner_one():
    inner = jopt.adam(0.1)
    guarded, plain = (
        run(jopt.apply_if_finite(inner), [GOOD] * 3),
        run(inner, [GOOD] * 3),
    )
    assert same_bits(guarded[0], plain[0])


def test_counters():
    _, state = run(
        jopt.apply_if_finite(jopt.sgd(0.1)), [bad(jnp.nan), GOOD] + [bad(jnp.inf)] * 2
    )
    counts = int(state.notfinite_count), int(state.total_notfinite)
    assert (*counts, bool(state.last_finite)) == (2, 3, False)


def test_never_lets_a_bad_update_through():
    params, state = run(jopt.apply_if_finite(jopt.sgd(0.1), 2), [bad(jnp.nan)] * 10)
    assert same_bits(params, P)
    assert int(state.notfinite_count) == 10


@pytest.mark.parametrize(("steps", "failed"), [(2, False), (3, True)])
def test_flag_after_n_in_a_row(steps, failed):
    _, state = run(jopt.apply_if_finite(jopt.sgd(0.1), 3), [bad(jnp.nan)] * steps)
    assert bool(state.failed) is failed


def test_flag_stays_after_recovery():
    _, state = run(jopt.apply_if_finite(jopt.sgd(0.1), 1), [bad(jnp.nan), GOOD])
    assert bool(state.failed)


def test_finite_gradient_with_infinite_update_is_skipped():
    tx = jopt.apply_if_finite(jopt.scale(1e30))
    params, state = run(tx, [bad(1e30)])
    assert same_bits(params, P)
    assert int(state.total_notfinite) == 1


def test_bad_micro_batch_is_left_out():
    tx, p = jopt.apply_if_finite(jopt.accumulate(jopt.sgd(1.0), 2)), jnp.zeros(1)
    state = tx.init(p)
    for g in (1.0, jnp.nan, 3.0):
        u, state = tx.update(jnp.array([g]), state, p)
    assert float(u[0]) == -2.0


def test_check_finite_raises_with_the_count():
    tx = jopt.chain(jopt.clip(1.0), jopt.apply_if_finite(jopt.sgd(0.1), 2))
    _, state = run(tx, [bad(jnp.nan)] * 3)
    with pytest.raises(FloatingPointError, match="3 not finite in all, 3 in a row"):
        jopt.check_finite(state)


def test_check_finite_passes_below_the_limit():
    _, state = run(jopt.apply_if_finite(jopt.sgd(0.1), 2), [bad(jnp.nan)])
    assert jopt.check_finite(state) is None


def test_check_finite_counts_members_of_a_population():
    tx = jopt.apply_if_finite(jopt.sgd(0.1), 1)
    p = jnp.ones((3, 2))
    state = jax.vmap(tx.init)(p)
    g = p.at[1].set(jnp.nan)
    _, state = jax.vmap(tx.update)(g, state, p)
    with pytest.raises(FloatingPointError, match="in 1 of 3 members"):
        jopt.check_finite(state)


def test_check_finite_needs_a_guard():
    with pytest.raises(KeyError, match="Wrap the optimizer"):
        jopt.check_finite(jopt.adam(0.1).init(P))


def test_check_finite_under_jit_is_refused():
    tx = jopt.apply_if_finite(jopt.sgd(0.1))
    with pytest.raises(TypeError, match=r"outside `jax\.jit`"):
        jax.jit(jopt.check_finite)(tx.init(P))


def test_works_under_scan():
    tx = jopt.apply_if_finite(jopt.adam(0.1))
    gs = jnp.array([[1.0], [jnp.nan], [1.0]])

    def body(carry, g):
        p, s = carry
        u, s = tx.update(g, s, p)
        return (p + u, s), None

    p = jnp.zeros(1)
    (p, s), _ = jax.lax.scan(body, (p, tx.init(p)), gs)
    assert float(p[0]) == pytest.approx(-0.2, rel=1e-5)
    assert int(s.total_notfinite) == 1


def test_a_good_step_holds_no_second_state():
    p = jnp.ones((256, 256))
    tx = jopt.apply_if_finite(jopt.adam(0.1))

    def step(p, s, g):
        u, s = tx.update(g, s, p)
        return p + u, s

    compiled = jax.jit(step, donate_argnums=(0, 1)).lower(p, tx.init(p), p).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 1.1 * p.nbytes
