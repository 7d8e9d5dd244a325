"""Constraints: projections, proximal steps, multipliers, and steps within a set."""

from jopt.constraints.frank_wolfe import (
    frank_wolfe as frank_wolfe,
    FrankWolfeState as FrankWolfeState,
)
from jopt.constraints.lagrangian import (
    augmented_lagrangian as augmented_lagrangian,
    Constraints as Constraints,
    Lagrangian as Lagrangian,
    lagrangian as lagrangian,
    PrimalDual as PrimalDual,
)
from jopt.constraints.manifolds import (
    retracted as retracted,
    riemannian as riemannian,
    tangent as tangent,
)
from jopt.constraints.mirror_descent import mirror_descent as mirror_descent
from jopt.constraints.nupi import (
    scale_by_nupi as scale_by_nupi,
    ScaleByNuPIState as ScaleByNuPIState,
)
from jopt.constraints.primal_dual import (
    method_of_multipliers as method_of_multipliers,
    MethodOfMultipliersState as MethodOfMultipliersState,
    primal_dual as primal_dual,
)
from jopt.constraints.projected import projected as projected
from jopt.constraints.proximal import proximal as proximal
from jopt.constraints.straight_through import straight_through as straight_through
