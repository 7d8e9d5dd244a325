"""Several objectives at once, and losses."""

from jopt.objectives.aligned_mtl import aligned_mtl as aligned_mtl
from jopt.objectives.balance import (
    dwa as dwa,
    DWAState as DWAState,
    gradnorm as gradnorm,
    GradNormState as GradNormState,
    uncertainty_weighting as uncertainty_weighting,
)
from jopt.objectives.cagrad import cagrad as cagrad
from jopt.objectives.constant_weights import constant_weights as constant_weights
from jopt.objectives.imtl_g import imtl_g as imtl_g
from jopt.objectives.jacobian import (
    aggregate as aggregate,
    aggregator as aggregator,
    gramian as gramian,
    objective_weights as objective_weights,
    value_and_jacobian as value_and_jacobian,
)
from jopt.objectives.losses import (
    sequence_cross_entropy as sequence_cross_entropy,
    sliced_wasserstein as sliced_wasserstein,
    smooth_l1_loss as smooth_l1_loss,
    softmax_focal_loss as softmax_focal_loss,
    wasserstein_1d as wasserstein_1d,
)
from jopt.objectives.mgda import mgda as mgda
from jopt.objectives.nash_mtl import nash_mtl as nash_mtl
from jopt.objectives.pcgrad import (
    pcgrad as pcgrad,
    PCGradState as PCGradState,
)
from jopt.objectives.transport import sinkhorn_divergence as sinkhorn_divergence
from jopt.objectives.upgrad import (
    dual_proj as dual_proj,
    upgrad as upgrad,
)
