"""Tests of the messages that a wrong call gets."""

import jax
import jax.numpy as jnp
import pytest

import jopt

PARAMS = {"w": jnp.ones((2, 3)), "b": jnp.zeros(3)}


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: jopt.adam(float("nan")), ValueError, r"`learning_rate` must lie in"),
        (lambda: jopt.adam(float("inf")), ValueError, r"`learning_rate` must lie in"),
        (lambda: jopt.adam(-1.0), ValueError, r"To ascend, negate the loss"),
        (lambda: jopt.adam(jnp.array(-1.0)), ValueError, r"`learning_rate` must lie"),
        (lambda: jopt.adam("1e-3"), TypeError, r"got the string '1e-3'.*1\.0e-3"),
        (lambda: jopt.adam(None), TypeError, r"`learning_rate` must be a number"),
        (lambda: jopt.adam(True), TypeError, r"`learning_rate`.*type bool"),
        (lambda: jopt.adam(jopt.linear_schedule), TypeError, r"Call it first"),
        (lambda: jopt.adam(lambda: 1.0), TypeError, r"function of the step count"),
        (lambda: jopt.adam(lambda t: jnp.ones(3)), ValueError, r"one number a step"),
        (lambda: jopt.adam(lambda t: None), ValueError, r"one number a step"),
        (lambda: jopt.adam(0.1, b1=1.0), ValueError, r"`b1` must lie in \[0, 1\), got"),
        (lambda: jopt.adam(0.1, b2=-0.1), ValueError, r"`b2` must lie in \[0, 1\)"),
        (lambda: jopt.adam(0.1, eps=-1e-8), ValueError, r"`eps` must lie in \[0"),
        (lambda: jopt.adamw(0.1, weight_decay=-1), ValueError, r"`weight_decay`"),
        (lambda: jopt.sgd(0.1, momentum=1.0), ValueError, r"`momentum` must lie"),
        (lambda: jopt.adam(learnig_rate=1), TypeError, r"Did you mean `learning_rate`"),
        (lambda: jopt.adam(), TypeError, r"`adam`: missing.*learning_rate"),
        (lambda: jopt.chain(1.0), TypeError, r"`transforms\[0\]` must be made of"),
        (lambda: jopt.chain(jopt.adam), TypeError, r"Call it first: `adam\(...\)`"),
        (lambda: jopt.named_chain(jopt.clip(1.0)), TypeError, r"pairs \(name"),
        (
            lambda: jopt.named_chain(("a", jopt.clip(1.0)), ("a", jopt.clip(1.0))),
            ValueError,
            r"two stages named 'a'",
        ),
        (lambda: jopt.sgd(0.1).replace(lr=1), TypeError, r"no argument `lr`"),
    ],
)
def test_at_construction(build, error, message):
    with pytest.raises(error, match=message):
        build()


@pytest.mark.parametrize(
    ("update", "error", "message"),
    [
        (
            lambda tx, s: tx.update(PARAMS),
            TypeError,
            r"`tx.update`: missing.*'state'. Call `tx.update\(grads, state, params\)`",
        ),
        (
            lambda tx, s: tx.update(PARAMS, s, PARAMS, 1.0),
            TypeError,
            r"too many positional arguments. Call .*further ones by name",
        ),
        (lambda tx, s: tx.init(), TypeError, r"`tx.init`: missing.*'params'"),
        (
            lambda tx, s: tx.update({"w": PARAMS["w"]}, s, PARAMS),
            ValueError,
            r"`updates` lacks \['b'\]",
        ),
        (
            lambda tx, s: tx.update(PARAMS | {"c": 1.0}, s, PARAMS),
            ValueError,
            r"`params` lacks \['c'\]",
        ),
        (
            lambda tx, s: tx.update(PARAMS | {"b": jnp.ones(1)}, s, PARAMS),
            ValueError,
            r"gradient of `b` has shape \(1,\).*\(3,\)",
        ),
        (
            lambda tx, s: tx.update(
                PARAMS | {"b": jnp.ones(3, jnp.complex64)}, s, PARAMS
            ),
            TypeError,
            r"gradient of `b` is complex",
        ),
        (
            lambda tx, s: tx.update(PARAMS, PARAMS, s),
            ValueError,
            r"update\(updates, state, params\)",
        ),
        (
            lambda tx, s: tx.update(PARAMS, jopt.sgd(0.1).init(PARAMS), PARAMS),
            ValueError,
            r"state given to `adam` is not one of its own",
        ),
        (
            lambda tx, s: jopt.adam(jnp.ones(3)).update(PARAMS, s, PARAMS),
            ValueError,
            r"`learning_rate` of `adam` has shape \(3,\).*vmap",
        ),
    ],
)
def test_at_trace_time(update, error, message):
    tx = jopt.adam(0.1)
    with pytest.raises(error, match=message):
        jax.eval_shape(lambda s: update(tx, s), tx.init(PARAMS))


def test_tracers_pass_the_checks():
    @jax.jit
    def build(rate):
        tx = jopt.adam(rate)
        return tx.update(PARAMS, tx.init(PARAMS), PARAMS)[0]

    assert jnp.isfinite(build(-1.0)["w"]).all()


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match=r"`adam` is already registered"):

        @jopt.transform
        def adam():
            return jopt.Pair(lambda p: (), lambda u, s, p=None, **e: (u, s))
