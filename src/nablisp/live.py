"""Runs as they go: turns progress into a line on the terminal, or the model moving over its data.

On a pipe a long run says a few plain lines. Whoever watches costs the run at most `SHARE` of its
time: what takes long to draw is drawn less often.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from .errors import NablispError
from .figure import Figure
from .printer import element
from .process import check
from .results import Progress
from .showing import redraws
from .views import Scene, View, descent, loss_curve, moments, states, thinned

if TYPE_CHECKING:
    from rich.live import Live

PATIENCE = 0.5
"""Seconds after which a run is shown; a shorter one that is to be watched is played afterwards."""
SHARE = 0.03
"""What of a run's time may go into drawing."""
RATE = 20
"""Pictures a second, at most."""
REPLAY, FRAMES = 8, 32
"""Pictures a second of a short run played afterwards, and how many."""
SPARKS = "▁▂▃▄▅▆▇█"
WIDE, HIGH = 100, 30
"""Columns and lines of a moving picture, at most."""


@contextmanager
def watching(asked: bool, stream: TextIO, color: bool) -> Iterator[Callable[[Any], None]]:
    """What a run shows its progress to, and at last its result; `asked` to see the model move."""
    drawn = redraws(stream) or (asked and stream.isatty())
    watcher = _Terminal(stream, color, asked) if drawn else _Plain(stream)
    try:
        yield watcher.see
    finally:
        watcher.end()


# ---- words ---------------------------------------------------------------------------------------


def line(progress: Progress, losses: Sequence[float] = (), width: int = 200) -> str:
    """Steps, loss, how it fell, rate, time left: as far as they are known, and there is room."""
    of = f" of {progress.total:,}" if progress.total is not None else ""
    steps = f"{progress.run} step {progress.step:,}{of}"
    loss = "" if math.isnan(progress.loss) else f"loss {element(float(f'{progress.loss:.4g}'))}"
    curve = spark(losses) if len(losses) > 1 else ""
    rate = ""
    if progress.step and progress.seconds:
        rate = f"{short(progress.step / progress.seconds)} steps/s"
    left = time_left(progress)
    ends = "" if not progress.seconds else duration(progress.seconds)
    ends = ends if left is None else f"{duration(left)} left"
    for parts in (
        (steps, loss, curve, rate, ends),
        (steps, loss, rate, ends),
        (steps, loss, ends),
        (steps, loss),
    ):
        text = "  ".join(filter(None, parts))
        if len(text) <= width:
            break
    return text[:width]


def short(number: float) -> str:
    """A number to three digits, thousands and millions by letter: `4.31M`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def time_left(progress: Progress) -> float | None:
    """Seconds until the run ends by its number of steps or its time, whichever is first."""
    ends = []
    if progress.total is not None and progress.step and progress.seconds:
        ends.append(progress.seconds * (progress.total - progress.step) / progress.step)
    if progress.limit is not None:
        ends.append(max(0.0, progress.limit - progress.seconds))
    return min(ends, default=None)


def duration(seconds: float) -> str:
    """Seconds as people say them: `8 s`, `2 min 5 s`, `3 h 20 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def spark(losses: Sequence[float], width: int = 16) -> str:
    """How the loss went, in a few blocks; by its logarithm where it fell far."""
    step = (len(losses) - 1) / (width - 1)
    picked = losses if len(losses) <= width else [losses[round(k * step)] for k in range(width)]
    good = [v for v in picked if math.isfinite(v)]
    if not good:
        return ""
    far = min(good) > 0 and max(good) > 100 * min(good)
    heights = [(math.log(v) if far else v) if math.isfinite(v) else math.inf for v in picked]
    finite = [h for h in heights if math.isfinite(h)]
    low, high = min(finite), max(finite)
    top = len(SPARKS) - 1
    return "".join(
        SPARKS[top if h == math.inf else round(top * (h - low) / ((high - low) or 1))]
        for h in heights
    )


# ---- watchers ------------------------------------------------------------------------------------


class _Plain:
    """A line after a second, two, four, …: a long run is known to live, and a log stays short."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.due = stream, 1.0

    def see(self, seen: Any) -> None:
        if isinstance(seen, Progress) and seen.seconds >= self.due:
            self.due = 2.0 ** (math.floor(math.log2(seen.seconds)) + 1)
            print(line(seen), file=self.stream, flush=True)

    def end(self) -> None:
        pass


class _Terminal:
    """One line that is written anew, below the moving picture if that is asked for."""

    def __init__(self, stream: TextIO, color: bool, asked: bool) -> None:
        self.stream, self.color, self.asked = stream, color, asked
        self.live: Live | None = None
        self.due = 0.0 if asked else PATIENCE
        self.losses: list[float] = []
        self.steps: list[int] = []
        self.drawn = 0
        self.fine = "utf" in (getattr(stream, "encoding", None) or "").lower()

    def see(self, seen: Any) -> None:
        """What cannot be drawn costs the picture, never the run."""
        try:
            with np.errstate(all="ignore"):
                self._progress(seen) if isinstance(seen, Progress) else self._finish(seen)
        except Exception:
            self.asked = False

    def _progress(self, seen: Progress) -> None:
        if not math.isnan(seen.loss):
            self.losses.append(seen.loss)
            self.steps.append(seen.step)
            if len(self.losses) > 4096:
                del self.losses[1::2], self.steps[1::2]
        if seen.seconds < max(self.due, PATIENCE):
            return
        began = time.perf_counter()
        self._show(self._picture(seen) if self.asked else None, seen)
        cost = time.perf_counter() - began if self.drawn > 1 else 0.0  # the first one imports
        self.due = seen.seconds + max(1 / RATE, cost / SHARE)

    def _picture(self, seen: Progress) -> Figure | None:
        scene = None if seen.view is None else seen.view.scene
        if scene is not None:
            return scene.figure(seen.params)
        return loss_curve(self.losses, steps=self.steps) if len(self.losses) > 1 else None

    def _show(self, figure: Figure | None, seen: Progress) -> None:
        """Draw anew, in place."""
        from rich.console import Group
        from rich.text import Text

        width = shutil.get_terminal_size().columns - 1
        words = Text(line(seen, self.losses if self.fine else (), width), end="")
        whole = words if figure is None else Group(Text.from_ansi(self._ink(figure)), words)
        self._screen().update(whole, refresh=True)
        self.drawn += 1

    def _ink(self, figure: Figure) -> str:
        from .pictures.terminal import drawn

        size = shutil.get_terminal_size()
        width, height = min(size.columns, WIDE), min(size.lines - 3, HIGH)
        return drawn(figure, width, height, self.color, self.fine)

    def _screen(self) -> Live:
        if self.live is None:
            from rich.console import Console
            from rich.live import Live

            console = Console(
                file=self.stream,
                force_terminal=True,
                color_system="auto" if self.color else None,
                highlight=False,
            )
            self.live = Live(
                console=console,
                auto_refresh=False,
                transient=not self.asked,
                vertical_overflow="crop",
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self.live.start()
            console.show_cursor(True)  # a run may be stopped, or killed, at any moment
        return self.live

    def _finish(self, result: Any) -> None:
        """Leave the last picture standing; first play what was over before it could be seen."""
        view: View | None = getattr(result, "view", None)
        if not self.asked or view is None:
            return
        if (scene := view.scene) is None:
            figure = descent(result)
        else:
            figure = scene.figure(result.params)
            try:
                if self.drawn <= 1:
                    self._play(scene, result)
            except KeyboardInterrupt:  # enough seen
                check()
        self._show(figure, Progress(result.steps, result.steps, result.loss, 0.0, run=result.run))

    def _play(self, scene: Scene, result: Any) -> None:
        try:
            steps, kept = states(result)
        except NablispError:  # arrays, of a method that keeps none
            return
        losses = result.history["loss"]
        for k in moments(scene, kept, FRAMES)[:-1]:
            began = time.perf_counter()
            place = result.history.place(steps[k])
            at = Progress(steps[k], result.steps, float(losses[place]), 0.0, run=result.run)
            self.losses = thinned(losses[: place + 1]).tolist()
            self._show(scene.figure(kept[k]), at)
            time.sleep(max(0.0, 1 / REPLAY - (time.perf_counter() - began)))
        self.losses = thinned(losses).tolist()

    def end(self) -> None:
        if self.live is not None:
            self.live.stop()
