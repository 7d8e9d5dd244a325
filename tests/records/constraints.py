"""Records of projections and proximal steps."""

import jopt
from tests.case import FADING, is_matrix, RATE, record, Vary

SORTS = {"D6": "the nearest point is found by sorting, which takes the whole leaf"}
BENT = {"A8": "a penalty's step is not in proportion to the rate"}

CASES = {
    "projected": record(
        jopt.projected("non_negative"),
        Vary(jopt.projected("l2_ball", 2.0, is_matrix), "-elementwise +odd"),
        Vary(
            jopt.projected("simplex", 3.0),
            "-elementwise -complex +descends",
            skips=SORTS,
        ),
        Vary(jopt.projected("hypercube", 0.5), "-complex +descends"),
        tags="elementwise complex",
        needs="params",
    ),
    "proximal": record(
        jopt.proximal(RATE, "l1", 0.5),
        Vary(jopt.proximal(FADING, "group_lasso", 0.5), "-elementwise"),
        Vary(jopt.proximal(RATE, "rows", 0.5, is_matrix), "-elementwise +matrix"),
        jopt.proximal(RATE, "squared_l2", 0.5),
        Vary(
            jopt.proximal(FADING, "nuclear_norm", 0.5, is_matrix),
            "-elementwise +matrix",
        ),
        Vary(
            jopt.proximal(RATE, "total_variation", 0.5),
            "-elementwise -complex +matrix +translation_invariant",
        ),
        tags="elementwise odd complex descends",
        needs="params",
        skips=BENT,
    ),
}
