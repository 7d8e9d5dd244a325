"""The optimizers: ready chains, one family a file."""

from jopt.optimizers.adadelta import (
    adadelta as adadelta,
    scale_by_adadelta as scale_by_adadelta,
)
from jopt.optimizers.adafactor import (
    adafactor as adafactor,
    FactoredState as FactoredState,
    RelativeStepState as RelativeStepState,
    scale_by_factored_rms as scale_by_factored_rms,
    scale_by_param_block_rms as scale_by_param_block_rms,
    scale_by_relative_step as scale_by_relative_step,
)
from jopt.optimizers.adagrad import (
    adagrad as adagrad,
    scale_by_rss as scale_by_rss,
)
from jopt.optimizers.adam import (
    adam as adam,
    adamw as adamw,
    scale_by_adam as scale_by_adam,
)
from jopt.optimizers.adamax import (
    adamax as adamax,
    adamaxw as adamaxw,
    scale_by_adamax as scale_by_adamax,
)
from jopt.optimizers.amsgrad import (
    amsgrad as amsgrad,
    scale_by_amsgrad as scale_by_amsgrad,
)
from jopt.optimizers.lamb import lamb as lamb
from jopt.optimizers.lars import (
    lars as lars,
    scale_by_lars as scale_by_lars,
)
from jopt.optimizers.lion import (
    lion as lion,
    scale_by_lion as scale_by_lion,
    ScaleByLionState as ScaleByLionState,
)
from jopt.optimizers.nadam import (
    nadam as nadam,
    nadamw as nadamw,
    scale_by_nadam as scale_by_nadam,
    ScaleByNadamState as ScaleByNadamState,
)
from jopt.optimizers.prodigy import (
    prodigy as prodigy,
    ProdigyState as ProdigyState,
    scale_by_prodigy as scale_by_prodigy,
)
from jopt.optimizers.radam import (
    radam as radam,
    scale_by_radam as scale_by_radam,
)
from jopt.optimizers.rmsprop import (
    rmsprop as rmsprop,
    scale_by_rms as scale_by_rms,
    scale_by_stddev as scale_by_stddev,
    ScaleByRmsWithCountState as ScaleByRmsWithCountState,
    ScaleByRStdDevWithCountState as ScaleByRStdDevWithCountState,
)
from jopt.optimizers.schedule_free import (
    scale_by_schedule_free as scale_by_schedule_free,
    schedule_free_adamw as schedule_free_adamw,
    schedule_free_sgd as schedule_free_sgd,
    ScheduleFreeState as ScheduleFreeState,
)
from jopt.optimizers.sgd import sgd as sgd
from jopt.optimizers.signum import (
    sign_sgd as sign_sgd,
    signum as signum,
)
