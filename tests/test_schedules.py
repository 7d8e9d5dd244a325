"""Values of the schedules: by hand, in optax and in PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt.schedules as js
from jopt import constant_schedule, join_schedules, Schedule

STEPS = np.arange(30)
CYCLE = {"init_value": 0.1, "warmup_steps": 2, "decay_steps": 9, "end_value": 0.01}

# each is called alike in jopt and in optax
ALIKE = {
    "linear": ("linear_schedule", (0.3, 0.02, 7, 4)),
    "polynomial": ("polynomial_schedule", (0.3, 0.02, 2.5, 9, 3)),
    "exponential": ("exponential_decay", (0.3, 4, 0.7)),
    "exponential begun later": ("exponential_decay", (0.3, 4, 0.7, 5)),
    "exponential stairs": ("exponential_decay", (0.3, 4, 0.7, 2, True)),
    "exponential to an end": ("exponential_decay", (0.3, 4, 0.7, 0, False, 0.1)),
    "exponential growth to an end": ("exponential_decay", (0.3, 4, 1.7, 0, False, 2.0)),
    "piecewise constant": ("piecewise_constant_schedule", (0.3, {11: 0.5, 3: 0.2})),
    "piecewise constant, empty": ("piecewise_constant_schedule", (0.3,)),
    "piecewise linear": (
        "piecewise_interpolate_schedule",
        ("linear", 0.3, {11: 0.5, 3: 2.0}),
    ),
    "piecewise cosine": (
        "piecewise_interpolate_schedule",
        ("cosine", 0.3, {3: 0.2, 11: 0.0}),
    ),
    "cosine": ("cosine_decay_schedule", (0.3, 13)),
    "cosine with alpha and exponent": ("cosine_decay_schedule", (0.3, 13, 0.2, 1.5)),
    "sgdr": (
        "sgdr_schedule",
        ([CYCLE | {"peak_value": 1.0}, CYCLE | {"peak_value": 0.5}],),
    ),
    "cosine one-cycle": ("cosine_onecycle_schedule", (20, 0.3)),
    "cosine one-cycle, peak first": ("cosine_onecycle_schedule", (20, 0.3, 0.0)),
    "linear one-cycle": ("linear_onecycle_schedule", (20, 0.3, 0.4, 0.8, 10.0, 100.0)),
    "warmup constant": ("warmup_constant_schedule", (0.1, 0.3, 6)),
    "warmup cosine": ("warmup_cosine_decay_schedule", (0.1, 0.3, 6, 21, 0.02, 1.5)),
    "no warmup, cosine": ("warmup_cosine_decay_schedule", (0.1, 0.3, 0, 21)),
    "warmup exponential": (
        "warmup_exponential_decay_schedule",
        (0.1, 0.3, 6, 4, 0.7, 2, True, 0.1),
    ),
}


@pytest.mark.parametrize("case", ALIKE)
def test_matches_optax(case):
    name, arguments = ALIKE[case]
    with jax.enable_x64(True):
        ours = jax.jit(getattr(js, name)(*arguments))(STEPS)
        with jax.numpy_dtype_promotion("standard"):
            theirs = jax.jit(jax.vmap(getattr(optax, name)(*arguments)))(STEPS)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


# the closed forms of PyTorch 2.13's schedulers, for a base rate of 0.3
def torch_linear(t):
    return 0.3 * (0.2 + (1.0 - 0.2) * np.minimum(t, 5) / 5)


def torch_polynomial(t):
    return 0.3 * (1 - np.minimum(t, 9) / 9) ** 2.0


def torch_cosine(t):
    t = np.minimum(t, 11)  # PyTorch's rises again
    return 0.01 + (0.3 - 0.01) * (1 + np.cos(np.pi * t / 11)) / 2


def torch_restarts(t):
    out = []
    for step in t:
        length = 3
        while step >= length:
            step, length = step - length, 2 * length
        out.append(0.03 + 0.27 * (1 + np.cos(np.pi * step / length)) / 2)
    return np.array(out)


def torch_onecycle(t):
    t = np.minimum(t, 20)
    first, last = 0.3 / 25, 0.3 / 25 / 1e4
    up = first + (0.3 - first) * (1 - np.cos(np.pi * t / 6)) / 2
    down = last + (0.3 - last) * (1 + np.cos(np.pi * (t - 6) / 14)) / 2
    return np.where(t <= 6, up, down)


TORCH = {
    "StepLR": (lambda: js.step_decay(0.3, 4, 0.5), lambda t: 0.3 * 0.5 ** (t // 4)),
    "MultiStepLR": (
        lambda: js.multistep_decay(0.3, [4, 9], 0.5),
        lambda t: 0.3 * 0.5 ** ((t >= 4) + 0 + (t >= 9)),
    ),
    "ExponentialLR": (
        lambda: js.exponential_decay(0.3, 1, 0.9),
        lambda t: 0.3 * 0.9**t,
    ),
    "LinearLR": (lambda: js.linear_schedule(0.3 * 0.2, 0.3, 5), torch_linear),
    "PolynomialLR": (lambda: js.polynomial_schedule(0.3, 0, 2, 9), torch_polynomial),
    "CosineAnnealingLR": (
        lambda: js.cosine_decay_schedule(0.3, 11, alpha=0.01 / 0.3),
        torch_cosine,
    ),
    "CosineAnnealingWarmRestarts": (
        lambda: js.cosine_restarts_schedule(0.3, 3, t_mul=2, alpha=0.1),
        torch_restarts,
    ),
    "OneCycleLR": (lambda: js.cosine_onecycle_schedule(20, 0.3), torch_onecycle),
}
TORCH_ARGUMENTS = {
    "StepLR": {"step_size": 4, "gamma": 0.5},
    "MultiStepLR": {"milestones": [4, 9], "gamma": 0.5},
    "ExponentialLR": {"gamma": 0.9},
    "LinearLR": {"start_factor": 0.2},
    "PolynomialLR": {"total_iters": 9, "power": 2.0},
    "CosineAnnealingLR": {"T_max": 11, "eta_min": 0.01},
    "CosineAnnealingWarmRestarts": {"T_0": 3, "T_mult": 2, "eta_min": 0.03},
    "OneCycleLR": {"max_lr": 0.3, "total_steps": 21, "pct_start": 7 / 21},
}


@pytest.mark.parametrize("name", TORCH)
def test_matches_closed_form_of_torch(name):
    ours, closed_form = TORCH[name]
    with jax.enable_x64(True):
        np.testing.assert_allclose(
            jax.jit(ours())(STEPS), closed_form(STEPS), rtol=1e-12, atol=1e-15
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCH)
def test_closed_form_is_that_of_torch(name):
    torch = pytest.importorskip("torch")
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.3)
    scheduler = getattr(torch.optim.lr_scheduler, name)(
        optimizer, **TORCH_ARGUMENTS[name]
    )
    steps = 12 if name == "CosineAnnealingLR" else 21
    rates = []
    for _ in range(steps):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        if len(rates) < steps:
            scheduler.step()
    expected = TORCH[name][1](np.arange(steps))
    np.testing.assert_allclose(rates, expected, rtol=1e-9, atol=1e-12)


def test_cosine_restarts_shrink():
    cycles = js.cosine_restarts_schedule(1.0, 2, m_mul=0.5, alpha=0.2)
    # height 0.5^i, floor 0.2: h + 0.2 (1 - h)
    expected = [1.0, 0.6, 0.6, 0.4, 0.4]
    np.testing.assert_allclose(cycles(np.arange(5)), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("cooldown", "halfway"), [("linear", 0.5), ("cosine", 0.5), ("1-sqrt", 0.5**0.5)]
)
def test_wsd_by_hand(cooldown, halfway):
    rate = js.wsd_schedule(0.2, 1.0, 2, 12, 4, 0.4, cooldown=cooldown)
    share = halfway if cooldown == "1-sqrt" else 1 - halfway
    expected = [0.2, 0.6, 1.0, 1.0, 1.0 - 0.6 * share, 0.4, 0.4]
    np.testing.assert_allclose(
        rate(np.array([0, 1, 2, 8, 10, 12, 99])), expected, rtol=1e-6
    )


def test_wsd_without_cooldown_stays():
    assert js.wsd_schedule(0.0, 0.5, 2, 12, 0)(100) == 0.5


def test_inverse_sqrt_is_that_of_the_transformer():
    rate = js.inverse_sqrt_schedule(0.0, 0.5, 4)
    t = np.arange(1, 40)
    expected = 0.5 * 4**0.5 * np.minimum(t**-0.5, t * 4**-1.5)
    np.testing.assert_allclose(rate(t), expected, rtol=1e-6)


def test_inverse_sqrt_without_warmup():
    rate = js.inverse_sqrt_schedule(0.0, 1.0, 0, timescale=3)
    np.testing.assert_allclose(rate(np.array([0, 9])), [1.0, 0.5], rtol=1e-6)


def test_interpolate_is_numpys():
    steps, values = [2, 5, 11], [0.1, 0.9, 0.3]
    ours = js.interpolate_schedule(steps, values)(STEPS)
    np.testing.assert_allclose(ours, np.interp(STEPS, steps, values), rtol=1e-6)


def test_interpolate_constant_holds_each_value():
    stairs = js.interpolate_schedule([2, 4], [0.25, 0.5], "constant")
    assert stairs(np.arange(6)).tolist() == [0.25, 0.25, 0.25, 0.25, 0.5, 0.5]


def test_warmup_goes_in_front():
    inner = js.step_decay(0.5, 3, 0.5)
    both = js.warmup(inner, 2, init_value=0.25)
    assert both(np.arange(6)).tolist() == [0.25, 0.375, 0.5, 0.5, 0.5, 0.25]


def test_warmup_takes_a_number():
    assert js.warmup(0.5, 2)(np.arange(4)).tolist() == [0.0, 0.25, 0.5, 0.5]


def test_warmup_constant_of_no_steps_is_the_peak():
    assert js.warmup_constant_schedule(0.0, 0.5, 0)(0) == 0.5


def test_exponential_decay_of_a_negative_value_stops_at_its_end():
    decay = js.exponential_decay(-1.0, 1, 0.5, end_value=-0.25)
    assert decay(np.arange(4)).tolist() == [-1.0, -0.5, -0.25, -0.25]


def test_then_counts_from_its_start():
    both = js.linear_schedule(0.0, 1.0, 2).then(js.step_decay(0.5, 2, 0.5), at=2)
    assert both(np.arange(6)).tolist() == [0.0, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_shift_holds_the_first_value():
    assert js.step_decay(1.0, 2, 0.5).shift(2)(np.arange(5)).tolist() == [
        1,
        1,
        1,
        1,
        0.5,
    ]


def test_schedules_compute_with_each_other():
    ramp = js.linear_schedule(0.0, 1.0, 4)
    made: Schedule = 1.0 - (2.0 * ramp + ramp * constant_schedule(1.0)) / 4.0
    assert made(2) == 1.0 - 1.5 / 4.0


def test_join_keeps_a_list_of_boundaries_by_value():
    boundaries = [3]
    joined = join_schedules([0.1, 0.2], boundaries)
    boundaries.append(5)
    assert joined == join_schedules((0.1, 0.2), (3,))


def test_edges_are_exact_under_jit():
    """XLA multiplies by rounded reciprocals: a plain quotient misses 41/41 = 1."""
    lengths = [n for n in range(1, 130) if np.float32(1) / np.float32(n) * n != 1]
    for n in [*lengths[:3], 1_000_003]:
        line = jax.jit(js.linear_schedule(0.1, 0.7, n))
        assert (line(0), line(n)) == (np.float32(0.1), np.float32(0.7))


def test_small_values_near_the_end_keep_their_digits():
    n = 1_000_000
    line = js.linear_schedule(1.0, 0.0, n)(n - 1)
    cosine = js.cosine_decay_schedule(1.0, n)(n - 1)
    np.testing.assert_allclose(line, 1 / n, rtol=4e-7)
    np.testing.assert_allclose(cosine, (np.pi / 2 / n) ** 2, rtol=4e-7)


def test_dtype_is_the_default_float():
    made = js.linear_schedule(jnp.asarray(1.0, jnp.bfloat16), 0.0, 2)
    assert made(1).dtype == jnp.float32
    with jax.enable_x64(True):
        assert made(1).dtype == jnp.float64


def test_cosine_goes_on_where_asked():
    assert js.cosine_decay_schedule(1.0, 4)(np.array([4, 8, 99])).tolist() == [0, 0, 0]
    wave = js.cosine_decay_schedule(1.0, 4, rises=True)
    assert wave(np.array([0, 4, 8, 12, 16])).tolist() == [1, 0, 1, 0, 1]


def test_polynomial_begins_again_lower():
    saw = js.polynomial_schedule(1.0, 0.0, 1, 4, cycle=True)
    values = saw(np.array([0, 4, 5, 8, 9, 2**31 - 1]))
    np.testing.assert_allclose(values, [1, 0, 3 / 8, 0, 3 / 12, 0], atol=1e-6)


def test_cooldown_begins_at_what_is_reached():
    run = js.inverse_sqrt_schedule(0.0, 1.0, 100)
    ended = js.cooldown(run, 400, 50)
    assert ended(np.array([50, 100, 400, 425, 450])).tolist() == [0.5, 1, 0.5, 0.25, 0]


@pytest.mark.parametrize("shape", ["exponential", "mirror-cosine", "rex", "square"])
def test_ends_of_a_cooldown_are_exact(shape):
    made = jax.jit(js.wsd_schedule(0.0, 0.7, 0, 84, 41, 0.1, cooldown=shape))
    assert (made(43), made(84)) == (np.float32(0.7), np.float32(0.1))


@pytest.mark.parametrize("kind", ["linear", "cosine", "polynomial", "exponential"])
def test_ends_of_a_warmup_are_exact(kind):
    made = jax.jit(js.warmup(0.7, 41, 0.1, kind))
    assert (made(0), made(41)) == (np.float32(0.1), np.float32(0.7))


def test_noise_is_that_of_the_step_alone():
    noisy = js.noisy_linear_cosine_decay(1.0, 100, 3)
    assert noisy(np.arange(50))[7] == noisy(7) != noisy(8)
    with jax.enable_x64(True):
        np.testing.assert_allclose(noisy(7), noisy.replace()(7), rtol=1e-6)


def test_cycles_of_a_fraction_of_a_step_begin_at_the_next_step():
    cycles = js.cosine_restarts_schedule(1.0, 3, t_mul=1.5)  # at 0, 3, 7.5, 14.25
    values = np.array(cycles(np.arange(16)))
    assert np.flatnonzero(np.diff(values) > 0).tolist() == [2, 7, 14]


def test_epochs_and_batch_sizes():
    rate = js.epoch_schedule(js.step_decay(1.0, 1, 0.5), 10)
    assert rate(np.array([0, 9, 10, 29])).tolist() == [1, 1, 0.5, 0.25]
    size = js.round_schedule(js.linear_schedule(32, 288, 1000), 32)
    assert set(np.array(size(np.arange(1001))) % 32) == {0.0}
