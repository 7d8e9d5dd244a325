"""Tests of `jopt.ema_params`, `jopt.lookahead` and `jopt.averaged_params`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jopt

P = {"w": jnp.array([1.0, -2.0]), "b": jnp.zeros(())}


def walk(tx, steps, params=P):
    """Train with gradients that depend on the step; returns every iterate."""
    state, step, seen = tx.init(params), jax.jit(tx.update), [params]
    for i in range(steps):
        g = jax.tree.map(
            lambda p, i=i: jnp.full(p.shape, 0.1 * (i + 1), p.dtype), params
        )
        u, state = step(g, state, params)
        params = optax.apply_updates(params, u)
        seen.append(params)
    return seen, state


def first(params):
    return np.float64(params["w"][0])


def ema(**kwargs):
    return jopt.chain(jopt.sgd(1.0), jopt.ema_params(**kwargs))


def test_debiased_average_is_that_of_all_iterates():
    seen, state = walk(ema(decay=0.9), 5)
    weights = 0.9 ** np.arange(4, -1, -1.0)
    wanted = weights @ [first(p) for p in seen[1:]] / weights.sum()
    assert first(jopt.averaged_params(state, seen[-1])) == pytest.approx(
        wanted, rel=1e-6
    )


def test_average_from_the_initial_parameters():
    seen, state = walk(ema(decay=0.9, debias=False), 5)
    wanted = first(seen[0])
    for p in seen[1:]:
        wanted = 0.9 * wanted + 0.1 * first(p)
    assert first(jopt.averaged_params(state, seen[-1])) == pytest.approx(
        wanted, rel=1e-6
    )


def test_parameters_become_the_average_every_other_step():
    seen, state = walk(ema(decay=0.5, debias=False, sync_period=2), 4)
    average = jopt.averaged_params(state, seen[-1])
    assert first(seen[2]) == pytest.approx((1.0 + 0.9 + 2 * 0.7) / 4)
    assert first(seen[4]) == pytest.approx(first(average))


def test_warmup_lengthens_the_average():
    seen, state = walk(ema(decay=0.999, debias=False, warmup=True), 5)
    wanted = first(seen[0])
    for t, p in enumerate(seen[1:]):
        d = min(0.999, (1 + t) / (10 + t))
        wanted = d * wanted + (1 - d) * first(p)
    assert first(jopt.averaged_params(state, seen[-1])) == pytest.approx(
        wanted, rel=1e-6
    )


@pytest.mark.parametrize("debias", [True, False])
def test_up_to_start_step_it_is_the_parameters(debias):
    seen, state = walk(ema(decay=0.9, debias=debias, start_step=3), 3)
    assert first(jopt.averaged_params(state, seen[-1])) == first(seen[-1])


def test_after_start_step_it_averages_from_there():
    seen, state = walk(ema(decay=0.9, start_step=3), 5)
    wanted = (0.9 * first(seen[4]) + first(seen[5])) / 1.9
    assert first(jopt.averaged_params(state, seen[-1])) == pytest.approx(
        wanted, rel=1e-6
    )


@pytest.mark.parametrize("decay", [0.5, 1 - 1e-6])
def test_steady_parameters_are_held_exactly(decay):
    tx = jopt.chain(jopt.set_to_zero(), jopt.ema_params(decay))
    seen, state = walk(tx, 20)
    assert first(jopt.averaged_params(state, seen[-1])) == 1.0


def test_decay_may_follow_a_schedule():
    seen, state = walk(ema(decay=jopt.constant_schedule(0.9)), 4)
    _, plain = walk(ema(decay=0.9), 4)
    ours, theirs = (jopt.averaged_params(s, seen[-1]) for s in (state, plain))
    assert first(ours) == pytest.approx(first(theirs), rel=1e-6)


def test_bfloat16_average_is_kept_in_float32():
    params = {"w": jnp.ones(2, jnp.bfloat16)}
    state = jopt.ema_params().init(params)
    assert state.ema["w"].dtype == jnp.float32
    assert jopt.averaged_params(state, params)["w"].dtype == jnp.bfloat16


def test_bfloat16_parameters_are_averaged_as_applied():
    p = jnp.ones(1, jnp.bfloat16)
    tx = jopt.ema_params(0.9)
    _, state = jax.jit(tx.update)(jnp.full(1, 1e-3, jnp.bfloat16), tx.init(p), p)
    assert float(state.ema[0]) == 1.0  # 1 + 0.001 rounds to 1


def test_accumulator_dtype():
    tx = jopt.ema_params(accumulator_dtype=jnp.bfloat16)
    _, state = walk(tx, 2)
    assert state.ema["w"].dtype == jnp.bfloat16


def test_complex_parameters():
    tx, p = jopt.ema_params(0.5, debias=False), jnp.array([1j])
    _, state = tx.update(jnp.array([2j]), tx.init(p), p)
    assert complex(state.ema[0]) == 2j


def test_ema_shares_no_buffer_with_the_parameters():
    tx, p = jopt.ema_params(0.5), jnp.ones(3)
    state = tx.init(p)
    step = jax.jit(tx.update, donate_argnums=(1,))
    step(p, state, p)
    assert float(p[0]) == 1.0


@pytest.mark.parametrize("tx", [jopt.ema_params(), jopt.lookahead(jopt.sgd(0.1))])
def test_params_are_needed(tx):
    with pytest.raises(ValueError, match="needs params: call"):
        tx.update(P, tx.init(P))


# -- lookahead ---------------------------------------------------------------------


def test_lookahead_matches_optax():
    ours, _ = walk(jopt.lookahead(jopt.sgd(1.0, momentum=0.9), 3, 0.25), 7)
    tx = optax.lookahead(optax.sgd(1.0, momentum=0.9), 3, 0.25)
    pair = optax.LookaheadParams.init_synced(P)
    state = tx.init(pair)
    for i in range(7):
        g = jax.tree.map(lambda p, i=i: jnp.full(p.shape, 0.1 * (i + 1)), P)
        with jax.numpy_dtype_promotion("standard"):
            u, state = tx.update(g, state, pair)
        pair = optax.apply_updates(pair, u)
    assert first(ours[-1]) == pytest.approx(first(pair.fast), rel=1e-6)


def test_lookahead_steps_part_of_the_way():
    seen, state = walk(jopt.lookahead(jopt.sgd(1.0), 2, 0.5), 2)
    assert first(seen[2]) == pytest.approx(1.0 - 0.5 * 0.3, rel=1e-6)
    assert first(state.slow_params) == pytest.approx(0.85, rel=1e-6)


def test_slow_weights_stay_between_synchronisations():
    seen, state = walk(jopt.lookahead(jopt.sgd(1.0), 3, 0.5), 2)
    assert first(jopt.averaged_params(state, seen[-1])) == 1.0


def test_lookahead_of_step_size_one_is_the_inner_one():
    ahead, _ = walk(jopt.lookahead(jopt.sgd(0.5), 2, 1.0), 5)
    plain, _ = walk(jopt.sgd(0.5), 5)
    assert first(ahead[-1]) == pytest.approx(first(plain[-1]), rel=1e-6)


def test_lookahead_may_reset_the_inner_state():
    _, state = walk(jopt.lookahead(jopt.scale_by_adam(), 2, reset_state=True), 4)
    assert int(jopt.get(state, "count")) == 0


def test_lookahead_under_scan():
    tx = jopt.lookahead(jopt.adam(0.1), 2)

    def body(carry, g):
        u, s = tx.update(g, carry[1], carry[0])
        return (optax.apply_updates(carry[0], u), s), None

    gs = jax.tree.map(
        lambda p: jnp.stack([jnp.full(p.shape, 0.1 * (i + 1)) for i in range(4)]), P
    )
    (params, _), _ = jax.lax.scan(body, (P, tx.init(P)), gs)
    assert first(params) == pytest.approx(first(walk(tx, 4)[0][-1]), rel=1e-6)


# -- averaged_params ---------------------------------------------------------------


def test_found_at_any_depth():
    tx = jopt.apply_if_finite(
        jopt.accumulate(jopt.chain(jopt.clip(9.0), jopt.chain(ema(decay=0.9))), 2)
    )
    seen, state = walk(tx, 2)
    assert first(jopt.averaged_params(state, seen[-1])) == first(seen[-1])


def test_leaves_without_average_are_the_current_ones():
    tx = jopt.chain(jopt.sgd(1.0), jopt.masked(jopt.ema_params(0.5, debias=False), "w"))
    seen, state = walk(tx, 1)
    average = jopt.averaged_params(state, seen[-1])
    assert float(average["b"]) == float(seen[-1]["b"])
    assert first(average) == pytest.approx(0.95)


def test_integer_leaves_are_the_current_ones():
    params = {"w": jnp.ones(2), "n": jnp.array(3)}
    state = jopt.ema_params().init(params)
    assert int(jopt.averaged_params(state, params)["n"]) == 3


def test_none_says_what_to_add():
    with pytest.raises(KeyError, match=r"chain\(tx, ema_params"):
        jopt.averaged_params(jopt.adam(0.1).init(P), P)


TWO = jopt.named_chain(
    ("descend", jopt.sgd(1.0)),
    ("short", jopt.ema_params(0.5)),
    ("long", jopt.ema_params(0.99)),
)


def test_several_must_be_chosen_from():
    with pytest.raises(ValueError, match=r"may be `short`, `long`.*name="):
        jopt.averaged_params(TWO.init(P), P)


def test_one_of_several_by_name():
    seen, state = walk(TWO, 3)
    short = jopt.averaged_params(state, seen[-1], name="short")
    assert first(short) == first(state["short"].ema)


def test_unknown_name_lists_those_there_are():
    with pytest.raises(KeyError, match="There are `short`, `long`"):
        jopt.averaged_params(TWO.init(P), P, name="medium")


class MeanState(NamedTuple):
    mean: dict

    def averaged(self, params):
        return self.mean


def test_any_state_with_the_method_is_found():
    state = (optax.EmptyState(), {"x": MeanState({"w": 7.0})})
    assert jopt.averaged_params(state, P) == {"w": 7.0}


def test_in_nnx_optimizer():
    model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, ema(decay=0.9), wrt=nnx.Param)
    optimizer.update(model, nnx.grad(lambda m: jnp.sum(m(jnp.ones((1, 2)))))(model))
    average = jopt.averaged_params(optimizer, nnx.state(model, nnx.Param))
    assert jnp.allclose(average["kernel"][...], model.kernel[...], rtol=1e-6)
    nnx.update(model, average)
