"""What a race leaves: a result that prints, plots and renders itself, and its file."""

import dataclasses
import functools as ft
import json
import math
import os
import pathlib
from typing import Any

import numpy as np

from jopt.experiments import standings
from jopt.experiments.standings import Entry, Standing

FORMAT = 1
FILE, REPORT = "results.json", "report.html"

_ARRAYS = ("train", "valid", "test")


@dataclasses.dataclass(frozen=True)
class RaceResult:
    """The result of a race.

    It prints as a table and renders itself in a notebook.

    Attributes:
        config: The settings that decide the numbers.
        versions: Of Python, the packages and the machine.
        metric: What the score is called.
        higher: Whether a higher score is the better one.
        steps: The steps at which the validation score was taken; the first is 0.
        entries: What each entrant did.
        planned: The names of all entrants, of those too that did not get to run.
        seconds: What the whole race took.
    """

    config: dict[str, Any]
    versions: dict[str, str]
    metric: str
    higher: bool
    steps: tuple[int, ...]
    entries: tuple[Entry, ...]
    planned: tuple[str, ...]
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether all entrants finished."""
        return len(self.entries) == len(self.planned)

    @property
    def target(self) -> float:
        """The validation score to be reached."""
        given = self.config.get("target")
        if given is not None:
            return given
        return standings.default_target(self.entries, self.higher)

    @ft.cached_property
    def _rows(self) -> list[Standing]:
        entries, steps = self.entries, self.steps
        return standings.leaderboard(entries, steps, self.higher, self.target)

    def leaderboard(self) -> list[Standing]:
        """The rows of the leaderboard, best first."""
        return list(self._rows)

    def best(self) -> Standing:
        """The winner's row; `jopt.parse(row.chain)` builds the optimizer.

        Raises:
            ValueError: If no entrant finished without diverging.
        """
        if not self._rows or self._rows[0].rate is None:
            raise ValueError("No entrant finished without diverging.")
        return self._rows[0]

    def entry(self, name: str) -> Entry:
        """What the entrant of that name did.

        Raises:
            KeyError: If there is none.
        """
        for entry in self.entries:
            if entry.name == name:
                return entry
        names = ", ".join(entry.name for entry in self.entries)
        raise KeyError(f"No entrant is named `{name}`. There are: {names}.")

    def plot(self) -> Any:
        """Draw learning curves and rate sensitivity with matplotlib.

        Returns:
            The figure.

        Raises:
            ImportError: If matplotlib is not installed.
        """
        from jopt.experiments import figures

        return figures.draw(self)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write `results.json` and `report.html` into a folder.

        Args:
            folder: It is made if need be; each file is replaced in one piece.
        """
        from jopt.experiments import report

        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        self.save_json(folder)
        write(pathlib.Path(folder) / REPORT, report.page(self))

    def save_json(self, folder: str | os.PathLike[str]) -> None:
        """Write `results.json` into an existing folder."""
        text = json.dumps(self.to_dict(), allow_nan=False, separators=(",", ":"))
        write(pathlib.Path(folder) / FILE, text + "\n")

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "RaceResult":
        """Read `results.json` of a folder.

        Raises:
            ValueError: If there is none, or it is damaged.
        """
        path = pathlib.Path(folder) / FILE
        try:
            return cls.from_dict(json.loads(path.read_text("utf8")))
        except OSError:
            raise ValueError(f"{folder} holds no readable {FILE}.") from None
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is damaged: {error!r}.") from None

    def to_dict(self) -> dict[str, Any]:
        """The result as strict JSON has it; what is not finite is `None`."""
        return {
            "format": FORMAT,
            "complete": self.complete,
            "config": self.config,
            "versions": self.versions,
            "metric": self.metric,
            "higher_is_better": self.higher,
            "target": _safe(self.target),
            "seconds": round(self.seconds, 2),
            "steps": list(self.steps),
            "planned": list(self.planned),
            "leaderboard": [row.to_dict() for row in self._rows],
            "entries": [_entry_to_dict(entry) for entry in self.entries],
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "RaceResult":
        """The result that `to_dict` gave."""
        if record["format"] != FORMAT:
            raise ValueError(f"format {record['format']}, expected {FORMAT}")
        return cls(
            config=record["config"],
            versions=record["versions"],
            metric=record["metric"],
            higher=record["higher_is_better"],
            steps=tuple(record["steps"]),
            entries=tuple(_entry_from_dict(entry) for entry in record["entries"]),
            planned=tuple(record["planned"]),
            seconds=record["seconds"],
        )

    def __repr__(self) -> str:
        winner = f"winner={self._rows[0].name!r}, " if self._rows else ""
        done = f"{len(self.entries)} of {len(self.planned)} optimizers"
        return f"RaceResult({winner}{done})"

    def __str__(self) -> str:
        from jopt.experiments import terminal

        return terminal.text_table(self)

    def _repr_html_(self) -> str:
        from jopt.experiments import report

        return report.fragment(self)


def rounded(array: Any) -> np.ndarray:
    """Values as the file keeps them: six significant digits, NaN if not finite.

    A result in memory then equals the one read back.
    """
    values = np.asarray(array, np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    flat = [float(f"{value:.6g}") for value in values.ravel().tolist()]
    return np.asarray(flat).reshape(values.shape)


def write(path: pathlib.Path, text: str) -> None:
    """Write a text file in one piece: a reader sees the old one or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _safe(value: Any) -> Any:
    """Nested lists and numbers with `None` for what is not finite."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list):
        return [_safe(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _entry_to_dict(entry: Entry) -> dict[str, Any]:
    record = {f.name: getattr(entry, f.name) for f in dataclasses.fields(entry)}
    record |= {"rates": list(entry.rates), "chains": list(entry.chains)}
    return {name: _safe(value) for name, value in record.items()}


def _entry_from_dict(record: dict[str, Any]) -> Entry:
    values: dict[str, Any] = dict(record)
    values |= {name: np.asarray(record[name], np.float64) for name in _ARRAYS}
    values["diverged"] = np.asarray(record["diverged"], bool)
    values |= {name: tuple(record[name]) for name in ("rates", "chains")}
    return Entry(**values)
