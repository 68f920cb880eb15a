"""Pictures on a terminal or a pipe: figures are printed, movies played."""

from __future__ import annotations

import os
import shutil
import time
from typing import TextIO

from .figure import Figure, Movie
from .process import check, patient

WIDE, HIGH = 110, 32
"""Columns and lines of a picture, at most: a larger one reads no better."""
ROOM = 3
"""Lines left to what was typed, the next prompt and what stands under it."""


def redraws(stream: TextIO) -> bool:
    """Is it a terminal whose lines can be written anew?"""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


@patient
def show_picture(value: Figure | Movie, stream: TextIO, color: bool) -> None:
    """Print a figure; play a movie on a terminal, and print its last figure elsewhere.

    Ctrl-C ends the playing, not the program.
    """
    from .pictures.terminal import drawn

    fine = "utf" in (getattr(stream, "encoding", None) or "").lower()
    on_terminal = stream.isatty()
    columns, lines = shutil.get_terminal_size() if on_terminal else (80, 24 + ROOM)
    width, height = min(columns, WIDE), min(lines - ROOM, HIGH)
    frames = [value] if isinstance(value, Figure) else list(value.frames)
    if isinstance(value, Movie) and redraws(stream):
        try:
            for figure in frames[:-1]:
                began = time.monotonic()
                text = drawn(figure, width, height, color, fine)
                back = f"\r\x1b[{text.count(chr(10))}A"
                print(text, end=back, file=stream, flush=True)
                time.sleep(max(0.0, 1 / value.rate - (time.monotonic() - began)))
        except KeyboardInterrupt:
            check()
    print(drawn(frames[-1], width, height, color, fine), file=stream, flush=True)
