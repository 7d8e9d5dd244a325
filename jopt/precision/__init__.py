"""16-bit training: rounding, compensation, master weights, loss scaling."""

from jopt.precision.apply import apply_updates as apply_updates
from jopt.precision.kahan import (
    kahan as kahan,
    KahanState as KahanState,
)
from jopt.precision.loss_scale import (
    dynamic_loss_scale as dynamic_loss_scale,
    DynamicLossScaleState as DynamicLossScaleState,
    scale_loss as scale_loss,
)
from jopt.precision.master import (
    master_weights as master_weights,
    MasterWeightsState as MasterWeightsState,
)
from jopt.precision.rounding import stochastic_round as stochastic_round
from jopt.precision.stochastic import (
    round_stochastically as round_stochastically,
    RoundStochasticallyState as RoundStochasticallyState,
)
