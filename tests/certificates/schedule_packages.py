"""Values of schedules in the packages of others, in float64."""

import warnings
from typing import Any

import numpy as np

from tests.certificates import packages
from tests.certificates.schedule_table import BASE
from tests.certificates.schedules import ScheduleCertificate


def run(certificate: ScheduleCertificate) -> np.ndarray:
    """The values at the first steps."""
    package, _, name = certificate.source.partition(".")
    settings = dict(certificate.settings)
    settings.pop("steps", None)
    steps = certificate.steps
    if package == "keras":
        return _keras(name, settings, steps)
    with warnings.catch_warnings():
        # SequentialLR steps its parts in a way that PyTorch has deprecated
        warnings.simplefilter("ignore")
        return _torch(package, name, settings, steps)


def _torch(package: str, name: str, settings: Any, steps: int) -> np.ndarray:
    import torch

    reads = settings.pop("reads", "lr")  # or "momentum", which some move too
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    if package == "torch":
        made = _scheduler(optimizer, name, settings)
    else:
        made = packages.load(f"{package}.lr_scheduler.{name}")(optimizer, **settings)
    rates = []
    for step in range(steps):
        rates.append(optimizer.param_groups[0][reads])
        optimizer.step()
        if step + 1 < steps:  # OneCycleLR refuses one more
            made.step()
    return np.array(rates)


def _scheduler(optimizer: Any, name: str, settings: dict[str, Any]) -> Any:
    import torch

    settings = dict(settings)
    first = [optimizer]
    if "schedulers" in settings:
        parts = settings.pop("schedulers")
        made = [_scheduler(optimizer, *part) for part in parts]
        first = [made] if name == "ChainedScheduler" else [optimizer, made]
    return getattr(torch.optim.lr_scheduler, name)(*first, **settings)


def _keras(name: str, settings: dict[str, Any], steps: int) -> np.ndarray:
    packages.load("keras.Variable")  # chooses the backend
    import keras

    keras.config.set_floatx("float64")
    try:
        if name != "PiecewiseConstantDecay":
            settings = {"initial_learning_rate": BASE} | settings
        made = getattr(keras.optimizers.schedules, name)(**settings)
        return np.array([float(made(step)) for step in range(steps)])
    finally:
        keras.config.set_floatx("float32")
