"""Optimizers that treat matrices as matrices."""

from jopt.matrix.lowrank import (
    apollo as apollo,
    apollo_mini as apollo_mini,
    fira as fira,
    galore as galore,
    scale_by_apollo as scale_by_apollo,
    scale_by_galore as scale_by_galore,
    ScaleByApolloState as ScaleByApolloState,
    ScaleByGaloreState as ScaleByGaloreState,
)
from jopt.matrix.mars import mars as mars
from jopt.matrix.muon import (
    matrices as matrices,
    muon as muon,
    scale_by_muon as scale_by_muon,
    ScaleByMuonState as ScaleByMuonState,
)
from jopt.matrix.muonh import muonh as muonh
from jopt.matrix.newton_schulz import (
    ns_coefficients as ns_coefficients,
    orthogonalize as orthogonalize,
    orthogonalize_all as orthogonalize_all,
)
