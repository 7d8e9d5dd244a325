"""The same laws on optax's optimizers and on jopt's, side by side.

Run `python benchmarks/laws_vs_optax.py`. It prints one line for each optimizer that
both have: the laws that fail. Laws of jopt's values, which a pair of functions cannot
obey, are told apart as not applying, and count for neither.
"""

import sys
import time
import warnings

import jax
import optax

import jopt
from jopt.testing import check_transform
from jopt.testing.law import chosen

RATE = 0.1
NAMES = (
    *("adadelta", "adafactor", "adagrad", "adam", "adamax", "adamaxw", "adamw"),
    *("amsgrad", "lamb", "lars", "lion", "nadam", "nadamw", "radam", "rmsprop"),
    *("sgd", "sign_sgd"),
)
CONTRIB = ("muon", "prodigy", "schedule_free_adamw", "schedule_free_sgd")
# what every optimizer can obey: not the laws of properties, nor of what it declares
LAWS = [law.id for law in chosen(None) if not law.tag and law.id != "A16"]
LAWS.append("P9")
NEEDS = ["params"]


def failures(tx: optax.GradientTransformation) -> tuple[list[str], int]:
    """The laws that fail, and how many were tried."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = check_transform(tx, needs=NEEDS, laws=LAWS)
    tried = [v for v in report if v.verdict != "does not apply"]
    lost = [v.law.id for v in tried if v.verdict in ("FAILS", "lacks it")]
    return lost, len(tried)


def main() -> int:
    start = time.process_time()
    totals = {"optax": [0, 0], "jopt": [0, 0]}
    print(f"{'':22}{'optax fails':66}jopt fails")
    for name in [*NAMES, *CONTRIB]:
        theirs = getattr(optax.contrib if name in CONTRIB else optax, name)
        row = []
        for whose, factory in (("optax", theirs), ("jopt", getattr(jopt, name))):
            lost, tried = failures(factory(learning_rate=RATE))
            totals[whose][0] += len(lost)
            totals[whose][1] += tried
            row.append(" ".join(lost) or "none")
        print(f"{name:22}{row[0]:66}{row[1]}", flush=True)
    for whose, (lost, tried) in totals.items():
        print(f"{whose}: {lost} of {tried} checks fail")
    print(
        f"optax {optax.__version__}, jopt {jopt.__version__}, jax {jax.__version__}, "
        f"{time.process_time() - start:.0f} s of CPU time"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
