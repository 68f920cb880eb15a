"""What a picture shows, as data: lines, points, bands and contours in a frame with labelled axes.

Nothing here draws. A figure is made from formulas and results, and drawn by whoever has the ink:
characters in a terminal, a file, a page.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from .printer import counted

Vector = np.ndarray[Any, Any]

COUNTS = ("step", "row")
"""Labels of axes that count."""
MARGIN = 0.06
"""What an axis shows beyond its series, as a share of their range."""
PALETTE = ("#1f77b4", "#ff7f0e", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6d1f", "#7f7f7f")
"""Colours by number, told apart by every kind of sight: 0 is the target's, 1 the model's."""
TINY, LARGEST = 1e-290, 4e307
"""No axis is shorter, none goes farther: the arithmetic of axes stays clear of overflow."""
FAR = 1e300
"""A place so many frames away is nowhere."""
GREY = len(PALETTE) - 1
"""The colour of what is there for comparison: a zero line, a diagonal, contours."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A curve through points in order; gaps where y is not finite."""

    x: Vector
    y: Vector
    label: str = ""
    color: int = 0
    marked: bool = False
    """every point is marked too, as on a path of descent"""


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points that stand for themselves, as data do; with bars of `error` up and down."""

    x: Vector
    y: Vector
    label: str = ""
    color: int = 0
    error: Vector | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """What lies between two curves."""

    x: Vector
    low: Vector
    high: Vector
    label: str = ""
    color: int = 0
    inner: bool = False
    """the nearer of two bands, which is stronger"""


@dataclass(frozen=True, slots=True, eq=False)
class Contours:
    """Lines of equal height of z, one row for each y and one column for each x."""

    x: Vector
    y: Vector
    z: Vector
    label: str = ""


Series = Line | Points | Band | Contours


class Axis(NamedTuple):
    """A range of numbers along one side of a picture."""

    low: float
    high: float
    log: bool = False
    whole: bool = False
    """it counts: only whole numbers mean something"""

    def place(self, values: Vector) -> Vector:
        """Where values are, as shares of the way from low to high; nan for what has no place."""
        with np.errstate(all="ignore"):
            ends, at = np.array([self.low, self.high]), np.asarray(values, float)
            if self.log:
                ends, at = np.log10(ends), np.log10(at)
            found = (at - ends[0]) / (ends[1] - ends[0])
        return np.where(np.abs(found) < FAR, found, np.nan)

    def ticks(self, count: int) -> tuple[tuple[float, str], ...]:
        """About so many round values with their text; on a log axis powers of ten, if it has two.

        The steps are 1, 2 or 5 times a power of ten.
        """
        if self.log:
            first, last = _within(math.log10(self.low), math.log10(self.high), 1.0)
            stride = max(1, math.ceil((last - first) / max(count, 1)))
            if last > first:
                powers = range(first, last + 1, stride)
                return tuple((10.0**k, f"{10.0**k:g}") for k in powers)
        rough = (self.high - self.low) / max(count, 1)
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * k for k in (1, 2, 5, 10) if unit * k >= rough * (1 - 1e-9))
        step = max(step, 1.0) if self.whole else step
        first, last = _within(self.low, self.high, step)
        size = max(abs(self.low), abs(self.high)) / step
        digits = max(6, math.ceil(math.log10(size)) + 1)  # neighbours are told apart
        return tuple((k * step, f"{k * step:.{digits}g}") for k in range(first, last + 1))


def _within(low: float, high: float, step: float) -> tuple[int, int]:
    """The first and the last multiple of a step in a range, a hair beyond its ends included."""
    return math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """Series in one frame. A range of None is that of the series; `log` axes show powers of ten."""

    series: tuple[Series, ...]
    title: str = ""
    x_label: str = ""
    y_label: str = ""
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    x_log: bool = False
    y_log: bool = False
    below: Figure | None = None
    """a second frame under the first, with its x axis: residuals"""

    def axes(self) -> tuple[Axis, Axis]:
        """What x and y show: as given, else all that is finite (on log axes: positive)."""
        xs, ys = zip(*(_extent(part) for part in self.series), strict=True)
        x, y = (np.concatenate([np.ravel(part) for part in parts]) for parts in (xs, ys))
        across = self.x_range or widened(x, 0.0 if self._curves else MARGIN, log=self.x_log)
        up = self.y_range or widened(y, log=self.y_log)
        return Axis(*across, self.x_log, self.x_label in COUNTS), Axis(*up, self.y_log)

    @property
    def _curves(self) -> bool:
        return not any(isinstance(part, Points) for part in self.series)

    @property
    def text(self) -> str:
        """What it shows, in one line; a shell draws it in its place."""
        surface = any(isinstance(part, Contours) for part in self.series)
        axes = [self.x_label, self.y_label] if surface else [self.x_label]
        over = " over " + " and ".join(axes) if self.x_label else ""
        return f"picture of {self.title or self._named}{over}"

    @property
    def _named(self) -> str:
        return ", ".join(part.label for part in self.series if part.label) or self.y_label

    def __repr__(self) -> str:
        return f"<{self.text}>"

    def _repr_html_(self) -> str:
        from .pictures.fragments import alone

        return alone(self)


def _extent(part: Series) -> tuple[Vector, Vector]:
    """All values of a series along x and along y."""
    match part:
        case Band(x, low, high):
            return x, np.concatenate([low, high])
        case Points(x, y, error=error) if error is not None:
            return x, np.concatenate([y - error, y + error])
    return part.x, part.y


def widened(values: Vector, margin: float = MARGIN, *, log: bool = False) -> tuple[float, float]:
    """The range of values and a share more on either side; never empty, never over LARGEST."""
    good = values[np.isfinite(values) & ((values > 0) | (not log))]
    if not len(good):
        return (0.1, 1.0) if log else (0.0, 1.0)
    if log:
        low, high = (math.log10(np.clip(v, TINY, LARGEST)) for v in (good.min(), good.max()))
        more = margin * (high - low) or math.log10(2)
        return 10 ** max(low - more, math.log10(TINY)), 10 ** min(high + more, math.log10(LARGEST))
    low, high = (float(np.clip(v, -LARGEST, LARGEST)) for v in (good.min(), good.max()))
    if high - low > least_range(low, high):
        more = margin * (high - low)
    else:
        more = 0.5 * abs(high) if abs(high) > TINY else 0.5
    return low - more, high + more


def least_range(low: float, high: float) -> float:
    """What two ends are apart at least, for numbers between them to be told apart."""
    return max(TINY, 1e-12 * max(abs(low), abs(high)))


def bulk(values: Vector, reach: float) -> tuple[float, float]:
    """Where most of some finite values lie, and `reach` times as far to either side."""
    low, high = np.percentile(np.clip(values, -LARGEST, LARGEST), [6, 94])
    more = reach * (high - low)
    return max(low - more, -LARGEST), min(high + more, LARGEST)


def levels(z: Vector, count: int = 14) -> Vector:
    """Heights for contour lines: denser where most of the surface lies, so that a valley shows.

    Beyond the bulk of the heights, where poles are, there are none.
    """
    good = np.sort(z[np.isfinite(z)])
    if not len(good) or good[0] == good[-1]:
        return np.array([])
    least, most = bulk(good, 1.0)
    low, high = max(good[0], least), min(good[-1], most)
    if not high - low > TINY:
        low, high = good[0], good[-1]
    middle = (good[len(good) // 2] - low) / (high - low)
    power = np.clip(np.log(max(middle, 1e-9)) / np.log(0.5), 1.0, 12.0)
    found: Vector = low + (high - low) * (np.arange(1, count + 1) / (count + 1)) ** power
    return np.unique(found)


@dataclass(frozen=True, slots=True, eq=False)
class Movie:
    """Figures one after the other, `rate` a second, all in the first one's frame."""

    frames: tuple[Figure, ...]
    rate: float = 8.0

    @property
    def text(self) -> str:
        """What it shows, in one line."""
        first = replace(self.frames[0], title="")
        return f"moving {first.text}, {counted(len(self.frames), 'frame')}"

    def __repr__(self) -> str:
        return f"<{self.text}>"

    def _repr_html_(self) -> str:
        from .pictures.fragments import alone

        return alone(self)
