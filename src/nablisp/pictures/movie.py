"""Movies as files: turns a `Movie` into the bytes of a GIF that loops, or of an MP4.

Frames are drawn by matplotlib; Pillow, which comes with it, writes the GIF, ffmpeg the MP4.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NablispError
from ..figure import Line, Movie, Points
from .files import layout, styled

if TYPE_CHECKING:
    from ..limits import Budget

SIZE = (5.0, 3.2)
"""Inches: letters of a page's size."""
DPI = {"gif": 100, "mp4": 180}
"""500 × 320 pixels go into any page; 900 × 576 are for a screen."""
HELD = 1.5
"""Seconds that the last frame stays."""
COLORS = 64
ENDINGS = tuple(DPI)
CORNERS = {
    "upper left": (0, 1),
    "upper right": (1, 1),
    "lower right": (1, 0),
    "lower left": (0, 0),
    "center right": (1, 0.5),
    "center left": (0, 0.5),
    "upper center": (0.5, 1),
    "lower center": (0.5, 0),
}
"""Places of a legend in shares of its frame."""


def film(movie: Movie, ending: str, budget: Budget) -> bytes:
    """The bytes of a file of one of ENDINGS; NablispError "unavailable" for want of a tool."""
    return {"gif": _gif, "mp4": _mp4}[ending](movie, budget)


def _images(movie: Movie, dpi: int, budget: Budget) -> Iterator[Any]:
    """The frames as images of Pillow, one size all."""
    with styled():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from PIL import Image

        corner = _corner(movie)
        for figure in movie.frames:
            budget.clock()
            plan = layout(figure, SIZE, corner)
            canvas: Any = FigureCanvasAgg(plan)
            plan.set_dpi(dpi)
            canvas.draw()
            yield Image.frombytes(
                "RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba())
            ).convert("RGB")


def _corner(movie: Movie) -> str:
    """The place that the curves and points of all frames leave freest: there the legend stays."""
    labels = [part.label for part in movie.frames[0].series if part.label]
    wide = min(0.9, 0.2 + 0.017 * max(map(len, labels), default=0))
    high = 0.05 + 0.1 * len(labels)
    hidden = dict.fromkeys(CORNERS, 0)
    for figure in movie.frames:
        x, y = figure.axes()
        for part in figure.series:
            if not isinstance(part, Line | Points):
                continue
            weight = 1 if isinstance(part, Line) else 10
            across, up = x.place(part.x), y.place(part.y)
            for name, (right, top) in CORNERS.items():
                left, low = right * (1 - wide), top * (1 - high)
                within = (left <= across) & (across <= left + wide)
                within &= (low <= up) & (up <= low + high)
                hidden[name] += weight * int(within.sum())
    return min(hidden, key=hidden.__getitem__)


def _gif(movie: Movie, budget: Budget) -> bytes:
    """One palette for all frames, so that what stands still costs nothing."""
    from PIL import Image

    images = list(_images(movie, DPI["gif"], budget))
    first, last = images[0], images[-1]
    both = first.copy().resize((first.width, 2 * first.height))
    both.paste(first, (0, 0))
    both.paste(last, (0, first.height))
    colors = np.array(both.quantize(COLORS).getpalette()).reshape(-1, 3)
    colors[(colors > 240).all(1)] = 255  # the ground is white, not nearly so
    palette = Image.new("P", (1, 1))
    palette.putpalette(colors.ravel().tolist())
    frames = [image.quantize(palette=palette, dither=0) for image in images]
    turn = round(1000 / movie.rate)
    into = io.BytesIO()
    frames[0].save(
        into,
        "gif",
        save_all=True,
        append_images=frames[1:],
        duration=[turn] * (len(frames) - 1) + [round(1000 * HELD)],
        loop=0,
        optimize=True,
    )
    return into.getvalue()


def _mp4(movie: Movie, budget: Budget) -> bytes:
    """Raw frames through a pipe into ffmpeg; a fragmented file needs no seeking, so no file."""
    import shutil
    import subprocess

    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise NablispError("unavailable", "mp4 needs ffmpeg, and there is none on the path")
    images = list(_images(movie, DPI["mp4"], budget))
    images += [images[-1]] * round(HELD * movie.rate)
    width, height = images[0].size
    command = [ffmpeg, "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s"]
    command += [f"{width}x{height}", "-r", f"{movie.rate:g}", "-i", "-", "-r", "24", "-an"]
    command += ["-vf", "crop=trunc(iw/2)*2:trunc(ih/2)*2", "-c:v", "libx264", "-pix_fmt", "yuv420p"]
    command += ["-movflags", "frag_keyframe+empty_moov", "-f", "mp4", "-"]
    raw = b"".join(image.tobytes() for image in images)
    try:
        ran = subprocess.run(command, input=raw, capture_output=True, check=False)
    except OSError as error:  # a process that may start none
        why = (error.strerror or str(error)).lower()
        raise NablispError("unavailable", f"ffmpeg cannot be started: {why}") from None
    if ran.returncode:
        said = ran.stderr.decode("utf-8", "replace").strip().splitlines()
        raise NablispError("unavailable", f"ffmpeg made no mp4: {said[-1] if said else 'no word'}")
    return ran.stdout
