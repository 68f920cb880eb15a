"""What the terminal costs: from the command to the first prompt, and watching a run learn.

    python benchmarks/terminal.py start [--rounds 15]
    python benchmarks/terminal.py watch [--rounds 7]

Both on a pseudo-terminal of 100 columns and 30 lines. `start` runs until the prompt's sign is
written, with modules compiled and the disk cache warm. `watch` takes turns between a run that
nobody looks at, one with its line of progress and one with the moving picture, all of the same
steps, and reports the seconds in the steps' loop.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
from collections.abc import Iterator
from time import perf_counter

from timing import Spread, environment, table

PROMPT = "∇".encode()
PROGRAMS = {
    "native, 1,000 rows": (
        "(params m b) (data x (linspace -2 3 1000)) "
        "(train (mse (+ (* m x) b) (+ (* 2 x) 1)) :lr 1e-7 :steps 20000000 :backend native)"
    ),
    "NumPy, 1,000 rows": (
        "(params m b) (data x (linspace -2 3 1000)) "
        "(train (mse (+ (* m x) b) (+ (* 2 x) 1)) :lr 1e-7 :steps 60000 :backend numpy)"
    ),
    "native, batches of 32": (
        "(params m b) (data x (linspace -2 3 10000)) (train (mse (+ (* m x) b) "
        "(+ (* 2 x) 1)) :lr 1e-7 :batch 32 :epochs 3000 :backend native)"
    ),
}
WAYS = {"alone": ["--quiet"], "with a line": [], "with the picture": ["--watch"]}


def terminal(*arguments: str) -> Iterator[bytes]:
    """What nablisp writes on a terminal of its own, piece by piece; closed, it is ended."""
    child, end = pty.fork()
    if child == 0:
        os.execve(
            sys.executable,
            [sys.executable, "-m", "nablisp", *arguments],
            {**environment(), "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"},
        )
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    try:
        while select.select([end], [], [], 120)[0]:
            try:
                piece = os.read(end, 65536)
            except OSError:  # the other side is gone
                return
            if not piece:
                return
            yield piece
    finally:
        os.close(end)
        os.waitpid(child, 0)


def start() -> float:
    """Seconds from the command to the first prompt."""
    began, seen = perf_counter(), b""
    for piece in (pieces := terminal()):
        seen += piece
        if PROMPT in seen:
            taken = perf_counter() - began
            pieces.close()  # type: ignore[attr-defined]
            return taken
    raise SystemExit(f"no prompt after {seen!r}")


def watched(program: str, way: list[str]) -> float:
    """Seconds that the run says it took."""
    seen = b"".join(terminal(*way, "-e", program)).decode()
    found = re.findall(r"([0-9.]+) s\b", seen)
    if "all steps were taken" not in seen:
        raise SystemExit(f"the run went wrong:\n{seen}")
    return float(found[-1])


def main() -> None:
    """Rounds in turn, and their medians."""
    parser = argparse.ArgumentParser(description="What the terminal costs.")
    parser.add_argument("what", choices=("start", "watch"))
    parser.add_argument("--rounds", type=int, default=0)
    options = parser.parse_args()
    if options.what == "start":
        start()
        spread = Spread(tuple(start() for _ in range(options.rounds or 15)))
        print(f"to the first prompt: {spread.show(1e-3, 0)} ms")
        return
    rows = [["seconds in the run", *WAYS, "line", "picture"]]
    for name, program in PROGRAMS.items():
        taken: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(options.rounds or 7):
            for way, seconds in taken.items():
                seconds.append(watched(program, WAYS[way]))
        alone, line, picture = (Spread(tuple(seconds)) for seconds in taken.values())
        shown = [spread.show(1) for spread in (alone, line, picture)]
        rows.append(
            [name, *shown, *(f"{s.median / alone.median - 1:+.1%}" for s in (line, picture))]
        )
    print(table(rows))


if __name__ == "__main__":
    main()
