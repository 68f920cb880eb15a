"""Figures as text: plotext draws the frame, braille the curves, on the terminal's own background.

A cell of a terminal holds 2 × 4 dots of braille. The frame is drawn once for a size, its ticks and
labels; what lies in it is a few operations of NumPy, so that a run can be watched at twenty
pictures a second.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..errors import visible, width_of
from ..figure import (
    GREY,
    PALETTE,
    Axis,
    Band,
    Contours,
    Figure,
    Line,
    Points,
    Series,
    Vector,
    levels,
)

SMALLEST = (24, 8)
"""Columns and rows under which a picture cannot be read; there it is its own text."""
FEW = 80
"""Points up to here get a marker each; more are dots."""

_MARKERS = "●◆▲■"
_PLAIN_MARKERS = "ox#%"
_PLAIN_LINES = "*+-~:.=@"
_DASHES = ((1,), (1, 1, 1, 1, 0, 0, 0), (1, 0, 0), (1, 1, 1, 1, 1, 0, 0, 1, 0, 0))
"""Without colour the lines of a picture are told by their dashes, in dots."""
_FLOORS = {Contours: 0, Band: 0, Line: 1, Points: 2}
"""What lies over what."""
_HEIGHTS = 9
"""Contour lines of a surface: so many as characters can tell."""
_ASCII = str.maketrans("│┤└┬─", "||++-")
_BITS = np.array([[1, 8], [2, 16], [4, 32], [64, 128]], np.uint8)
_BRAILLE = 0x2800
_BLANK = ord(" ")

Ticks = tuple[tuple[float, str], ...]


def drawn(figure: Figure, width: int, height: int, color: bool, fine: bool | None = None) -> str:
    """The figure in so many columns and rows, without a line break at its end.

    `fine` says whether signs beyond ASCII may be used; None asks the encoding of standard output.
    """
    if fine is None:
        fine = "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()
    if width < SMALLEST[0] or height < SMALLEST[1]:
        return _cut(visible(figure.text), width)
    if figure.below is None or height < 2 * SMALLEST[1]:
        return "\n".join(_panel(figure, width, height, color, fine)[0])
    share = max(SMALLEST[1], height // 3)
    panels = (replace(figure, x_label=""), height - share), (figure.below, share)
    margins = [_panel(part, width, rows, color, fine)[1] for part, rows in panels]
    lines = []
    for (part, rows), margin in zip(panels, margins, strict=True):  # one axis under the other
        more = max(margins) - margin
        found, _ = _panel(part, width - more, rows, color, fine)
        lines += [" " * more + line for line in found]
    return "\n".join(lines)


def _panel(
    figure: Figure, width: int, height: int, color: bool, fine: bool
) -> tuple[list[str], int]:
    """One frame with its head, line by line, and the width of what is left of it."""
    x, y = figure.axes()
    lines = [part.color for part in figure.series if isinstance(part, Line)]
    pen = _Pen(color, fine, tuple(dict.fromkeys(lines)))
    head = _head(figure, width, pen)[: height // 3]  # of many labels, so many as leave a picture
    rows = height - len(head)
    label = _cut(visible(figure.x_label), width // 2)
    frame = _frame(width, rows, _placed(x, width // 9), _placed(y, rows // 3), label)
    bottom = next(k for k, line in enumerate(frame) if "└" in line)
    left = frame[bottom].index("└") + 1
    canvas = _Canvas(width - left, bottom, x, y, pen)
    for part in sorted(figure.series, key=lambda part: _FLOORS[type(part)]):
        canvas.draw(part)
    if not fine:
        frame = tuple(line.translate(_ASCII) for line in frame)
    inside = [line[:left] + row for line, row in zip(frame, canvas.rows(), strict=False)]
    return [*head, *inside, *frame[bottom:]], left


def _placed(axis: Axis, count: int) -> Ticks:
    """Ticks by their place; no change of a range below their rounding makes a new frame."""
    values = axis.ticks(count)
    places = axis.place(np.array([value for value, _ in values]))
    return tuple((round(float(at), 4), text) for at, (_, text) in zip(places, values, strict=True))


class _Pen(NamedTuple):
    """How series are told apart: by colour, else by dashes; with braille, else in ASCII."""

    color: bool
    fine: bool
    lines: tuple[int, ...]
    """the colours of lines, in order"""

    def painted(self, text: str, shade: int) -> str:
        return f"\x1b[{_ink(shade)}m{text}\x1b[0m" if self.color else text

    def dashes(self, shade: int) -> tuple[int, ...]:
        rank = 0 if self.color or shade not in self.lines else self.lines.index(shade)
        return _DASHES[rank % len(_DASHES)]

    def letter(self, shade: int) -> str:
        """What draws a line in ASCII."""
        rank = self.lines.index(shade) if shade in self.lines else len(_PLAIN_LINES) - 1
        return _PLAIN_LINES[rank % len(_PLAIN_LINES)]

    def marker(self, shade: int) -> str:
        markers = _MARKERS if self.fine else _PLAIN_MARKERS
        return markers[shade // 2 % len(markers)]

    def sample(self, part: Series) -> str:
        """What a series looks like, in three cells."""
        match part:
            case Points(color=shade):
                return f" {self.marker(shade)} "
            case Band(inner=inner):
                return 3 * (("▒" if inner else "░") if self.fine else (":" if inner else "."))
            case Line(color=shade) if self.fine:
                dots = np.resize(self.dashes(shade), (3, 2)) @ _BITS[1]
                return "".join(chr(_BRAILLE + code) if code else " " for code in dots)
        return 3 * self.letter(_shade(part))


@lru_cache
def _ink(shade: int) -> str:
    """The code of a colour of the palette: the nearest of the 216 that every terminal has."""
    text = PALETTE[shade % len(PALETTE)]
    steps = np.array([0, 95, 135, 175, 215, 255])
    parts = [int(np.argmin(abs(steps - int(text[k : k + 2], 16)))) for k in (1, 3, 5)]
    return f"38;5;{16 + 36 * parts[0] + 6 * parts[1] + parts[2]}"


@lru_cache(32)
def _frame(width: int, height: int, x: Ticks, y: Ticks, label: str) -> tuple[str, ...]:
    """Axes, ticks and the label under them: plotext's picture of nothing."""
    import plotext

    figure, terminal = plotext.figure, plotext.terminal
    terminal.limit(False, False)
    try:
        figure.clear().theme("colorless").plot_size(width, height)
        for name, side, ticks in (("x", "upper", x), ("y", "right", y)):
            figure.axes(False, axis=name, side=side)
            places, texts = zip(*ticks, strict=True) if ticks else ((), ())
            figure.ruler(name).lim(0, 1).ticks(list(places), list(texts))
        if label:
            figure.label(label, "x")
        text = plotext.uncolorize(figure.build().string())
    finally:  # what others draw with plotext finds it as it was
        figure.clear()
        terminal.limit()
    return tuple(text.splitlines())


# ---- above the frame -----------------------------------------------------------------------------


def _head(figure: Figure, width: int, pen: _Pen) -> list[str]:
    """The title, and a line or more with the label of y and the legend, which hides no data."""
    lines = []
    if figure.title:
        title = _cut(visible(figure.title), width)
        lines.append(
            " " * ((width - width_of(title)) // 2)
            + (f"\x1b[1m{title}\x1b[0m" if pen.color else title)
        )
    label = _cut(visible(figure.y_label), width // 3)
    line, used = label, width_of(label)
    for part in figure.series:
        if not part.label:
            continue
        text = _cut(visible(part.label), width - 8)
        needed = 4 + width_of(text)
        if used and used + 3 + needed > width:
            lines.append(line)
            line, used = "", 0
        gap = "   " if used else "  "
        line += gap + pen.painted(pen.sample(part), _shade(part)) + " " + text
        used += len(gap) + needed
    return [*lines, line] if line else lines


def _shade(part: Series) -> int:
    return GREY if isinstance(part, Contours) else part.color


def _cut(text: str, width: int) -> str:
    """A text in so many cells."""
    if width_of(text) <= width:
        return text
    while width_of(text) > width - 1:
        text = text[:-1]
    return text + "…" if not text.isascii() or width > 1 else text


# ---- inside the frame ----------------------------------------------------------------------------


class _Canvas:
    """Dots, inks and markers of a picture; later series lie over earlier ones."""

    def __init__(self, width: int, height: int, x: Axis, y: Axis, pen: _Pen) -> None:
        self.x, self.y, self.pen, self.fine = x, y, pen, pen.fine
        self.cell = (4, 2) if pen.fine else (1, 1)
        self.size = (height * self.cell[0], width * self.cell[1])
        self.dots = np.zeros((height, width), np.uint8)
        self.signs = np.zeros((height, width), np.int32)
        self.ink = np.full((height, width), -1, np.int8)

    def draw(self, part: Series) -> None:
        match part:
            case Line(x, y, color=shade, marked=marked):
                self._line(*self._at(x, y), shade)
                if marked:
                    self._ends(*self._at(x, y), shade)
            case Points(x, y, color=shade, error=error):
                if error is not None:
                    bars = np.column_stack([y - error, y + error, np.full(len(y), np.nan)])
                    self._line(*self._at(np.repeat(x, 3), bars.ravel()), shade)
                self._points(*self._at(x, y), shade)
            case Band():
                self._band(part)
            case Contours():
                self._contours(part)

    def rows(self) -> Iterator[str]:
        """The picture, row by row."""
        cells = np.where(self.dots > 0, self.dots + np.int32(_BRAILLE), _BLANK)
        cells = np.where(self.signs > 0, self.signs, cells).astype("<i4")
        for codes, inks in zip(cells, self.ink, strict=True):
            row = codes.tobytes().decode("utf-32-le")
            if not self.pen.color:
                yield row
                continue
            turns = [0, *(np.flatnonzero(np.diff(inks)) + 1).tolist(), len(row)]
            yield "".join(
                self.pen.painted(row[a:b], int(inks[a])) if inks[a] >= 0 else row[a:b]
                for a, b in pairwise(turns)
            )

    def _at(self, x: Vector, y: Vector) -> tuple[Vector, Vector]:
        """Values as rows and columns of dots, from the top left."""
        high, wide = self.size
        return (1 - self.y.place(y)) * (high - 1), self.x.place(x) * (wide - 1)

    def _set(self, rows: Vector, columns: Vector, shade: int) -> None:
        """Dots at places within the frame."""
        rows, columns = np.rint(rows).astype(int), np.rint(columns).astype(int)
        (high, wide), sign = self.cell, ord(self.pen.letter(shade))
        cells = rows // high, columns // wide
        if self.fine:
            np.bitwise_or.at(self.dots, cells, _BITS[rows % high, columns % wide])
        self.signs[cells] = 0 if self.fine else sign
        self.ink[cells] = shade

    def _inside(self, rows: Vector, columns: Vector) -> Vector:
        (high, wide), (a, b) = self.size, (np.rint(rows), np.rint(columns))
        found: Vector = (a >= 0) & (a < high) & (b >= 0) & (b < wide)
        return found

    def _line(self, rows: Vector, columns: Vector, shade: int) -> None:
        """Segments between points: first cut to the frame (Liang and Barsky), then set by dots."""
        start = np.stack([rows, columns])[:, :-1]
        way = np.diff(np.stack([rows, columns]))
        first, last = np.zeros(way.shape[1]), np.ones(way.shape[1])
        with np.errstate(all="ignore"):
            for axis, size in enumerate(self.size):
                sides = (-0.5 - start[axis]) / way[axis], (size - 0.5 - start[axis]) / way[axis]
                first = np.fmax(first, np.fmin(*sides))
                last = np.fmin(last, np.fmax(*sides))
        seen = np.isfinite(way).all(0) & (first <= last)
        start, way, first, last = start[:, seen], way[:, seen], first[seen], last[seen]
        counts = np.ceil(abs(way).max(0) * (last - first)).astype(int) + 1
        which = np.repeat(np.arange(len(counts)), counts)
        step = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        along = first[which] + (last - first)[which] * step / np.maximum(counts - 1, 1)[which]
        found = start[:, which] + way[:, which] * along
        dashes = np.array(self.pen.dashes(shade) if self.fine else (1,), bool)
        found = found[:, np.resize(dashes, found.shape[1]) & self._inside(*found)]
        self._set(found[0], found[1], shade)

    def _points(self, rows: Vector, columns: Vector, shade: int) -> None:
        seen = self._inside(rows, columns)
        self._set(rows[seen], columns[seen], shade)
        if len(rows) <= FEW or not self.fine:
            self._signs(rows[seen], columns[seen], self.pen.marker(shade), shade)

    def _ends(self, rows: Vector, columns: Vector, shade: int) -> None:
        """Where a path starts and where it ends."""
        for k, sign in ((0, "○" if self.fine else "o"), (-1, "●" if self.fine else "@")):
            at = rows[[k]], columns[[k]]
            if self._inside(*at).all():
                self._signs(*at, sign, shade)

    def _signs(self, rows: Vector, columns: Vector, sign: str, shade: int) -> None:
        high, wide = self.cell
        cells = np.rint(rows).astype(int) // high, np.rint(columns).astype(int) // wide
        self.signs[cells] = ord(sign)
        self.ink[cells] = shade

    def _band(self, part: Band) -> None:
        """A light raster between two curves."""
        bottom, columns = self._at(part.x, part.low)
        top, _ = self._at(part.x, part.high)
        every = np.arange(self.size[1])
        lower, upper = np.interp(every, columns, bottom), np.interp(every, columns, top)
        rows, over = np.indices(self.size)
        within = (rows >= upper) & (rows <= lower)
        within &= (over >= columns.min()) & (over <= columns.max())
        within &= (rows % 2 == 0) & ((over + rows) % (2 if part.inner else 4) == 0)
        found = np.nonzero(within)
        self._set(found[0], found[1], part.color)
        if not self.fine:
            self.signs[found] = ord(":" if part.inner else ".")

    def _contours(self, part: Contours) -> None:
        """Dots where the surface passes a height: where a neighbour is on its other side."""
        high, wide = self.size
        _, columns = self._at(part.x, part.x)
        rows, _ = self._at(part.y, part.y)
        across = np.stack([np.interp(np.arange(wide), columns, row) for row in part.z])
        surface = np.stack([np.interp(-np.arange(high), -rows, column) for column in across.T], 1)
        step = np.searchsorted(levels(part.z, _HEIGHTS), surface)
        edge = np.zeros(self.size, bool)
        edge[:, :-1] |= np.diff(step, axis=1) != 0
        edge[:-1] |= np.diff(step, axis=0) != 0
        if self.fine:  # lighter than what lies on it
            edge &= np.add.outer(np.arange(high), np.arange(wide)) % 2 == 0
        rows, columns = np.nonzero(edge)
        self._set(rows, columns, GREY)
