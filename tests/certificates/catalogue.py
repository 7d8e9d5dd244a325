"""All certificates of optimizers."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import jopt
from tests import records
from tests.certificates.classics import CLASSIC
from tests.certificates.newer import MODERN
from tests.certificates.record import build, Certificate, PAPER, RAMP, RATES
from tests.references import classic, modern


def _rows() -> Iterator[Certificate]:
    count: Counter[str] = Counter()
    for rows in (*CLASSIC, *MODERN, *records.everything("CERTIFICATES")):
        kind = "-paper" if rows.transcription else ""
        for ours, theirs in rows.pairs:
            key = rows.optimizer + kind
            made = build(rows.optimizer, ours), rows.source, theirs, *rows[3:]
            yield Certificate(f"{key}-{count[key]}", rows.optimizer, *made)
            count[key] += 1


def _transcribed() -> Iterator[Certificate]:
    """Of the first records, whose transcriptions are tests of their own."""
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


_ROWS = list(_rows())
PACKAGED = [c for c in _ROWS if not c.transcription]
_TOLD = [c for c in _ROWS if c.transcription]
TRANSCRIBED = [*_transcribed(), *_TOLD]
# those that no other test compares
EXTRA = [*_TOLD, *(c for c in TRANSCRIBED if c.id == "lars-paper-5")]
CERTIFICATES = PACKAGED + TRANSCRIBED
