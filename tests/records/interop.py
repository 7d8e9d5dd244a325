"""Records of stages that stand for optimizers of other frameworks."""

from jopt.interop import torch
from tests.case import FADING, record, Vary
from tests.fitted import fitted

TAGS = "odd complex descends still translation_invariant global_scalar"
SEARCH = "strong_wolfe"
LOOPS = {"N8": "the loop ends by what it finds, and so has no derivative in reverse"}


def slots(pairs):
    """The numbers per parameter: of the laws there are 15 parameters."""
    return 2 * pairs + 2 + pairs / 15


CASES = {
    "LBFGS": record(
        fitted(torch.LBFGS(0.2, 2, history_size=2)),
        # One try: later ones interpolate losses, whose differences lose digits of
        # float32 by thousands. The test of its numbers has the rest, in float64.
        Vary(
            fitted(torch.LBFGS(1.0, 1, 1, history_size=3, line_search_fn=SEARCH)),
            memory=slots(3),
        ),
        fitted(torch.LBFGS(FADING, 2, 2, 1e-5, 1e-6, history_size=2)),
        tags=f"{TAGS} scale_invariant",
        needs="params",
        memory=slots(2),
        skips=LOOPS,
    ),
}
