"""Settings of the classic optimizers, in jopt and in the packages of others."""

from collections.abc import Iterable

import jopt
from tests.certificates.record import decayed, RAMP, RATES, Rows
from tests.references import classic


def _classic() -> Iterable[Rows]:
    for case in classic.CASES:
        settings = {"lr": 0.1} | dict(case.torch_settings)
        if case.torch:
            source = f"torch.optim.{case.torch}"
            yield Rows(case.name, source, [(case.arguments, settings)])


CLASSIC = [
    *_classic(),
    Rows(
        "sgd",
        "torch.optim.SGD",
        [(jopt.sgd(RAMP, 0.9, True), {"lr": RATES, "momentum": 0.9, "nesterov": True})],
    ),
    Rows(
        "adagrad",
        "torch.optim.Adagrad",
        [
            (
                decayed(jopt.adagrad(0.1, 0.0, 1e-10)),
                {"lr": 0.1, "weight_decay": 0.1},
            ),
            (jopt.adagrad(RAMP, 0.0, 1e-10), {"lr": RATES}),
        ],
    ),
    Rows(
        "adagrad",
        "keras.optimizers.Adagrad",
        [
            (
                jopt.adagrad(0.1, 0.3, 0.1, eps_in_sqrt=True),
                {"lr": 0.1, "initial_accumulator_value": 0.3, "epsilon": 0.1},
            )
        ],
    ),
    Rows("adadelta", "torch.optim.Adadelta", [(jopt.adadelta(RAMP), {"lr": RATES})]),
    Rows(
        "rmsprop",
        "torch.optim.RMSprop",
        [
            (
                decayed(jopt.rmsprop(0.1, 0.9, eps_in_sqrt=False, momentum=0.9)),
                {"lr": 0.1, "alpha": 0.9, "momentum": 0.9, "weight_decay": 0.1},
            ),
            (jopt.rmsprop(RAMP, 0.9, eps_in_sqrt=False), {"lr": RATES, "alpha": 0.9}),
            (
                # the order of PyTorch: the learning rate after the momentum
                jopt.chain(
                    jopt.scale_by_rms(0.9, eps_in_sqrt=False),
                    jopt.trace(0.9),
                    jopt.scale_by_learning_rate(RAMP),
                ),
                {"lr": RATES, "alpha": 0.9, "momentum": 0.9},
            ),
        ],
    ),
    Rows(
        "rmsprop",
        "timm.optim.RMSpropTF",
        [
            (
                jopt.rmsprop(0.1, 0.9, 0.1, initial_scale=1.0, centered=True),
                {"lr": 0.1, "alpha": 0.9, "eps": 0.1, "centered": True},
            ),
            (
                jopt.rmsprop(0.1, 0.8, 0.01, initial_scale=1.0, momentum=0.9),
                {"lr": 0.1, "alpha": 0.8, "eps": 0.01, "momentum": 0.9},
            ),
            (
                jopt.rmsprop(RAMP, 0.8, 0.01, initial_scale=1.0, momentum=0.9),
                {"lr": RATES, "alpha": 0.8, "eps": 0.01, "momentum": 0.9},
            ),
        ],
    ),
    Rows(
        "adam",
        "torch.optim.Adam",
        [
            (decayed(jopt.adam(0.1)), {"lr": 0.1, "weight_decay": 0.1}),
            (jopt.adam(RAMP), {"lr": RATES}),
        ],
    ),
    Rows(
        "adamw",
        "torch.optim.AdamW",
        [(jopt.adamw(RAMP, weight_decay=0.1), {"lr": RATES, "weight_decay": 0.1})],
    ),
    Rows(
        "nadam",
        "torch.optim.NAdam",
        [
            (decayed(jopt.nadam(0.1)), {"lr": 0.1, "weight_decay": 0.1}),
            (jopt.nadam(RAMP), {"lr": RATES}),
        ],
    ),
    Rows(
        "nadam",
        "keras.optimizers.Nadam",
        [
            (
                jopt.nadam(0.1, 0.8, 0.9, 0.01, momentum_decay=1.0),
                {"lr": 0.1, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 0.01},
            )
        ],
    ),
    Rows(
        "nadamw",
        "torch.optim.NAdam",
        [
            (
                jopt.nadamw(RAMP, weight_decay=0.1),
                {"lr": RATES, "weight_decay": 0.1, "decoupled_weight_decay": True},
            )
        ],
    ),
    Rows(
        "amsgrad",
        "torch.optim.Adam",
        [
            (
                decayed(jopt.amsgrad(0.1, b2=0.9)),
                {
                    "lr": 0.1,
                    "betas": (0.9, 0.9),
                    "weight_decay": 0.1,
                    "amsgrad": True,
                },
            ),
            (
                jopt.amsgrad(RAMP, b2=0.9),
                {"lr": RATES, "betas": (0.9, 0.9), "amsgrad": True},
            ),
        ],
    ),
    Rows(
        "adamax",
        "torch.optim.Adamax",
        [
            (decayed(jopt.adamax(0.1)), {"lr": 0.1, "weight_decay": 0.1}),
            (jopt.adamax(RAMP), {"lr": RATES}),
        ],
    ),
    Rows(
        "adamaxw",
        "pytorch_optimizer.AdaMax",
        [
            (
                jopt.adamaxw(0.1, weight_decay=0.01),
                {"lr": 0.1, "weight_decay": 0.01, "weight_decouple": True},
            ),
            (
                jopt.adamaxw(0.1, b1=0.5, b2=0.8, eps=0.1, weight_decay=0.3),
                {
                    "lr": 0.1,
                    "betas": (0.5, 0.8),
                    "eps": 0.1,
                    "weight_decay": 0.3,
                    "weight_decouple": True,
                },
            ),
            (
                jopt.adamaxw(RAMP, weight_decay=0.1),
                {"lr": RATES, "weight_decay": 0.1, "weight_decouple": True},
            ),
        ],
    ),
    Rows(
        "radam",
        "torch.optim.RAdam",
        [
            (
                decayed(jopt.radam(0.1, b2=0.9)),
                {"lr": 0.1, "betas": (0.9, 0.9), "weight_decay": 0.1},
            ),
            (jopt.radam(RAMP, b2=0.9), {"lr": RATES, "betas": (0.9, 0.9)}),
        ],
    ),
    Rows(
        "signum",
        "pytorch_optimizer.SignSGD",
        [
            (jopt.signum(0.1), {"lr": 0.1}),
            (jopt.signum(0.1, 0.99), {"lr": 0.1, "momentum": 0.99}),
            (
                decayed(jopt.signum(0.1, 0.5), 0.3),
                {
                    "lr": 0.1,
                    "momentum": 0.5,
                    "weight_decay": 0.3,
                    "weight_decouple": False,
                },
            ),
            (jopt.signum(RAMP), {"lr": RATES}),
        ],
    ),
    Rows(
        "sign_sgd",
        "pytorch_optimizer.SignSGD",
        [
            (jopt.sign_sgd(0.1), {"lr": 0.1, "momentum": 0.0}),
            (
                decayed(jopt.sign_sgd(0.1), 0.3),
                {
                    "lr": 0.1,
                    "momentum": 0.0,
                    "weight_decay": 0.3,
                    "weight_decouple": False,
                },
            ),
            (jopt.sign_sgd(RAMP), {"lr": RATES, "momentum": 0.0}),
        ],
    ),
]
