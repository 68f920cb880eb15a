"""Figures as files: turns a `Figure` into the bytes of a PNG, an SVG or a PDF, by matplotlib.

Canvases are made directly, so no display and no state of pyplot is touched; the same figure gives
the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import RLock
from typing import Any

import numpy as np

from ..errors import NablispError, visible
from ..figure import GREY, PALETTE, Band, Contours, Figure, Line, Points, Series, levels

SIZE = (6.4, 4.0)
"""Inches."""
DPI = 160

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#444444",
    "axes.grid": True,
    "axes.labelsize": 12,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 12,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",  # comes with matplotlib: everywhere the same letters
    "font.size": 11,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "legend.fontsize": 10.5,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.8,
    "lines.linewidth": 2.0,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "nablisp",
    "xtick.color": "#444444",
    "xtick.labelsize": 11,
    "ytick.color": "#444444",
    "ytick.labelsize": 11,
}
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}
ENDINGS = tuple(_METADATA)


def picture(figure: Figure, ending: str) -> bytes:
    """The bytes of a file of one of ENDINGS; NablispError "unavailable" without matplotlib."""
    into = io.BytesIO()
    with styled():
        plan = layout(figure)
        plan.savefig(into, format=ending, dpi=DPI, metadata=_METADATA[ending])
    return into.getvalue()


_STYLING = RLock()
"""Matplotlib's settings are one for the whole process: one thread at a time changes them."""


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib, if it is there, in our style and with none of the user's settings."""
    try:
        mpl: Any = import_module("matplotlib")
    except ImportError:
        raise NablispError(
            "unavailable", "pictures in files need matplotlib: pip install 'nablisp[plot]'"
        ) from None
    with _STYLING, mpl.rc_context(), np.errstate(all="ignore"):  # values far outside of their frame
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def layout(figure: Figure, size: tuple[float, float] = SIZE, legend: str = "best") -> Any:
    """The figure as one of matplotlib's, its legend in a corner or where it hides least."""
    from matplotlib.figure import Figure as Plan

    lower = figure.below
    width, height = size
    plan = Plan((width, height + (1.4 if lower else 0)), layout="constrained")
    if lower is None:
        _panel(plan.subplots(), figure, legend)
        return plan
    upper_axes, lower_axes = plan.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    _panel(upper_axes, figure, legend)
    upper_axes.set_xlabel("")
    _panel(lower_axes, lower, legend)
    plan.align_ylabels()
    return plan


def _panel(axes: Any, figure: Figure, legend: str) -> None:
    """One frame with all that is in it."""
    from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

    x, y = figure.axes()
    shades = {part.color for part in figure.series if isinstance(part, Line)}
    for part in figure.series:
        _draw(axes, part, shades)
    axes.set(xlabel=_text(figure.x_label), ylabel=_text(figure.y_label))
    if x.log:
        axes.set_xscale("log")
    if y.log:
        axes.set_yscale("log")
    axes.set(xlim=(x.low, x.high), ylim=(y.low, y.high))
    for axis, ruler in ((x, axes.xaxis), (y, axes.yaxis)):
        if axis.log and axis.high > 1e100:  # matplotlib's own ticks would overflow
            ruler.set_major_locator(FixedLocator([at for at, _ in axis.ticks(6)]))
            ruler.set_minor_locator(NullLocator())
        if axis.whole and not axis.log:
            ruler.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(_text(figure.title))
    labels = [part.label for part in figure.series if part.label]
    if labels and not (len(labels) == 1 and labels[0] == figure.y_label):
        axes.legend(loc=legend)


def _draw(axes: Any, part: Series, shades: set[int]) -> None:
    """One series; a target is wider than its model, so that both are seen where they agree."""
    match part:
        case Line(x, y, label=label, color=shade, marked=marked):
            under = shade % 2 == 0 and shade + 1 in shades
            width = 1.2 if marked or shade == GREY else 3.6 if under else 2.0
            look = {"marker": "o", "markersize": 3.5} if marked else {}
            look |= {"color": _ink(shade), "linewidth": width, "zorder": 3}
            axes.plot(x, y, label=_name(label), **look)
            if marked:
                ends = {"linestyle": "none", "color": _ink(shade), "zorder": 4, "markersize": 8}
                axes.plot(x[:1], y[:1], marker="o", markerfacecolor="white", **ends)
                axes.plot(x[-1:], y[-1:], marker="*", **{**ends, "markersize": 13})
        case Points(x, y, label=label, color=shade, error=error):
            many = len(x) > 200
            look = {
                "linestyle": "none",
                "marker": "o",
                "markersize": 3 if many else 6,
                "alpha": 0.5 if many else 1.0,
                "markeredgecolor": "white",
                "markeredgewidth": 0.0 if many else 0.7,
                "color": _ink(shade),
                "label": _name(label),
                "zorder": 4,
            }
            if error is None:
                axes.plot(x, y, **look)
            else:
                axes.errorbar(x, y, error, elinewidth=1.2, capsize=2.5, ecolor=_ink(shade), **look)
        case Band(x, low, high, label=label, color=shade, inner=inner):
            look = {"color": _ink(shade), "alpha": 0.32 if inner else 0.18, "linewidth": 0}
            axes.fill_between(x, low, high, label=_name(label), **look)
        case Contours(x, y, z):
            heights = levels(z)
            axes.grid(False)
            if len(heights) > 1:
                low, high = heights[0], heights[-1]  # matplotlib's own scale would overflow
                shown, heights = (
                    np.ma.masked_invalid(v - low) / (high - low) for v in (z, heights)
                )
                axes.contourf(x, y, shown, heights, cmap="Blues", alpha=0.5, extend="both")
                axes.contour(x, y, shown, heights, colors="#6b8cab", linewidths=0.6)


def _ink(shade: int) -> str:
    return PALETTE[shade % len(PALETTE)]


def _text(label: str) -> str:
    """A text as it stands: no dollar of it begins mathematics."""
    return visible(label).replace("$", r"\$")


def _name(label: str) -> str:
    """A label of the legend; matplotlib leaves out what begins with an underscore."""
    text = _text(label)
    return f"\N{ZERO WIDTH SPACE}{text}" if text.startswith("_") else text or "_"
