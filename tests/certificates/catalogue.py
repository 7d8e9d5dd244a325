"""All certificates of optimizers."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import jopt
from tests.certificates.classics import CLASSIC
from tests.certificates.newer import MODERN
from tests.certificates.record import build, Certificate, PAPER, RAMP, RATES
from tests.references import classic, modern


def _packaged() -> Iterator[Certificate]:
    count: Counter[str] = Counter()
    for rows in (*CLASSIC, *MODERN):
        for ours, theirs in rows.pairs:
            name = f"{rows.optimizer}-{count[rows.optimizer]}"
            count[rows.optimizer] += 1
            tx = build(rows.optimizer, ours)
            yield Certificate(
                name, rows.optimizer, tx, rows.source, theirs, rows.problem
            )


def _transcribed() -> Iterator[Certificate]:
    """What the packages leave open; the other transcriptions are tests of their own."""
    count: Counter[str] = Counter()

    def made(name: str, ours: Any, *rest: Any) -> Certificate:
        count[name] += 1
        tx = build(name, ours)
        return Certificate(f"{name}-paper-{count[name]}", name, tx, PAPER, *rest)

    for case in classic.CASES:
        if not case.torch:
            yield made(
                case.name, case.arguments, case.settings, "vector", case.reference
            )
    for case in (*modern.CASES, *modern.MUON):
        yield made(
            case.optimizer,
            case.arguments,
            _with_triples(case.settings),
            case.problem,
            case.reference,
        )
    settings = {"lr": RATES, "weight_decay": 0.3, "trust": 0.1}
    yield made(
        "lars",
        jopt.lars(RAMP, 0.3, trust_coefficient=0.1),
        settings,
        "tree",
        modern.lars,
    )


def _with_triples(settings: dict[str, Any]) -> dict[str, Any]:
    """Coefficients of Newton-Schulz in the place of their name."""
    name = settings.get("triples")
    if not isinstance(name, str):
        return settings
    return settings | {"triples": jopt.ns_coefficients(name)}


PACKAGED = list(_packaged())
TRANSCRIBED = list(_transcribed())
# those that no other test compares
EXTRA = [c for c in TRANSCRIBED if c.id == "lars-paper-5"]
CERTIFICATES = PACKAGED + TRANSCRIBED
