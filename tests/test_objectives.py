"""Several objectives: against torchjd, at the limits, and within a chain."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import jopt
from tests.references import jacobians

STORED = json.loads(jacobians.PATH.read_text(encoding="utf-8"))
FEW = ("conflict", "scales")  # each shape is compiled anew
JACOBIANS = [
    pytest.param(j, marks=() if j in FEW else pytest.mark.slow)
    for j in jacobians.jacobians()
]
PAIRS = [
    pytest.param(s, j, marks=() if j in FEW else pytest.mark.slow)
    for s, rows in STORED.items()
    for j in rows
]
G = np.array([1.0, 2.0, -1.0, 0.5], np.float32)
H = np.array([-1.0, 0.3, 0.4, 1.0], np.float32)
EVERY = {
    "aligned_mtl": jopt.aligned_mtl(),
    "cagrad": jopt.cagrad(),
    "constant_weights": jopt.constant_weights(),
    "dual_proj": jopt.dual_proj(),
    "imtl_g": jopt.imtl_g(),
    "mgda": jopt.mgda(),
    "nash_mtl": jopt.nash_mtl(),
    "pcgrad": jopt.pcgrad(),
    "upgrad": jopt.upgrad(),
}

# compiled once for each kind of aggregator and shape
made = jax.jit(jopt.aggregate)


def of(setting, jacobian):
    name, ours, _ = jacobians.settings()[setting]
    with jax.enable_x64(True):
        return made(getattr(jopt, name)(**ours), jnp.asarray(jacobian))


@pytest.mark.parametrize(("setting", "name"), PAIRS)
def test_is_what_torchjd_makes_of_it(setting, name):
    jacobian = jacobians.jacobians()[name]
    ours = np.asarray(of(setting, jacobian))
    error = np.abs(ours - np.array(STORED[setting][name])).max()
    assert error <= 1e-6 * np.abs(jacobian).max()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("setting", STORED)
def test_the_stored_results_are_those_of_torchjd(setting):
    pytest.importorskip("torchjd")
    pytest.importorskip("qpsolvers")
    pytest.importorskip("cvxpy")
    for name, jacobian in jacobians.tried(setting).items():
        theirs = jacobians.run(setting, jacobian)
        np.testing.assert_allclose(theirs, STORED[setting][name], rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", JACOBIANS)
def test_the_bargain_holds(name):
    jacobian = jacobians.jacobians()[name]
    gramian = jacobian @ jacobian.T
    with jax.enable_x64(True):
        w = jopt.objective_weights(jopt.nash_mtl(0.0), jnp.asarray(gramian))
    a = np.asarray(w) / np.sqrt(np.linalg.norm(gramian))
    np.testing.assert_allclose(gramian @ a * a, 1.0, rtol=1e-6)


@pytest.mark.parametrize("setting", ["upgrad bare", "dual_proj bare", "mgda"])
@pytest.mark.parametrize("name", JACOBIANS)
def test_no_objective_rises(setting, name):
    jacobian = jacobians.jacobians()[name]
    d = np.asarray(of(setting, jacobian))
    sizes = np.linalg.norm(jacobian, axis=1)
    assert (jacobian @ d >= -1e-9 * sizes * sizes.max()).all()


@pytest.mark.parametrize("tx", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_a_common_scale_does_no_harm(tx, factor):
    usual = made(tx, jnp.stack([G, H]))
    scaled = made(tx, jnp.stack([G, H]) * np.float32(factor))
    direction = [x / np.linalg.norm(x) for x in (usual, np.float64(scaled) / factor)]
    np.testing.assert_allclose(*direction, atol=1e-6)


@pytest.mark.parametrize("tx", EVERY.values(), ids=EVERY)
def test_scales_far_apart_give_finite_numbers(tx):
    assert jnp.isfinite(made(tx, jnp.stack([1e25 * G, 1e-10 * H]))).all()


@pytest.mark.parametrize("name", ["upgrad", "dual_proj", "pcgrad", "nash_mtl"])
def test_a_tiny_gradient_has_its_say(name):
    d = np.float64(made(EVERY[name], jnp.stack([1e25 * G, -1e-10 * G - 1e-10 * H])))
    conflicting = -np.float64(G) - H
    cosine = conflicting @ d / np.linalg.norm(d) / np.linalg.norm(conflicting)
    assert cosine > -1e-5


@pytest.mark.parametrize("tx", EVERY.values(), ids=EVERY)
def test_opposed_gradients_cancel(tx):
    assert jnp.abs(made(tx, jnp.stack([G, -G]))).max() <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("tx", EVERY.values(), ids=EVERY)
def test_equal_gradients_keep_their_direction(tx):
    d = np.asarray(made(tx, jnp.stack([G, G, G])))
    np.testing.assert_allclose(d / np.linalg.norm(d), G / np.linalg.norm(G), atol=1e-6)


@pytest.mark.parametrize("tx", EVERY.values(), ids=EVERY)
def test_no_gradients_move_nothing(tx):
    assert not made(tx, jnp.zeros((3, 4))).any()


@pytest.mark.parametrize("tx", EVERY.values(), ids=EVERY)
def test_one_objective_keeps_its_direction(tx):
    d = np.asarray(made(tx, G[None]))
    np.testing.assert_allclose(d / np.linalg.norm(d), G / np.linalg.norm(G), atol=1e-6)


@pytest.mark.parametrize("tx", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_shows(tx, bad):
    jacobian = {"a": jnp.stack([G, H]), "b": jnp.stack([G, H * bad])}
    assert not jnp.isfinite(made(tx, jacobian)["b"]).all()


@pytest.mark.parametrize(
    "tx",
    [
        pytest.param(tx, id=name, marks=() if name == "upgrad" else pytest.mark.slow)
        for name, tx in EVERY.items()
    ],
)
def test_derivatives_are_those_of_differences(tx):
    with jax.enable_x64(True):
        jacobian = jnp.asarray(jacobians.jacobians()["three"])
        toward = jnp.cos(jnp.arange(7.0))

        def f(j):
            return jnp.vdot(made(tx, j), toward)

        check_grads(jax.jit(f), (jacobian,), order=1, atol=1e-4, rtol=1e-4)


def test_a_mask_has_the_others_summed():
    jacobian = {"head": jnp.array([[1.0], [2.0]]), "shared": jnp.stack([G, -G])}
    d = jopt.aggregate(jopt.upgrad(mask="shared"), jacobian)
    assert d["head"] == 3.0
    assert jnp.abs(d["shared"]).max() <= 1e-6


def test_what_follows_sees_the_shape_of_the_parameters():
    tx = jopt.chain(jopt.upgrad(), jopt.adamw(0.1))
    params = {"w": jnp.ones(4)}
    state = tx.init(params)
    updates, _ = tx.update({"w": jnp.stack([G, H])}, state, params)
    assert jopt.get(state, "mu")["w"].shape == updates["w"].shape == (4,)


def test_a_chain_runs_without_parameters():
    tx = jopt.chain(jopt.mgda(), jopt.adam(0.1))
    updates, _ = tx.update(jnp.stack([G, H]), tx.init(jnp.ones(4)))
    assert updates.shape == (4,)


def test_two_tasks_train_together():
    def losses(p):
        return jnp.stack([jnp.sum((p - G) ** 2), 100.0 * jnp.sum((p - H) ** 2)])

    tx = jopt.chain(jopt.imtl_g(), jopt.sgd(0.02))

    @jax.jit
    def step(p, state):
        values, jacobian = jopt.value_and_jacobian(losses)(p)
        updates, state = tx.update(jacobian, state, p, values=values)
        return p + updates, state

    p = 3.0 * jnp.ones(4)
    state = tx.init(p)
    for _ in range(20):
        p, state = step(p, state)
    first, last = losses(3.0 * jnp.ones(4)), losses(p)
    assert (last < 0.7 * first).all()


def test_gradients_without_objectives_are_refused():
    tx = jopt.chain(jopt.mgda(), jopt.sgd(0.1))
    with pytest.raises(ValueError, match="must be the same"):
        tx.update(jnp.ones((4, 2)), tx.init(jnp.ones((4, 2))), jnp.ones((4, 2)))


def test_uneven_numbers_of_objectives_are_refused():
    with pytest.raises(ValueError, match="as long in every leaf"):
        jopt.aggregate(jopt.mgda(), {"a": jnp.ones((2, 3)), "b": jnp.ones((3, 3))})


def test_preferences_of_other_number_are_refused():
    with pytest.raises(ValueError, match="`preference` of `upgrad` has 3 numbers"):
        jopt.aggregate(jopt.upgrad([1.0, 1.0, 1.0]), jnp.ones((2, 3)))


@pytest.mark.parametrize("tx", [jopt.dwa(2), jopt.gradnorm(2)])
def test_missing_losses_are_named(tx):
    with pytest.raises(ValueError, match="values=losses"):
        tx.update(jnp.ones((2, 3)), tx.init(jnp.ones(3)))


@pytest.mark.slow
def test_random_orders_differ_from_step_to_step():
    tx = jopt.pcgrad(key=0)
    jacobian = jnp.asarray(jacobians.jacobians()["eight"], jnp.float32)
    state = tx.init(jnp.ones(30))
    one, state = tx.update(jacobian, state)
    two, _ = tx.update(jacobian, state)
    assert not jnp.allclose(one, two)


@pytest.mark.slow
def test_a_known_gramian_takes_the_place_of_ours():
    jacobian = jnp.asarray(jacobians.jacobians()["three"], jnp.float32)
    gramian = jnp.diag(jnp.array([1.0, 4.0, 2.0]))
    d = jopt.aggregate(jopt.mgda(), jacobian, gramian=gramian)
    expected = jnp.array([4.0, 1.0, 2.0]) / 7.0 @ jacobian
    np.testing.assert_allclose(d, expected, rtol=1e-5)


def test_dwa_is_that_of_torchjd():
    random = np.random.default_rng(1)
    losses = random.uniform(0.5, 2.0, (9, 3))
    tx, period = jopt.dwa(3, 0.7, period=2), 2
    state = tx.init(jnp.zeros(3))
    for t, row in enumerate(losses):
        w, state = tx.update(jnp.eye(3), state, values=jnp.asarray(row, jnp.float32))
        means = losses[: t // period * period].reshape(-1, period, 3).mean(1)
        expected = np.ones(3)
        if len(means) >= 2:
            power = np.exp(means[-1] / means[-2] / 0.7)
            expected = 3 * power / power.sum()
        np.testing.assert_allclose(w, expected, rtol=1e-5)


def test_gradnorm_is_its_algorithm():
    random = np.random.default_rng(2)
    rate, alpha, w, first = 0.05, 0.8, np.ones(3), None
    tx = jopt.gradnorm(3, rate, alpha)
    state = tx.init(jnp.zeros(4))
    for _ in range(6):
        g, losses = random.standard_normal((3, 4)), random.uniform(0.5, 2.0, 3)
        first = losses if first is None else first
        values = jnp.asarray(losses, jnp.float32)
        d, state = tx.update(jnp.asarray(g, jnp.float32), state, values=values)
        np.testing.assert_allclose(d, w @ g, rtol=1e-4, atol=1e-5)
        n = np.linalg.norm(g, axis=1)
        n /= n.mean()
        r = losses / first
        w = w - rate * n * np.sign(w * n - (w * n).mean() * (r / r.mean()) ** alpha)
        w = np.maximum(w, 0) * 3 / np.maximum(w, 0).sum()


def test_uncertainty_is_learned():
    def loss(s):
        return jopt.uncertainty_weighting(jnp.array([4.0, 0.25]), s)

    s = jnp.zeros(2)
    for _ in range(200):
        s = s - jax.grad(loss)(s)
    np.testing.assert_allclose(jnp.exp(s), [4.0, 0.25], rtol=1e-3)
