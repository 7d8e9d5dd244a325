"""The schedulers of `torch.optim.lr_scheduler`, by PyTorch's names and arguments.

In the place of the optimizer each takes `lr`, the optimizer's rate, and is then itself
given to an optimizer as `lr`. With the default of 1 it is a factor, as schedulers
inside `SequentialLR` and `ChainedScheduler` are. A step is a call of `update`: for
schedules that count epochs there is `jopt.epoch_schedule(schedule, steps_per_epoch)`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import jopt

Lambda = Callable[[Any], Any]


def LambdaLR(lr: float = 1.0, *, lr_lambda: Lambda) -> jopt.Schedule:
    """`lr * lr_lambda(step)`; the function is called with a traced step."""
    return lr * jopt.from_callable(lr_lambda)


def MultiplicativeLR(
    lr: float = 1.0, *, lr_lambda: Lambda, total_steps: int
) -> jopt.Schedule:
    """Each rate is the last one times `lr_lambda(step)`, up to `total_steps`."""
    return jopt.cumulative_schedule(lr, lr_lambda, total_steps)


def StepLR(lr: float = 1.0, *, step_size: int, gamma: float = 0.1) -> jopt.Schedule:
    """`lr * gamma^(step // step_size)`.

    Example:
        >>> from jopt.interop import torch
        >>> torch.SGD(lr=torch.StepLR(0.1, step_size=30))
        sgd(learning_rate=step_decay(init_value=0.1, step_size=30))
    """
    return jopt.step_decay(lr, step_size, gamma)


def MultiStepLR(
    lr: float = 1.0, *, milestones: Sequence[int], gamma: float = 0.1
) -> jopt.Schedule:
    """The rate falls to `gamma` times itself at each milestone."""
    return jopt.multistep_decay(lr, tuple(milestones), gamma)


def ConstantLR(
    lr: float = 1.0, *, factor: float = 1.0 / 3, total_iters: int = 5
) -> jopt.Schedule:
    """`lr * factor` for `total_iters` steps, then `lr`."""
    if total_iters == 0:
        return jopt.constant_schedule(lr)
    parts = [jopt.constant_schedule(lr * factor), jopt.constant_schedule(lr)]
    return jopt.join_schedules(parts, (total_iters,))


def LinearLR(
    lr: float = 1.0,
    *,
    start_factor: float = 1.0 / 3,
    end_factor: float = 1.0,
    total_iters: int = 5,
) -> jopt.Schedule:
    """From `lr * start_factor` to `lr * end_factor` along a straight line."""
    return jopt.linear_schedule(lr * start_factor, lr * end_factor, total_iters)


def ExponentialLR(lr: float = 1.0, *, gamma: float) -> jopt.Schedule:
    """`lr * gamma^step`."""
    return jopt.exponential_decay(lr, 1, gamma)


def PolynomialLR(
    lr: float = 1.0, *, total_iters: int = 5, power: float = 1.0
) -> jopt.Schedule:
    """`lr * (1 - step / total_iters)^power`."""
    return jopt.polynomial_schedule(lr, 0.0, power, total_iters)


def CosineAnnealingLR(
    lr: float | None = None, *, T_max: int, eta_min: float = 0.0
) -> jopt.Schedule:
    """Half a cosine wave; as in PyTorch it rises again after `T_max`.

    Example:
        >>> from jopt.interop import torch
        >>> rate = torch.CosineAnnealingLR(0.1, T_max=10)
        >>> round(float(rate(10)), 4), round(float(rate(20)), 4)
        (0.0, 0.1)
    """
    share = _share(eta_min, lr)
    return jopt.cosine_decay_schedule(lr or 1.0, T_max, share, rises=True)


def CosineAnnealingWarmRestarts(
    lr: float | None = None, *, T_0: int, T_mult: int = 1, eta_min: float = 0.0
) -> jopt.Schedule:
    """Half cosine waves, each `T_mult` times as long as the one before."""
    share = _share(eta_min, lr)
    return jopt.cosine_restarts_schedule(lr or 1.0, T_0, T_mult, alpha=share)


def CyclicLR(
    base_lr: float,
    max_lr: float,
    step_size_up: int = 2000,
    step_size_down: int | None = None,
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
    gamma: float = 1.0,
) -> jopt.Schedule:
    """A triangle wave; `CyclicMomentum` is that of the momentum."""
    return jopt.cyclic_schedule(
        base_lr, max_lr, step_size_up, step_size_down, mode, gamma
    )


def CyclicMomentum(
    base_momentum: float = 0.8,
    max_momentum: float = 0.9,
    step_size_up: int = 2000,
    step_size_down: int | None = None,
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
    gamma: float = 1.0,
) -> jopt.Schedule:
    """What `CyclicLR` does to the momentum (or to `betas[0]`): it falls and rises."""
    return jopt.cyclic_schedule(
        max_momentum, base_momentum, step_size_up, step_size_down, mode, gamma
    )


def OneCycleLR(
    max_lr: float,
    total_steps: int,
    pct_start: float = 0.3,
    anneal_strategy: Literal["cos", "linear"] = "cos",
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    three_phase: bool = False,
) -> jopt.Schedule:
    """Up to `max_lr` and down; `OneCycleMomentum` is that of the momentum.

    Example:
        >>> from jopt.interop import torch
        >>> tx = torch.SGD(
        ...     lr=torch.OneCycleLR(0.1, total_steps=100),
        ...     momentum=torch.OneCycleMomentum(total_steps=100),
        ... )
    """
    first = max_lr / div_factor
    ends = (first, max_lr, first / final_div_factor)
    return jopt.onecycle_schedule(
        *ends, total_steps, pct_start, _anneal(anneal_strategy), three_phase
    )


def OneCycleMomentum(
    base_momentum: float = 0.85,
    max_momentum: float = 0.95,
    *,
    total_steps: int,
    pct_start: float = 0.3,
    anneal_strategy: Literal["cos", "linear"] = "cos",
    three_phase: bool = False,
) -> jopt.Schedule:
    """What `OneCycleLR` does to the momentum (or to `betas[0]`): down and up."""
    ends = (max_momentum, base_momentum, max_momentum)
    return jopt.onecycle_schedule(
        *ends, total_steps, pct_start, _anneal(anneal_strategy), three_phase
    )


def SequentialLR(
    lr: float = 1.0, *, schedulers: Sequence[jopt.Schedule], milestones: Sequence[int]
) -> jopt.Schedule:
    """One scheduler after the other; each counts from its own start.

    Example:
        >>> from jopt.interop import torch
        >>> rate = torch.SequentialLR(
        ...     0.1,
        ...     schedulers=[
        ...         torch.LinearLR(start_factor=0.1, total_iters=5),
        ...         torch.CosineAnnealingLR(T_max=95),
        ...     ],
        ...     milestones=[5],
        ... )
        >>> round(float(rate(0)), 4), round(float(rate(5)), 4)
        (0.01, 0.1)
    """
    return lr * jopt.join_schedules(list(schedulers), tuple(milestones))


def ChainedScheduler(
    lr: float = 1.0, *, schedulers: Sequence[jopt.Schedule]
) -> jopt.Schedule:
    """The product of some schedulers, which are factors.

    Example:
        >>> from jopt.interop import torch
        >>> rate = torch.ChainedScheduler(
        ...     0.1,
        ...     schedulers=[
        ...         torch.ConstantLR(factor=0.1, total_iters=2),
        ...         torch.ExponentialLR(gamma=0.5),
        ...     ],
        ... )
        >>> [round(float(rate(t)), 4) for t in range(4)]
        [0.01, 0.005, 0.025, 0.0125]
    """
    product: Any = lr
    for scheduler in schedulers:
        product = product * scheduler
    return product


def ReduceLROnPlateau(
    mode: Literal["min", "max"] = "min",
    factor: float = 0.1,
    patience: int = 10,
    threshold: float = 1e-4,
    threshold_mode: Literal["rel", "abs"] = "rel",
    cooldown: int = 0,
    min_lr: float = 0.0,
    *,
    lr: float = 1.0,
    every: int = 1,
) -> jopt.Transform:
    """A stage to chain after the optimizer; give its `update` the metric as `value=`.

    The rate falls after `patience + 1` values without improvement, as in PyTorch.
    `min_lr` is that of a rate of `lr`. Each update is a value; where you measure less
    often, `every` values count as one, by their mean.

    Differs from PyTorch in: a fall of less than `eps` is made, and a relative threshold
    below a negative best value lies on the right side.

    Example:
        >>> from jopt.interop import torch
        >>> import jopt
        >>> tx = jopt.chain(torch.SGD(lr=0.1), torch.ReduceLROnPlateau(patience=5))
    """
    relative = threshold_mode == "rel"
    return jopt.reduce_on_plateau(
        factor,
        patience + 1,
        rtol=threshold if relative else 0.0,
        atol=0.0 if relative else threshold,
        cooldown=cooldown,
        accumulation_size=every,
        min_scale=min_lr / lr,
        mode=mode,
    )


def _share(eta_min: float, lr: float | None) -> float:
    """The least rate as a share of the first."""
    if eta_min and lr is None:
        raise ValueError(
            "`eta_min` is a rate, so `lr` must be given with it. Inside `SequentialLR` "
            "give `lr` to each scheduler, and none to `SequentialLR`."
        )
    return eta_min / lr if lr else 0.0


def _anneal(strategy: str) -> Literal["cosine", "linear"]:
    if strategy not in ("cos", "linear"):
        raise ValueError(
            f'`anneal_strategy` must be "cos" or "linear", got {strategy!r}.'
        )
    return "cosine" if strategy == "cos" else "linear"
