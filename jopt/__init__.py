"""Optimizers and schedules for JAX that are values.

An optimizer is an optax gradient transformation and also a value: it prints and
compares as the call that built it, and its hyperparameters are the leaves of a pytree.
"""

import importlib

__version__ = "0.1.0"

from jopt._core.decay import Decay as Decay
from jopt._core.norms import global_norm as global_norm
from jopt._core.parse import parse as parse
from jopt._core.registry import list_optimizers as list_optimizers
from jopt._core.schedule import (
    constant_schedule as constant_schedule,
    from_callable as from_callable,
    join_schedules as join_schedules,
    multiply_schedules as multiply_schedules,
    Schedule as Schedule,
    schedule as schedule,
    shift_schedule as shift_schedule,
    sum_schedules as sum_schedules,
)
from jopt._core.select import (
    Where as Where,
    where as where,
)
from jopt._core.spec import UnknownNameError as UnknownNameError
from jopt._core.transform import (
    chain as chain,
    foreign as foreign,
    named_chain as named_chain,
    optimizer as optimizer,
    ScheduledState as ScheduledState,
    Transform as Transform,
    transform as transform,
)
from jopt._core.types import (
    Count as Count,
    DecayRate as DecayRate,
    Epsilon as Epsilon,
    Fraction as Fraction,
    Inner as Inner,
    Inners as Inners,
    InnerSchedule as InnerSchedule,
    LearningRate as LearningRate,
    Mask as Mask,
    Momentum as Momentum,
    NonNegative as NonNegative,
    OptionalScalar as OptionalScalar,
    Pair as Pair,
    Positive as Positive,
    Scalar as Scalar,
    Steps as Steps,
    Switch as Switch,
    Value as Value,
)
from jopt._core.warn import JoptWarning as JoptWarning
from jopt.inspect import (
    cite as cite,
    describe as describe,
    Description as Description,
    get as get,
    state_bytes as state_bytes,
)
from jopt.values import (
    expose as expose,
    ExposedState as ExposedState,
    from_dict as from_dict,
    hyperparams as hyperparams,
    in_axes as in_axes,
    make_step as make_step,
    migrate as migrate,
    Migration as Migration,
    override_schedule as override_schedule,
    set_hyperparams as set_hyperparams,
    stack as stack,
    Step as Step,
    to_dict as to_dict,
)

# isort: split
# -- made by `python -m tests.exports`
from jopt.matrix import (
    matrices as matrices,
    muon as muon,
    ns_coefficients as ns_coefficients,
    orthogonalize as orthogonalize,
    orthogonalize_all as orthogonalize_all,
    scale_by_muon as scale_by_muon,
)
from jopt.optimizers import (
    adadelta as adadelta,
    adafactor as adafactor,
    adagrad as adagrad,
    adam as adam,
    adamax as adamax,
    adamaxw as adamaxw,
    adamw as adamw,
    amsgrad as amsgrad,
    lamb as lamb,
    lars as lars,
    lion as lion,
    nadam as nadam,
    nadamw as nadamw,
    prodigy as prodigy,
    radam as radam,
    rmsprop as rmsprop,
    scale_by_adadelta as scale_by_adadelta,
    scale_by_adam as scale_by_adam,
    scale_by_adamax as scale_by_adamax,
    scale_by_amsgrad as scale_by_amsgrad,
    scale_by_factored_rms as scale_by_factored_rms,
    scale_by_lars as scale_by_lars,
    scale_by_lion as scale_by_lion,
    scale_by_nadam as scale_by_nadam,
    scale_by_param_block_rms as scale_by_param_block_rms,
    scale_by_prodigy as scale_by_prodigy,
    scale_by_radam as scale_by_radam,
    scale_by_relative_step as scale_by_relative_step,
    scale_by_rms as scale_by_rms,
    scale_by_rss as scale_by_rss,
    scale_by_schedule_free as scale_by_schedule_free,
    scale_by_stddev as scale_by_stddev,
    schedule_free_adamw as schedule_free_adamw,
    schedule_free_sgd as schedule_free_sgd,
    sgd as sgd,
    sign_sgd as sign_sgd,
    signum as signum,
)
from jopt.precision import (
    apply_updates as apply_updates,
    dynamic_loss_scale as dynamic_loss_scale,
    kahan as kahan,
    master_weights as master_weights,
    round_stochastically as round_stochastically,
    scale_loss as scale_loss,
    stochastic_round as stochastic_round,
)
from jopt.schedules import (
    cooldown as cooldown,
    cosine_decay_schedule as cosine_decay_schedule,
    cosine_onecycle_schedule as cosine_onecycle_schedule,
    cosine_restarts_schedule as cosine_restarts_schedule,
    cumulative_schedule as cumulative_schedule,
    cyclic_schedule as cyclic_schedule,
    ema_decay_schedule as ema_decay_schedule,
    epoch_schedule as epoch_schedule,
    exponential_decay as exponential_decay,
    interpolate_schedule as interpolate_schedule,
    inverse_sqrt_schedule as inverse_sqrt_schedule,
    inverse_time_decay as inverse_time_decay,
    linear_cosine_decay as linear_cosine_decay,
    linear_onecycle_schedule as linear_onecycle_schedule,
    linear_schedule as linear_schedule,
    multistep_decay as multistep_decay,
    natural_exp_decay as natural_exp_decay,
    noisy_linear_cosine_decay as noisy_linear_cosine_decay,
    onecycle_schedule as onecycle_schedule,
    piecewise_constant_schedule as piecewise_constant_schedule,
    piecewise_interpolate_schedule as piecewise_interpolate_schedule,
    polynomial_schedule as polynomial_schedule,
    power_schedule as power_schedule,
    rex_schedule as rex_schedule,
    round_schedule as round_schedule,
    sgdr_schedule as sgdr_schedule,
    step_decay as step_decay,
    warmup as warmup,
    warmup_constant_schedule as warmup_constant_schedule,
    warmup_cosine_decay_schedule as warmup_cosine_decay_schedule,
    warmup_exponential_decay_schedule as warmup_exponential_decay_schedule,
    wsd_schedule as wsd_schedule,
)
from jopt.transforms import (
    accumulate as accumulate,
    adaptive_grad_clip as adaptive_grad_clip,
    add_decayed_weights as add_decayed_weights,
    add_noise as add_noise,
    apply_if_finite as apply_if_finite,
    averaged_params as averaged_params,
    centralize as centralize,
    check_finite as check_finite,
    clip as clip,
    clip_by_block_rms as clip_by_block_rms,
    clip_by_global_norm as clip_by_global_norm,
    clip_by_norm as clip_by_norm,
    ema as ema,
    ema_params as ema_params,
    freeze as freeze,
    identity as identity,
    lookahead as lookahead,
    masked as masked,
    monitor as monitor,
    partition as partition,
    reduce_on_plateau as reduce_on_plateau,
    scale as scale,
    scale_by_learning_rate as scale_by_learning_rate,
    scale_by_schedule as scale_by_schedule,
    scale_by_sign as scale_by_sign,
    scale_by_trust_ratio as scale_by_trust_ratio,
    selective_transform as selective_transform,
    set_to_zero as set_to_zero,
    trace as trace,
)
from jopt.wrappers import decay_first as decay_first

# -- end of what is made
# isort: split

_LATE = {"race": "jopt.experiments.race", "RaceResult": "jopt.experiments.results"}


def __getattr__(name: str) -> object:
    """What is imported only when it is used, because it needs more than JAX."""
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    raise AttributeError(f"module 'jopt' has no attribute {name!r}")
