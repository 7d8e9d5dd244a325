"""The classic optimizers against independent transcriptions, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jopt import optimizers
from tests.references import classic
from tests.references.problem import relative_error, trajectory, vector


@pytest.mark.parametrize("case", classic.CASES, ids=str)
def test_equals_the_transcription(case):
    tx = getattr(optimizers, case.name)(**case.arguments)
    start, grads = vector()
    ours, _ = trajectory(tx, start, grads)
    theirs = case.reference(start, grads, **case.settings)
    assert ours[0].dtype == np.float64
    assert relative_error(ours, theirs, start) < 1e-9


READINGS = {
    "nadam": (
        optimizers.nadam(0.1, momentum_decay=None),
        optax.nadam(0.1),
    ),
    "nadamw": (
        optimizers.nadamw(0.1, momentum_decay=None, weight_decay=0.1),
        optax.nadamw(0.1, weight_decay=0.1),
    ),
    "amsgrad": (optimizers.amsgrad(0.1, corrected=True), optax.amsgrad(0.1)),
    "amsgrad of the paper": (
        optimizers.amsgrad(0.1, bias_correction_mu=False, bias_correction_nu=False),
        optax.amsgrad(0.1, bias_correction_mu=False, bias_correction_nu=False),
    ),
    "adagrad": (
        optimizers.adagrad(0.1, eps=0.1, eps_in_sqrt=True),
        optax.adagrad(0.1, eps=0.1),
    ),
    "radam": (
        optimizers.radam(0.1, eps=0.1, eps_hat=False),
        optax.radam(0.1, eps=0.1),
    ),
    "sgd": (optimizers.sgd(0.1, 0.9, True), optax.sgd(0.1, 0.9, True)),
    "adam": (optimizers.adam(0.1), optax.adam(0.1)),
    "adamw": (optimizers.adamw(0.1), optax.adamw(0.1)),
    "adamax": (optimizers.adamax(0.1), optax.adamax(0.1)),
    "adamaxw": (optimizers.adamaxw(0.1), optax.adamaxw(0.1)),
    "adadelta": (optimizers.adadelta(0.1), optax.adadelta(0.1)),
    "rmsprop": (
        optimizers.rmsprop(0.1, centered=True, momentum=0.9),
        optax.rmsprop(0.1, centered=True, momentum=0.9),
    ),
}


@pytest.mark.parametrize("name", READINGS)
def test_named_options_give_the_reading_of_optax(name):
    start, grads = vector()
    ours, theirs = (
        trajectory(tx, start, grads, "standard")[0] for tx in READINGS[name]
    )
    assert relative_error(ours, theirs, start) < 1e-9


@pytest.mark.parametrize(
    "ours, theirs",
    [
        (optimizers.scale_by_adam(), optax.scale_by_adam()),
        (optimizers.scale_by_amsgrad(), optax.scale_by_amsgrad()),
        (optimizers.scale_by_adamax(), optax.scale_by_adamax()),
        (optimizers.scale_by_radam(), optax.scale_by_radam()),
        (optimizers.scale_by_adadelta(), optax.scale_by_adadelta()),
        (optimizers.scale_by_rss(), optax.scale_by_rss()),
        (optimizers.scale_by_rms(), optax.scale_by_rms()),
        (optimizers.scale_by_stddev(), optax.scale_by_stddev()),
    ],
    ids=lambda tx: getattr(getattr(tx, "spec", None), "name", ""),
)
def test_state_interchanges_with_optax(ours, theirs):
    params = jnp.ones(3)
    state = theirs.init(params)
    assert jax.tree.structure(state) == jax.tree.structure(ours.init(params))


@pytest.mark.parametrize(
    "tx, gradient, expected",
    [
        (optimizers.sgd(0.5), [4.0, -1.0], [-2.0, 0.5]),
        (optimizers.sgd(0.5, 0.5, True), [4.0, -1.0], [-3.0, 0.75]),
        (optimizers.sgd(0.5, 0.5, dampening=0.5), [4.0, -1.0], [-2.0, 0.5]),
        (optimizers.adagrad(0.5, 9.0, 0), [4.0, 0.0], [-0.4, 0.0]),
        (optimizers.rmsprop(0.5, 0.75, 0), [4.0, -1.0], [-1.0, 1.0]),
        (optimizers.rmsprop(0.5, 0.75, 1.0, eps_in_sqrt=False), [2.0], [-0.5]),
        (optimizers.rmsprop(0.3, 0.5, 0, centered=True), [4.0], [-0.6]),
        (optimizers.adadelta(rho=0.75, eps=0.25), [2.0], [-2 * 0.2**0.5]),
        (optimizers.adam(0.5, eps=0), [4.0, -1.0], [-0.5, 0.5]),
        (optimizers.adam(0.5, eps=1.0), [4.0, -1.0], [-0.4, 0.25]),
        (optimizers.amsgrad(0.5, eps=1.0), [4.0, -1.0], [-0.4, 0.25]),
        (optimizers.adamax(0.5, eps=1.0), [4.0, -1.0], [-0.4, 0.25]),
        (optimizers.radam(0.5), [4.0, -1.0], [-2.0, 0.5]),
        (optimizers.nadam(0.5, 0.5, eps=0, momentum_decay=0), [4.0], [-17 / 30]),
    ],
    ids=str,
)
def test_one_step_by_hand(tx, gradient, expected):
    g = jnp.array(gradient)
    updates, _ = tx.update(g, tx.init(g))
    np.testing.assert_allclose(updates, expected, rtol=1e-6)


def test_adamw_decays_beside_the_second_moment():
    tx, p = optimizers.adamw(0.5, eps=0, weight_decay=0.5), jnp.array([1.0, -2.0])
    updates, _ = tx.update(jnp.array([4.0, -1.0]), tx.init(p), p)
    np.testing.assert_allclose(updates, [-0.75, 1.0], rtol=1e-6)


def test_sgd_decays_before_the_momentum():
    tx, p = optimizers.sgd(0.5, 0.5, True, weight_decay=0.5), jnp.array([2.0])
    updates, _ = tx.update(jnp.array([3.0]), tx.init(p), p)
    np.testing.assert_allclose(updates, [-3.0], rtol=1e-6)
