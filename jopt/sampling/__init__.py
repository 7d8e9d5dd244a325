"""Samplers of posterior distributions: descent with the noise that belongs to it."""

from jopt.sampling.cyclical import (
    cyclical_temperature_schedule as cyclical_temperature_schedule,
)
from jopt.sampling.prior import add_gaussian_prior as add_gaussian_prior
from jopt.sampling.psgld import (
    psgld as psgld,
    PSGLDState as PSGLDState,
)
from jopt.sampling.sghmc import (
    sghmc as sghmc,
    SGHMCState as SGHMCState,
)
from jopt.sampling.sgld import (
    sgld as sgld,
    SGLDState as SGLDState,
)
from jopt.sampling.sgnht import (
    sgnht as sgnht,
    SGNHTState as SGNHTState,
)
