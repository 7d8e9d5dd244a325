"""The record of complex parameters as pairs of real ones."""

import jopt
from tests.case import RATE, record, STEP, Vary

CASES = {
    "split_real_and_imaginary": record(
        jopt.split_real_and_imaginary(jopt.adam(RATE)),
        Vary(jopt.split_real_and_imaginary(jopt.signum(RATE)), memory=1),
        tags=f"{STEP} scale_invariant",
        memory=2,
    )
}
CERTIFICATES = []
