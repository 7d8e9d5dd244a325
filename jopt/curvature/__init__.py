"""Curvature: estimates of the Hessian's diagonal, and natural gradients."""

from jopt.curvature.diagonal import (
    gauss_newton_bartlett as gauss_newton_bartlett,
    hutchinson as hutchinson,
)
from jopt.curvature.kfac import (
    kfac as kfac,
    KFACLayerState as KFACLayerState,
    scale_by_kfac as scale_by_kfac,
    ScaleByKFACState as ScaleByKFACState,
)
from jopt.curvature.kronecker import (
    kronecker_factors as kronecker_factors,
    KroneckerFactors as KroneckerFactors,
)
