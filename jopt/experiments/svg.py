"""Line plots as inline SVG: scales, axes, curves and marks; no script, no style."""

import dataclasses
import html
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Scale:
    """Maps values to the range from 0 to 1.

    Attributes:
        warp: A monotonic function under which the scale is even.
        low: The value at 0.
        high: The value at 1.
        ticks: Values to be marked, and their labels.
    """

    warp: Callable[[float], float]
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def at(self, value: float) -> float:
        """Where a value lies; beyond the ends it is held at the end."""
        low, high = self.warp(self.low), self.warp(self.high)
        value = min(max(value, self.low), self.high)
        return (self.warp(value) - low) / (high - low)


def linear(values: Iterable[float], *, pad: float = 0.0) -> Scale:
    """An even scale over the finite values, with about five round ticks."""
    low, high = _extent(values)
    margin = pad * (high - low)
    low, high = low - margin, high + margin
    step = _round_step((high - low) / 4)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = tuple((n * step, f"{n * step:g}") for n in range(first, last + 1))
    return Scale(float, low, high, ticks)


def log(values: Iterable[float], *, pad: float = 0.0) -> Scale:
    """A logarithmic scale over the positive values; ticks at powers of ten."""
    positive = [v for v in values if v > 0.0 and math.isfinite(v)]
    low, high = _extent(math.log10(v) for v in positive)
    margin = pad * (high - low)
    low, high = low - margin, high + margin
    powers = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
    ticks = [(10.0**p, f"{10.0**p:g}") for p in powers]
    if len(ticks) < 3:
        digits = (1, 2, 5) if high - low > 0.6 else (1, 1.5, 2, 3, 4, 5, 7)
        decades = range(math.floor(low), math.ceil(high) + 1)
        marks = (d * 10.0**p for p in decades for d in digits)
        inside = [m for m in marks if 10**low <= m * 1.0001 and m <= 10**high * 1.0001]
        ticks = [(m, f"{m:.3g}") for m in inside]
    return Scale(math.log10, 10**low, 10**high, tuple(ticks))


def accuracy(values: Iterable[float]) -> Scale:
    """A scale for shares up to 1 that opens up towards 1, where the field is dense."""
    finite = [v for v in values if math.isfinite(v)]
    low, high = min(finite, default=0.0), max(finite, default=0.9)
    marks = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
    top = min(next((m for m in marks if m > high), 0.999), 0.999)
    floor = max((m for m in marks if m <= low), default=0.0)
    shown = [m for m in marks if floor <= m <= top]
    ticks = tuple((m, f"{100 * m:g}%") for m in shown)
    return Scale(lambda v: -math.log10(1.0 - min(v, 0.9999)), floor, top, ticks)


class Plot:
    """A plot that is drawn into with curves and marks.

    Args:
        x: The horizontal scale.
        y: The vertical scale.
        size: Width and height in pixels.
        label: What the plot shows, for those who cannot see it.
        x_label: What runs to the right.
        small: Whether to leave out all but the outermost labels.
    """

    def __init__(
        self,
        x: Scale,
        y: Scale,
        size: tuple[int, int],
        *,
        label: str,
        x_label: str = "",
        small: bool = False,
    ):
        self.x, self.y, self.size, self.label = x, y, size, label
        self.left, self.right = (40, 10) if small else (46, 14)
        self.top, self.bottom = (8, 20) if small else (12, 40)
        self.parts: list[str] = []
        self._axes(x_label, small)

    def place(self, point: Point) -> Point:
        """Pixels of a point."""
        width = self.size[0] - self.left - self.right
        height = self.size[1] - self.top - self.bottom
        across, up = self.x.at(point[0]), self.y.at(point[1])
        return self.left + width * across, self.top + height * (1.0 - up)

    def curve(
        self, xs: Sequence[float], ys: Sequence[float], kind: str, title: str = ""
    ) -> None:
        """A line; it is broken where a value is not finite."""
        pieces, pen = [], "M"
        for x, y in zip(xs, ys, strict=True):
            if not math.isfinite(y):
                pen = "M"
                continue
            px, py = self.place((x, y))
            pieces.append(f"{pen}{px:.1f} {py:.1f}")
            pen = "L"
        if pieces:
            self.parts.append(
                f'<path class="{kind}" d="{"".join(pieces)}">{_title(title)}</path>'
            )

    def band(
        self,
        xs: Sequence[float],
        low: Sequence[float],
        high: Sequence[float],
        kind: str,
    ) -> None:
        """The area between two curves."""
        rows = [r for r in zip(xs, low, high, strict=True) if np.isfinite(r).all()]
        if len(rows) < 2:
            return
        edge = [(x, b) for x, _, b in rows] + [(x, a) for x, a, _ in reversed(rows)]
        points = " ".join("{:.1f},{:.1f}".format(*self.place(p)) for p in edge)
        self.parts.append(f'<polygon class="{kind}" points="{points}"/>')

    def dot(self, point: Point, kind: str, radius: float, title: str = "") -> None:
        """A round mark."""
        if math.isfinite(point[1]):
            x, y = self.place(point)
            self.parts.append(
                f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}">'
                f"{_title(title)}</circle>"
            )

    def cross(self, x: float, kind: str, title: str = "", *, top: bool) -> None:
        """A cross at the top or bottom: there is no finite value."""
        px, py = self.place((x, self.y.high if top else self.y.low))
        px, py, r = px, py + (5 if top else -5), 3.5
        self.parts.append(
            f'<path class="{kind}" d="M{px - r:.1f} {py - r:.1f}l{2 * r} {2 * r}'
            f'm0 {-2 * r}l{-2 * r} {2 * r}">{_title(title)}</path>'
        )

    def rule(self, y: float, kind: str, text: str) -> None:
        """A horizontal line with a word."""
        if not self.y.low <= y <= self.y.high:
            return
        x1, py = self.place((self.x.low, y))
        x2, _ = self.place((self.x.high, y))
        self.parts.append(
            f'<line class="{kind}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{py:.1f}" '
            f'y2="{py:.1f}"/><text class="{kind}" x="{x2:.1f}" y="{py - 4:.1f}" '
            f'text-anchor="end">{html.escape(text)}</text>'
        )

    def svg(self) -> str:
        """The picture."""
        width, height = self.size
        return (
            f'<svg viewBox="0 0 {width} {height}" role="img" '
            f'aria-label="{html.escape(self.label)}">{"".join(self.parts)}</svg>'
        )

    def _axes(self, x_label: str, small: bool) -> None:
        width, height = self.size
        floor = height - self.bottom
        for value, text in _thinned(self.y, 3 if small else 99):
            _, y = self.place((self.x.low, value))
            self.parts.append(
                f'<line class="grid" x1="{self.left}" x2="{width - self.right}" '
                f'y1="{y:.1f}" y2="{y:.1f}"/><text class="tick" x="{self.left - 6}" '
                f'y="{y + 3.5:.1f}" text-anchor="end">{text}</text>'
            )
        for value, text in _thinned(self.x, 3 if small else 7):
            x, _ = self.place((value, self.y.low))
            anchor = "middle" if x < width - self.right - 12 else "end"
            shown = x if anchor == "middle" else width - self.right + 4
            self.parts.append(
                f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{floor}" '
                f'y2="{floor + 4}"/><text class="tick" x="{shown:.1f}" '
                f'y="{floor + 15}" text-anchor="{anchor}">{text}</text>'
            )
        self.parts.append(
            f'<line class="axis" x1="{self.left}" x2="{width - self.right}" '
            f'y1="{floor}" y2="{floor}"/>'
        )
        if x_label:
            middle = (self.left + width - self.right) / 2
            self.parts.append(
                f'<text class="label" x="{middle:.1f}" y="{height - 6}" '
                f'text-anchor="middle">{html.escape(x_label)}</text>'
            )


def whisker(mean: float, sd: float, scale: Scale, kind: str) -> str:
    """A dot with its standard deviation on a line of its own, for a table's cell."""
    width, height, margin = 120, 16, 6

    def across(value: float) -> float:
        return margin + (width - 2 * margin) * scale.at(value)

    low, high, middle = across(mean - sd), across(mean + sd), height / 2
    return (
        f'<svg class="whisker" viewBox="0 0 {width} {height}" aria-hidden="true">'
        f'<line class="grid" x1="0" x2="{width}" y1="{middle}" y2="{middle}"/>'
        f'<line class="{kind} bar" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" '
        f'y2="{middle}"/><circle class="{kind} fill" cx="{across(mean):.1f}" '
        f'cy="{middle}" r="4"/></svg>'
    )


def _thinned(scale: Scale, most: int) -> list[tuple[float, str]]:
    """At most so many ticks, the outermost kept; none so close that labels touch."""
    ticks = list(scale.ticks)
    if len(ticks) > most:
        picks = {round(i * (len(ticks) - 1) / (most - 1)) for i in range(most)}
        ticks = [tick for i, tick in enumerate(ticks) if i in picks]
    return [
        tick
        for i, tick in enumerate(ticks)
        if i in (0, len(ticks) - 1)
        or min(abs(scale.at(tick[0]) - scale.at(ticks[i - 1][0])), 1.0) > 0.05
    ]


def _extent(values: Iterable[float]) -> tuple[float, float]:
    finite = [v for v in values if math.isfinite(v)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        room = 0.5 * abs(low) or 0.5
        low, high = low - room, high + room
    return low, high


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * 0.999)


def _title(text: str) -> str:
    return f"<title>{html.escape(text)}</title>" if text else ""
