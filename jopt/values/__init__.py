"""What follows from an optimizer being a value: edit, store, carry over, run."""

from jopt.values.config import from_dict as from_dict, to_dict as to_dict
from jopt.values.hyper import (
    expose as expose,
    ExposedState as ExposedState,
    hyperparams as hyperparams,
    in_axes as in_axes,
    override_schedule as override_schedule,
    set_hyperparams as set_hyperparams,
    stack as stack,
)
from jopt.values.migrate import migrate as migrate, Migration as Migration
from jopt.values.step import make_step as make_step, Step as Step
