"""Run every package, store what it does, and write docs/certificates.md.

    python -m tests.certificates.make

needs the packages that `packages` names, and sets nothing but the two files in data/
and the page. With `--page` the stored runs stay as they are and are not run again.
"""

import sys
from typing import Any

import jax

from tests.certificates import (
    catalogue,
    packages,
    page,
    peers,
    schedule_packages,
    schedules,
    stored,
)
from tests.references.problem import PROBLEMS, relative_error, trajectory


def run_packages() -> None:
    """Store the runs of all packages."""
    problems = {name: PROBLEMS[name]() for name in ("vector", "tree")}
    runs = {c.id: packages.run(c) for c in catalogue.PACKAGED}
    data = {
        "problems": stored.plain({k: list(v) for k, v in problems.items()}),
        "runs": {name: _packed(run) for name, run in runs.items()},
        "versions": _versions(c.source for c in catalogue.PACKAGED),
    }
    stored.write(stored.OPTIMIZERS, data)
    values = {
        c.id: stored.packed([schedule_packages.run(c)[c.kept]])
        for c in schedules.PACKAGED
    }
    versions = _versions(c.source for c in schedules.PACKAGED)
    stored.write(stored.SCHEDULES, {"values": values, "versions": versions})


def _packed(run: dict[str, Any]) -> dict[str, str]:
    parts = {"path": stored.kept(run["path"])}
    if "averaged" in run:
        parts["averaged"] = [run["averaged"]]
    return {name: stored.packed(trees) for name, trees in parts.items()}


def _versions(sources: Any) -> dict[str, str]:
    return {source: packages.version(source) for source in sorted(set(sources))}


def measure() -> page.Measured:
    """All errors, of the packages as they run now."""
    errors, paths = {}, {}
    for c in catalogue.CERTIFICATES:
        first, grads = c.start()
        paths[c.id] = c.transcribed() if c.transcription else packages.run(c)["path"]
        ours, _ = trajectory(c.tx, first, grads, extra=c.extra, read=c.read)
        errors[c.id] = relative_error(ours, paths[c.id], first)
    known = {c.id: c for c in catalogue.CERTIFICATES}
    optax = {
        p.certificate: p.error(stored.kept(paths[p.certificate]), known[p.certificate])
        for p in peers.PEERS
    }
    unsound = [u.error(packages.run(u.certificate())["path"]) for u in peers.UNSOUND]
    return page.Measured(errors, optax, unsound, *_schedules(), peers.nan_lengths())


def _schedules() -> tuple[dict[str, float], dict[str, float]]:
    ours, optax = {}, {}
    for c in schedules.SCHEDULES:
        theirs = c.transcribed() if c.curve else schedule_packages.run(c)
        ours[c.id] = schedules.schedule_error(c.values(), theirs)
        peer = schedules.optax_values(c)
        if peer is not None:
            optax[c.id] = schedules.schedule_error(peer, theirs)
    return ours, optax


def main() -> None:
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    if "--page" not in sys.argv[1:]:
        run_packages()
    stored.PAGE.write_text(page.text(measure()))


if __name__ == "__main__":
    main()
