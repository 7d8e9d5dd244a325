"""What the schedules refuse, and what they say."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt.schedules as js
from jopt import constant_schedule, from_callable, join_schedules

NAN = float("nan")

WRONG_VALUES = [
    # steps: zero, negative, or more than there is room for
    (lambda: js.linear_schedule(1.0, 0.0, 0), "`transition_steps` must be at least 1"),
    (
        lambda: js.linear_schedule(1.0, 0.0, 5, -1),
        "`transition_begin` must be at least",
    ),
    (lambda: js.cosine_decay_schedule(1.0, -5), "`decay_steps` must be at least 1"),
    (
        lambda: js.exponential_decay(1.0, 0, 0.5),
        "`transition_steps` must be at least 1",
    ),
    (lambda: js.step_decay(1.0, 0), "`step_size` must be at least 1"),
    (lambda: js.warmup(0.1, 0), "`steps` must be at least 1"),
    (
        lambda: js.warmup_cosine_decay_schedule(0.0, 1.0, 100, 50),
        "`warmup_steps` must be less than `decay_steps`, got 100 and 50: .* Shorten",
    ),
    (
        lambda: js.sgdr_schedule(
            [{"init_value": 0, "peak_value": 1, "warmup_steps": 5, "decay_steps": 5}]
        ),
        "`warmup_steps` must be less than `decay_steps`, got 5 and 5",
    ),
    (
        lambda: js.wsd_schedule(0.0, 1.0, 10, 10, 0),
        "`warmup_steps` must be less than `total_steps`, got 10 and 10",
    ),
    (
        lambda: js.wsd_schedule(0.0, 1.0, 5, 10, 6),
        r"`warmup_steps` and `cooldown_steps` must fit in .*, got 5 \+ 6 > 10",
    ),
    (
        lambda: js.inverse_sqrt_schedule(0.0, 1.0, 0),
        "`timescale` must be at least 1 where `warmup_steps` is 0",
    ),
    # numbers
    (lambda: js.linear_schedule(NAN, 0.0, 5), "`init_value` must lie in .* got nan"),
    (
        lambda: js.polynomial_schedule(1.0, 0.0, -1.0, 5),
        r"`power` must lie in \(0, inf",
    ),
    (lambda: js.exponential_decay(1.0, 5, 0.0), r"`decay_rate` must lie in \(0, inf\)"),
    (lambda: js.exponential_decay(1.0, 5, -0.5), "`decay_rate` must lie"),
    (lambda: js.exponential_decay(1.0, 5, 0.5, end_value=NAN), "`end_value` must lie"),
    (lambda: js.cosine_decay_schedule(1.0, 5, exponent=0.0), "`exponent` must lie"),
    (lambda: js.cosine_decay_schedule(1.0, 5, alpha=-0.1), "`alpha` must lie"),
    (lambda: js.cosine_restarts_schedule(1.0, 5, m_mul=1.5), "`m_mul` must lie"),
    (
        lambda: js.cosine_onecycle_schedule(10, 1.0, 1.0),
        "`pct_start` must be less than",
    ),
    (
        lambda: js.cosine_onecycle_schedule(10, 1.0, 30),
        r"`pct_start` must lie in \[0, 1",
    ),
    (
        lambda: js.linear_onecycle_schedule(10, 1.0, 0.6, 0.5),
        "`pct_start` must be at most `pct_final`, got 0.6 and 0.5",
    ),
    (
        lambda: js.cosine_restarts_schedule(1.0, 5, t_mul=1.001),
        r"`t_mul` must lie in \[1.01, ",
    ),
    (
        lambda: js.onecycle_schedule(0.1, 1.0, 0.0, 10, 0.1),
        "puts the peak at step 0: it must lie between step 0 and the last step, 9",
    ),
    (
        lambda: js.onecycle_schedule(0.1, 1.0, 0.0, 10, 0.6, three_phase=True),
        "between step 0 and half of the last step, 9",
    ),
    (
        lambda: js.cyclic_schedule(0.1, 1.0, 5, gamma=0.0),
        r"`gamma` must lie in \(0, 1\]",
    ),
    (
        lambda: js.cyclic_schedule(0.1, 1.0, 5, 0),
        "`down_steps` must be at least 1",
    ),
    (
        lambda: js.warmup(1.0, 5, kind="exponential"),
        "`init_value` must be above 0 where the shape is 'exponential', got 0.0",
    ),
    (
        lambda: js.cooldown(1.0, 5, 5, shape="exponential"),
        "`end_value` must be above 0",
    ),
    (
        lambda: js.wsd_schedule(0.0, 1.0, 1, 10, 5, cooldown="exponential"),
        "`end_value` must be above 0",
    ),
    (
        lambda: js.cumulative_schedule(1.0, 0.5, 2**24 + 1),
        "`total_steps` must be at most 16777216, got 16777217",
    ),
    (
        lambda: js.inverse_time_decay(1.0, 5, -1.0),
        r"`decay_rate` must lie in \[0, inf\)",
    ),
    # tables
    (lambda: js.multistep_decay(1.0, [9, 4]), "`milestones` must be .* increasing"),
    (lambda: js.multistep_decay(1.0, [4, 4]), "strictly increasing, got"),
    (
        lambda: js.multistep_decay(1.0, [2**31]),
        "`milestones` must be at most 2147483647",
    ),
    (
        lambda: js.piecewise_constant_schedule(1.0, {5: -0.1}),
        r"`boundaries_and_scales\[5\]` must lie in \[0, inf\)",
    ),
    (
        lambda: js.interpolate_schedule([1, 2], [0.5]),
        "`values` must hold one number for each of `boundaries`.* got 1 for 2",
    ),
    (
        lambda: join_schedules([0.1, 0.2, 0.3], [10, 5]),
        "`boundaries` must be .* strictly increasing",
    ),
    (
        lambda: join_schedules([0.1], [5, 10]),
        "`boundaries` must be one fewer than `schedules`, got 2 for 1",
    ),
    (lambda: js.sgdr_schedule([]), "`cosine_kwargs` must hold at least one cycle"),
    # words
    (
        lambda: js.wsd_schedule(0.0, 1.0, 1, 10, 5, cooldown="sqrt"),
        "`cooldown` must be one of 'linear', 'cosine', '1-sqrt'.* Did you mean",
    ),
    (
        lambda: js.piecewise_interpolate_schedule("quadratic", 1.0),
        "`interpolate_type` must be one of 'linear', 'cosine'",
    ),
    (
        lambda: from_callable(lambda step: jnp.ones(3)),
        "returns one number a step",
    ),
]

WRONG_KINDS = [
    (
        lambda: js.linear_schedule("1e-3", 0.0, 5),
        "`init_value` must be a number, got the",
    ),
    (lambda: js.linear_schedule(True, 0.0, 5), "`init_value` must be a number"),
    (
        lambda: js.cosine_restarts_schedule(1.0, 5, t_mul="2"),
        "`t_mul` must be a Python number",
    ),
    (
        lambda: js.noisy_linear_cosine_decay(1.0, 5, seed=0.5),
        "`seed` must be an integer",
    ),
    (
        lambda: js.linear_schedule(1.0, 0.0, 5.0),
        "`transition_steps` must be an integer",
    ),
    (
        lambda: js.linear_schedule(1.0, 0.0, True),
        "`transition_steps` must be an integer",
    ),
    (
        lambda: js.linear_schedule(constant_schedule(1.0), 0.0, 5),
        "`init_value` of `linear_schedule` must be a number, got the schedule",
    ),
    (lambda: js.linear_schedule(1.0, 0.0, 5, stepz=3), "has no argument `stepz`"),
    (lambda: js.multistep_decay(1.0, [1.5]), "`milestones` must be integers"),
    (lambda: js.multistep_decay(1.0, [True]), "`milestones` must be integers"),
    (lambda: js.multistep_decay(1.0, 5), "`milestones` must be a sequence of integers"),
    (
        lambda: js.piecewise_constant_schedule(1.0, [(5, 0.1)]),
        "`boundaries_and_scales` must be a mapping from steps to numbers",
    ),
    (lambda: js.piecewise_constant_schedule(1.0, {0.5: 0.1}), "must be integers"),
    (lambda: js.interpolate_schedule([1, 2], 0.5), "`values` must be a sequence"),
    (
        lambda: js.cosine_onecycle_schedule(10, 1.0, "0.3"),
        "`pct_start` must be a Python",
    ),
    (lambda: js.sgdr_schedule([3]), "`cosine_kwargs` must be mappings"),
    (lambda: js.warmup("cosine", 5), "`inner_schedule` must be made of schedules"),
    (lambda: js.warmup(js.step_decay, 5), "got the function `step_decay` itself"),
    (lambda: join_schedules(0.1, []), "`schedules` must be a sequence of schedules"),
    (lambda: from_callable(lambda: 1.0), "failed on one"),
    (lambda: js.step_decay(1.0, 5)(2.5), "integer step count.* got float64"),
    (lambda: js.step_decay(1.0, 5)(jnp.ones(3)), "got an array of float32"),
    (lambda: js.step_decay(1.0, 5)(True), "integer step count"),
]


@pytest.mark.parametrize(("build", "message"), WRONG_VALUES)
def test_wrong_value(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(("build", "message"), WRONG_KINDS)
def test_wrong_kind(build, message):
    with pytest.raises(TypeError, match=message):
        build()


def test_float_step_is_refused_while_tracing():
    with pytest.raises(TypeError, match="Count steps, not epochs"):
        jax.jit(js.step_decay(1.0, 5))(1.0)


def test_an_unfinished_function_of_optax_is_refused():
    with pytest.raises(TypeError, match="failed on one"):
        js.warmup(optax.linear_schedule, 5)


def test_numpy_numbers_and_keys_of_json_are_welcome():
    made = js.piecewise_constant_schedule(np.float32(1.0), {"20": 0.5, 3: np.int64(2)})
    assert made == js.piecewise_constant_schedule(1.0, {3: 2.0, 20: 0.5})


def test_numbers_may_be_traced():
    def value(rate):
        return js.warmup_cosine_decay_schedule(0.0, rate, 3, 8, rate / 2)(8)

    assert jax.jit(value)(0.5) == 0.25
    assert jax.grad(value)(0.5) == 0.5
