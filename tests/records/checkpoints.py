"""Averages and copies of parameters on the way: their laws."""

import jopt
from tests.case import record

TAGS = "elementwise odd translation_invariant still complex"

CASES = {
    "swa_params": record(
        jopt.swa_params(),
        jopt.swa_params(2, period=3),
        tags=TAGS,
        needs="params",
        memory=1,
    ),
    "lawa_params": record(
        jopt.lawa_params(2, period=1),
        jopt.lawa_params(2, period=2),
        tags=TAGS,
        needs="params",
        memory=3,
    ),
    "power_ema_params": record(
        jopt.power_ema_params(),
        jopt.power_ema_params(gamma=0.5),
        tags=TAGS,
        needs="params",
        memory=1,
    ),
    "snapshot_params": record(
        jopt.snapshot_params([1, 3]),
        jopt.snapshot_params([2, 5]),
        tags=TAGS,
        needs="params",
        memory=2,
    ),
}
