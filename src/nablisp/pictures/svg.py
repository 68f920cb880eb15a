"""From a figure to SVG text that takes the colours of the page around it.

Coordinates are rounded to a tenth of a pixel, and points that a curve does not need are left out. A
nested `svg` clips what leaves the frame, so no identifier is needed and a page may hold many.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from html import escape
from typing import Any, NamedTuple

import numpy as np

from ..errors import visible
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
from .style import sheet

WIDE, HIGH = 560, 300
"""The whole picture is so wide, its frame so high, in pixels of a page that is wide enough."""
LOW = 150
"""So high a frame under another."""
LEFT, RIGHT, TOP, BOTTOM = 64, 10, 12, 52
EDGE = 5
"""Pixels around a frame in which its points are still seen."""
LEGEND = 24
"""Pixels between lines of the legend."""
GLYPH = 11.0
"""Pixels that a character may need; on a narrow page letters are larger beside the lines."""
GRID = 121
"""Points of a surface along each side; more would make no finer lines, but more text."""
NEAR = 0.07
"""Pixels by which a curve may miss its points."""


class Side(NamedTuple):
    """An axis along `length` pixels; heights go backwards."""

    axis: Axis
    length: float
    backwards: bool = False

    def at(self, values: Vector) -> Vector:
        """Pixels; what is far outside stays near the frame."""
        share = np.clip(self.axis.place(values), -3, 4)
        pixels: Vector = (1 - share if self.backwards else share) * self.length
        return pixels

    def ticks(self, about: int) -> list[tuple[float, str]]:
        """Pixels and texts of some round numbers."""
        values, texts = zip(*self.axis.ticks(about), strict=True)
        places = self.at(np.array(values)).tolist()
        return [(at, _number(text, self.axis.log)) for at, text in zip(places, texts, strict=True)]


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _number(text: str, log: bool) -> str:
    """A number as in print; powers of ten on their axis as such."""
    power = math.log10(float(text)) if log and float(text) > 0 else 0.5
    if power.is_integer():
        return f"10{str(int(power)).translate(_RAISED)}"
    return text.replace("-", "−")


# ---- the picture ---------------------------------------------------------------------------------


def svg(figure: Figure, moves: Sequence[Sequence[Series]] = (), high: int = HIGH) -> str:
    """One `svg` element, `high` pixels between its axes.

    `moves` are series of which one group is to be seen at a time. The sheet `figure` goes with it.
    """
    return _drawn(figure, moves, high, "")


def alone(figure: Figure) -> str:
    """One `svg` element that needs no style from around it, as a file does."""
    return _drawn(figure, (), HIGH, f"<style>{sheet('figure')}</style>")


def _drawn(figure: Figure, moves: Sequence[Sequence[Series]], high: int, style: str) -> str:
    parts, whole = _panel(figure, moves, high)
    if figure.below is not None:
        under, more = _panel(figure.below, (), LOW)
        parts += f'<g transform="translate(0 {whole})">{under}</g>'
        whole += more
    said = escape(figure.title or figure.text)
    return visible(
        f'<svg class="nablisp-figure" xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {WIDE} {whole}"><title>{said}</title>'
        f"<desc>{escape(_described(figure))}</desc>{style}{parts}</svg>"
    )


def _panel(figure: Figure, moves: Sequence[Sequence[Series]], high: int) -> tuple[str, int]:
    """One frame with its legend, and how high that is."""
    moving = tuple(part for group in moves for part in group)
    across, up = replace(figure, series=(*figure.series, *moving)).axes()
    x, y = Side(across, WIDE - LEFT - RIGHT), Side(up, high, backwards=True)
    legend = [part for part in (*figure.series, *(moves[-1] if moves else ())) if part.label]
    places, lines = _placed(legend)
    top = TOP + LEGEND * (lines + bool(figure.y_label))
    wide, tall = _short(x.length + 2 * EDGE), _short(high + 2 * EDGE)
    shades = {part.color for part in (*figure.series, *moving) if isinstance(part, Line)}
    parts = (
        *(_legend(part, *place) for part, place in zip(legend, places, strict=True)),
        f'<g transform="translate({LEFT} {top})">',
        *_axes(figure, x, y),
        f'<svg x="-{EDGE}" y="-{EDGE}" width="{wide}" height="{tall}" '
        f'viewBox="-{EDGE} -{EDGE} {wide} {tall}">',
        *(_still(part, x, y, shades) for part in figure.series),
        *_moving(moves, x, y),
        "</svg></g>",
    )
    return "".join(parts), top + high + BOTTOM


def _described(figure: Figure) -> str:
    """What the picture shows, for who does not see it."""
    named = ", ".join(part.label for part in figure.series if part.label)
    if not figure.series:
        return named
    names = (figure.x_label or "across", figure.y_label or "upwards")
    ranges = ", ".join(
        f"{name} from {axis.low:.4g} to {axis.high:.4g}"
        for name, axis in zip(names, figure.axes(), strict=True)
    )
    return f"{named}; {ranges}" if named else ranges


def _axes(figure: Figure, x: Side, y: Side) -> list[str]:
    """Lines behind the series, numbers and labels beside them."""
    wide, high = _short(x.length), _short(y.length)
    across, up = x.ticks(6), y.ticks(max(3, round(y.length / 60)))
    grid = "".join(f"M0 {_short(at)}h{wide}" for at, _ in up)
    grid += "".join(f"M{_short(at)} 0v{high}" for at, _ in across)
    out = [f'<path class="grid" d="{grid}"/><path class="axis" d="M0 0V{high}H{wide}"/>']
    out += [
        f'<text x="{_short(at)}" y="{_short(y.length + 21)}" text-anchor="middle">{text}</text>'
        for at, text in across
    ]
    out += [
        f'<text x="-8" y="{_short(at)}" dy=".35em" text-anchor="end">{text}</text>'
        for at, text in up
    ]
    if figure.x_label:
        label = escape(figure.x_label)
        out.append(
            f'<text class="label" x="{_short(x.length / 2)}" y="{_short(y.length + 44)}" '
            f'text-anchor="middle">{label}</text>'
        )
    if figure.y_label:
        label = escape(figure.y_label)
        out.append(f'<text class="label" x="0" y="-10">{label}</text>')
    return out


def _placed(legend: Sequence[Series]) -> tuple[list[tuple[float, float]], int]:
    """Where the entries of a legend stand, and how many lines they take."""
    places, x, line = [], float(LEFT), 0
    for part in legend:
        wide = 50 + GLYPH * len(part.label)
        if x > LEFT and x + wide > WIDE:
            x, line = float(LEFT), line + 1
        places.append((x, 14.0 + LEGEND * line))
        x += wide
    return places, line + 1 if legend else 0


def _legend(part: Series, x: float, y: float) -> str:
    label = escape(part.label)
    sign = {Points: "h0", Band: "m0 0h22", Contours: "h22", Line: "h22"}[type(part)]
    start = x + 11 if isinstance(part, Points) else x
    return (
        f'<path class="{_class(part)}" d="M{_short(start)} {_short(y)}{sign}"/>'
        f'<text class="label" x="{_short(x + 30)}" y="{_short(y)}" dy=".35em">{label}</text>'
    )


def _class(part: Series) -> str:
    kind = type(part).__name__.lower() + (" inner" if getattr(part, "inner", False) else "")
    return f"{kind} c{getattr(part, 'color', GREY) % len(PALETTE)}"


# ---- series --------------------------------------------------------------------------------------


def _still(part: Series, x: Side, y: Side, shades: set[int]) -> str:
    """What stays; a target is wider than its model, so that both are seen where they agree."""
    drawn = _series(part, x, y)
    under = isinstance(part, Line) and part.color % 2 == 0 and part.color + 1 in shades
    return f'<g class="under">{drawn}</g>' if under else drawn


def _moving(moves: Sequence[Sequence[Series]], x: Side, y: Side) -> list[str]:
    if not moves:
        return []
    groups = ["".join(_series(part, x, y) for part in group) for group in moves]
    return ['<g class="moves">', *(f"<g>{group}</g>" for group in groups), "</g>"]


def _series(part: Series, x: Side, y: Side) -> str:
    return _DRAWN[type(part)](part, x, y)


def _line(part: Line, x: Side, y: Side) -> str:
    at_x, at_y = x.at(part.x), y.at(part.y)
    drawn = f'<path class="{_class(part)}" d="{_path(at_x, at_y)}"/>'
    if part.marked:
        kind = f"points c{part.color % len(PALETTE)}"
        drawn += f'<path class="{kind} small" d="{_dots(at_x, at_y)}"/>'
        drawn += f'<path class="{kind} end" d="{_dots(at_x[-1:], at_y[-1:])}"/>'
    return drawn


def _points(part: Points, x: Side, y: Side) -> str:
    at_x, at_y = x.at(part.x), y.at(part.y)
    small = " small" if len(at_x) > 200 else ""
    drawn = f'<path class="{_class(part)}{small}" d="{_dots(at_x, at_y)}"/>'
    if part.error is not None:
        low, high = y.at(part.y - part.error), y.at(part.y + part.error)
        bars = "".join(
            f"M{_short(a)} {_short(b)}V{_short(c)}"
            for a, b, c in zip(at_x.tolist(), low.tolist(), high.tolist(), strict=True)
            if math.isfinite(a + b + c)
        )
        drawn = f'<path class="bar c{part.color % len(PALETTE)}" d="{bars}"/>{drawn}'
    return drawn


def _band(part: Band, x: Side, y: Side) -> str:
    known = np.isfinite(part.low) & np.isfinite(part.high)
    if not known.any():
        return ""
    at, low, high = (v[known] for v in (x.at(part.x), y.at(part.low), y.at(part.high)))
    there = _path(at, low)
    back = _path(at[::-1], high[::-1]).replace("M", "L", 1)
    return f'<path class="{_class(part)}" d="{there}{back}Z"/>'


def _contours(part: Contours, x: Side, y: Side) -> str:
    each = -(-len(part.x) // GRID)
    at_x, at_y, z = x.at(part.x[::each]), y.at(part.y[::each]), part.z[::each, ::each]
    paths = "".join(_contour(at_x, at_y, z, level) for level in levels(part.z).tolist())
    return f'<path class="{_class(part)}" d="{paths}"/>'


def _contour(x: Vector, y: Vector, z: Vector, level: float) -> str:
    """Where a grid crosses a height: in each triangle of half a cell one straight piece."""
    rows, columns = np.indices((len(y) - 1, len(x) - 1))
    pieces = []
    for third in ((1, 0), (0, 1)):
        corners = [(rows + i, columns + j) for i, j in ((0, 0), third, (1, 1))]
        px, py = (np.stack([side[c[k]] for c in corners]) for k, side in ((1, x), (0, y)))
        above = np.stack([z[c] for c in corners]) - level
        for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):  # corner a alone on its side
            cut = (above[a] > 0) & (above[b] <= 0) & (above[c] <= 0)
            cut |= (above[a] <= 0) & (above[b] > 0) & (above[c] > 0)
            ends = []
            for other in (b, c):
                share = above[a][cut] / (above[a][cut] - above[other][cut])
                ends += [p[a][cut] + share * (p[other][cut] - p[a][cut]) for p in (px, py)]
            pieces += list(zip(*(end.tolist() for end in ends), strict=True))
    texts = (
        (f"{_short(a)} {_short(b)}", f"{_short(c)} {_short(d)}")
        for a, b, c, d in pieces
        if math.isfinite(a + b + c + d)
    )
    return "".join("M" + "L".join(way) for way in _joined([(a, b) for a, b in texts if a != b]))


def _joined(pieces: Sequence[tuple[str, str]]) -> Iterator[list[str]]:
    """Pieces with the same ends, one after the other: half the text."""
    meeting: dict[str, list[int]] = {}
    for k, piece in enumerate(pieces):
        for end in piece:
            meeting.setdefault(end, []).append(k)
    left = dict.fromkeys(range(len(pieces)))
    while left:
        first = next(iter(left))
        del left[first]
        way = list(pieces[first])
        for _ in range(2):  # on from one end, then from the other
            while near := [k for k in meeting[way[-1]] if k in left]:
                del left[near[0]]
                a, b = pieces[near[0]]
                way.append(b if a == way[-1] else a)
            way.reverse()
        yield way


_DRAWN: dict[type, Callable[[Any, Side, Side], str]] = {
    Line: _line,
    Points: _points,
    Band: _band,
    Contours: _contours,
}


def _dots(x: Vector, y: Vector) -> str:
    """Strokes without length: round ends make them points."""
    return "".join(
        f"M{_short(a)} {_short(b)}h0"
        for a, b in zip(x.tolist(), y.tolist(), strict=True)
        if math.isfinite(a + b)
    )


def _path(x: Vector, y: Vector) -> str:
    """A curve, apart where a number is missing."""
    good = np.isfinite(x) & np.isfinite(y)
    pieces = np.split(np.arange(len(x)), np.flatnonzero(np.diff(good.astype(int))) + 1)
    out = []
    for piece in pieces:
        if len(piece) and good[piece[0]]:
            kept = piece[_needed(x[piece], y[piece])]
            corners = [f"{_short(a)} {_short(b)}" for a, b in zip(x[kept], y[kept], strict=True)]
            out.append(f"M{'L'.join(corners)}")
    return "".join(out)


def _needed(x: Vector, y: Vector) -> list[int]:
    """The points of a curve without which it would be seen to change (Ramer, Douglas, Peucker)."""
    last = len(x) - 1
    kept = {0, last}
    waiting = [(0, last)]
    while waiting:
        a, b = waiting.pop()
        if b - a < 2:
            continue
        dx, dy = x[b] - x[a], y[b] - y[a]
        apart_x, apart_y = x[a + 1 : b] - x[a], y[a + 1 : b] - y[a]
        length = math.hypot(dx, dy)
        away = abs(dx * apart_y - dy * apart_x) / length if length else np.hypot(apart_x, apart_y)
        far = int(np.argmax(away))
        if away[far] > NEAR:
            middle = a + 1 + far
            kept.add(middle)
            waiting += [(a, middle), (middle, b)]
    return sorted(kept)


def _short(value: float) -> str:
    """A coordinate to a tenth of a pixel."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text
