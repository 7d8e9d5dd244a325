"""Schedules: functions of the step count, for any hyperparameter."""

from jopt.schedules.cosine import (
    cosine_decay_schedule as cosine_decay_schedule,
    cosine_restarts_schedule as cosine_restarts_schedule,
    sgdr_schedule as sgdr_schedule,
)
from jopt.schedules.cyclic import cyclic_schedule as cyclic_schedule
from jopt.schedules.derived import (
    cumulative_schedule as cumulative_schedule,
    ema_decay_schedule as ema_decay_schedule,
    epoch_schedule as epoch_schedule,
    round_schedule as round_schedule,
)
from jopt.schedules.exponential import (
    exponential_decay as exponential_decay,
    inverse_time_decay as inverse_time_decay,
    multistep_decay as multistep_decay,
    natural_exp_decay as natural_exp_decay,
    step_decay as step_decay,
)
from jopt.schedules.inverse_sqrt import inverse_sqrt_schedule as inverse_sqrt_schedule
from jopt.schedules.linear_cosine import (
    linear_cosine_decay as linear_cosine_decay,
    noisy_linear_cosine_decay as noisy_linear_cosine_decay,
)
from jopt.schedules.onecycle import (
    cosine_onecycle_schedule as cosine_onecycle_schedule,
    linear_onecycle_schedule as linear_onecycle_schedule,
    onecycle_schedule as onecycle_schedule,
)
from jopt.schedules.piecewise import (
    interpolate_schedule as interpolate_schedule,
    piecewise_constant_schedule as piecewise_constant_schedule,
    piecewise_interpolate_schedule as piecewise_interpolate_schedule,
)
from jopt.schedules.polynomial import (
    linear_schedule as linear_schedule,
    polynomial_schedule as polynomial_schedule,
)
from jopt.schedules.power import power_schedule as power_schedule
from jopt.schedules.rex import rex_schedule as rex_schedule
from jopt.schedules.warmups import (
    warmup as warmup,
    warmup_constant_schedule as warmup_constant_schedule,
    warmup_cosine_decay_schedule as warmup_cosine_decay_schedule,
    warmup_exponential_decay_schedule as warmup_exponential_decay_schedule,
)
from jopt.schedules.wsd import (
    cooldown as cooldown,
    wsd_schedule as wsd_schedule,
)
