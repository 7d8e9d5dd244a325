"""Records of schedules."""

from typing import Any

import jax.numpy as jnp
import optax

import jopt
from tests.case import FADING

SCHEDULES: dict[str, list[Any]] = {
    "constant_schedule": [jopt.constant_schedule(0.5), jopt.constant_schedule(1e-8)],
    "cosine_decay_schedule": [
        jopt.cosine_decay_schedule(0.1, 20),
        jopt.cosine_decay_schedule(0.1, 1, alpha=0.1, exponent=2.0),
    ],
    "cosine_onecycle_schedule": [
        jopt.cosine_onecycle_schedule(20, 0.1),
        jopt.cosine_onecycle_schedule(2, 0.1, pct_start=0.5),
    ],
    "cosine_restarts_schedule": [
        jopt.cosine_restarts_schedule(0.1, 10),
        jopt.cosine_restarts_schedule(0.1, 5, t_mul=2, m_mul=0.5, alpha=0.1),
    ],
    "exponential_decay": [
        jopt.exponential_decay(0.1, 10, 0.5),
        jopt.exponential_decay(0.1, 7, 0.9, 3, staircase=True, end_value=1e-3),
    ],
    "from_callable": [
        jopt.from_callable(optax.linear_schedule(1.0, 0.5, 10)),
        jopt.from_callable(lambda step: jnp.exp(-0.1 * jnp.asarray(step, float))),
    ],
    "interpolate_schedule": [
        jopt.interpolate_schedule([0, 10, 20], [0.0, 1.0, 0.1]),
        jopt.interpolate_schedule([0, 10, 20], [0.0, 1.0, 0.1], "cosine"),
    ],
    "inverse_sqrt_schedule": [
        jopt.inverse_sqrt_schedule(0.0, 0.1, 10),
        jopt.inverse_sqrt_schedule(0.1, 0.1, 0, timescale=100),
    ],
    "join_schedules": [
        jopt.join_schedules([FADING, jopt.constant_schedule(0.01)], [10]),
        jopt.join_schedules([0.0, FADING, 0.5], [3, 2**24 + 1]),
    ],
    "linear_onecycle_schedule": [
        jopt.linear_onecycle_schedule(20, 0.1),
        jopt.linear_onecycle_schedule(10, 0.1, pct_start=0.2, pct_final=0.5),
    ],
    "linear_schedule": [FADING, jopt.linear_schedule(0.0, 1.0, 1, transition_begin=5)],
    "multiply_schedules": [
        jopt.multiply_schedules(FADING, 2.0),
        jopt.multiply_schedules(FADING, jopt.constant_schedule(0.5)),
    ],
    "multistep_decay": [
        jopt.multistep_decay(0.1, [5, 10]),
        jopt.multistep_decay(0.1, [2**24 + 1], gamma=0.5),
    ],
    "override_schedule": [
        jopt.override_schedule(FADING),
        jopt.override_schedule(FADING, 0.3),
    ],
    "piecewise_constant_schedule": [
        jopt.piecewise_constant_schedule(0.1, {5: 0.5, 10: 0.1}),
        jopt.piecewise_constant_schedule(0.1),
    ],
    "piecewise_interpolate_schedule": [
        jopt.piecewise_interpolate_schedule("linear", 0.1, {5: 0.5, 10: 0.1}),
        jopt.piecewise_interpolate_schedule("cosine", 0.1, {7: 0.5}),
    ],
    "polynomial_schedule": [
        jopt.polynomial_schedule(0.1, 0.01, 2.0, 20),
        jopt.polynomial_schedule(0.1, 0.01, 0.5, 20, transition_begin=3),
    ],
    "shift_schedule": [jopt.shift_schedule(FADING, 5), jopt.shift_schedule(FADING, -5)],
    "step_decay": [jopt.step_decay(0.1, 5), jopt.step_decay(0.1, 1, gamma=0.5)],
    "sum_schedules": [
        jopt.sum_schedules(FADING, 0.5),
        jopt.sum_schedules(FADING, -1.0 * FADING),
    ],
    "warmup": [jopt.warmup(FADING, 5), jopt.warmup(FADING, 1, init_value=0.05)],
    "warmup_constant_schedule": [
        jopt.warmup_constant_schedule(0.0, 0.1, 10),
        jopt.warmup_constant_schedule(0.05, 0.1, 1),
    ],
    "warmup_cosine_decay_schedule": [
        jopt.warmup_cosine_decay_schedule(0.0, 0.1, 10, 30),
        jopt.warmup_cosine_decay_schedule(0.0, 0.1, 1, 3, 0.01, 2.0),
    ],
    "warmup_exponential_decay_schedule": [
        jopt.warmup_exponential_decay_schedule(0.0, 0.1, 10, 10, 0.5),
        jopt.warmup_exponential_decay_schedule(0.0, 0.1, 5, 7, 0.9, staircase=True),
    ],
    "wsd_schedule": [
        jopt.wsd_schedule(0.0, 0.1, 5, 30, 10),
        jopt.wsd_schedule(0.0, 0.1, 5, 30, 10, 0.01, cooldown="1-sqrt"),
    ],
}

SCHEDULE_SKIPS: dict[str, dict[str, str]] = {
    "override_schedule": {"S7": "its NaN, which means 'none', equals no other NaN"},
}
