"""Schedule-free RAdam: laws, and runs of the authors' package."""

import jopt
from tests.case import DECAY, FADING, RATE, record, STEP, Vary
from tests.certificates.record import RAMP, RATES, Rows

LOUD = {"silent_sgd_phase": False}

CASES = {
    "schedule_free_radam": record(
        jopt.schedule_free_radam(RATE, b2=0.9),
        Vary(jopt.schedule_free_radam(RATE, b1=0.5, **LOUD), "-scale_invariant"),
        jopt.schedule_free_radam(RATE, b2=0.9, r=1.0, weight_lr_power=1.0),
        Vary(
            jopt.schedule_free_radam(RATE, weight_decay=0.1, **LOUD),
            f"{DECAY} -scale_invariant",
        ),
        jopt.schedule_free_radam(FADING, b2=0.9),
        tags=f"{STEP} scale_invariant",
        needs="params",
        memory=2,
    ),
    "scale_by_schedule_free_radam": record(
        jopt.scale_by_schedule_free_radam(RATE, **LOUD),
        jopt.scale_by_schedule_free_radam(RATE, b2=0.9, eps=0.0, **LOUD),
        tags=STEP,
        needs="params",
        memory=2,
    ),
}

CERTIFICATES = [
    Rows(
        "schedule_free_radam",
        "schedulefree.RAdamScheduleFree",
        [
            ({}, {}),
            (
                {"learning_rate": 0.1, "b2": 0.9, "weight_decay": 0.1, **LOUD},
                {"lr": 0.1, "betas": (0.9, 0.9), "weight_decay": 0.1, **LOUD},
            ),
            (
                {
                    "learning_rate": 0.1,
                    "b1": 0.5,
                    "eps": 0.01,
                    "weight_lr_power": 1.0,
                    "r": 0.5,
                },
                {
                    "lr": 0.1,
                    "betas": (0.5, 0.999),
                    "eps": 0.01,
                    "weight_lr_power": 1.0,
                    "r": 0.5,
                },
            ),
            (
                jopt.schedule_free_radam(RAMP, b2=0.9),
                {"lr": RATES, "betas": (0.9, 0.9)},
            ),
        ],
        "tree",
    ),
]
