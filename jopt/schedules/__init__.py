"""Schedules: functions of the step count, for any hyperparameter."""

from jopt.schedules.cosine import (
    cosine_decay_schedule as cosine_decay_schedule,
    cosine_restarts_schedule as cosine_restarts_schedule,
    sgdr_schedule as sgdr_schedule,
)
from jopt.schedules.exponential import (
    exponential_decay as exponential_decay,
    multistep_decay as multistep_decay,
    step_decay as step_decay,
)
from jopt.schedules.inverse_sqrt import inverse_sqrt_schedule as inverse_sqrt_schedule
from jopt.schedules.onecycle import (
    cosine_onecycle_schedule as cosine_onecycle_schedule,
    linear_onecycle_schedule as linear_onecycle_schedule,
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
from jopt.schedules.warmups import (
    warmup as warmup,
    warmup_constant_schedule as warmup_constant_schedule,
    warmup_cosine_decay_schedule as warmup_cosine_decay_schedule,
    warmup_exponential_decay_schedule as warmup_exponential_decay_schedule,
)
from jopt.schedules.wsd import wsd_schedule as wsd_schedule
