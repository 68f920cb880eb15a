"""Figures as text: plotext draws the frame, braille the curves, on the terminal's own background.

A cell of a terminal holds 2 × 4 dots of braille. The frame is drawn once for a size, its ticks and
labels; what lies in it is a few operations of NumPy, so that a run can be watched at twenty
pictures a second.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

import numpy as np

from ..errors import visible, width_of
from ..figure import (
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
"""Without colour a line is told by its dashes, in dots."""
_ASCII = str.maketrans("│┤└┬─", "||++-")
_BITS = np.array([[1, 8], [2, 16], [4, 32], [64, 128]], np.uint8)
_BRAILLE = 0x2800
_BLANK = ord(" ")
_GREY = len(PALETTE) - 1

Ticks = tuple[tuple[float, str], ...]


def drawn(figure: Figure, width: int, height: int, color: bool, fine: bool | None = None) -> str:
    """The figure in so many columns and rows, without a line break at its end.

    `fine` says whether signs beyond ASCII may be used; None asks the encoding of standard output.
    """
    if fine is None:
        fine = "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()
    if width < SMALLEST[0] or height < SMALLEST[1]:
        return _cut(visible(figure.text), width)
    lower: list[str] = []
    if figure.below is not None and height >= 2 * SMALLEST[1]:
        share = max(SMALLEST[1], height // 3)
        lower, height = _panel(figure.below, width, share, color, fine), height - share
    return "\n".join(_panel(figure, width, height, color, fine) + lower)


def _panel(figure: Figure, width: int, height: int, color: bool, fine: bool) -> list[str]:
    """One frame with its head, line by line."""
    x, y = figure.axes()
    head = _head(figure, width, color, fine)
    rows = height - len(head)
    label = _cut(visible(figure.x_label), width // 2)
    frame = _frame(width, rows, _placed(x, width // 9), _placed(y, rows // 3), label)
    bottom = next(k for k, line in enumerate(frame) if "└" in line)
    left = frame[bottom].index("└") + 1
    canvas = _Canvas(width - left, bottom, x, y, color, fine)
    for part in sorted(figure.series, key=lambda part: not isinstance(part, (Band, Contours))):
        canvas.draw(part)
    if not fine:
        frame = tuple(line.translate(_ASCII) for line in frame)
    inside = [line[:left] + row for line, row in zip(frame, canvas.rows(), strict=False)]
    return [*head, *inside, *frame[bottom:]]


def _placed(axis: Axis, count: int) -> Ticks:
    """Ticks by their place; no change of a range below their rounding makes a new frame."""
    values = axis.ticks(count)
    places = axis.place(np.array([value for value, _ in values]))
    return tuple((round(float(at), 4), text) for at, (_, text) in zip(places, values, strict=True))


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
        figure.label(label, "x")
        text = plotext.uncolorize(figure.build().string())
    finally:  # what others draw with plotext finds it as it was
        figure.clear()
        terminal.limit()
    return tuple(text.splitlines())


# ---- above the frame -----------------------------------------------------------------------------


def _head(figure: Figure, width: int, color: bool, fine: bool) -> list[str]:
    """The title, and a line or more with the label of y and the legend, which hides no data."""
    lines = []
    if figure.title:
        title = _cut(visible(figure.title), width)
        lines.append(" " * ((width - width_of(title)) // 2) + _painted(title, "1", color))
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
        line += gap + _painted(_sample(part, color, fine), _ink(_shade(part)), color) + " " + text
        used += len(gap) + needed
    return [*lines, line] if line else lines


def _sample(part: Series, color: bool, fine: bool) -> str:
    """What a series looks like, in three cells."""
    match part:
        case Points(color=shade):
            return f" {(_MARKERS if fine else _PLAIN_MARKERS)[shade // 2 % 4]} "
        case Band():
            return "░░░" if fine else "..."
        case Line(color=shade) if not fine:
            return 3 * _PLAIN_LINES[shade % len(_PLAIN_LINES)]
        case Line(color=shade):
            dots = np.resize(_dashes(shade, color), (3, 2)) @ _BITS[1]
            return "".join(chr(_BRAILLE + code) if code else " " for code in dots)
    return "───" if fine else "---"


def _shade(part: Series) -> int:
    return _GREY if isinstance(part, Contours) else part.color


def _dashes(shade: int, color: bool) -> tuple[int, ...]:
    return (1,) if color else _DASHES[shade % len(_DASHES)]


@lru_cache
def _ink(shade: int) -> str:
    """The code of a colour of the palette: the nearest of the 216 that every terminal has."""
    text = PALETTE[shade % len(PALETTE)]
    steps = np.array([0, 95, 135, 175, 215, 255])
    parts = [int(np.argmin(abs(steps - int(text[k : k + 2], 16)))) for k in (1, 3, 5)]
    return f"38;5;{16 + 36 * parts[0] + 6 * parts[1] + parts[2]}"


def _painted(text: str, code: str, color: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if color and text else text


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

    def __init__(self, width: int, height: int, x: Axis, y: Axis, color: bool, fine: bool) -> None:
        self.x, self.y, self.color, self.fine = x, y, color, fine
        self.cell = (4, 2) if fine else (1, 1)
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
            case Band(x, low, high, color=shade):
                self._band(x, low, high, shade)
            case Contours():
                self._contours(part)

    def rows(self) -> Iterator[str]:
        """The picture, row by row."""
        cells = np.where(self.dots > 0, self.dots + np.int32(_BRAILLE), _BLANK)
        cells = np.where(self.signs > 0, self.signs, cells).astype("<i4")
        for codes, inks in zip(cells, self.ink, strict=True):
            row = codes.tobytes().decode("utf-32-le")
            if not self.color:
                yield row
                continue
            turns = [0, *(np.flatnonzero(np.diff(inks)) + 1).tolist(), len(row)]
            yield "".join(
                _painted(row[a:b], _ink(int(inks[a])), inks[a] >= 0) for a, b in pairwise(turns)
            )

    def _at(self, x: Vector, y: Vector) -> tuple[Vector, Vector]:
        """Values as rows and columns of dots, from the top left."""
        high, wide = self.size
        return (1 - self.y.place(y)) * (high - 1), self.x.place(x) * (wide - 1)

    def _set(self, rows: Vector, columns: Vector, shade: int) -> None:
        """Dots at places within the frame."""
        rows, columns = np.rint(rows).astype(int), np.rint(columns).astype(int)
        (high, wide), sign = self.cell, ord(_PLAIN_LINES[shade % len(_PLAIN_LINES)])
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
        dashes = np.array(_dashes(shade, self.color or not self.fine), bool)
        found = found[:, np.resize(dashes, found.shape[1]) & self._inside(*found)]
        self._set(found[0], found[1], shade)

    def _points(self, rows: Vector, columns: Vector, shade: int) -> None:
        seen = self._inside(rows, columns)
        self._set(rows[seen], columns[seen], shade)
        if len(rows) <= FEW or not self.fine:
            markers = _MARKERS if self.fine else _PLAIN_MARKERS
            self._signs(rows[seen], columns[seen], markers[shade // 2 % 4], shade)

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

    def _band(self, x: Vector, low: Vector, high: Vector, shade: int) -> None:
        """A light raster between two curves."""
        bottom, columns = self._at(x, low)
        top, _ = self._at(x, high)
        every = np.arange(self.size[1])
        lower, upper = np.interp(every, columns, bottom), np.interp(every, columns, top)
        rows, over = np.indices(self.size)
        within = (
            (rows >= upper) & (rows <= lower) & (over >= columns.min()) & (over <= columns.max())
        )
        within &= (rows % 2 == 0) & ((over + rows) % 4 == 0)
        found = np.nonzero(within)
        self._set(found[0], found[1], shade)
        if not self.fine:
            self.signs[found] = ord(".")

    def _contours(self, part: Contours) -> None:
        """Dots where the surface passes a height: where a neighbour is on its other side."""
        high, wide = self.size
        _, columns = self._at(part.x, part.x)
        rows, _ = self._at(part.y, part.y)
        across = np.stack([np.interp(np.arange(wide), columns, row) for row in part.z])
        surface = np.stack([np.interp(-np.arange(high), -rows, column) for column in across.T], 1)
        step = np.searchsorted(levels(part.z), surface)
        edge = np.zeros(self.size, bool)
        edge[:, :-1] |= np.diff(step, axis=1) != 0
        edge[:-1] |= np.diff(step, axis=0) != 0
        rows, columns = np.nonzero(edge)
        self._set(rows, columns, _GREY)
