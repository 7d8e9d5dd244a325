"""Methods for functions with kinks, where gradients jump."""

from jopt.nonsmooth.gradient_sampling import (
    gradient_sampling as gradient_sampling,
    GradientSamplingState as GradientSamplingState,
)
from jopt.nonsmooth.proximal_point import proximal_point as proximal_point
from jopt.nonsmooth.subgradient import (
    subgradient as subgradient,
    SubgradientState as SubgradientState,
)
