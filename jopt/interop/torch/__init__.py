"""PyTorch's optimizers and schedulers, by its names, arguments and defaults.

The numbers are PyTorch's. What differs: no `params` are given to an optimizer, a
scheduler takes the base rate in the place of the optimizer and is given as `lr`, and
`param_groups` makes groups from the names of leaves.
"""

from jopt.interop.torch.groups import param_groups as param_groups
from jopt.interop.torch.lbfgs import (
    LBFGS as LBFGS,
    LBFGSState as LBFGSState,
)
from jopt.interop.torch.optimizers import (
    Adadelta as Adadelta,
    Adafactor as Adafactor,
    Adagrad as Adagrad,
    Adam as Adam,
    Adamax as Adamax,
    AdamW as AdamW,
    ASGD as ASGD,
    Muon as Muon,
    NAdam as NAdam,
    RAdam as RAdam,
    RMSprop as RMSprop,
    Rprop as Rprop,
    SGD as SGD,
    SparseAdam as SparseAdam,
)
from jopt.interop.torch.schedulers import (
    ChainedScheduler as ChainedScheduler,
    ConstantLR as ConstantLR,
    CosineAnnealingLR as CosineAnnealingLR,
    CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts,
    CyclicLR as CyclicLR,
    CyclicMomentum as CyclicMomentum,
    ExponentialLR as ExponentialLR,
    LambdaLR as LambdaLR,
    LinearLR as LinearLR,
    MultiplicativeLR as MultiplicativeLR,
    MultiStepLR as MultiStepLR,
    OneCycleLR as OneCycleLR,
    OneCycleMomentum as OneCycleMomentum,
    PolynomialLR as PolynomialLR,
    ReduceLROnPlateau as ReduceLROnPlateau,
    SequentialLR as SequentialLR,
    StepLR as StepLR,
)
from jopt.interop.torch.state import (
    load_state as load_state,
    to_state_dict as to_state_dict,
)
