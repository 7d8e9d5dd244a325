"""Constraints: projections, proximal steps, multipliers, and steps within a set."""

from jopt.constraints.projected import projected as projected
from jopt.constraints.proximal import proximal as proximal
