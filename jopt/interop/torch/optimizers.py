"""The optimizers of `torch.optim`, by PyTorch's names, arguments and defaults."""

from typing import Any

import jax.numpy as jnp

import jopt

Rate = float | jopt.Schedule
Betas = tuple[float, float]

_HOW = ("foreach", "fused", "capturable", "differentiable")
"""Options that say how PyTorch computes, not what: they change nothing here."""


def SGD(
    lr: Rate = 1e-3,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    *,
    maximize: bool = False,
    **how: Any,
) -> jopt.Transform:
    """`torch.optim.SGD`.

    Example:
        >>> from jopt.interop import torch
        >>> torch.SGD(lr=0.1, momentum=0.9)
        sgd(learning_rate=0.1, momentum=0.9)
    """
    rule = jopt.sgd(lr, momentum or None, nesterov, dampening=dampening or None)
    return _chain(_before(weight_decay, maximize), rule, how=how)


def Adam(
    lr: Rate = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
    *,
    maximize: bool = False,
    decoupled_weight_decay: bool = False,
    **how: Any,
) -> jopt.Transform:
    """`torch.optim.Adam`: its weight decay is added to the gradient.

    Example:
        >>> from jopt.interop import torch
        >>> torch.Adam(weight_decay=0.1)
        chain(add_decayed_weights(weight_decay=0.1), scale_by_adam(),
              scale_by_learning_rate(learning_rate=0.001))
    """
    b1, b2 = _betas(betas)
    rule = jopt.scale_by_amsgrad if amsgrad else jopt.scale_by_adam
    adaptive = rule(b1, b2, eps)
    return _decayed(adaptive, lr, weight_decay, decoupled_weight_decay, maximize, how)


def AdamW(
    lr: Rate = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    amsgrad: bool = False,
    *,
    maximize: bool = False,
    **how: Any,
) -> jopt.Transform:
    """`torch.optim.AdamW`.

    Example:
        >>> from jopt.interop import torch
        >>> torch.AdamW(lr=3e-4, betas=(0.9, 0.95))
        chain(scale_by_adam(b2=0.95), add_decayed_weights(weight_decay=0.01),
              scale_by_learning_rate(learning_rate=0.0003))
    """
    return Adam(
        lr,
        betas,
        eps,
        weight_decay,
        amsgrad,
        maximize=maximize,
        decoupled_weight_decay=True,
        **how,
    )


def NAdam(
    lr: Rate = 2e-3,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum_decay: float = 4e-3,
    decoupled_weight_decay: bool = False,
    *,
    maximize: bool = False,
    **how: Any,
) -> jopt.Transform:
    """`torch.optim.NAdam`."""
    adaptive = jopt.scale_by_nadam(*_betas(betas), eps, momentum_decay=momentum_decay)
    return _decayed(adaptive, lr, weight_decay, decoupled_weight_decay, maximize, how)


def RAdam(
    lr: Rate = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled_weight_decay: bool = False,
    *,
    maximize: bool = False,
    **how: Any,
) -> jopt.Transform:
    """`torch.optim.RAdam`."""
    adaptive = jopt.scale_by_radam(*_betas(betas), eps)
    return _decayed(adaptive, lr, weight_decay, decoupled_weight_decay, maximize, how)


def Adamax(
    lr: Rate = 2e-3,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    *,
    maximize: bool = False,
    **how: Any,
) -> jopt.Transform:
    """`torch.optim.Adamax`."""
    adaptive = jopt.scale_by_adamax(*_betas(betas), eps)
    return _decayed(adaptive, lr, weight_decay, False, maximize, how)


def Adagrad(
    lr: Rate = 1e-2,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
    *,
    maximize: bool = False,
    **how: Any,
) -> jopt.Transform:
    """`torch.optim.Adagrad`; `lr_decay` is an inverse-time decay of the rate."""
    if lr_decay:
        lr = _times(lr, jopt.inverse_time_decay(1.0, 1, lr_decay))
    adaptive = jopt.scale_by_rss(initial_accumulator_value, eps)
    return _decayed(adaptive, lr, weight_decay, False, maximize, how)


def Adadelta(
    lr: Rate = 1.0,
    rho: float = 0.9,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    *,
    maximize: bool = False,
    **how: Any,
) -> jopt.Transform:
    """`torch.optim.Adadelta`."""
    adaptive = jopt.scale_by_adadelta(rho, eps)
    return _decayed(adaptive, lr, weight_decay, False, maximize, how)


def RMSprop(
    lr: Rate = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
    *,
    maximize: bool = False,
    **how: Any,
) -> jopt.Transform:
    """`torch.optim.RMSprop`: epsilon outside the root, the rate after the momentum."""
    rule = jopt.scale_by_stddev if centered else jopt.scale_by_rms
    stages = [rule(alpha, eps, eps_in_sqrt=False)]
    if momentum:
        stages.append(jopt.trace(momentum))
    return _decayed(jopt.chain(*stages), lr, weight_decay, False, maximize, how)


def Rprop(
    lr: float = 1e-2,
    etas: tuple[float, float] = (0.5, 1.2),
    step_sizes: tuple[float, float] = (1e-6, 50.0),
    *,
    maximize: bool = False,
    **how: Any,
) -> jopt.Transform:
    """`torch.optim.Rprop`; `lr` is the size of the first step."""
    (down, up), (low, high) = etas, step_sizes
    rule = jopt.rprop(lr, down, up, low, high)
    return _chain(_before(0.0, maximize), rule, how=how)


def ASGD(
    lr: Rate = 1e-2,
    lambd: float = 1e-4,
    alpha: float = 0.75,
    t0: float = 1e6,
    weight_decay: float = 0.0,
    *,
    maximize: bool = False,
    **how: Any,
) -> jopt.Transform:
    """`torch.optim.ASGD`; `jopt.averaged_params` gives the average, torch's `ax`."""
    rule = jopt.asgd(lr, lambd, alpha, t0)
    return _chain(_before(weight_decay, maximize), rule, how=how)


def Adafactor(
    lr: Rate = 1e-2,
    beta2_decay: float = -0.8,
    eps: tuple[float | None, float] = (None, 1e-3),
    d: float = 1.0,
    weight_decay: float = 0.0,
    *,
    maximize: bool = False,
    **how: Any,
) -> jopt.Transform:
    """`torch.optim.Adafactor`. An `eps` of `None` is float32's, whatever the dtype."""
    least, scale = eps
    rule = jopt.adafactor(
        lr,
        min_dim_size_to_factor=1,
        decay_rate=-beta2_decay,
        clipping_threshold=d,
        relative_step=True,
        eps=float(jnp.finfo(jnp.float32).eps) if least is None else least,
        eps_placement="root",
        min_parameter_scale=scale,
        weight_decay_rate=_times(lr, weight_decay) if weight_decay else None,
    )
    return _chain(_before(0.0, maximize), rule, how=how)


def SparseAdam(
    lr: Rate = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    *,
    maximize: bool = False,
    **how: Any,
) -> jopt.Transform:
    """`torch.optim.SparseAdam`: rows whose gradient is zero stay as they are.

    JAX's gradients are dense, so a row that was looked up and has a gradient of exactly
    zero is one of these; in PyTorch it moves on by its momentum.
    """
    rule = jopt.sparse_adam(lr, *_betas(betas), eps)
    return _chain(_before(0.0, maximize), rule, how=how)


def Muon(
    lr: Rate = 1e-3,
    weight_decay: float = 0.1,
    momentum: float = 0.95,
    nesterov: bool = True,
    ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
    eps: float = 1e-7,
    ns_steps: int = 5,
    adjust_lr_fn: str | None = None,
) -> jopt.Transform:
    """`torch.optim.Muon`, for matrices; give other leaves another optimizer.

    PyTorch keeps a matrix as (out, in), Flax as (in, out): the scale of the update is
    that of the same layer.

    Example:
        >>> from jopt.interop import torch
        >>> tx = torch.param_groups(
        ...     {"kernel$": torch.Muon(lr=0.02), "...": torch.AdamW(lr=1e-3)}
        ... )
    """
    known = (None, "original", "match_rms_adamw")
    if adjust_lr_fn not in known:
        raise ValueError(
            f"`adjust_lr_fn` must be one of {known}, got {adjust_lr_fn!r}."
        )
    return jopt.muon(
        lr,
        ns_coefficients,
        ns_steps,
        momentum,
        eps,
        weight_decay,
        nesterov=nesterov,
        scale="match_rms" if adjust_lr_fn == known[2] else "original",
        matrices=True,
    )


def _decayed(
    adaptive: jopt.Transform,
    lr: Rate,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
    how: dict[str, Any],
) -> jopt.Transform:
    """A stage with weight decay before it, or after it where it is decoupled."""
    decay = [jopt.add_decayed_weights(weight_decay)] if weight_decay else []
    before = _before(0.0 if decoupled else weight_decay, maximize)
    after = [*(decay if decoupled else []), jopt.scale_by_learning_rate(lr)]
    return _chain(before, adaptive, *after, how=how)


def _before(weight_decay: float, maximize: bool) -> list[jopt.Transform]:
    """What PyTorch does to a gradient first."""
    stages = [jopt.scale(-1.0)] if maximize else []
    if weight_decay:
        stages.append(jopt.add_decayed_weights(weight_decay))
    return stages


def _chain(
    before: list[jopt.Transform], *stages: jopt.Transform, how: dict[str, Any]
) -> jopt.Transform:
    for name in how:
        if name not in _HOW:
            raise TypeError(
                f"unknown argument `{name}`. Beside those of the rule, PyTorch's "
                f"{', '.join(_HOW)} are taken and ignored."
            )
    every = [*before, *stages]
    return every[0] if len(every) == 1 else jopt.chain(*every)


def _betas(betas: Any) -> Betas:
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise TypeError(f"`betas` must be a pair such as (0.9, 0.999), got {betas!r}.")
    return betas[0], betas[1]


def _times(lr: Rate, factor: Rate) -> Rate:
    """A rate, constant or scheduled, times a factor."""
    return lr * factor  # schedules multiply
