"""Runs of the packages of others, in float64.

Needs torch and what `DISTRIBUTIONS` lists.
Weights are transposed on their way to PyTorch and back, because its layout is
(out, in).
"""

import importlib
import os
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata, util
from typing import Any
from unittest import mock

import numpy as np

from tests.certificates.record import Certificate

DISTRIBUTIONS = {
    "dadaptation": "dadaptation",
    "dog": "dog-optimizer",
    "came_pytorch": "came-pytorch",
    "keras": "keras",
    "lion_pytorch": "lion-pytorch",
    "numpy": "numpy",
    "parameterfree": "parameterfree",
    "prodigyopt": "prodigyopt",
    "pytorch_optimizer": "pytorch-optimizer",
    "schedulefree": "schedulefree",
    "timm": "timm",
    "torch": "torch",
}


def package(source: str) -> str:
    """The top-level package of a source."""
    return source.partition(".")[0]


def installed(source: str) -> bool:
    """Whether a source can be run here."""
    names = {"torch", package(source)}
    return all(util.find_spec(name) is not None for name in names)


def version(source: str) -> str:
    """A source's package and version."""
    name = DISTRIBUTIONS[package(source)]
    return f"{name} {metadata.version(name).partition('+')[0]}"


def load(source: str) -> Any:
    """The class of a source, without what its package imports beside it."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
    if source.startswith("timm."):
        _, _, name = source.rpartition(".")
        module = _bare_timm({"Lars": "lars", "Lamb": "lamb"}.get(name, "rmsprop_tf"))
        return getattr(module, name)
    module, _, name = source.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _bare_timm(name: str) -> Any:
    """One module of timm.optim: the package itself needs models and torchvision."""
    spec = util.find_spec("timm")
    assert spec is not None and spec.submodule_search_locations is not None
    folder = spec.submodule_search_locations[0]
    bare = {"timm": folder, "timm.optim": os.path.join(folder, "optim")}
    with mock.patch.dict(sys.modules):
        for module, path in bare.items():
            made = types.ModuleType(module)
            made.__path__ = [path]
            sys.modules[module] = made
        return importlib.import_module(f"timm.optim.{name}")


@contextmanager
def in_float64() -> Iterator[None]:
    """PyTorch with float64 everywhere, also inside Muon's iterations."""
    import torch

    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # NAdam keeps a scalar in it
    try:
        with mock.patch.object(torch.Tensor, "bfloat16", torch.Tensor.clone):
            yield
    finally:
        torch.set_default_dtype(default)


def run(certificate: Certificate) -> dict[str, Any]:
    """The parameters after each step and, where there are such, the averaged ones."""
    with in_float64():
        if package(certificate.source) == "keras":
            return {"path": _keras(certificate)}
        if certificate.source.endswith(".AveragedModel"):
            return {"path": _averaged(certificate)}
        return _torch(certificate)


def _torch(certificate: Certificate) -> dict[str, Any]:
    import torch

    first, grads = certificate.start()
    settings, rate = _rates(certificate.settings)
    params = _leaves(first, lambda x: torch.nn.Parameter(torch.tensor(x.T.copy())))
    optimizer = load(certificate.source)(params, **settings)
    averages = certificate.source.startswith("schedulefree.")
    if averages:
        optimizer.train()
    path = []
    more = _curvature(certificate, first, params)
    for _ in _steps(optimizer, params, grads, rate, more):
        path.append(_read(first, params))
    if not averages:
        return {"path": path}
    optimizer.eval()
    return {"path": path, "averaged": _read(first, params)}


def _curvature(
    certificate: Certificate, first: Any, params: list[Any]
) -> Callable[[Any], dict[str, Any]]:
    """From a gradient to the estimate of the Hessian's diagonal, where one is given."""
    import torch

    def given(g: Any) -> dict[str, Any]:
        extra = certificate.extra
        more = extra(_read(first, params), g) if extra else {}
        if "hessian" not in more:
            return {}
        estimate = _leaves(more["hessian"], lambda x: torch.tensor(x.T.copy()))
        return {"hessian": estimate}

    return given


def _steps(
    optimizer: Any,
    params: list[Any],
    grads: list[Any],
    rate: Callable[..., Any],
    more: Callable[[Any], dict[str, Any]] = lambda g: {},
) -> Iterator[None]:
    """All steps, one after the other."""
    import torch

    for t, g in enumerate(grads):
        for p, leaf in zip(params, _leaves(g, lambda x: x), strict=True):
            p.grad = torch.tensor(leaf.T.copy())
        for group in optimizer.param_groups:
            group["lr"] = rate(t, group.get("lr"))
        optimizer.step(**more(g))
        yield


def _averaged(certificate: Certificate) -> list[Any]:
    """The average of the parameters on the way of SGD, after each step."""
    import torch

    first, grads = certificate.start()
    settings, rate = _rates(certificate.settings)
    params = _leaves(first, lambda x: torch.nn.Parameter(torch.tensor(x.T.copy())))
    model = torch.nn.ParameterList(params)
    how = {}
    if "decay" in settings:
        average = load(
            certificate.source.replace("AveragedModel", "get_ema_multi_avg_fn")
        )
        how["multi_avg_fn"] = average(settings["decay"])
    averaged = load(certificate.source)(model, **how)
    path = []
    for _ in _steps(torch.optim.SGD(params, settings["lr"]), params, grads, rate):
        averaged.update_parameters(model)
        path.append(_read(first, list(averaged.module)))
    return path


def _keras(certificate: Certificate) -> list[Any]:
    import torch

    make = load(certificate.source)
    import keras

    first, grads = certificate.start()
    settings, _ = _rates(certificate.settings)
    settings["learning_rate"] = settings.pop("lr")
    keras.config.set_floatx("float64")
    try:
        optimizer = make(**settings)
        variable = keras.Variable(first, dtype="float64")
        path = []
        for g in grads:
            optimizer.apply([torch.tensor(g)], [variable])
            path.append(variable.numpy().copy())
    finally:
        keras.config.set_floatx("float32")
    return path


def _rates(settings: dict[str, Any]) -> tuple[dict[str, Any], Callable[..., Any]]:
    """Settings with the first learning rate, and the rate of each step."""
    rates = settings.get("lr")
    if not isinstance(rates, tuple):
        return dict(settings), lambda t, rate: rate
    return settings | {"lr": rates[0]}, lambda t, rate: rates[t]


def _leaves(tree: Any, function: Callable[[np.ndarray], Any]) -> list[Any]:
    if isinstance(tree, dict):
        return [function(tree[k]) for k in sorted(tree)]
    return [function(tree)]


def _read(like: Any, params: list[Any]) -> Any:
    arrays = [p.detach().numpy().T.copy() for p in params]
    if isinstance(like, dict):
        return dict(zip(sorted(like), arrays, strict=True))
    return arrays[0]
