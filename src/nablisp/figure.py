"""What a picture shows, as data: lines, points, bands and contours in a frame with labelled axes.

Nothing here draws. A figure is made from formulas and results, and drawn by whoever has the ink:
characters in a terminal, a file, a page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

Vector = np.ndarray[Any, Any]

COUNTS = ("step", "row")
"""Labels of axes that count."""
MARGIN = 0.06
"""What an axis shows beyond its series, as a share of their range."""
HUGE = 1e300
"""What is beyond shows no more than what is infinite: the range of it may have no size."""
PALETTE = ("#1f77b4", "#ff7f0e", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6d1f", "#7f7f7f")
"""Colours by number, told apart by every kind of sight: 0 is the target's, 1 the model's."""
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
        return np.where(np.abs(found) < HUGE, found, np.nan)

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
        x = self.x_range or _widened(xs, self.x_log, 0.0 if self._curves else MARGIN)
        y = self.y_range or _widened(ys, self.y_log, MARGIN)
        return Axis(*x, self.x_log, self.x_label in COUNTS), Axis(*y, self.y_log)

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


def _widened(values: Sequence[Vector], log: bool, margin: float) -> tuple[float, float]:
    """The range of values and a share more on either side; never empty."""
    every = np.concatenate([np.ravel(part) for part in values])
    good = every[(np.abs(every) < HUGE) & ((every > 0) | (not log))]
    if not len(good):
        return (0.1, 1.0) if log else (0.0, 1.0)
    low, high = float(good.min()), float(good.max())
    if log:
        more = (high / low) ** margin if high > low else 2.0
        return low / more, high * more
    more = margin * (high - low) if high > low else 0.5 * abs(high) or 0.5
    return low - more, high + more


def levels(z: Vector, count: int = 14) -> Vector:
    """Heights for contour lines: denser where most of the surface lies, so that a valley shows."""
    good = np.sort(z[np.isfinite(z)])
    if not len(good) or good[0] == good[-1]:
        return np.array([])
    low, high = good[0], good[-1]
    middle = (good[len(good) // 2] - low) / (high - low)
    power = np.clip(np.log(max(middle, 1e-9)) / np.log(0.5), 1.0, 12.0)
    found: Vector = low + (high - low) * (np.arange(1, count + 1) / (count + 1)) ** power
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Movie:
    """Figures one after the other, `rate` a second, all in the first one's frame."""

    frames: tuple[Figure, ...]
    rate: float = 8.0

    @property
    def text(self) -> str:
        """What it shows, in one line."""
        first = replace(self.frames[0], title="")
        return f"moving {first.text}, {len(self.frames)} frames"

    def _repr_html_(self) -> str:
        from .pictures.fragments import alone

        return alone(self)
