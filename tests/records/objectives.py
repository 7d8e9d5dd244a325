"""Records of aggregators, behind a stage that makes three gradients of one."""

import jopt
from tests.case import is_matrix, record, Vary
from tests.stacked import as_objectives

SUM = "odd translation_invariant still complex elementwise"
TAGS = "odd translation_invariant still complex global_scalar"
REGULAR = {"norm_eps": 1e-4, "reg_eps": 1e-4}
WEIGHTS = [0.5, 0.3, 0.2]

GRAMIAN = {"D6": "the inner products of all objectives are reduced, not one number"}
BENT = {"N8": "the slope is 1.2e-5 off the difference, 1e-5 is asked; why is open"}
FEW_ORDERS = {"A14": "two keys may draw the same one of a few orders"}
LOSSES = {"C5": "its state is of losses, whatever the parameters are"}


def shared(tx):
    """A mask: the leaves apart from it do not follow the Gramian of the rest."""
    return Vary(as_objectives(tx), "-global_scalar")


def weighing(*configs, **facts):
    """A record of aggregators that work on a Gramian."""
    own = [c if isinstance(c, Vary) else as_objectives(c) for c in configs]
    return record(*own, **({"tags": TAGS, "skips": GRAMIAN} | facts))


CASES = {
    "aligned_mtl": weighing(
        jopt.aligned_mtl(),
        shared(jopt.aligned_mtl(WEIGHTS, is_matrix)),
        jopt.aligned_mtl(scale_mode="rmse"),
        jopt.aligned_mtl(scale_mode="median"),
    ),
    "cagrad": weighing(jopt.cagrad(), jopt.cagrad(1.0, norm_eps=1e-4)),
    "constant_weights": record(
        as_objectives(jopt.constant_weights()),
        as_objectives(jopt.constant_weights(WEIGHTS)),
        tags=SUM,
    ),
    "dual_proj": weighing(jopt.dual_proj(), jopt.dual_proj(WEIGHTS, **REGULAR)),
    "dwa": record(
        as_objectives(jopt.dwa(3)),
        as_objectives(jopt.dwa(3, 0.5, period=2)),
        tags=SUM,
        skips=LOSSES,
        memory=9 / 15,
    ),
    "gradnorm": weighing(
        jopt.gradnorm(3),
        jopt.gradnorm(3, jopt.linear_schedule(0.1, 0.0, 5), 0.5, is_matrix),
        skips=GRAMIAN | LOSSES,
        memory=6 / 15,
    ),
    "imtl_g": weighing(jopt.imtl_g(), shared(jopt.imtl_g(is_matrix))),
    "mgda": weighing(jopt.mgda(), shared(jopt.mgda(is_matrix)), skips=GRAMIAN | BENT),
    "nash_mtl": weighing(
        Vary(as_objectives(jopt.nash_mtl()), "+scale_invariant"), jopt.nash_mtl(0.0)
    ),
    "pcgrad": weighing(
        jopt.pcgrad(),
        Vary(
            as_objectives(jopt.pcgrad(key=0)),
            "-global_scalar +stochastic",
            skips=GRAMIAN | FEW_ORDERS,
        ),
    ),
    "upgrad": weighing(jopt.upgrad(), jopt.upgrad(WEIGHTS, **REGULAR)),
}
