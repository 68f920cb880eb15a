"""The sheets beside this file as text for a page, and colours that stand out from their ground."""

from __future__ import annotations

import re
from functools import cache
from pkgutil import get_data

from ..figure import PALETTE

LIGHT, DARK = "#ffffff", "#16181d"
"""The grounds of page.css."""
CONTRAST = 3.2
"""Of luminances, after WCAG 2, that every series has against its ground."""
FRAMES = 32
"""Frames of a film, each of which has its rule."""


@cache
def sheet(*names: str) -> str:
    """Sheets by name, one after the other, without the blanks and remarks that are for readers."""
    return "".join(_read(name) + _MORE.get(name, str)() for name in names)


def _read(name: str) -> str:
    data = get_data(__package__, f"{name}.css")  # from a zip, too
    assert data is not None
    text = re.sub(r"/\*.*?\*/", "", data.decode(), flags=re.DOTALL)
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(r" ?([{};,]) ?", r"\1", text).replace(";}", "}").replace("}", "}\n")


def _frames() -> str:
    """A button that is checked shows its frame."""
    chosen = (f".nablisp .film>input:nth-of-type({k}):checked~" for k in range(1, FRAMES + 1))
    seen = (
        f"{button}{inside}.moves>:nth-child({k})"
        for k, button in enumerate(chosen, 1)
        for inside in ("", "* ")
    )
    return ",\n".join(seen) + "{display:inline}\n"


def _colors() -> str:
    rows = []
    for number, color in enumerate(PALETTE):
        light, dark = readable(color, LIGHT), readable(color, DARK)
        rows.append(f".nablisp-figure .c{number}{{color:{light};color:light-dark({light},{dark})}}")
    return "\n".join((*rows, ""))


_MORE = {"figure": _colors, "fragments": _frames}


# ---- colours -------------------------------------------------------------------------------------


def readable(color: str, ground: str) -> str:
    """A colour moved towards black or white until it stands out from its ground."""
    end = 0.0 if _luminance(ground) > 0.2 else 255.0
    rgb = _parts(color)
    mixed = ([c + share / 50 * (end - c) for c in rgb] for share in range(51))
    texts = ("#" + "".join(f"{round(c):02x}" for c in part) for part in mixed)
    return next(text for text in texts if contrast(text, ground) >= CONTRAST)


def contrast(a: str, b: str) -> float:
    """The ratio of two colours' luminances, after WCAG 2: from 1 to 21."""
    low, high = sorted((_luminance(a), _luminance(b)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: str) -> float:
    linear = [
        v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4
        for v in (c / 255 for c in _parts(color))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _parts(color: str) -> list[int]:
    return [int(color[k : k + 2], 16) for k in (1, 3, 5)]
