"""Settings of the newer optimizers, in jopt and in the packages of others."""

import jopt
from tests.certificates.record import RAMP, RATES, Rows

_STEEP = (4.0848, -6.8946, 2.9270)
# the paper has no clipping, and scales tensors that do not decay too
_LAMB = {"max_grad_norm": None, "always_adapt": True}

MODERN = [
    Rows(
        "lion",
        "lion_pytorch.Lion",
        [
            ({"learning_rate": 0.1, "weight_decay": 0.0}, {"lr": 0.1}),
            (
                {"learning_rate": 0.1, "b1": 0.5, "b2": 0.8, "weight_decay": 0.3},
                {"lr": 0.1, "betas": (0.5, 0.8), "weight_decay": 0.3},
            ),
            (
                {"learning_rate": 0.01, "b1": 0.95, "b2": 0.98, "weight_decay": 1.0},
                {"lr": 0.01, "betas": (0.95, 0.98), "weight_decay": 1.0},
            ),
        ],
        "tree",
    ),
    Rows(
        "schedule_free_adamw",
        "schedulefree.AdamWScheduleFree",
        [
            ({}, {}),
            (
                {"learning_rate": 0.1, "warmup_steps": 5, "weight_decay": 0.1},
                {"lr": 0.1, "warmup_steps": 5, "weight_decay": 0.1},
            ),
            (
                {
                    "learning_rate": 0.05,
                    "warmup_steps": 3,
                    "b1": 0.95,
                    "b2": 0.9,
                    "eps": 0.01,
                    "weight_lr_power": 1.0,
                    "r": 0.5,
                },
                {
                    "lr": 0.05,
                    "warmup_steps": 3,
                    "betas": (0.95, 0.9),
                    "eps": 0.01,
                    "weight_lr_power": 1.0,
                    "r": 0.5,
                },
            ),
        ],
        "tree",
    ),
    Rows(
        "schedule_free_sgd",
        "schedulefree.SGDScheduleFree",
        [
            ({"learning_rate": 0.1}, {"lr": 0.1}),
            (
                {"learning_rate": 0.1, "warmup_steps": 4, "weight_decay": 0.1},
                {"lr": 0.1, "warmup_steps": 4, "weight_decay": 0.1},
            ),
            (
                {"learning_rate": 0.2, "b1": 0.5, "weight_lr_power": 0.0, "r": 1.0},
                {"lr": 0.2, "momentum": 0.5, "weight_lr_power": 0.0, "r": 1.0},
            ),
        ],
        "tree",
    ),
    Rows(
        "prodigy",
        "prodigyopt.Prodigy",
        [
            ({}, {}),
            (
                {
                    "estim_lr0": 1e-3,
                    "weight_decay": 0.1,
                    "safeguard_warmup": True,
                    "growth_rate": 1.1,
                    "b3": 0.9,
                },
                {
                    "d0": 1e-3,
                    "weight_decay": 0.1,
                    "safeguard_warmup": True,
                    "growth_rate": 1.1,
                    "beta3": 0.9,
                },
            ),
            (
                {
                    "learning_rate": 0.5,
                    "b1": 0.8,
                    "b2": 0.9,
                    "eps": 0.01,
                    "estim_lr0": 0.01,
                    "estim_lr_coef": 2.0,
                    "use_bias_correction": True,
                },
                {
                    "lr": 0.5,
                    "betas": (0.8, 0.9),
                    "eps": 0.01,
                    "d0": 0.01,
                    "d_coef": 2.0,
                    "use_bias_correction": True,
                },
            ),
        ],
        "tree",
    ),
    Rows(
        "adafactor",
        "torch.optim.Adafactor",
        [
            (
                {
                    "learning_rate": 0.01,
                    "min_dim_size_to_factor": 1,
                    "relative_step": True,
                    "eps": 2.0**-52,
                    "eps_placement": "root",
                },
                {},
            ),
            (
                {
                    "learning_rate": 0.3,
                    "min_dim_size_to_factor": 1,
                    "decay_rate": 0.5,
                    "clipping_threshold": 1.2,
                    "relative_step": True,
                    "eps": 0.3,
                    "eps_placement": "root",
                    "min_parameter_scale": 2.0,
                },
                {"lr": 0.3, "beta2_decay": -0.5, "d": 1.2, "eps": (0.3, 2.0)},
            ),
            (
                {
                    "learning_rate": 2.0,
                    "min_dim_size_to_factor": 1,
                    "relative_step": True,
                    "eps": 1e-3,
                    "eps_placement": "root",
                    "weight_decay_rate": 0.02,
                },
                {"lr": 2.0, "eps": (1e-3, 1e-3), "weight_decay": 0.01},
            ),
        ],
        "tree",
    ),
    Rows(
        "muon",
        "torch.optim.Muon",
        [
            ({"learning_rate": 0.02}, {"lr": 0.02, "weight_decay": 0.0}),
            (
                {
                    "learning_rate": 0.1,
                    "weight_decay": 0.3,
                    "scale": "match_rms",
                    "nesterov": False,
                },
                {
                    "lr": 0.1,
                    "weight_decay": 0.3,
                    "adjust_lr_fn": "match_rms_adamw",
                    "nesterov": False,
                },
            ),
            (
                {
                    "learning_rate": 0.1,
                    "ns_coeffs": _STEEP,
                    "ns_steps": 2,
                    "beta": 0.5,
                    "eps": 3.0,
                },
                {
                    "lr": 0.1,
                    "weight_decay": 0.0,
                    "ns_coefficients": _STEEP,
                    "ns_steps": 2,
                    "momentum": 0.5,
                    "eps": 3.0,
                },
            ),
        ],
        "matrix",
    ),
    Rows(
        "lion",
        "lion_pytorch.Lion",
        [
            (
                jopt.lion(RAMP, weight_decay=0.1),
                {"lr": RATES, "weight_decay": 0.1},
            )
        ],
        "tree",
    ),
    Rows(
        "lamb",
        "timm.optim.Lamb",
        [
            (
                jopt.lamb(0.1),
                _LAMB | {"lr": 0.1, "weight_decay": 0.0},
            ),
            (
                jopt.lamb(0.1, b1=0.5, b2=0.8, eps=0.1, weight_decay=0.3),
                _LAMB
                | {"lr": 0.1, "betas": (0.5, 0.8), "eps": 0.1, "weight_decay": 0.3},
            ),
            (
                jopt.lamb(RAMP, weight_decay=0.1),
                _LAMB | {"lr": RATES, "weight_decay": 0.1},
            ),
        ],
        "tree",
    ),
    Rows(
        "lars",
        "timm.optim.Lars",
        [
            (
                jopt.lars(10.0, eps=1e-8),
                {"lr": 10.0, "momentum": 0.9, "always_adapt": True},
            ),
            (
                jopt.lars(1.0, 0.3, trust_coefficient=0.1, eps=1e-8, nesterov=True),
                {
                    "lr": 1.0,
                    "momentum": 0.9,
                    "weight_decay": 0.3,
                    "trust_coeff": 0.1,
                    "nesterov": True,
                },
            ),
            (
                jopt.lars(1.0, 0.1, eps=0.5, momentum=0.0),
                {"lr": 1.0, "weight_decay": 0.1, "eps": 0.5},
            ),
        ],
        "tree",
    ),
    Rows(
        "lars",
        "pytorch_optimizer.LARS",
        [
            (
                jopt.lars(
                    1.0,
                    0.3,
                    weight_decay_mask="^w$",
                    trust_coefficient=0.1,
                    trust_ratio_mask="^w$",
                    momentum=0.5,
                ),
                {
                    "lr": 1.0,
                    "weight_decay": 0.3,
                    "trust_coefficient": 0.1,
                    "momentum": 0.5,
                },
            )
        ],
        "tree",
    ),
    Rows(
        "schedule_free_adamw",
        "schedulefree.AdamWScheduleFree",
        [
            (
                jopt.schedule_free_adamw(RAMP, weight_decay=0.1),
                {"lr": RATES, "weight_decay": 0.1},
            )
        ],
        "tree",
    ),
    Rows(
        "schedule_free_sgd",
        "schedulefree.SGDScheduleFree",
        [
            (
                jopt.schedule_free_sgd(RAMP, weight_decay=0.1),
                {"lr": RATES, "weight_decay": 0.1},
            )
        ],
        "tree",
    ),
    Rows(
        "prodigy",
        "prodigyopt.Prodigy",
        [
            (
                jopt.prodigy(RAMP, estim_lr0=0.01, weight_decay=0.1),
                {"lr": RATES, "d0": 0.01, "weight_decay": 0.1},
            )
        ],
        "tree",
    ),
    Rows(
        "adafactor",
        "torch.optim.Adafactor",
        [
            (
                jopt.adafactor(
                    RAMP,
                    1,
                    relative_step=True,
                    eps=1e-3,
                    eps_placement="root",
                ),
                {"lr": RATES, "eps": (1e-3, 1e-3)},
            )
        ],
        "tree",
    ),
    Rows(
        "muon",
        "torch.optim.Muon",
        [
            (
                jopt.muon(RAMP, weight_decay=0.1),
                {"lr": RATES, "weight_decay": 0.1},
            )
        ],
        "matrix",
    ),
]
