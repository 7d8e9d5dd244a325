"""Gradients taken elsewhere: what reaches `grad_fn`, and who passes it."""

import jax
import jax.numpy as jnp
import pytest

import jopt


def bowl(p):
    return sum(jnp.sum(x**2) for x in jax.tree.leaves(p))


def test_make_step_passes_grad_fn_of_the_batch():
    def loss(p, x):
        return jnp.sum((p - x) ** 2), x

    x, p = jnp.array([1.0, 2.0]), jnp.zeros(2)
    tx = jopt.sam(jopt.sgd(0.1), rho=0.5)
    by_hand, _ = tx.update(
        jax.grad(lambda p: loss(p, x)[0])(p),
        tx.init(p),
        p,
        grad_fn=jax.grad(lambda p: loss(p, x)[0]),
    )
    step = jopt.make_step(loss, tx, has_aux=True)
    moved, _, _, _ = step(jnp.zeros(2), tx.init(p), x)
    assert jnp.allclose(moved, by_hand)


def test_make_step_passes_value_fn():
    @jopt.transform
    def by_value() -> jopt.Pair:
        def update(updates, state, params=None, **extra):
            value = extra["value_fn"](params)
            return jax.tree.map(lambda u: value * jnp.ones_like(u), updates), state

        return jopt.Pair(lambda params: (), update)

    tx = by_value()
    step = jopt.make_step(lambda p: (jnp.sum(p), None), tx, has_aux=True)
    p, *_ = step(jnp.array([1.0, 2.0]), ())
    assert jnp.array_equal(p, jnp.array([4.0, 5.0]))


def test_functions_nobody_calls_cost_nothing():
    loss = lambda p: jnp.sum(p**2)  # noqa: E731
    step = jopt.make_step(loss, jopt.sgd(0.1))
    text = step.lower(jnp.ones(3), jopt.sgd(0.1).init(jnp.ones(3))).as_text()

    def plain(p, state):
        value, g = jax.value_and_grad(loss)(p)
        u, state = jopt.sgd(0.1).update(g, state, p)
        return p + u, state, value

    bare = jax.jit(plain).lower(jnp.ones(3), jopt.sgd(0.1).init(jnp.ones(3)))
    products = "stablehlo.multiply"
    assert text.count(products) == bare.as_text().count(products)


def test_masks_give_grad_fn_whole_parameters():
    p = {"a": jnp.array([3.0]), "b": jnp.array([4.0])}
    seen = []

    def grad_fn(q):
        seen.append(jax.tree.map(jnp.copy, q))
        return jax.grad(bowl)(q)

    tx = jopt.selective_transform(jopt.sam(jopt.sgd(0.1), rho=0.5), freeze_mask="b")
    tx.update(jax.grad(bowl)(p), tx.init(p), p, grad_fn=grad_fn)
    assert jnp.array_equal(seen[0]["a"], jnp.array([3.5]))
    assert jnp.array_equal(seen[0]["b"], p["b"])


def test_grad_fn_gets_the_dtypes_of_the_parameters():
    p = jnp.ones(2, jnp.bfloat16)
    dtypes = []

    def grad_fn(q):
        dtypes.append(q.dtype)
        return q

    tx = jopt.master_weights(jopt.sam(jopt.sgd(0.1)))
    tx.update(p, tx.init(p), p, grad_fn=grad_fn)
    assert dtypes == [jnp.bfloat16]


def test_loss_scale_unscales_grad_fn():
    p = jnp.array([3.0, 4.0])
    plain = jopt.sam(jopt.sgd(0.1), rho=0.5)
    scaled = jopt.dynamic_loss_scale(plain, initial=8.0)
    u, _ = plain.update(2 * p, plain.init(p), p, grad_fn=lambda q: 2 * q)
    v, _ = scaled.update(16 * p, scaled.init(p), p, grad_fn=lambda q: 16 * q)
    assert jnp.allclose(u, v)


def test_missing_grad_fn_names_the_cure():
    tx, p = jopt.sam(jopt.sgd(0.1)), jnp.ones(2)
    with pytest.raises(ValueError, match=r"`sam` needs grad_fn: .*make_step"):
        tx.update(p, tx.init(p), p)


def test_looksam_takes_the_second_gradient_in_every_kth_step_only():
    tx, p = jopt.looksam(jopt.sgd(0.1), every_k=3), jnp.array([3.0, 4.0])
    calls = []

    def grad_fn(q):
        jax.debug.callback(lambda: calls.append(1))
        return q

    state = tx.init(p)
    for _ in range(4):
        _, state = tx.update(p, state, p, grad_fn=grad_fn)
    jax.effects_barrier()
    assert len(calls) == 2
