"""Second-order methods and line searches."""

from jopt.second_order.backtracking import (
    scale_by_backtracking_linesearch as scale_by_backtracking_linesearch,
    ScaleByBacktrackingLinesearchState as ScaleByBacktrackingLinesearchState,
)
from jopt.second_order.gauss_newton import (
    gauss_newton as gauss_newton,
    GaussNewtonState as GaussNewtonState,
    hessian_free as hessian_free,
    HessianFreeState as HessianFreeState,
)
from jopt.second_order.lbfgs import (
    lbfgs as lbfgs,
    scale_by_lbfgs as scale_by_lbfgs,
    ScaleByLbfgsState as ScaleByLbfgsState,
)
from jopt.second_order.newton_cg import (
    newton_cg as newton_cg,
    NewtonCgState as NewtonCgState,
)
from jopt.second_order.nonlinear_cg import (
    nonlinear_cg as nonlinear_cg,
    scale_by_nonlinear_cg as scale_by_nonlinear_cg,
    ScaleByNonlinearCgState as ScaleByNonlinearCgState,
)
from jopt.second_order.zoom import (
    scale_by_zoom_linesearch as scale_by_zoom_linesearch,
    ScaleByZoomLinesearchState as ScaleByZoomLinesearchState,
)
