"""What a picture shows, as data: lines, points, bands and contours in a frame with labelled axes.

Nothing here draws. A figure is made from formulas and results, and drawn by whoever has the ink:
characters in a terminal, a file, a page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Vector = np.ndarray[Any, Any]

PALETTE = ("#1f77b4", "#ff7f0e", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6d1f", "#7f7f7f")
"""Colours by number, told apart by every kind of sight: 0 is the target's, 1 the model's."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Contours:
    """Lines of equal height of z, one row for each y and one column for each x."""

    x: Vector
    y: Vector
    z: Vector
    label: str = ""


Series = Line | Points | Band | Contours


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

    @property
    def text(self) -> str:
        """What it shows, in one line; a shell draws it in its place."""
        named = ", ".join(part.label for part in self.series if part.label)
        over = f" over {self.x_label}" if self.x_label else ""
        return f"picture of {self.title or named or self.y_label}{over}"

    def _repr_html_(self) -> str:
        from .pictures.fragments import alone

        return alone(self)


@dataclass(frozen=True, slots=True, eq=False)
class Movie:
    """Figures one after the other, `rate` a second, all in the first one's frame."""

    frames: tuple[Figure, ...]
    rate: float = 8.0

    @property
    def text(self) -> str:
        """What it shows, in one line."""
        return f"{self.frames[-1].text}, {len(self.frames)} frames"

    def _repr_html_(self) -> str:
        from .pictures.fragments import alone

        return alone(self)
