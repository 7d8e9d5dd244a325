"""The classic optimizers in NumPy, element by element, as papers and PyTorch have them.

Each takes the first parameters and the gradients of all steps, and returns the
parameters after each step. Nothing here comes from jopt.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np


def sgd(p, grads, lr, momentum=0.0, dampening=0.0, nesterov=False, weight_decay=0.0):
    path, buffer = [], None
    for g in grads:
        g = g + weight_decay * p
        if momentum:
            if buffer is None:
                buffer = g
            else:
                buffer = momentum * buffer + (1 - dampening) * g
            g = g + momentum * buffer if nesterov else buffer
        p = p - lr * g
        path.append(p)
    return path


def adagrad(p, grads, lr, initial=0.0, eps=1e-10, eps_in_sqrt=False):
    path, total = [], np.full_like(p, initial)
    for g in grads:
        total = total + g**2
        root = np.sqrt(total + eps) if eps_in_sqrt else np.sqrt(total) + eps
        p = p - lr * g / root
        path.append(p)
    return path


def adadelta(p, grads, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0.0):
    path, v, x = [], np.zeros_like(p), np.zeros_like(p)
    for g in grads:
        g = g + weight_decay * p
        v = rho * v + (1 - rho) * g**2
        u = np.sqrt(x + eps) / np.sqrt(v + eps) * g
        x = rho * x + (1 - rho) * u**2
        p = p - lr * u
        path.append(p)
    return path


def rmsprop(
    p,
    grads,
    lr,
    alpha=0.99,
    eps=1e-8,
    centered=False,
    momentum=0.0,
    eps_in_sqrt=False,
    nesterov=False,
    initial=0.0,
    debias=False,
):
    path = []
    v, c, m = np.full_like(p, initial), np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(grads, 1):
        v = alpha * v + (1 - alpha) * g**2
        c = alpha * c + (1 - alpha) * g
        mass = 1 - alpha**t if debias else 1.0
        spread = v / mass - (c / mass) ** 2 if centered else v / mass
        u = g / (np.sqrt(spread + eps) if eps_in_sqrt else np.sqrt(spread) + eps)
        m = momentum * m + u
        p = p - lr * (u + momentum * m if nesterov else m)
        path.append(p)
    return path


def adam(p, grads, lr, b1=0.9, b2=0.999, eps=1e-8, eps_root=0.0, weight_decay=0.0):
    path, m, v = [], np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(grads, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
        p = p - lr * weight_decay * p
        p = p - lr * m_hat / (np.sqrt(v_hat + eps_root) + eps)
        path.append(p)
    return path


def nesterov_adam(p, grads, lr, b1=0.9, b2=0.999, eps=1e-8, weight_decay=0.0):
    path, m, v = [], np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(grads, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        ahead = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        p = p - lr * weight_decay * p
        p = p - lr * ahead / (np.sqrt(v / (1 - b2**t)) + eps)
        path.append(p)
    return path


def nadam(p, grads, lr, b1=0.9, b2=0.999, eps=1e-8, psi=0.004, weight_decay=0.0):
    path, m, v, product = [], np.zeros_like(p), np.zeros_like(p), 1.0
    for t, g in enumerate(grads, 1):
        now = b1 * (1 - 0.5 * 0.96 ** (t * psi))
        following = b1 * (1 - 0.5 * 0.96 ** ((t + 1) * psi))
        product *= now
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        root = np.sqrt(v / (1 - b2**t)) + eps
        p = p - lr * weight_decay * p
        p = p - lr * (1 - now) / (1 - product) * g / root
        p = p - lr * following / (1 - product * following) * m / root
        path.append(p)
    return path


def amsgrad(
    p, grads, lr, b1=0.9, b2=0.999, eps=1e-8, corrected=False, debias=(True, True)
):
    path, m, v, top = [], np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(grads, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        mass = 1 - b2**t if debias[1] else 1.0
        top = np.maximum(top, v / mass if corrected else v)
        v_hat = top if corrected else top / mass
        m_hat = m / (1 - b1**t) if debias[0] else m
        p = p - lr * m_hat / (np.sqrt(v_hat) + eps)
        path.append(p)
    return path


def adamax(p, grads, lr, b1=0.9, b2=0.999, eps=1e-8, weight_decay=0.0):
    path, m, n = [], np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(grads, 1):
        m = b1 * m + (1 - b1) * g
        n = np.maximum(b2 * n, np.abs(g) + eps)
        p = p - lr * weight_decay * p
        p = p - lr / (1 - b1**t) * m / n
        path.append(p)
    return path


def radam(p, grads, lr, b1=0.9, b2=0.999, eps=1e-8, eps_hat=True, nesterov=False):
    path, m, v = [], np.zeros_like(p), np.zeros_like(p)
    top = 2 / (1 - b2) - 1
    for t, g in enumerate(grads, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        u = m / (1 - b1**t)
        if nesterov:
            u = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        r = top - 2 * t * b2**t / (1 - b2**t)
        if r > 5:
            factor = (r - 4) * (r - 2) * top / ((top - 4) * (top - 2) * r)
            root = math.sqrt(1 - b2**t)
            over = root / (np.sqrt(v) + eps)
            if not eps_hat:
                over = 1 / (np.sqrt(v) / root + eps)
            u = u * math.sqrt(factor) * over
        p = p - lr * u
        path.append(p)
    return path


class Case(NamedTuple):
    """One optimizer at one setting, in jopt, NumPy and, where there is one, torch."""

    name: str
    arguments: dict[str, Any]
    reference: Callable[..., Any]
    settings: dict[str, Any]
    torch: str | None = None
    torch_settings: Mapping[str, Any] = MappingProxyType({})

    def __str__(self) -> str:
        shown = ", ".join(f"{k}={v}" for k, v in self.arguments.items())
        return f"{self.name}({shown})"


def _same(name, reference, torch, settings):
    """Cases whose arguments have the same names in jopt and NumPy."""
    for arguments, torch_settings in settings:
        renamed = {_RENAMED.get(k, k): v for k, v in arguments.items()}
        peer = None if torch_settings is None else torch
        yield Case(name, arguments, reference, renamed, peer, torch_settings or {})


_RENAMED = {
    "learning_rate": "lr",
    "initial_accumulator_value": "initial",
    "initial_scale": "initial",
    "decay": "alpha",
    "momentum_decay": "psi",
    "bias_correction": "debias",
}
_LR = {"learning_rate": 0.1}
_NO_EPS = {**_LR, "eps": 0.0}

CASES = [
    *_same(
        "sgd",
        sgd,
        "SGD",
        [
            (_LR, {}),
            (_LR | {"momentum": 0.9}, {"momentum": 0.9}),
            (
                _LR | {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1},
                {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1},
            ),
            (
                _LR | {"momentum": 0.7, "dampening": 0.4},
                {"momentum": 0.7, "dampening": 0.4},
            ),
        ],
    ),
    *_same(
        "adagrad",
        adagrad,
        "Adagrad",
        [
            (
                _LR | {"initial_accumulator_value": 0.0, "eps": 1e-10},
                {},
            ),
            (
                _LR | {"initial_accumulator_value": 0.5, "eps": 0.1},
                {"initial_accumulator_value": 0.5, "eps": 0.1},
            ),
            (
                _LR | {"initial_accumulator_value": 0.0, "eps": 1e-3},
                {"eps": 1e-3},
            ),
            (
                _LR
                | {
                    "initial_accumulator_value": 0.1,
                    "eps": 0.1,
                    "eps_in_sqrt": True,
                },
                None,
            ),
        ],
    ),
    *_same(
        "adadelta",
        adadelta,
        "Adadelta",
        [
            ({}, {"lr": 1.0}),
            ({"rho": 0.5, "eps": 1e-2}, {"lr": 1.0, "rho": 0.5, "eps": 1e-2}),
            (
                {"learning_rate": 3.0, "eps": 1e-3, "weight_decay": 0.1},
                {"lr": 3.0, "eps": 1e-3, "weight_decay": 0.1},
            ),
        ],
    ),
    *_same(
        "rmsprop",
        rmsprop,
        "RMSprop",
        [
            (_LR | {"decay": 0.99, "eps_in_sqrt": False}, {}),
            (
                _LR | {"decay": 0.9, "eps": 0.1, "eps_in_sqrt": False, "momentum": 0.9},
                {"alpha": 0.9, "eps": 0.1, "momentum": 0.9},
            ),
            (
                _LR
                | {
                    "decay": 0.8,
                    "eps": 1e-2,
                    "eps_in_sqrt": False,
                    "centered": True,
                    "momentum": 0.5,
                },
                {"alpha": 0.8, "eps": 1e-2, "centered": True, "momentum": 0.5},
            ),
            (_LR | {"decay": 0.9, "eps": 0.1, "eps_in_sqrt": True}, None),
            (
                _LR
                | {
                    "decay": 0.9,
                    "eps": 0.1,
                    "eps_in_sqrt": True,
                    "centered": True,
                    "initial_scale": 0.5,
                    "bias_correction": True,
                    "momentum": 0.9,
                    "nesterov": True,
                },
                None,
            ),
        ],
    ),
    *_same(
        "adam",
        adam,
        "Adam",
        [
            (_LR, {}),
            (
                _LR | {"b1": 0.5, "b2": 0.9, "eps": 0.1},
                {"betas": (0.5, 0.9), "eps": 0.1},
            ),
            (_NO_EPS | {"b1": 0.0, "b2": 0.99}, {"betas": (0.0, 0.99), "eps": 0.0}),
            (_LR | {"eps_root": 0.1}, None),
        ],
    ),
    *_same(
        "adamw",
        adam,
        "AdamW",
        [
            (_LR | {"weight_decay": 0.01}, {"weight_decay": 0.01}),
            (
                _LR | {"b1": 0.8, "b2": 0.95, "weight_decay": 0.5},
                {"betas": (0.8, 0.95), "weight_decay": 0.5},
            ),
            (
                _LR | {"eps": 1e-2, "weight_decay": 0.0},
                {"eps": 1e-2, "weight_decay": 0},
            ),
        ],
    ),
    *_same(
        "nadam",
        nadam,
        "NAdam",
        [
            (_LR, {}),
            (
                _LR | {"b1": 0.8, "b2": 0.9, "eps": 0.1, "momentum_decay": 1.0},
                {"betas": (0.8, 0.9), "eps": 0.1, "momentum_decay": 1.0},
            ),
            (_LR | {"momentum_decay": 0.0}, {"momentum_decay": 0.0}),
        ],
    ),
    *_same(
        "nadamw",
        nadam,
        "NAdam",
        [
            (
                _LR | {"weight_decay": wd},
                {"weight_decay": wd, "decoupled_weight_decay": True},
            )
            for wd in (0.0, 0.01, 0.5)
        ],
    ),
    Case("nadam", _LR | {"momentum_decay": None}, nesterov_adam, {"lr": 0.1}),
    Case(
        "adam",
        _LR | {"nesterov": True, "b1": 0.5},
        nesterov_adam,
        {"lr": 0.1, "b1": 0.5},
    ),
    Case(
        "nadamw",
        _LR | {"momentum_decay": None, "weight_decay": 0.1},
        nesterov_adam,
        {"lr": 0.1, "weight_decay": 0.1},
    ),
    *_same(
        "amsgrad",
        amsgrad,
        "Adam",
        [
            (_LR, {"amsgrad": True}),
            (
                _LR | {"b1": 0.5, "b2": 0.8, "eps": 0.1},
                {"betas": (0.5, 0.8), "eps": 0.1, "amsgrad": True},
            ),
            (_NO_EPS | {"b2": 0.9}, {"betas": (0.9, 0.9), "eps": 0, "amsgrad": True}),
            (_LR | {"corrected": True, "b2": 0.9}, None),
        ],
    ),
    Case(
        "amsgrad",
        _LR | {"bias_correction_mu": False, "bias_correction_nu": False, "b2": 0.9},
        amsgrad,
        {"lr": 0.1, "b2": 0.9, "debias": (False, False)},
    ),
    *_same(
        "adamax",
        adamax,
        "Adamax",
        [
            (_LR, {}),
            (
                _LR | {"b1": 0.5, "b2": 0.8, "eps": 0.1},
                {"betas": (0.5, 0.8), "eps": 0.1},
            ),
            (_NO_EPS | {"b2": 0.5}, {"betas": (0.9, 0.5), "eps": 0}),
        ],
    ),
    *_same("adamaxw", adamax, None, [(_LR | {"weight_decay": 0.1, "b2": 0.9}, None)]),
    *_same(
        "radam",
        radam,
        "RAdam",
        [
            (_LR, {}),
            (
                _LR | {"b1": 0.5, "b2": 0.8, "eps": 0.1},
                {"betas": (0.5, 0.8), "eps": 0.1},
            ),
            (_LR | {"b2": 0.99}, {"betas": (0.9, 0.99)}),
            (_LR | {"eps": 0.1, "eps_hat": False}, None),
            (_LR | {"nesterov": True, "b2": 0.9}, None),
        ],
    ),
]
