"""The optimizers of `keras.optimizers`, by Keras's names, arguments and defaults."""

import dataclasses
import re
from typing import Any, Unpack

import jopt
from jopt.interop.keras.options import finished, Options, Rate


def SGD(
    learning_rate: Rate = 0.01,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float | None = None,
    **options: Unpack[Options],
) -> jopt.Transform:
    """`keras.optimizers.SGD`: the rate is inside the momentum.

    Example:
        >>> from jopt.interop import keras
        >>> keras.SGD(0.1, momentum=0.9)
        chain(scale_by_learning_rate(learning_rate=0.1), trace(decay=0.9))
    """
    rule = jopt.scale_by_learning_rate(learning_rate)
    if momentum:
        rule = jopt.chain(rule, jopt.trace(momentum, nesterov))
    return finished(rule, learning_rate, weight_decay, **options)


def RMSprop(
    learning_rate: Rate = 0.001,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    centered: bool = False,
    weight_decay: float | None = None,
    **options: Unpack[Options],
) -> jopt.Transform:
    """`keras.optimizers.RMSprop`: epsilon inside the root, the rate in the momentum."""
    stage = jopt.scale_by_stddev if centered else jopt.scale_by_rms
    steps = jopt.scale_by_learning_rate(learning_rate, flip_sign=False)
    parts = [stage(rho, epsilon), steps]
    if momentum:
        parts.append(jopt.trace(momentum))
    rule = jopt.chain(*parts, jopt.scale(-1.0))
    return finished(rule, learning_rate, weight_decay, **options)


def Adam(
    learning_rate: Rate = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    amsgrad: bool = False,
    weight_decay: float | None = None,
    **options: Unpack[Options],
) -> jopt.Transform:
    """`keras.optimizers.Adam`: epsilon beside the uncorrected root ("epsilon hat").

    Example:
        >>> from jopt.interop import keras
        >>> keras.Adam(1e-3)
        chain(scale_by_adam(eps=1e-07, eps_hat=True),
              scale_by_learning_rate(learning_rate=0.001))
    """
    stage = jopt.scale_by_amsgrad if amsgrad else jopt.scale_by_adam
    adaptive = stage(beta_1, beta_2, epsilon, eps_hat=True)
    rule = jopt.chain(adaptive, jopt.scale_by_learning_rate(learning_rate))
    return finished(rule, learning_rate, weight_decay, **options)


def AdamW(
    learning_rate: Rate = 0.001,
    weight_decay: float | None = 0.004,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    amsgrad: bool = False,
    **options: Unpack[Options],
) -> jopt.Transform:
    """`keras.optimizers.AdamW`."""
    return Adam(
        learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, **options
    )


def Adadelta(
    learning_rate: Rate = 0.001,
    rho: float = 0.95,
    epsilon: float = 1e-7,
    weight_decay: float | None = None,
    **options: Unpack[Options],
) -> jopt.Transform:
    """`keras.optimizers.Adadelta`."""
    rule = jopt.adadelta(learning_rate, rho, epsilon)
    return finished(rule, learning_rate, weight_decay, **options)


def Adagrad(
    learning_rate: Rate = 0.001,
    initial_accumulator_value: float = 0.1,
    epsilon: float = 1e-7,
    weight_decay: float | None = None,
    **options: Unpack[Options],
) -> jopt.Transform:
    """`keras.optimizers.Adagrad`: epsilon inside the root."""
    start = initial_accumulator_value
    rule = jopt.adagrad(learning_rate, start, epsilon, eps_in_sqrt=True)
    return finished(rule, learning_rate, weight_decay, **options)


def Adamax(
    learning_rate: Rate = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: float | None = None,
    **options: Unpack[Options],
) -> jopt.Transform:
    """`keras.optimizers.Adamax`: epsilon beside the maximum."""
    adaptive = jopt.scale_by_adamax(beta_1, beta_2, epsilon, eps_in_max=False)
    rule = jopt.chain(adaptive, jopt.scale_by_learning_rate(learning_rate))
    return finished(rule, learning_rate, weight_decay, **options)


def Nadam(
    learning_rate: Rate = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: float | None = None,
    **options: Unpack[Options],
) -> jopt.Transform:
    """`keras.optimizers.Nadam`: the momentum's schedule with a decay of 1."""
    rule = jopt.nadam(learning_rate, beta_1, beta_2, epsilon, momentum_decay=1.0)
    return finished(rule, learning_rate, weight_decay, **options)


def Adafactor(
    learning_rate: Rate = 0.001,
    beta_2_decay: float = -0.8,
    epsilon_1: float = 1e-30,
    epsilon_2: float = 1e-3,
    clip_threshold: float = 1.0,
    relative_step: bool = True,
    weight_decay: float | None = None,
    **options: Unpack[Options],
) -> jopt.Transform:
    """`keras.optimizers.Adafactor`; its steps are relative, whatever is asked for."""
    del relative_step  # Keras takes min(rate, 1 / sqrt(t)) in both cases
    rule = jopt.adafactor(
        learning_rate,
        min_dim_size_to_factor=1,
        decay_rate=-beta_2_decay,
        clipping_threshold=clip_threshold,
        relative_step=True,
        eps=epsilon_1,
        min_parameter_scale=epsilon_2,
    )
    return finished(rule, learning_rate, weight_decay, **options)


def Ftrl(
    learning_rate: Rate = 0.001,
    learning_rate_power: float = -0.5,
    initial_accumulator_value: float = 0.1,
    l1_regularization_strength: float = 0.0,
    l2_regularization_strength: float = 0.0,
    l2_shrinkage_regularization_strength: float = 0.0,
    beta: float = 0.0,
    weight_decay: float | None = None,
    **options: Unpack[Options],
) -> jopt.Transform:
    """`keras.optimizers.Ftrl`."""
    rule = jopt.ftrl(
        learning_rate,
        learning_rate_power,
        initial_accumulator_value,
        l1_regularization_strength,
        l2_regularization_strength,
        l2_shrinkage_regularization_strength,
        beta,
    )
    return finished(rule, learning_rate, weight_decay, **options)


def Lion(
    learning_rate: Rate = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.99,
    weight_decay: float | None = None,
    **options: Unpack[Options],
) -> jopt.Transform:
    """`keras.optimizers.Lion`."""
    rule = jopt.lion(learning_rate, beta_1, beta_2, weight_decay=0.0)
    return finished(rule, learning_rate, weight_decay, **options)


def Lamb(
    learning_rate: Rate = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: float | None = None,
    **options: Unpack[Options],
) -> jopt.Transform:
    """`keras.optimizers.Lamb`: weights decay before the trust ratio, not inside it."""
    rule = jopt.lamb(learning_rate, beta_1, beta_2, epsilon)
    return finished(rule, learning_rate, weight_decay, **options)


def ScheduleFreeAdamW(
    learning_rate: float = 0.0025,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    warmup_steps: int = 0,
    weight_decay: float | None = None,
    **options: Unpack[Options],
) -> jopt.Transform:
    """`keras.optimizers.ScheduleFreeAdamW`: every step weighs the same in the average.

    `jopt.averaged_params(state, params)` gives the weights that Keras ends with.
    """
    rule = jopt.schedule_free_adamw(
        learning_rate, warmup_steps, beta_1, beta_2, epsilon, weight_lr_power=0.0
    )
    return finished(rule, learning_rate, weight_decay, **options)


def Muon(
    learning_rate: float = 0.001,
    adam_beta_1: float = 0.9,
    adam_beta_2: float = 0.999,
    adam_weight_decay: float | None = 0.004,
    epsilon: float = 1e-7,
    weight_decay: float | None = 0.004,
    *,
    exclude_layers: tuple[str, ...] = (),
    exclude_embeddings: bool = True,
    muon_a: float = 3.4445,
    muon_b: float = -4.7750,
    muon_c: float = 2.0315,
    adam_lr_ratio: float = 1.0,
    momentum: float = 0.95,
    ns_steps: int = 5,
    nesterov: bool = True,
    rms_rate: float = 0.2,
    **options: Unpack[Options],
) -> jopt.Transform:
    """`keras.optimizers.Muon`: matrices but embeddings by Muon, the rest by Adam.

    Keras adds up the momentum, jopt averages it; the direction is the same.
    """
    stretch = rms_rate / 0.2
    matrices = jopt.muon(
        learning_rate * stretch,
        (muon_a, muon_b, muon_c),
        ns_steps,
        momentum,
        1e-7 * (1.0 - momentum),  # beside an average in the place of a sum
        nesterov=nesterov,
        scale="match_rms",
        matrices=True,
    )
    betas = adam_beta_1, adam_beta_2
    others = jopt.chain(
        jopt.scale_by_adam(*betas, epsilon, eps_hat=True),
        jopt.scale_by_learning_rate(learning_rate * adam_lr_ratio),
    )
    labels = _MuonOrAdam(exclude_embeddings, tuple(exclude_layers))
    kept = options.pop("exclude_from_weight_decay", None)
    groups = {
        "matrix": _kept(matrices, learning_rate, weight_decay, kept),
        "other": _kept(others, learning_rate, adam_weight_decay, kept),
    }
    return finished(jopt.partition(groups, labels), learning_rate, None, **options)


def _kept(rule: jopt.Transform, rate: Rate, decay: float | None, excluded: Any) -> Any:
    return finished(rule, rate, decay, exclude_from_weight_decay=excluded)


@dataclasses.dataclass(frozen=True)
class _MuonOrAdam:
    """Labels of leaves, by value, so that equal optimizers compile once."""

    exclude_embeddings: bool
    exclude_layers: tuple[str, ...]

    def __call__(self, name: str, leaf: Any) -> str:
        embedding = self.exclude_embeddings and "embedding" in name.lower()
        layer = any(re.search(word, name) for word in self.exclude_layers)
        return "other" if leaf.ndim != 2 or embedding or layer else "matrix"
