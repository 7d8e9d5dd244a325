"""The page docs/certificates.md."""

import datetime
import platform
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from tests.certificates import catalogue, packages, peers, schedules, stored
from tests.certificates.record import TOLD

INTRO = """# Certificates

Every optimizer and every schedule of jopt is compared with an implementation by
others: the official one where it installs, else a sound one, else a transcription of
the paper in NumPy that shares nothing with jopt. Both sides compute in float64, on
heavy-tailed gradients (Student's t with 1.5 degrees of freedom).

So are wrappers, averages of parameters and stages with a rule of their own, around or
behind an optimizer. Of an average it is the average that is compared.

The error of a run is the greatest difference between the two runs, in any
coordinate at any step, over the greatest distance that the source travels from the
start. That of a schedule is the greatest difference over the greatest value. The bound
is 1e-9 for all; most errors are a few roundings.

- Muon's Newton-Schulz iterations run in bfloat16 in PyTorch; here PyTorch's own code
  runs them in float64.
- PyTorch's weights are (out, in) and are transposed on the way.
- A scheduled rate is set on the package's optimizer before each step.
- `{command}` runs all packages anew, stores what they do and
  writes this page. Everyday tests compare with the stored runs, so they need no
  package; slow tests run the packages.

Made on {date} by `{command}` with {versions}.
"""

UNSOUND = """
## What is no reference

At these settings a package is not the paper's algorithm. It was run and compared with
the transcription of the paper, which agrees with jopt and with the references above.
"""

OPTAX = """
## optax beside the sources

optax {version} at the settings of a certificate, and its error relative to the same
source. Where it differs, the argument named gives optax's numbers in jopt; tests
compare those with optax as well.
"""

OPTAX_SCHEDULES = """
`optax.polynomial_schedule` with a power that is not whole, such as 0.5, is NaN from its
last step on under `jit`, for most lengths: XLA multiplies by a rounded reciprocal, so
`1 - count / transition_steps` comes out slightly negative. In float32 and with power
0.5 that is so for {bad} of the lengths from 1 to 199. The schedules that are the same
in optax are in the last table.
"""


class Measured(NamedTuple):
    """Errors, by certificate."""

    optimizers: dict[str, float]
    optax: dict[str, float]
    unsound: list[float]
    schedules: dict[str, float]
    schedules_optax: dict[str, float]
    nan_lengths: int  # see `peers.nan_lengths`


def text(measured: Measured) -> str:
    """The whole page."""
    return "".join(f"{line}\n" for line in _lines(measured)).rstrip() + "\n"


def _lines(measured: Measured) -> Iterator[str]:
    yield INTRO.format(
        command=stored.COMMAND,
        date=datetime.date.today().isoformat(),
        versions=_versions(),
    )
    yield from _summary(measured)
    yield OPTAX.format(version=optax.__version__)
    yield from _optax(measured)
    yield OPTAX_SCHEDULES.format(bad=measured.nan_lengths)
    yield UNSOUND
    yield from _unsound(measured)
    yield "\n## Optimizers\n"
    yield f"`l` is `{catalogue.RAMP!r}`.\n"
    yield from _optimizers(measured)
    yield "\n## Schedules\n"
    yield from _schedules(measured)


def _versions() -> str:
    sources = {packages.package(c.source) for c in catalogue.PACKAGED}
    known = [packages.version(source) for source in sorted(sources)]
    ours = [
        f"jax {jax.__version__}",
        f"numpy {np.__version__}",
        f"optax {optax.__version__}",
    ]
    return ", ".join([*known, *ours, f"Python {platform.python_version()}"])


def _table(header: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def _summary(measured: Measured) -> Iterator[str]:
    certificates = [*catalogue.CERTIFICATES, *schedules.SCHEDULES]
    others = sum(not c.source.startswith(TOLD) for c in certificates)
    worst = max(*measured.optimizers.values(), *measured.schedules.values())
    names = {c.optimizer for c in catalogue.CERTIFICATES}
    yield (
        f"{len(catalogue.CERTIFICATES)} certificates of {len(names)} optimizers and "
        f"stages and {len(schedules.SCHEDULES)} of {len(schedules.TABLE)} schedules; "
        f"{others} of them against code by others. The worst error is {worst:.1e}.\n"
    )
    rows = []
    for name in sorted(names):
        own = [c for c in catalogue.CERTIFICATES if c.optimizer == name]
        sources = dict.fromkeys(_source(c.source) for c in own)
        error = max(measured.optimizers[c.id] for c in own)
        rows.append([f"`{name}`", str(len(own)), f"{error:.1e}", ", ".join(sources)])
    yield from _table(
        ["optimizer or stage", "settings", "worst error", "sources"], rows
    )


def _source(source: str) -> str:
    if source.startswith(TOLD):
        return source
    _, _, version = packages.version(source).partition(" ")
    return f"`{source}` {version}"


def _optax(measured: Measured) -> Iterator[str]:
    known = {c.id: c for c in catalogue.CERTIFICATES}
    rows = []
    for peer in peers.PEERS:
        certificate = known[peer.certificate]
        error = measured.optax[peer.certificate]
        size = f"{error:.1e}" if peer.bound else f"**{_percent(error)}**"
        verdict = "equal" if peer.bound else "differs"
        rows.append(
            [
                f"`optax.{peer.call}`",
                _source(certificate.source),
                verdict,
                size,
                peer.why,
            ]
        )
    rows.sort(key=lambda row: row[2])
    yield from _table(["call", "source", "", "error", "why"], rows)


def _percent(error: float) -> str:
    return f"{100 * error:.2g}%" if error < 1 else f"{100 * error:.0f}%"


def _unsound(measured: Measured) -> Iterator[str]:
    for case, error in zip(peers.UNSOUND, measured.unsound, strict=True):
        settings = ", ".join(f"{k}={_short(v)}" for k, v in case.settings.items())
        yield (
            f"- {_source(case.source)} with `{settings}` is {_percent(error)} off. "
            f"{case.why}"
        )


def _short(value: Any) -> str:
    return "l" if isinstance(value, tuple) and len(value) > 3 else repr(value)


def _optimizers(measured: Measured) -> Iterator[str]:
    rows = []
    for c in sorted(catalogue.CERTIFICATES, key=lambda c: c.optimizer):
        steps = str(len(c.start()[1]))
        error = f"{measured.optimizers[c.id]:.1e}"
        rows.append([f"`{shown(c.tx)}`", _source(c.source), steps, error])
    yield from _table(["settings", "source", "steps", "error"], rows)


def shown(tx: Any) -> str:
    """The call, with the common schedule as `l`, and without addresses."""
    return repr(tx).replace(repr(catalogue.RAMP), "l")


def _schedules(measured: Measured) -> Iterator[str]:
    rows = []
    for c in schedules.SCHEDULES:
        theirs = measured.schedules_optax.get(c.id)
        rows.append(
            [
                f"`{c.made!r}`",
                _source(_long(c.source)),
                f"{measured.schedules[c.id]:.1e}",
                _number(theirs),
            ]
        )
    yield from _table(["settings", "source", "error", "optax's error"], rows)


def _number(error: float | None) -> str:
    if error is None:
        return ""
    return "**NaN**" if np.isnan(error) else f"{error:.1e}"


def _long(source: str) -> str:
    """The full path of a scheduler's name."""
    if source.startswith(TOLD):
        return source
    package, _, name = source.partition(".")
    folder = {
        "torch": "torch.optim.lr_scheduler",
        "keras": "keras.optimizers.schedules",
        "pytorch_optimizer": "pytorch_optimizer.lr_scheduler",
    }.get(package, package)
    return f"{folder}.{name}"
