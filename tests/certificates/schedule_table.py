"""Settings of the schedules, in jopt and in the packages of others.

A source in PyTorch is given as the scheduler's name and arguments, with the rate of
the optimizer that it drives; schedulers among the arguments are such pairs again.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from tests.certificates.record import PAPER

BASE = 0.3

Curve = Callable[[np.ndarray], np.ndarray]


def _line(a: float, b: float, steps: int) -> Curve:
    return lambda t: a + (b - a) * np.minimum(t, steps) / steps


def _wave(t: np.ndarray, begin: int, end: int) -> np.ndarray:
    x = np.clip((t - begin) / (end - begin), 0.0, 1.0)
    return (1 + np.cos(np.pi * x)) / 2


def _warmed(a: float, peak: float, steps: int, late: Curve) -> Curve:
    return lambda t: np.where(t < steps, a + (peak - a) * t / steps, late(t - steps))


def _noam(peak: float, w: int) -> Curve:
    """Equation 3 of the Transformer's paper, with its width taken out."""
    late = np.maximum
    return lambda t: peak * w**0.5 * np.minimum(late(t, 1) ** -0.5, t * w**-1.5)


def _cycles(t: np.ndarray) -> np.ndarray:
    first = _warmed(0.1, 1.0, 2, lambda t: 0.01 + 0.99 * _wave(t, 0, 7))
    second = _warmed(0.1, 0.5, 2, lambda t: 0.01 + 0.49 * _wave(t, 0, 7))
    return np.where(t < 9, first(t), second(t - 9))


CYCLE = {"init_value": 0.1, "warmup_steps": 2, "decay_steps": 9, "end_value": 0.01}
_STEP = ("StepLR", {"step_size": 4, "gamma": 0.5})
_EXP = ("ExponentialLR", {"gamma": 0.9})
_STAIRS = jopt.step_decay(BASE, 4, 0.5)


def _up(share: float, steps: int) -> tuple[str, dict[str, Any]]:
    return "LinearLR", {"start_factor": share, "total_iters": steps}


def _one_after_the_other(*parts: Any, at: list[int]) -> dict[str, Any]:
    return {"schedulers": parts, "milestones": at}


def _as_float(t: Any) -> jax.Array:
    return jnp.asarray(t, jnp.result_type(float))


def hyperbola(t: Any) -> jax.Array:
    return 0.3 / (1.0 + _as_float(t))


def halves(t: Any) -> jax.Array:
    return 0.5 ** _as_float(t)


def ramp(t: Any) -> jax.Array:
    return 0.1 * _as_float(t)


Row = tuple[tuple[Any, ...], str, Any]  # arguments, source, settings or curve

TABLE: dict[str, list[Row]] = {
    "linear_schedule": [
        ((0.06, 0.3, 5), "torch.LinearLR", {"start_factor": 0.2}),
        (
            (0.3, 0.03, 9),
            "torch.LinearLR",
            {"start_factor": 1.0, "end_factor": 0.1, "total_iters": 9},
        ),
        (
            (0.3, 0.02, 7, 4),
            "numpy.interp",
            lambda t: np.interp(t, [4, 11], [0.3, 0.02]),
        ),
    ],
    "polynomial_schedule": [
        ((0.3, 0.0, 2, 9), "torch.PolynomialLR", {"total_iters": 9, "power": 2.0}),
        (
            (0.3, 0.02, 2.5, 9),
            "keras.PolynomialDecay",
            {"decay_steps": 9, "end_learning_rate": 0.02, "power": 2.5},
        ),
        (
            (0.3, 0.1, 0.5, 13),
            "keras.PolynomialDecay",
            {"decay_steps": 13, "end_learning_rate": 0.1, "power": 0.5},
        ),
    ],
    "exponential_decay": [
        ((0.3, 1, 0.9), "torch.ExponentialLR", {"gamma": 0.9}),
        (
            (0.3, 4, 0.7),
            "keras.ExponentialDecay",
            {"decay_steps": 4, "decay_rate": 0.7},
        ),
        (
            (0.3, 4, 0.7, 0, True),
            "keras.ExponentialDecay",
            {"decay_steps": 4, "decay_rate": 0.7, "staircase": True},
        ),
        (
            (0.3, 4, 0.7, 5, False, 0.1),
            PAPER,
            lambda t: np.maximum(0.3 * 0.7 ** (np.maximum(t - 5, 0) / 4), 0.1),
        ),
    ],
    "step_decay": [
        ((0.3, 4, 0.5), "torch.StepLR", {"step_size": 4, "gamma": 0.5}),
        ((0.3, 7), "torch.StepLR", {"step_size": 7}),
        ((0.3, 1, 1.1), "torch.StepLR", {"step_size": 1, "gamma": 1.1}),
    ],
    "multistep_decay": [
        (
            (0.3, (4, 9), 0.5),
            "torch.MultiStepLR",
            {"milestones": [4, 9], "gamma": 0.5},
        ),
        ((0.3, (1, 2, 17)), "torch.MultiStepLR", {"milestones": [1, 2, 17]}),
        ((0.3, (), 0.5), "torch.MultiStepLR", {"milestones": [], "gamma": 0.5}),
    ],
    "piecewise_constant_schedule": [
        # keras keeps a value up to and including its boundary
        (
            (0.3, {3: 0.2, 11: 0.5}),
            "keras.PiecewiseConstantDecay",
            {"boundaries": [2, 10], "values": [0.3, 0.06, 0.03]},
        ),
        (
            (0.5, {1: 2.0}),
            "keras.PiecewiseConstantDecay",
            {"boundaries": [0], "values": [0.5, 1.0]},
        ),
        ((0.3, {4: 0.1, 9: 0.1}), "torch.MultiStepLR", {"milestones": [4, 9]}),
    ],
    "piecewise_interpolate_schedule": [
        (
            ("linear", 0.3, {3: 2.0, 11: 0.5}),
            "numpy.interp",
            lambda t: np.interp(t, [0, 3, 11], [0.3, 0.6, 0.3]),
        ),
        (
            ("linear", 0.3, {9: 0.1}),
            "torch.LinearLR",
            {"start_factor": 1.0, "end_factor": 0.1, "total_iters": 9},
        ),
        (
            ("cosine", 0.3, {3: 0.2, 11: 0.0}),
            PAPER,
            lambda t: np.where(
                t < 3, 0.06 + 0.24 * _wave(t, 0, 3), 0.06 * _wave(t, 3, 11)
            ),
        ),
    ],
    "interpolate_schedule": [
        (
            ((2, 5, 11), (0.1, 0.9, 0.3)),
            "numpy.interp",
            lambda t: np.interp(t, [2, 5, 11], [0.1, 0.9, 0.3]),
        ),
        (
            ((0, 3, 11), (0.3, 0.06, 0.03), "constant"),
            "keras.PiecewiseConstantDecay",
            {"boundaries": [2, 10], "values": [0.3, 0.06, 0.03]},
        ),
        (
            ((0, 11), (0.3, 0.01), "cosine"),
            PAPER,
            lambda t: 0.01 + 0.29 * _wave(t, 0, 11),
        ),
    ],
    "cosine_decay_schedule": [
        (
            (0.3, 20, 0.1),
            "torch.CosineAnnealingLR",
            {"T_max": 20, "eta_min": 0.03, "steps": 21},
        ),
        (
            (0.3, 13, 0.2),
            "keras.CosineDecay",
            {"decay_steps": 13, "alpha": 0.2},
        ),
        (
            (0.3, 13, 0.2, 1.5),
            PAPER,
            lambda t: 0.3 * (0.2 + 0.8 * _wave(t, 0, 13) ** 1.5),
        ),
    ],
    "cosine_restarts_schedule": [
        (
            (0.3, 3, 2, 1.0, 0.1),
            "torch.CosineAnnealingWarmRestarts",
            {"T_0": 3, "T_mult": 2, "eta_min": 0.03},
        ),
        ((0.3, 5), "torch.CosineAnnealingWarmRestarts", {"T_0": 5}),
        (
            (0.3, 5, 1, 0.5, 0.1),
            "keras.CosineDecayRestarts",
            {"first_decay_steps": 5, "t_mul": 1.0, "m_mul": 0.5, "alpha": 0.1},
        ),
    ],
    "sgdr_schedule": [
        (
            ([CYCLE | {"peak_value": 1.0}, CYCLE | {"peak_value": 0.5}],),
            PAPER,
            _cycles,
        ),
        (
            ([CYCLE | {"peak_value": 1.0, "decay_steps": 20}],),
            "keras.CosineDecay",
            {
                "initial_learning_rate": 0.1,
                "warmup_target": 1.0,
                "warmup_steps": 2,
                "decay_steps": 18,
                "alpha": 0.01,
            },
        ),
        (
            (
                [
                    {"init_value": 0, "peak_value": 0.3, "warmup_steps": 0}
                    | {"decay_steps": n}
                    for n in (5, 10)
                ],
            ),
            "torch.CosineAnnealingWarmRestarts",
            {"T_0": 5, "T_mult": 2, "steps": 15},
        ),
    ],
    "cosine_onecycle_schedule": [
        (
            (20, 0.3),
            "torch.OneCycleLR",
            {"max_lr": 0.3, "total_steps": 21, "pct_start": 7 / 21},
        ),
        (
            (20, 0.3, 0.5, 10.0, 100.0),
            "torch.OneCycleLR",
            {
                "max_lr": 0.3,
                "total_steps": 21,
                "pct_start": 11 / 21,
                "div_factor": 10.0,
                "final_div_factor": 100.0,
            },
        ),
        (
            (20, 0.3, 0.1, 4.0, 2.0),
            "torch.OneCycleLR",
            {
                "max_lr": 0.3,
                "total_steps": 21,
                "pct_start": 3 / 21,
                "div_factor": 4.0,
                "final_div_factor": 2.0,
            },
        ),
    ],
    "linear_onecycle_schedule": [
        (
            (20, 0.3, 0.3, 0.6),
            "torch.OneCycleLR",
            {
                "max_lr": 0.3,
                "total_steps": 21,
                "pct_start": 7 / 21,
                "anneal_strategy": "linear",
                "three_phase": True,
            },
        ),
        (
            (20, 0.3, 0.2, 0.4, 10.0, 100.0),
            "torch.OneCycleLR",
            {
                "max_lr": 0.3,
                "total_steps": 21,
                "pct_start": 5 / 21,
                "anneal_strategy": "linear",
                "three_phase": True,
                "div_factor": 10.0,
                "final_div_factor": 100.0,
            },
        ),
        (
            (20, 0.3, 0.4, 0.8, 10.0, 100.0),
            "numpy.interp",
            lambda t: np.interp(t, [0, 8, 16, 20], [0.03, 0.3, 0.03, 3e-4]),
        ),
    ],
    "warmup": [
        (
            (_STAIRS, 3, 0.06),
            "torch.SequentialLR",
            _one_after_the_other(_up(0.2, 3), _STEP, at=[3]),
        ),
        (
            (jopt.exponential_decay(BASE, 1, 0.9), 5, 0.03),
            "torch.SequentialLR",
            _one_after_the_other(_up(0.1, 5), _EXP, at=[5]),
        ),
        ((0.3, 6, 0.06), "torch.LinearLR", {"start_factor": 0.2, "total_iters": 6}),
    ],
    "warmup_constant_schedule": [
        ((0.06, 0.3, 6), "torch.LinearLR", {"start_factor": 0.2, "total_iters": 6}),
        ((0.15, 0.3, 1), "torch.LinearLR", {"start_factor": 0.5, "total_iters": 1}),
        ((0.0, 0.3, 13), PAPER, _line(0.0, 0.3, 13)),
    ],
    "warmup_cosine_decay_schedule": [
        (
            (0.1, 0.3, 6, 19, 0.03),
            "keras.CosineDecay",
            {
                "initial_learning_rate": 0.1,
                "warmup_target": 0.3,
                "warmup_steps": 6,
                "decay_steps": 13,
                "alpha": 0.1,
            },
        ),
        (
            (0.06, 0.3, 4, 20, 0.03),
            "torch.SequentialLR",
            _one_after_the_other(
                _up(0.2, 4),
                ("CosineAnnealingLR", {"T_max": 16, "eta_min": 0.03}),
                at=[4],
            )
            | {"steps": 21},
        ),
        (
            (0.1, 0.3, 6, 21, 0.02, 1.5),
            PAPER,
            _warmed(0.1, 0.3, 6, lambda t: 0.02 + 0.28 * _wave(t, 0, 15) ** 1.5),
        ),
    ],
    "warmup_exponential_decay_schedule": [
        (
            (0.06, 0.3, 4, 1, 0.9),
            "torch.SequentialLR",
            _one_after_the_other(_up(0.2, 4), _EXP, at=[4]),
        ),
        (
            (0.06, 0.3, 4, 4, 0.5, 0, True),
            "torch.SequentialLR",
            _one_after_the_other(_up(0.2, 4), _STEP, at=[4]),
        ),
        (
            (0.1, 0.3, 6, 4, 0.7, 2, True, 0.1),
            PAPER,
            _warmed(
                0.1,
                0.3,
                6,
                lambda t: np.maximum(0.3 * 0.7 ** (np.maximum(t - 2, 0) // 4), 0.1),
            ),
        ),
    ],
    "inverse_sqrt_schedule": [
        ((0.0, 0.5, 4), PAPER, _noam(0.5, 4)),
        ((0.0, 0.3, 9), PAPER, _noam(0.3, 9)),
        ((0.0, 1.0, 0, 3), PAPER, lambda t: (3 / (t + 3)) ** 0.5),
    ],
    "wsd_schedule": [
        (
            (0.0, 0.3, 4, 20, 8),
            "pytorch_optimizer.get_wsd_schedule",
            {
                "num_warmup_steps": 4,
                "num_stable_steps": 8,
                "num_decay_steps": 8,
                "cooldown_type": "linear",
            },
        ),
        (
            (0.0, 0.3, 2, 15, 10, 0.0, "1-sqrt"),
            "pytorch_optimizer.get_wsd_schedule",
            {"num_warmup_steps": 2, "num_stable_steps": 3, "num_decay_steps": 10},
        ),
        (
            (0.0, 0.3, 5, 18, 6, 0.03, "cosine"),
            "pytorch_optimizer.get_wsd_schedule",
            {
                "num_warmup_steps": 5,
                "num_stable_steps": 7,
                "num_decay_steps": 6,
                "min_lr_ratio": 0.1,
                "cooldown_type": "cosine",
            },
        ),
    ],
    "constant_schedule": [
        ((0.3,), "torch.ConstantLR", {"factor": 1.0}),
        ((0.0,), PAPER, lambda t: 0.0 * t),
        ((1e-12,), PAPER, lambda t: 1e-12 + 0.0 * t),
    ],
    "from_callable": [
        ((hyperbola,), "torch.LambdaLR", {"lr_lambda": lambda t: 1 / (1 + t)}),
        ((halves,), PAPER, lambda t: 0.5**t),
        ((ramp,), PAPER, lambda t: 0.1 * t),
    ],
    "join_schedules": [
        (
            ([_STAIRS, jopt.exponential_decay(BASE, 1, 0.9)], [5]),
            "torch.SequentialLR",
            _one_after_the_other(_STEP, _EXP, at=[5]),
        ),
        (
            (
                [jopt.linear_schedule(0.06, 0.3, 3), 0.3, _STAIRS],
                [3, 8],
            ),
            "torch.SequentialLR",
            _one_after_the_other(
                _up(0.2, 3), ("ConstantLR", {"factor": 1.0}), _STEP, at=[3, 8]
            ),
        ),
        (([0.5, 0.25], [7]), PAPER, lambda t: np.where(t < 7, 0.5, 0.25)),
    ],
    "multiply_schedules": [
        (
            (_STAIRS, jopt.exponential_decay(1.0, 1, 0.9)),
            "torch.ChainedScheduler",
            {"schedulers": (_STEP, _EXP)},
        ),
        (
            (_STAIRS, jopt.linear_schedule(0.2, 1.0, 5)),
            "torch.ChainedScheduler",
            {"schedulers": (_STEP, _up(0.2, 5))},
        ),
        (
            (0.5, jopt.linear_schedule(0.0, 1.0, 8)),
            PAPER,
            lambda t: 0.5 * _line(0.0, 1.0, 8)(t),
        ),
    ],
    "sum_schedules": [
        ((_STAIRS, 0.1), PAPER, lambda t: 0.3 * 0.5 ** (t // 4) + 0.1),
        (
            (_STAIRS, jopt.linear_schedule(0.0, 1.0, 8)),
            PAPER,
            lambda t: 0.3 * 0.5 ** (t // 4) + _line(0.0, 1.0, 8)(t),
        ),
        (
            (jopt.linear_schedule(0.0, 1.0, 8), jopt.linear_schedule(0.0, -0.5, 3)),
            PAPER,
            lambda t: _line(0.0, 1.0, 8)(t) + _line(0.0, -0.5, 3)(t),
        ),
    ],
    "shift_schedule": [
        ((_STAIRS, 3), PAPER, lambda t: 0.3 * 0.5 ** (np.maximum(t - 3, 0) // 4)),
        ((_STAIRS, -3), PAPER, lambda t: 0.3 * 0.5 ** ((t + 3) // 4)),
        (
            (jopt.linear_schedule(0.3, 0.02, 7), 4),
            "numpy.interp",
            lambda t: np.interp(t, [4, 11], [0.3, 0.02]),
        ),
    ],
    "override_schedule": [
        ((_STAIRS,), "torch.StepLR", {"step_size": 4, "gamma": 0.5}),
        ((_STAIRS, 0.125), PAPER, lambda t: 0.125 + 0.0 * t),
        ((_STAIRS, 0.0), PAPER, lambda t: 0.0 * t),
    ],
}
