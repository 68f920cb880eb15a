"""Measurements side by side: turns commands into medians with their least and most."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """Measurements of one thing, in seconds."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.seconds)

    def show(self, unit: float, digits: int = 2) -> str:
        """Median (least–most), in multiples of `unit` seconds: 0.52 (0.50–0.61)."""
        least, middle, most = (
            f"{value / unit:.{digits}f}"
            for value in (min(self.seconds), self.median, max(self.seconds))
        )
        return f"{middle} ({least}–{most})"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text under their first, in columns: the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )
    return "\n".join(lines)


def environment() -> dict[str, str]:
    """This environment, with compiled modules kept, as on a user's machine."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
