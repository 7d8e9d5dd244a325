"""Who listens to a run: the terminal, a notebook, TensorBoard.

Each is called as `log(step, scalars)` with the scalars of a step: `loss`, `value` of an
evaluation, `not_finite`. Any function that takes these will do.
"""

import os
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from jopt.experiments import svg, wording


class Progress:
    """One line on a terminal, which is written anew; elsewhere a line an evaluation.

    Args:
        steps: Steps in all.
        metric: What an evaluation is called.
        file: Where to write; by default standard error.

    Example:
        >>> import sys
        >>> show = Progress(100, "accuracy", sys.stdout)
        >>> show(50, {"loss": 0.25})
        >>> show(50, {"value": 0.9})
        step 50/100  loss 0.25  accuracy 90.0%
    """

    def __init__(self, steps: int, metric: str, file: TextIO | None = None):
        self.steps, self.metric = steps, metric
        self.file = sys.stderr if file is None else file
        self.live = self.file.isatty()
        self.said: dict[str, str] = {}
        self.width = 0
        self.begun: tuple[int, float] | None = None

    def __call__(self, step: int, scalars: Mapping[str, float]) -> None:
        if "not_finite" in scalars:
            self._line(f"step {step} is not finite, and was skipped")
        if "loss" in scalars:
            self.said["loss"] = f"loss {scalars['loss']:.4g}"
        if "value" in scalars:
            score = wording.score(scalars["value"], self.metric)
            self.said["value"] = f"{self.metric} {score}"
        now = f"step {step}/{self.steps}  {'  '.join(self.said.values())}"
        if self.live:
            self._show(f"{now}{self._pace(step)}")
        elif "value" in scalars:
            self._line(now)

    def close(self) -> None:
        """Take the line away."""
        if self.live:
            self._show("")

    def _pace(self, step: int) -> str:
        """Steps a second, and the time left; the first steps compile."""
        now = time.monotonic()
        if self.begun is None:
            self.begun = step, now
        first, start = self.begun
        if step <= first or now <= start:
            return ""
        rate = (step - first) / (now - start)
        left = wording.duration((self.steps - step) / rate)
        return f"  {rate:.3g} steps/s  {left} left"

    def _show(self, text: str) -> None:
        self.file.write(f"\r{text:<{self.width}}{'' if text else chr(13)}")
        self.file.flush()
        self.width = len(text)

    def _line(self, text: str) -> None:
        start = f"\r{'':<{self.width}}\r" if self.live else ""
        print(f"{start}{text}", file=self.file, flush=True)


class TensorBoard:
    """Scalars for TensorBoard, written by tensorboardX.

    Args:
        folder: Where its files go.
        step: The step that the run goes on from: what is later is done anew.

    Raises:
        ImportError: If tensorboardX is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str], step: int = 0):
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise ImportError(
                "`tensorboard` needs tensorboardX: pip install 'jopt[experiments]'."
            ) from None
        self.writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None)

    def __call__(self, step: int, scalars: Mapping[str, float]) -> None:
        for name, value in scalars.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is not yet written."""
        self.writer.close()


class LiveCurve:
    """The loss and the evaluations as a picture in a notebook, drawn anew as they come.

    Args:
        every: Losses between drawings.
        display: How a picture is shown; by default IPython's display.

    Example:
        >>> class Shown(list):
        ...     def update(self, picture): self.append(picture)
        >>> shown = Shown()
        >>> curve = LiveCurve(every=2, display=shown)
        >>> for step in range(1, 5):
        ...     curve(step, {"loss": 1.0 / step})
        >>> len(shown), shown[-1].startswith("<svg")
        (2, True)
    """

    def __init__(self, every: int = 5, display: Any = None):
        self.every, self.display = every, display
        self.points: dict[str, list[tuple[float, float]]] = {"loss": [], "value": []}

    def __call__(self, step: int, scalars: Mapping[str, float]) -> None:
        for name in self.points.keys() & scalars:
            self.points[name].append((step, scalars[name]))
        if "loss" in scalars and len(self.points["loss"]) % self.every == 0:
            self._show(self.svg())

    def svg(self) -> str:
        """The picture as it is now."""
        losses, values = self.points["loss"], self.points["value"]
        both = [*losses, *values]
        plot = svg.Plot(
            svg.linear(x for x, _ in both),
            svg.linear((y for _, y in both), pad=0.04),
            (520, 260),
            label="Loss and evaluations against steps",
            x_label="step",
        )
        for points, kind in ((losses, "c1"), (values, "c2")):
            if points:
                xs, ys = zip(*points, strict=True)
                plot.curve(xs, ys, f"line {kind}")
        style = (
            "<style>.line{fill:none;stroke-width:2}.c1{stroke:#0b6bcb}"
            ".c2{stroke:#d1560a}.grid{stroke:#8884}.axis{stroke:#888}"
            ".tick,.label{fill:#888;font:11px sans-serif}</style>"
        )
        return plot.svg().replace(">", f">{style}", 1)

    def _show(self, picture: str) -> None:
        if self.display is None:
            self.display = _Shown()
        self.display.update(picture)


class _Shown:
    """A picture below the cell of a notebook."""

    def __init__(self):
        from IPython import display

        self.html: Any = display.HTML
        self.handle: Any = display.display(self.html(""), display_id=True)

    def update(self, picture: str) -> None:
        self.handle.update(self.html(picture))
