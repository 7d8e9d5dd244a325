"""Random chains of what the records have, for laws that must hold of any chain.

A new record joins by itself: its configurations are drawn like all others.
"""

import warnings
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

import jopt
from tests.case import Case
from tests.cases import TRANSFORMS

LONGEST = 5
LAWS = ["P1", "P3", "P4", "A3", "A9", "C2"]
EVERY = [case for name in sorted(TRANSFORMS) for case in TRANSFORMS[name]]
MEMBERS = [case for case in EVERY if not case.skips.keys() & {*LAWS, "D1"}]

# Behind another stage the gradients of objectives may nearly depend on each other, and
# what is made of them is then a matter of rounding, which differs from mesh to mesh.
# The loop of PyTorch's LBFGS leaves the layout of its update to the compiler, so a
# stage behind it may be compiled twice.
OFF_MESHES = ("as_objectives", "LBFGS")
ON_MESHES = [c for c in MEMBERS if not any(n in repr(c.tx) for n in OFF_MESHES)]


def random_chain(
    draw: Callable[[st.SearchStrategy], Any], members: list[Case] = MEMBERS
) -> Case:
    """A chain of one to five members, with the needs and the tree of all of them.

    Args:
        draw: What hypothesis gives to a composite strategy.
        members: The members to draw from.
    """
    found = draw(st.lists(st.sampled_from(members), min_size=1, max_size=LONGEST))
    return chained(found)


def chained(members: list[Case]) -> Case:
    """The chain of some cases. It needs what any of them needs.

    It is stochastic, or of matrices, if one is. From outside that may not show: a stage
    behind it may undo, up to the last digits, what the noise did in the first step.
    """
    with warnings.catch_warnings():
        # that some order of stages is not wise is no reason for it to break
        warnings.simplefilter("ignore", jopt.JoptWarning)
        tx = jopt.chain(*(case.tx for case in members))
    trees = [case.like for case in members if case.like is not None]
    return Case(
        tx,
        frozenset().union(*(case.tags for case in members)) & {"stochastic", "matrix"},
        frozenset().union(*(case.needs for case in members)),
        like=trees[0] if trees else None,
    )


chains = st.composite(random_chain)
