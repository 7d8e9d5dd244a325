"""What is particular to the adaptive optimizers beyond Adam: options and guards."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt
from jopt._core import numerics as nx
from tests.references.problem import relative_error, trajectory, tree

FIRST, GRADS = tree()


def same(ours, theirs):
    path, _ = trajectory(ours, FIRST, GRADS)
    other, _ = trajectory(theirs, FIRST, GRADS, "standard")
    return relative_error(path, other, FIRST) < 1e-9


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            jopt.acprop(0.1, eps_root=0.0, lagged_mean=True),
            optax.contrib.acprop(0.1, eps_root=0.0),
        ),
        (
            jopt.chain(
                jopt.scale_by_yogi(initial_mean=1e-6), jopt.scale_by_learning_rate(0.1)
            ),
            optax.yogi(0.1),
        ),
    ],
    ids=["acprop", "yogi"],
)
def test_the_option_is_the_reading_of_optax(ours, theirs):
    assert same(ours, theirs)


@pytest.mark.parametrize(
    ("ours", "plain"),
    [
        (jopt.qhadam(0.1, b1=0.9, nu1=1.0), jopt.adam(0.1)),
        (jopt.qhm(0.1, momentum=0.9, nu=0.0), jopt.sgd(0.1)),
        (jopt.adamp(0.1, delta=0.0), jopt.adam(0.1)),
        (jopt.sgdp(0.1, delta=0.0), jopt.sgd(0.1, momentum=0.9)),
        (jopt.ademamix(0.1, alpha=0.0), jopt.adam(0.1)),
        (jopt.ademamix(0.1, warmup_steps=1), jopt.ademamix(0.1)),
        (jopt.focus(0.1, gamma=0.0), jopt.signum(0.1)),
    ],
    ids=lambda tx: repr(tx)[:30],
)
def test_a_limit_is_the_simpler_optimizer(ours, plain):
    path, _ = trajectory(ours, FIRST, GRADS)
    other, _ = trajectory(plain, FIRST, GRADS)
    assert relative_error(path, other, FIRST) < 1e-9


def test_a_proximal_decay_never_changes_the_sign():
    tx, p = jopt.scale_by_proximal_decay(10.0, 10.0), jnp.array([1.0, -2.0])
    updates, _ = tx.update(jnp.zeros(2), tx.init(p), p)
    np.testing.assert_allclose(p + updates, p / 101, rtol=1e-6)


def test_a_proximal_decay_spares_what_the_mask_leaves_out():
    tx = jopt.scale_by_proximal_decay(1.0, 1.0, mask="w")
    p = {"b": jnp.ones(1), "w": jnp.ones(1)}
    updates, _ = tx.update(jax.tree.map(jnp.zeros_like, p), tx.init(p), p)
    assert updates["b"] == 0.0 and updates["w"] == -0.5


@pytest.mark.parametrize(
    "tx",
    [
        jopt.scale_by_proximal_decay(0.1, 0.1),
        jopt.stable_adamw(0.1),
        jopt.adamp(0.1),
        jopt.sgdp(0.1),
        jopt.focus(0.1),
    ],
    ids=lambda tx: tx.spec.name,
)
def test_without_params_it_says_so(tx):
    p = jnp.ones(2)
    with pytest.raises(ValueError, match="needs params"):
        tx.update(p, tx.init(p))


def test_adopt_clips_at_a_schedule():
    bound = jopt.linear_schedule(0.5, 0.25, 1)
    tx, g = jopt.adopt(1.0, b1=0.0, clip_value_fn=bound), jnp.ones(1)
    _, state = tx.update(g, tx.init(g))
    assert tx.update(100 * g, state)[0] == -0.25


def test_adabound_ends_as_sgd_with_momentum():
    tx, g = jopt.adabound(0.1, b1=0.0, final_ratio=3.0, gamma=1e6), jnp.array([4.0])
    np.testing.assert_allclose(tx.update(g, tx.init(g))[0], -0.1 * 3.0 * g, rtol=1e-5)


def test_amsbound_remembers_the_largest_second_moment():
    tx, g = jopt.scale_by_adabound(b2=0.5, amsbound=True), jnp.array([4.0])
    _, state = tx.update(g, tx.init(g))
    _, state = tx.update(0 * g, state)
    assert state.nu < state.nu_max == 8.0


def test_sophia_keeps_its_curvature_between_estimates():
    tx, g = jopt.scale_by_sophia(b1=0.0, b2=0.5, gamma=1.0), jnp.array([0.5])
    u, state = tx.update(g, tx.init(g))
    assert u == 1.0  # no estimate yet: the sign
    u, state = tx.update(g, state, hessian=jnp.array([2.0]))
    assert u == 0.5
    assert tx.update(g, state, hessian=None)[0] == 0.5


def test_sophia_steps_by_the_sign_where_the_curvature_is_negative():
    tx, g = jopt.scale_by_sophia(), jnp.array([-1e-3])
    assert tx.update(g, tx.init(g), hessian=jnp.array([-5.0]))[0] == -1.0


def test_stable_adamw_slows_down_at_a_spike():
    tx, g = jopt.scale_by_stable_adamw(b1=0.0), jnp.array([1.0])
    _, state = tx.update(g, tx.init(g))
    u, _ = tx.update(1e4 * g, state)
    assert u <= 1.0 + 1e-5  # Adam's is 1.41


def test_adamp_takes_the_radial_part_off():
    p = jnp.array([[1.0], [1.0]])
    tx = jopt.scale_by_adamp(b1=0.0, b2=0.0, delta=2.0)
    u, _ = tx.update(jnp.array([[4.0], [-1.0]]), tx.init(p), p)
    assert jnp.sum(u * p) == 0.0


def test_adam_atan2_does_not_see_the_scale_of_tiny_gradients():
    tx = jopt.adam_atan2(0.1)
    steps = [tx.update(g, tx.init(g))[0] for g in (jnp.ones(1), 1e-15 * jnp.ones(1))]
    np.testing.assert_allclose(steps[1], steps[0], rtol=1e-6)


def test_tam_damps_a_gradient_against_the_momentum():
    tx, g = jopt.scale_by_tam(momentum=0.0, decay_rate=0.0), jnp.array([2.0])
    _, state = tx.update(g, tx.init(g))
    assert abs(tx.update(-g, state)[0]) < 1e-6


def test_focus_is_not_drawn_anywhere_at_the_first_step():
    tx, p = jopt.scale_by_focus(), jnp.array([0.1, 1.7, -3.3])
    u, _ = tx.update(jnp.zeros(3), tx.init(p), p)
    assert not jnp.any(u)


def test_the_slope_of_a_bias_correction_is_finite_at_a_decay_of_zero():
    def correction(c):
        return nx.bias_correction(jopt.Decay(complement=c), 3)

    assert correction(jnp.float32(1.0)) == 1.0
    assert jnp.isfinite(jax.grad(correction)(jnp.float32(1.0)))


def first_update(tx, g, p):
    return tx.update(g, tx.init(p), p)[0]


def test_amos_says_that_a_scale_must_be_above_zero():
    tx = jopt.amos(0.1, eta=lambda name, leaf: 0.0)
    with pytest.raises(ValueError, match=r"`eta` must be above 0, got 0.0 for `w`"):
        tx.init({"w": jnp.ones((2, 3))})


@pytest.mark.parametrize(
    ("name", "shape", "scale"),
    [
        ("norm/scale", (4,), 1.0),
        ("dense/bias", (4,), 0.5),
        ("embed/table", (9, 8), 0.5),
        ("conv/kernel", (2, 2, 4, 3), 0.25),
    ],
)
def test_amos_expects_the_scales_of_the_authors(name, shape, scale):
    g, p = {name: jnp.ones(shape)}, {name: jnp.zeros(shape)}
    u = first_update(jopt.amos(0.5), g, p)[name]
    np.testing.assert_allclose(u, np.full(shape, -0.5 * scale), rtol=1e-6)


def test_amos_slows_down_by_itself():
    tx, p = jopt.amos(0.1, eta=1.0), jnp.zeros(3)
    state, sizes = tx.init(p), []
    for _ in range(50):
        u, state = tx.update(jnp.ones(3), state, p)
        sizes.append(float(jnp.abs(u[0])))
    assert sizes == sorted(set(sizes), reverse=True)


def test_avagrad_starts_as_sgd_whatever_its_epsilon():
    g = jnp.array([1e-3, 2.0, -40.0])
    for eps in (1e-8, 0.1, 10.0):
        u = first_update(jopt.avagrad(0.5, b1=0.0, eps=eps), g, jnp.zeros(3))
        np.testing.assert_allclose(u, -0.5 * g, rtol=1e-5)


def test_avagrad_does_not_move_an_entry_without_gradients_if_epsilon_is_zero():
    tx, p = jopt.avagrad(0.1, eps=0.0), jnp.zeros(2)
    _, state = tx.update(jnp.array([1.0, 0.0]), tx.init(p), p)
    u, _ = tx.update(jnp.array([1.0, 1.0]), state, p)
    assert float(u[0]) < 0
    assert float(u[1]) == 0


def test_swats_is_sgd_for_good_after_the_switch():
    tx, p = jopt.swats(0.1, b1=0.0, threshold=1e-3), jnp.zeros(2)
    state = tx.init(p)
    for _ in range(2):
        _, state = tx.update(jnp.array([2.0, -2.0]), state, p)
    for size in (1e-3, 1e3):  # a rate of 0.05, found where the gradients were 2
        u, state = tx.update(jnp.array([size, 0.0]), state, p)
        np.testing.assert_allclose(u, [-0.05 * size, 0.0], rtol=1e-3)


def test_swats_lets_the_rate_of_sgd_follow_the_schedule():
    falling = jopt.piecewise_constant_schedule(0.1, {3: 0.1})
    tx, p = jopt.swats(falling, b1=0.0, threshold=1e-3), jnp.zeros(2)
    state, sizes = tx.init(p), []
    for _ in range(4):
        u, state = tx.update(jnp.array([2.0, -2.0]), state, p)
        sizes.append(float(u[1]))
    np.testing.assert_allclose(sizes[2:], [0.1, 0.01], rtol=1e-3)


def test_gravity_bends_large_gradients_back():
    g = jnp.array([0.1, 1.0, 10.0])
    u = -first_update(jopt.gravity(1.0, alpha=0.0), g, jnp.zeros(3))
    assert float(u[2]) < float(u[1]) < float(u[0])


def test_gravity_is_at_the_authors_spread_at_first():
    p = jnp.zeros(10_000)
    u = first_update(jopt.gravity(0.1, alpha=0.5, beta=0.9), p, p)
    np.testing.assert_allclose(u.std(), 0.5 * 1.9 / 3, rtol=0.03)
