"""What a race shows while it runs and when it ends: rich on a terminal, else plain."""

import sys
import time
from typing import Any, Self, TextIO

from jopt.experiments import wording
from jopt.experiments.results import RaceResult
from jopt.experiments.standings import Entry

_BROKEN = {
    "best rate": "best\nrate",
    "steps to target": "steps to\ntarget",
    "B/param": "B/\nparam",
    "compile s": "compile\ns",
    "run s": "run\ns",
}


class View:
    """The progress of a race; this one shows nothing."""

    def __init__(self, total: int, done: int):
        self.total = total
        self.already = done
        self.done = done
        self.share = 0.0
        self.start = time.monotonic()

    def __enter__(self) -> Self:
        self.start = time.monotonic()
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def running(self, name: str) -> None:
        """An entrant waits for its program, or runs."""

    def tick(self, share: float) -> None:
        """A share of the current entrant's work is done."""
        self.share += share

    def finished(self, entry: Entry, result: RaceResult) -> None:
        """An entrant finished."""
        del entry, result
        self.done += 1
        self.share = 0.0

    def left(self) -> str:
        """The time left, judged by the time taken so far."""
        todo = self.total - self.already
        part = (self.done - self.already + self.share) / max(todo, 1)
        if part <= 0.0:
            return "time left: not known yet"
        seconds = (time.monotonic() - self.start) * (1.0 / part - 1.0)
        return f"about {wording.duration(max(seconds, 0.0))} left"


class PlainView(View):
    """One line for each entrant that finishes, on standard error."""

    def finished(self, entry: Entry, result: RaceResult) -> None:
        super().finished(entry, result)
        row = next(r for r in result.leaderboard() if r.name == entry.name)
        place = f"[{self.done:>{len(str(self.total))}}/{self.total}]"
        at = "" if row.rate is None else f" at {row.rate:.3g}"
        outcome = f"{wording.test(row, result.metric)}{at}"
        last = self.left() if self.done < self.total else "done"
        print(
            plain(f"{place} {entry.name:<22} {outcome:<26} {last}", sys.stderr),
            file=sys.stderr,
            flush=True,
        )


class RichView(View):
    """A bar on the terminal with the time left."""

    def __init__(self, total: int, done: int):
        super().__init__(total, done)
        from rich import console, progress

        self.bar = progress.Progress(
            progress.SpinnerColumn(),
            progress.TextColumn("{task.description:<22}"),
            progress.BarColumn(bar_width=32),
            progress.TextColumn("{task.fields[count]}"),
            progress.TextColumn("[dim]{task.fields[left]}"),
            console=console.Console(stderr=True),
            transient=True,
        )
        self.task = self.bar.add_task(
            "getting ready", total=total, completed=done, count="", left=""
        )

    def __enter__(self) -> Self:
        self.bar.start()
        return super().__enter__()

    def __exit__(self, *exc: object) -> None:
        self.bar.stop()

    def running(self, name: str) -> None:
        self._show(description=name)

    def tick(self, share: float) -> None:
        super().tick(share)
        self._show()

    def finished(self, entry: Entry, result: RaceResult) -> None:
        super().finished(entry, result)
        self._show()

    def _show(self, **fields: Any) -> None:
        self.bar.update(
            self.task,
            completed=self.done + self.share,
            count=f"{self.done}/{self.total}",
            left=self.left(),
            **fields,
        )


def view(quiet: bool, total: int, done: int) -> View:
    """The view that suits where standard error goes."""
    if quiet:
        return View(total, done)
    return (RichView if _rich(sys.stderr) else PlainView)(total, done)


def show(result: RaceResult) -> None:
    """Print the leaderboard to standard output."""
    if not _rich(sys.stdout):
        print(plain(text_table(result), sys.stdout), flush=True)
        return
    from rich import console

    screen = console.Console()
    screen.print(rich_table(result, narrow=screen.width < 88))
    screen.print(wording.verdict(result), style="bold", highlight=False)
    for note in wording.notes(result):
        screen.print(note, style="dim", highlight=False)


def rich_table(result: RaceResult, *, narrow: bool = False) -> Any:
    """The leaderboard as a table of rich.

    Args:
        result: The result.
        narrow: Whether to leave out the seconds.
    """
    from rich import box, table

    headers = wording.HEADERS[: -2 if narrow else None]
    out = table.Table(
        title=wording.setting(result),
        title_justify="left",
        title_style="dim",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for name, _ in headers:
        side = "left" if name == "optimizer" else "right"
        title = f"test {result.metric}" if name == "test" else _BROKEN.get(name, name)
        longest = max((len(row.name) for row in result.leaderboard()), default=0)
        least = min(longest, 22) if name == "optimizer" else None
        out.add_column(title, justify=side, overflow="fold", min_width=least)
    for row in result.leaderboard():
        style = "bold" if row.rank == 1 else "red" if row.rate is None else ""
        texts = [_escaped(cell) for cell in wording.cells(row, result)]
        out.add_row(*texts[: len(headers)], style=style)
    return out


def text_table(result: RaceResult) -> str:
    """The leaderboard as plain text."""
    head = [name for name, _ in wording.HEADERS]
    head[head.index("test")] = f"test {result.metric}"
    rows = [head, *(wording.cells(row, result) for row in result.leaderboard())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [wording.setting(result), ""]
    for number, row in enumerate(rows):
        cells = [
            cell.ljust(width) if name == "optimizer" else cell.rjust(width)
            for cell, width, (name, _) in zip(row, widths, wording.HEADERS, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
        if number == 0:
            lines.append("  ".join("-" * width for width in widths))
    return "\n".join([*lines, "", wording.verdict(result), *wording.notes(result)])


def plain(text: str, stream: TextIO) -> str:
    """The text in characters that the stream can take."""
    encoding = getattr(stream, "encoding", None) or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.replace("±", "+-").encode(encoding, "replace").decode(encoding)
    return text


def _rich(stream: TextIO) -> bool:
    if not stream.isatty():
        return False
    try:
        import rich as _  # noqa: F401
    except ImportError:
        return False
    return True


def _escaped(text: str) -> str:
    from rich import markup

    return markup.escape(text)
