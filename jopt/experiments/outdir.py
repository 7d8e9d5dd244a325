"""The folder a race writes to: checked first, resumable always."""

import dataclasses
import os
import pathlib
import shlex
import sys
import tempfile
from collections.abc import Sequence

from jopt.experiments.config import differences
from jopt.experiments.entrants import Entrant
from jopt.experiments.results import FILE, RaceResult, REPORT
from jopt.experiments.standings import Entry


class OutDir:
    """The output folder of a race, or none.

    Args:
        out: The folder; `None` writes nothing.
        resume: Whether to go on with the race it holds.

    Raises:
        ValueError: If the folder cannot be used so. Nothing is written before `open`.
    """

    def __init__(self, out: str | os.PathLike[str] | None, resume: bool):
        self.resume = resume
        self.path = None if out is None else pathlib.Path(out)
        if self.path is None:
            if resume:
                raise ValueError("`resume` needs `out`: the folder to go on with.")
            return
        self._check(self.path)

    def _check(self, path: pathlib.Path) -> None:
        if path.exists() and not path.is_dir():
            raise ValueError(f"`out`: {path} is a file; name a folder.")
        if self.resume:
            if not (path / FILE).is_file():
                raise ValueError(f"`resume`: {path} holds no {FILE} to go on with.")
        elif path.is_dir() and any(_entries(path)):
            cure = "resume it" if (path / FILE).exists() else "empty it"
            raise ValueError(
                f"`out`: {path} is not empty; name another folder, or {cure}."
            )
        parent = path
        while not parent.exists():
            parent = parent.absolute().parent
        if not parent.is_dir():
            raise ValueError(f"`out`: {path} cannot be made; {parent} is a file.")
        try:
            with tempfile.TemporaryFile(dir=parent):
                pass
        except OSError as error:
            reason = error.strerror or "unknown reason"
            raise ValueError(f"`out`: cannot write to {parent}: {reason}.") from None

    def earlier(self, blank: RaceResult, runners: Sequence[Entrant]) -> RaceResult:
        """`blank` with what an earlier run of the same race finished.

        Raises:
            ValueError: If the earlier race was another one.
        """
        if not self.resume or self.path is None:
            return blank
        old = RaceResult.load(self.path)
        if changed := differences(old.config, blank.config):
            raise ValueError(
                f"`resume`: the race in {self.path} had other settings: "
                f"{'; '.join(changed)}. Use the same, or another folder."
            )
        wanted = {runner.name: runner for runner in runners}
        kept = [e for e in old.entries if _same(e, wanted.get(e.name))]
        planned = [*blank.planned, *(e.name for e in kept if e.name not in wanted)]
        kept.sort(key=lambda entry: planned.index(entry.name))
        return dataclasses.replace(
            blank, entries=tuple(kept), planned=tuple(planned), seconds=old.seconds
        )

    def open(self) -> None:
        """Make the folder."""
        if self.path is not None:
            self.path.mkdir(parents=True, exist_ok=True)

    def keep(self, result: RaceResult) -> None:
        """Write what is finished so far."""
        if self.path is not None:
            result.save_json(self.path)

    def close(self, result: RaceResult) -> None:
        """Write the results and the report; leave no empty folder."""
        if self.path is None:
            return
        if result.entries:
            result.save(self.path)
        elif not any(_entries(self.path)):
            self.path.rmdir()

    def farewell(self, result: RaceResult) -> str:
        """What to say after Ctrl-C: what was kept, and how to go on."""
        done = f"{len(result.entries)} of {len(result.planned)} optimizers finished"
        if self.path is None:
            return f"Interrupted: {done}."
        if not result.entries:
            return f"Interrupted: {done}; nothing was written."
        return (
            f"Interrupted: {done}; they are in {self.path / FILE} and "
            f"{self.path / REPORT}."
        )


def fresh(base: str) -> str:
    """The first of `base`, `base-2`, `base-3` ... that does not exist."""
    number = 1
    name = base
    while os.path.lexists(name):
        number += 1
        name = f"{base}-{number}"
    return name


def resume_command(arguments: Sequence[str], out: str) -> str:
    """The command line that goes on with a race.

    Args:
        arguments: Those of the command line that was interrupted.
        out: The folder with what it finished.

    Returns:
        A line for the shell.

    Example:
        >>> resume_command(["race", "--steps", "100"], "results")
        'python -m jopt race --steps 100 --out results --resume'
    """
    script = pathlib.Path(sys.argv[0])
    words = ["jopt"] if script.name == "jopt" else ["python", "-m", "jopt"]
    words += [word for word in arguments if word != "--resume"]
    if not any(word == "--out" or word.startswith("--out=") for word in words):
        words += ["--out", out]
    return shlex.join([*words, "--resume"])


def _same(entry: Entry, runner: Entrant | None) -> bool:
    """Whether an earlier entry stands: of the same chains, or no longer asked for."""
    if runner is None or entry.error:
        return not entry.error
    chains = tuple(runner.chain(rate) for rate in runner.rates)
    return entry.rates == runner.rates and entry.chains == chains


def _entries(path: pathlib.Path) -> list[pathlib.Path]:
    try:
        return list(path.iterdir())
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise ValueError(f"`out`: cannot read {path}: {reason}.") from None
