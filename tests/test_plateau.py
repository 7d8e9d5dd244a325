"""Tests of `jopt.reduce_on_plateau`."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jopt.transforms import reduce_on_plateau

LOSSES = [5, 4, 4, 4, 3.999, 3.5, 3.5, 3.6, 3.4999, 3.7, 3.7, 3.7, 2, 2, 2, 2, 2, 2, 2]


def scales(tx, values):
    """The scale after each value."""
    update = jax.jit(lambda state, value: tx.update(jnp.ones(()), state, value=value))
    state = tx.init(jnp.ones(()))
    out = []
    for value in values:
        scaled, state = update(state, float(value))
        assert scaled == state.scale
        out.append(float(scaled))
    return out


def plateau_of_torch(
    values,
    *,
    mode="min",
    factor=0.1,
    patience=10,
    threshold=1e-4,
    threshold_mode="rel",
    cooldown=0,
    min_lr=0.0,
    eps=1e-8,
):
    """PyTorch 2.13's rule for a rate that begins at 1, transcribed."""
    rate, bad, cooling, out = 1.0, 0, 0, []
    best = np.inf if mode == "min" else -np.inf
    sign = 1 if mode == "min" else -1
    for value in values:
        if threshold_mode == "rel":
            limit = best * (1 - sign * threshold)
        else:
            limit = best - sign * threshold
        if sign * value < sign * limit:
            best, bad = value, 0
        else:
            bad += 1
        if cooling > 0:
            cooling, bad = cooling - 1, 0
        if bad > patience:
            lower = max(rate * factor, min_lr)
            rate = lower if rate - lower > eps else rate
            cooling, bad = cooldown, 0
        out.append(rate)
    return out


def plateau_of_keras(
    values,
    *,
    factor=0.1,
    patience=10,
    mode="min",
    min_delta=1e-4,
    cooldown=0,
    min_lr=0.0,
):
    """Keras 3's rule for a rate that begins at 1, transcribed."""
    rate, waited, cooling, out = 1.0, 0, 0, []
    sign = 1 if mode == "min" else -1
    best = None
    for value in values:
        if cooling > 0:
            cooling, waited = cooling - 1, 0
        if best is None or sign * value < sign * best - min_delta:
            best, waited = value, 0
        elif cooling == 0:
            waited += 1
            if waited >= patience and rate > min_lr:
                rate, cooling, waited = max(rate * factor, min_lr), cooldown, 0
        out.append(rate)
    return out


RULES = [
    {"mode": mode, "threshold_mode": kind, "threshold": size, "cooldown": cooldown}
    for mode in ("min", "max")
    for kind, size in (("rel", 1e-2), ("abs", 0.2), ("rel", 0.0))
    for cooldown in (0, 3)
]
FIXED = {"factor": 0.5, "patience": 1, "min_lr": 0.1}


def values_for(rule):
    return LOSSES if rule["mode"] == "min" else [9 - loss for loss in LOSSES]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_matches_transcription_of_torch(rule):
    relative = rule["threshold_mode"] == "rel"
    tx = reduce_on_plateau(
        FIXED["factor"],
        FIXED["patience"] + 1,  # PyTorch waits for one value more
        rtol=rule["threshold"] if relative else 0.0,
        atol=0.0 if relative else rule["threshold"],
        cooldown=rule["cooldown"],
        min_scale=FIXED["min_lr"],
        mode=rule["mode"],
    )
    values = values_for(rule)
    expected = plateau_of_torch(values, **FIXED, **rule)
    assert min(expected) < 1.0
    np.testing.assert_allclose(scales(tx, values), expected, rtol=1e-6)


@pytest.mark.parametrize("eps", [0.0, 0.1, 0.3])
def test_eps_is_that_of_torch(eps):
    expected = plateau_of_torch([1.0] * 12, factor=0.5, patience=1, eps=eps)
    tx = reduce_on_plateau(0.5, 2, eps=eps)
    np.testing.assert_allclose(scales(tx, [1.0] * 12), expected, rtol=1e-6)


KERAS = [
    {"mode": mode, "min_delta": size, "cooldown": cooldown}
    for mode in ("min", "max")
    for size, cooldown in ((0.2, 0), (0.0, 1), (0.3, 3))
]


@pytest.mark.parametrize("rule", KERAS, ids=str)
def test_matches_transcription_of_keras(rule):
    tx = reduce_on_plateau(
        0.5,
        2,
        rtol=0.0,
        atol=rule["min_delta"],
        cooldown=max(rule["cooldown"] - 1, 0),  # Keras's ends one value earlier
        min_scale=0.1,
        mode=rule["mode"],
    )
    expected = plateau_of_keras(
        values_for(rule), factor=0.5, patience=2, min_lr=0.1, **rule
    )
    assert min(expected) < 1.0
    np.testing.assert_allclose(scales(tx, values_for(rule)), expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("rule", KERAS, ids=str)
def test_transcription_is_kerass_rule(rule):
    import types

    from tests.certificates import packages

    if not packages.installed("keras.callbacks"):
        pytest.skip("needs keras")
    packages.load("keras.Variable")  # chooses the backend
    import keras

    callback = keras.callbacks.ReduceLROnPlateau(
        monitor="loss", factor=0.5, patience=2, min_lr=0.1, **rule
    )
    optimizer = types.SimpleNamespace(learning_rate=np.float64(1.0))
    callback.set_model(types.SimpleNamespace(optimizer=optimizer))
    callback.on_train_begin()
    rates = []
    for epoch, value in enumerate(values_for(rule)):
        callback.on_epoch_end(epoch, {"loss": value})
        rates.append(float(optimizer.learning_rate))
    assert rates == plateau_of_keras(
        values_for(rule), factor=0.5, patience=2, min_lr=0.1, **rule
    )


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_transcription_is_torchs_rule(rule):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **FIXED, **rule)
    rates = []
    for value in values_for(rule):
        scheduler.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == plateau_of_torch(values_for(rule), **FIXED, **rule)


@pytest.mark.parametrize(
    "arguments", [(0.5, 2), (0.5, 2, 0.01, 0.1, 2), (0.5, 2, 0.1, 0.0, 0, 3, 0.3)]
)
def test_matches_optax_on_positive_losses(arguments):
    theirs = optax.contrib.reduce_on_plateau(*arguments)
    with jax.numpy_dtype_promotion("standard"):
        expected = scales(theirs, LOSSES)
    np.testing.assert_allclose(
        scales(reduce_on_plateau(*arguments), LOSSES), expected, rtol=1e-6
    )


def test_state_is_that_of_optax():
    state = reduce_on_plateau().init(jnp.ones(2))
    assert isinstance(state, optax.contrib.ReduceLROnPlateauState)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_steady_negative_value_is_a_plateau(mode):
    tx = reduce_on_plateau(0.5, 2, rtol=0.1, mode=mode)
    assert scales(tx, [-4.0, -4.0, -4.0]) == [1.0, 1.0, 0.5]


@pytest.mark.parametrize(("mode", "better"), [("min", -4.5), ("max", -3.5)])
def test_better_negative_value_is_an_improvement(mode, better):
    tx = reduce_on_plateau(0.5, 2, rtol=0.1, mode=mode)
    assert scales(tx, [-4.0, -4.0, better, better]) == [1.0, 1.0, 1.0, 1.0]


def test_nan_and_infinite_values_do_not_improve():
    tx = reduce_on_plateau(0.5, 2)
    assert scales(tx, [np.inf, np.nan, 1.0, np.nan, np.nan]) == [1, 0.5, 0.5, 0.5, 0.25]


def test_values_are_averaged():
    tx = reduce_on_plateau(0.5, 1, accumulation_size=2)
    # means 2, 2: the scale falls with the fourth value
    assert scales(tx, [1.0, 3.0, 3.0, 1.0]) == [1.0, 1.0, 1.0, 0.5]


def test_scale_stops_at_its_least():
    tx = reduce_on_plateau(0.1, 1, min_scale=0.25)
    assert scales(tx, [1.0] * 4) == [1.0, 0.25, 0.25, 0.25]


def test_state_is_a_fixed_point_under_scan():
    tx = reduce_on_plateau(0.5, 2)
    grads = {"w": jnp.ones(2, jnp.bfloat16), "z": jnp.ones(1, jnp.complex64)}

    def step(state, value):
        updates, state = tx.update(grads, state, grads, value=value)
        return state, updates

    _, updates = jax.lax.scan(step, tx.init(grads), jnp.ones(3))
    assert updates["w"].dtype == jnp.bfloat16
    assert updates["w"][:, 0].tolist() == [1.0, 1.0, 0.5]
    assert updates["z"][:, 0].tolist() == [1.0, 1.0, 0.5]


def test_state_may_be_donated():
    tx = reduce_on_plateau(0.5, 1)
    step = jax.jit(lambda s: tx.update(jnp.ones(1), s, value=1.0)[1], donate_argnums=0)
    assert step(step(tx.init(jnp.ones(1)))).scale == 0.5


def test_works_in_a_chain_of_optax():
    tx = optax.chain(optax.sgd(0.5), reduce_on_plateau(0.5, 1))
    state = tx.init(jnp.ones(1))
    for expected in (-0.5, -0.25):
        updates, state = tx.update(jnp.ones(1), state, value=1.0)
        assert updates == expected


def test_factor_may_be_swept():
    def last(factor):
        return jnp.stack(
            [
                tx.update(jnp.ones(()), state, value=1.0)[1].scale
                for tx in [reduce_on_plateau(factor, 1)]
                for _, state in [tx.update(jnp.ones(()), tx.init(0.0), value=1.0)]
            ]
        )

    assert jax.vmap(last)(jnp.array([0.5, 0.25])).ravel().tolist() == [0.5, 0.25]


def test_missing_value_names_the_stage_and_the_cure():
    tx = reduce_on_plateau()
    with pytest.raises(
        ValueError, match=r"`reduce_on_plateau` needs .*update\(.*, value=loss\)"
    ):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))


def test_value_must_be_one_number():
    tx = reduce_on_plateau()
    with pytest.raises(
        ValueError, match=r"one real number, got float32 of shape \(3,\)"
    ):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)), value=jnp.ones(3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"factor": 1.0}, r"`factor` must lie in \(0, 1\), got 1.0"),
        ({"factor": 0.0}, "`factor` must lie"),
        ({"patience": 0}, "`patience` must be at least 1"),
        ({"rtol": 1.5}, r"`rtol` must lie in \[0, 1\]"),
        ({"atol": -1.0}, "`atol` must lie"),
        ({"cooldown": -1}, "`cooldown` must be at least 0"),
        ({"accumulation_size": 0}, "`accumulation_size` must be at least 1"),
        ({"min_scale": -0.1}, "`min_scale` must lie"),
        ({"mode": "auto"}, "`mode` must be one of 'min', 'max'"),
    ],
)
def test_wrong_argument(arguments, message):
    with pytest.raises(ValueError, match=message):
        reduce_on_plateau(**arguments)
