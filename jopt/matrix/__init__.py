"""Optimizers that treat matrices as matrices."""

from jopt.matrix.muon import (
    matrices as matrices,
    muon as muon,
    scale_by_muon as scale_by_muon,
    ScaleByMuonState as ScaleByMuonState,
)
from jopt.matrix.newton_schulz import (
    ns_coefficients as ns_coefficients,
    orthogonalize as orthogonalize,
    orthogonalize_all as orthogonalize_all,
)
