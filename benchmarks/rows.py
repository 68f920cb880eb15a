"""Rows doubled again and again: what a run takes beside its columns, and how its time grows.

    python benchmarks/rows.py [--most 10000000]

Each number of rows has a process of its own, which makes the columns of a line, trains, and says by
how much its peak memory is above what it held before the run; so a copy of a column would show. It
reads Linux's /proc.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from timing import environment, table

CHILD = """
import sys, numpy, nablisp
from pathlib import Path
rows, steps = int(sys.argv[1]), 50
x = numpy.random.default_rng(0).normal(size=rows)
y = 2 * x + 1
loss = nablisp.parse("(mse (+ (* m x) b) y)")
few = {"x": x[:10], "y": y[:10]}
start = {"m": 0.0, "b": 0.0}
for text in "12":  # the compiler is in memory, and the code
    nablisp.train(loss, start, data=few, steps=5, backend="native").notes
    nablisp.train(loss, start, data={"x": x[:10**5], "y": y[:10**5]}, steps=5, backend="native")
def held(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(name))) / 1024
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = held("VmRSS")
found = nablisp.train(loss, start, data={"x": x, "y": y}, steps=steps, backend="native", threads=1)
print(16 * rows / 2**20, held("VmHWM") - before, found.work.ran / steps)
"""


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description="Memory and time as rows double.")
    parser.add_argument("--most", type=int, default=10_000_000)
    rows = parser.parse_args().most
    sizes: list[int] = []
    while rows >= 10_000:
        sizes.append(rows)
        rows //= 2
    lines = [["rows", "columns, MiB", "more, MiB", "µs a step", "times the row above"]]
    above = 0.0
    for count in reversed(sizes):
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(count)],
            capture_output=True, text=True, env=environment(), check=True)  # fmt: skip
        columns, more, seconds = map(float, done.stdout.split())
        growth = f"{seconds / above:.2f}" if above else ""
        lines.append(
            [f"{count:,}", f"{columns:.1f}", f"{more:.1f}", f"{seconds * 1e6:.1f}", growth]
        )
        above = seconds
    print(table(lines))


if __name__ == "__main__":
    main()
