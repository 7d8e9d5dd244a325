"""The laws of optimizers, to be tried on any transform."""

from jopt.testing import (
    algebra as algebra,
    devices as devices,
    numbers as numbers,
    resume as resume,
    schedules as schedules,
    structure as structure,
    wrappers as wrappers,
)
from jopt.testing.check import (
    check_schedule as check_schedule,
    check_transform as check_transform,
)
from jopt.testing.law import Law as Law, LAWS as LAWS
from jopt.testing.plugin import parametrize as parametrize
from jopt.testing.report import Report as Report, Verdict as Verdict
