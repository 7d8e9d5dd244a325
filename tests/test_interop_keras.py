"""Keras's dialect: the same numbers as stored and live runs of Keras, and its state."""

import importlib.util
import os
import subprocess
import sys
from contextlib import contextmanager
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt
from jopt.interop import keras, tensorflow
from tests.certificates import catalogue, schedules, stored
from tests.certificates.schedule_table import BASE
from tests.references.problem import PROBLEMS, relative_error, trajectory

RUNS = stored.read(stored.OPTIMIZERS)["runs"]
VALUES = stored.read(stored.SCHEDULES)["values"]
OURS = [c for c in catalogue.PACKAGED if c.source.startswith("keras.optimizers.")]
SCHEDULES = [c for c in schedules.PACKAGED if c.source.startswith("keras.")]


def renamed(settings):
    settings = {k: v for k, v in settings.items() if k != "steps"}
    return {"learning_rate" if k == "lr" else k: v for k, v in settings.items()}


@pytest.mark.parametrize("certificate", OURS, ids=lambda c: c.id)
def test_the_same_arguments_give_the_numbers_of_keras(certificate):
    first, grads = certificate.start()
    name = certificate.source.rpartition(".")[2]
    tx = getattr(keras, name)(**renamed(certificate.settings))
    path, _ = trajectory(tx, first, grads)
    theirs = stored.unpacked(RUNS[certificate.id]["path"], first)
    assert relative_error(stored.kept(path), theirs, first) < 1e-9


@pytest.mark.parametrize("certificate", SCHEDULES, ids=lambda c: c.id)
def test_a_schedule_gives_the_rates_of_keras(certificate):
    name = certificate.source.removeprefix("keras.")
    settings = renamed(certificate.settings)
    if name != "PiecewiseConstantDecay":
        settings = {"initial_learning_rate": BASE} | settings
    with jax.enable_x64(True):
        made = getattr(keras, name)(**settings)
    ours = certificate.values(made)[certificate.kept]
    (theirs,) = stored.unpacked(VALUES[certificate.id], ours)
    assert schedules.schedule_error(ours, theirs) < 1e-9


def test_names_of_tensorflow():
    assert tensorflow.exponential_decay(0.1, 10, 0.5) == keras.ExponentialDecay(
        0.1, 10, 0.5
    )
    rate = tensorflow.piecewise_constant_decay([2], [1.0, 0.5])
    assert rate(jnp.array([2, 3])).tolist() == [1.0, 0.5]
    rate = tensorflow.natural_exp_decay(1.0, 10, 1.0)
    assert float(rate(10)) == pytest.approx(np.exp(-1.0))


# -- options -------------------------------------------------------------------------

PARAMS = {"bias": jnp.ones(2), "kernel": jnp.ones((2, 2))}


def first_update(tx, grads=PARAMS):
    return tx.update(grads, tx.init(PARAMS), PARAMS)[0]


def test_clipping_comes_after_unscaling():
    tx = keras.SGD(1.0, loss_scale_factor=4.0, clipvalue=0.125)
    assert first_update(tx)["bias"].tolist() == [-0.125, -0.125]


def test_clipnorm_is_by_variable():
    updates = first_update(keras.SGD(1.0, clipnorm=1.0))
    norms = [float(jnp.linalg.norm(u)) for u in jax.tree.leaves(updates)]
    assert norms == pytest.approx([1.0, 1.0])


def test_variables_are_excluded_from_weight_decay():
    tx = keras.SGD(0.5, weight_decay=1.0, exclude_from_weight_decay="bias")
    updates = first_update(tx, jax.tree.map(jnp.zeros_like, PARAMS))
    assert updates["bias"][0] == 0.0 and updates["kernel"][0, 0] == -0.5


def test_gradients_are_accumulated():
    tx = keras.SGD(1.0, gradient_accumulation_steps=2)
    state = tx.init(PARAMS)
    still, state = tx.update(PARAMS, state, PARAMS)
    moved, _ = tx.update(PARAMS, state, PARAMS)
    assert still["bias"][0] == 0.0 and moved["bias"][0] == -1.0


def test_the_average_begins_at_the_first_weights():
    tx = keras.SGD(1.0, use_ema=True, ema_momentum=0.5)
    state, params, seen = tx.init(PARAMS), PARAMS, []
    for _ in range(2):
        updates, state = tx.update(PARAMS, state, params)
        params = optax.apply_updates(params, updates)
        seen.append(float(jopt.averaged_params(state, params)["bias"][0]))
    assert seen == [0.0, -0.5]


def test_weights_become_their_average():
    options = {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2}
    tx = keras.SGD(1.0, **options)
    state, params, seen = tx.init(PARAMS), PARAMS, []
    for _ in range(3):
        updates, state = tx.update(PARAMS, state, params)
        params = optax.apply_updates(params, updates)
        seen.append(float(params["bias"][0]))
    assert seen == [0.0, -0.5, -1.5]


def test_without_an_average_nothing_is_overwritten():
    assert keras.SGD(0.1, ema_overwrite_frequency=2) == keras.SGD(0.1)


def test_embeddings_go_to_adam():
    params = {"Embedding": jnp.ones((2, 2)), "kernel": jnp.ones((2, 2))}
    state = keras.Muon().init(params)
    slots = [tuple(sorted(s)) for s in map(_leaves, _states(state, "nu"))]
    assert [names for names in slots if names] == [("Embedding",)]


def _states(state, field):
    found = optax.tree.get_all_with_path(state, field)
    return [value for _, value in found]


def _leaves(tree):
    return [k for k, v in tree.items() if not isinstance(v, optax.MaskedNode)]


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"clipnorm": 1.0, "clipvalue": 1.0}, ValueError, "give one of `clipnorm`"),
        ({"clip": 1.0}, TypeError, "unknown argument `clip`"),
        (
            {
                "use_ema": True,
                "ema_overwrite_frequency": 5,
                "gradient_accumulation_steps": 2,
            },
            ValueError,
            "averaged_params",
        ),
    ],
)
def test_wrong_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        keras.SGD(**options)


# -- callbacks -----------------------------------------------------------------------


def test_the_best_weights_are_kept():
    stop = keras.EarlyStopping(patience=1, restore_best_weights=True)
    for value in (2.0, 1.0, 3.0):
        stopped = stop(value, jnp.array(value))
    assert stopped and stop.best_params == 1.0


def test_a_baseline_must_be_passed():
    stop = keras.EarlyStopping(patience=2, baseline=0.1)
    assert [stop(value) for value in (1.0, 0.9, 0.8, 0.85)] == [False] * 3 + [True]


def test_the_best_weights_need_params():
    with pytest.raises(ValueError, match="stop\\(value, params\\)"):
        keras.EarlyStopping(restore_best_weights=True)(1.0)


def test_the_least_improvement_is_absolute():
    tx = keras.ReduceLROnPlateau(factor=0.5, patience=1, min_delta=1.0)
    state = tx.init(jnp.ones(()))
    for value in (1000.0, 999.5):
        update, state = tx.update(jnp.ones(()), state, value=value)
    assert update == 0.5


# -- the state -----------------------------------------------------------------------

NAMES = {"b": "b", "w": "w"}
KERNEL = {"kernel": PARAMS["kernel"]}
STATES = {
    "SGD": {"momentum": 0.9, "nesterov": True},
    "RMSprop": {"momentum": 0.9, "centered": True},
    "Adam": {"amsgrad": True, "use_ema": True},
    "AdamW": {},
    "Adadelta": {},
    "Adagrad": {},
    "Adamax": {},
    "Nadam": {},
    "Lion": {},
    "Lamb": {"weight_decay": 0.1},
    # powers of two, because Keras rounds these arguments to float32
    "Adafactor": {"beta_2_decay": -0.75, "epsilon_2": 2.0**-10},
    "Ftrl": {"l1_regularization_strength": 0.1, "weight_decay": 0.1},
    "Muon": {},
    "ScheduleFreeAdamW": {"warmup_steps": 4, "weight_decay": 0.1},
}


def run(tx, params, state, grads):
    for g in grads:
        updates, state = tx.update(g, state, params)
        params = optax.apply_updates(params, updates)
    return params, state


@pytest.mark.parametrize("name", STATES)
def test_the_state_goes_there_and_comes_back(name):
    tx = getattr(keras, name)(0.1, **STATES[name])
    with jax.enable_x64(True):
        first, grads = jax.tree.map(jnp.asarray, PROBLEMS["tree"]())
        _, state = run(tx, first, tx.init(first), grads[:2])
        saved = keras.to_variables(state, name, name_map=NAMES)
        again = keras.load_state(saved, tx, first, name_map=NAMES)
        kept, found = jax.tree.map(np.asarray, (_slots(state), _slots(again)))
    for a, b in zip(kept, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-15)  # Muon's sum becomes an average


def _slots(state):
    """All but the running product of Nadam and the average's own numbers."""
    return [x for x in jax.tree.leaves(state) if x.ndim]


@pytest.mark.parametrize(
    "saved, names, message",
    [
        (
            {"adam/k_momentum": np.ones((2, 2))},
            {"x": "kernel"},
            "belongs to no variable",
        ),
        ({}, {"k": "weight"}, "'weight', which is no leaf"),
        ({"adam/iteration": 1, "k_momentum": np.ones(3)}, {"k": "kernel"}, "shape"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(saved, names, message):
    with pytest.raises(ValueError, match=message):
        keras.load_state(saved, keras.Adam(), KERNEL, name_map=names)


def schedule_free(p, grads, lr, b1, b2, eps, warmup, decay):
    """Keras's rule; Keras itself overwrites `z` too early with PyTorch as backend."""
    path, z, v = [], p, np.zeros_like(p)
    for t, g in enumerate(grads, 1):
        p = p - lr * decay * p
        x = (p - (1 - b1) * z) / b1
        v = b2 * v + (1 - b2) * g**2
        rate = lr * min(t / warmup, 1.0)
        z = z - rate * g / (np.sqrt(v / (1 - b2**t)) + eps)
        x = (1 - 1 / t) * x + z / t
        p = (1 - b1) * z + b1 * x
        path.append(p)
    return path


def test_the_average_without_schedule_weighs_every_step_alike():
    first, grads = PROBLEMS["vector"]()
    tx = keras.ScheduleFreeAdamW(0.1, 0.9, 0.99, 1e-3, warmup_steps=4, weight_decay=0.1)
    path, _ = trajectory(tx, first, grads)
    theirs = schedule_free(first, grads, 0.1, 0.9, 0.99, 1e-3, 4, 0.1)
    assert relative_error(path, theirs, first) < 1e-9


# -- with Keras ----------------------------------------------------------------------

RUN = """
import sys
import keras, numpy as np
from tests.test_interop_keras import STATES, there
name, folder = sys.argv[1:]
path, saved = there(keras, np.asarray, name, STATES[name])
path = {f"{t} {k}": x for t, p in enumerate(path) for k, x in p.items()}
np.savez(folder + "/path.npz", **path)
np.savez(folder + "/saved.npz", *[x for _, x in saved], paths=[p for p, _ in saved])
"""
WITH_JAX = {"ScheduleFreeAdamW"}  # see `schedule_free`


@contextmanager
def in_float64(theirs):
    """Keras in float64, means and maxima included: it takes those in float32."""
    dtypes = importlib.import_module("keras.src.backend.common.dtypes")
    narrow = dtypes.result_type

    def result_type(*args):
        wide = any("float64" in str(arg) for arg in args)  # a name, or PyTorch's
        return "float64" if wide else narrow(*args)

    theirs.config.set_floatx("float64")
    try:
        with mock.patch.object(dtypes, "result_type", result_type):
            yield
    finally:
        theirs.config.set_floatx("float32")


def there(theirs, tensor, name, options):
    """Ten steps of Keras: the variables after each, the optimizer's after five."""
    first, grads = PROBLEMS["tree"]()
    with in_float64(theirs):
        optimizer = getattr(theirs.optimizers, name)(0.1, **options)
        variables = [theirs.Variable(first[k], name=k, dtype="float64") for k in NAMES]
        path = []
        for t, g in enumerate(grads):
            if t == 5:
                saved = [(v.path, np.array(v)) for v in optimizer.variables]
            optimizer.apply([tensor(g[k]) for k in NAMES], variables)
            path.append({v.name: np.array(v) for v in variables})
    return path, saved


@pytest.fixture
def with_torch():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
    tensor = pytest.importorskip("torch").tensor
    theirs = pytest.importorskip("keras")
    return lambda run, *args: run(theirs, tensor, *args)


def with_jax(name, folder):
    """In a process of its own: Keras chooses its backend on import."""
    if importlib.util.find_spec("keras") is None:
        pytest.skip("needs keras")
    settings = {"KERAS_BACKEND": "jax", "JAX_ENABLE_X64": "1"}
    call = [sys.executable, "-c", RUN, name, str(folder)]
    subprocess.run(call, check=True, env=os.environ | settings)
    flat, saved = np.load(folder / "path.npz"), np.load(folder / "saved.npz")
    path = [{k: flat[f"{t} {k}"] for k in NAMES} for t in range(10)]
    return path, [(str(p), saved[f"arr_{i}"]) for i, p in enumerate(saved["paths"])]


def whole_run(tx):
    """Ten steps here."""
    path, _ = trajectory(tx, *PROBLEMS["tree"]())
    return path


def second_half(tx, half, saved):
    """The last of five steps here after five there."""
    with jax.enable_x64(True):
        _, grads = jax.tree.map(jnp.asarray, PROBLEMS["tree"]())
        half = jax.tree.map(jnp.asarray, half)
        state = keras.load_state(saved, tx, half, name_map=NAMES)
        ours, _ = run(tx, half, state, grads[5:])
    return jax.tree.map(np.asarray, ours)


# Keras adds 1e-7 to the norm of Muon's momentum; here it is the least norm
BOUNDS = {"Muon": 1e-6}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", STATES)
def test_five_steps_there_and_five_here_are_ten_there(name, request, tmp_path):
    if name in WITH_JAX:
        path, saved = with_jax(name, tmp_path)
    else:
        path, saved = request.getfixturevalue("with_torch")(there, name, STATES[name])
    tx, (first, _) = getattr(keras, name)(0.1, **STATES[name]), PROBLEMS["tree"]()
    bound = BOUNDS.get(name, 1e-9)
    assert relative_error(whole_run(tx), path, first) < bound
    assert relative_error([second_half(tx, path[4], saved)], path[-1:], first) < bound


def on_there(theirs, tensor, name, half, saved):
    """The last of five steps of Keras, from the arrays of `to_variables`."""
    _, grads = PROBLEMS["tree"]()
    with in_float64(theirs):
        optimizer = getattr(theirs.optimizers, name)(0.1, **STATES[name])
        variables = [theirs.Variable(half[k], name=k, dtype="float64") for k in NAMES]
        optimizer.build(variables)
        factors = iter([saved[k] for k in ("w_r", "w_c") if k in saved])
        for v in optimizer.variables:
            if v.name in saved:
                v.assign(saved[v.name])
            elif v.name in NAMES and len(v.shape):  # Adafactor's two, by their order
                v.assign(next(factors))
        for g in grads[5:]:
            optimizer.apply([tensor(g[k]) for k in NAMES], variables)
        return {v.name: np.array(v) for v in variables}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["Adam", "Adafactor", "Ftrl", "Muon"])
def test_five_steps_here_and_five_there_are_ten_here(name, with_torch):
    tx, (first, grads) = getattr(keras, name)(0.1, **STATES[name]), PROBLEMS["tree"]()
    half, state = trajectory(tx, first, grads[:5])
    saved = keras.to_variables(state, name, name_map=NAMES)
    theirs = with_torch(on_there, name, half[-1], saved)
    bound = BOUNDS.get(name, 1e-9)
    assert relative_error([theirs], whole_run(tx)[-1:], first) < bound


AVERAGED = {
    "every step": {"ema_overwrite_frequency": 1},
    "every third": {"ema_overwrite_frequency": 3, "ema_momentum": 0.75},
    "accumulated": {"gradient_accumulation_steps": 2},
    "both": {"gradient_accumulation_steps": 2, "ema_overwrite_frequency": 1},
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["SGD", "AdamW", "Ftrl"])
@pytest.mark.parametrize("options", AVERAGED.values(), ids=AVERAGED)
def test_weights_are_overwritten_when_keras_does(name, options, with_torch):
    options = {"use_ema": True} | options
    path, _ = with_torch(there, name, options)
    first, _ = PROBLEMS["tree"]()
    assert (
        relative_error(whole_run(getattr(keras, name)(0.1, **options)), path, first)
        < 1e-9
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_an_average_that_was_overwritten_goes_on(with_torch):
    options = {"use_ema": True, "ema_overwrite_frequency": 3}
    path, saved = with_torch(there, "Adam", options)
    tx, (first, _) = keras.Adam(0.1, **options), PROBLEMS["tree"]()
    assert relative_error([second_half(tx, path[4], saved)], path[-1:], first) < 1e-9
