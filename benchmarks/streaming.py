"""A Parquet file of ten million rows and more: time and peak memory of one pass, and of a fit.

    python benchmarks/streaming.py [--rows 1000000 10000000] [--group 1000000] [--no-fit]

The file is made in a temporary folder: y = a exp(k x) + b and noise, three columns of binary64 of
which two are read. Each measurement has a process of its own, which says by how much its peak
(resource.ru_maxrss) is above what it held with nablisp and pyarrow imported; the file is made by
another one, since a process inherits the peak of its parent.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path

from timing import environment, table

START = """
import resource, sys, time
import numpy, pyarrow.parquet, nablisp
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
columns = nablisp.open_data(sys.argv[1], "x", "y")
before, began = peak(), time.perf_counter()
"""
END = """
print(time.perf_counter() - began, peak() - before, before, *found)
"""
PASS = """
total = 0.0
for block in columns.blocks(["x", "y"]):
    total += block["x"] @ block["y"]
found = [total]
"""
SAMPLE = """
found = [len(columns.sample(["x", "y"], 1000, 1)["x"])]
"""
FIT = """
model = nablisp.parse("(+ (* a (exp (* k x))) b)")
result = nablisp.fit("y", model, {"a": 1.0, "k": -0.5, "b": 0.0}, data=columns)
assert columns.streamed, "the fit has read the columns into memory"
found = [result.status, *(f"{n}={v:.6f}±{result.se[n]:.1g}" for n, v in result.params.items())]
"""


def write(path: Path, rows: int, group: int) -> None:
    """The file, a row group at a time."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    schema = pa.schema([(name, pa.float64()) for name in ("x", "y", "z")])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, group):
            x = random.uniform(0, 3, min(group, rows - start))
            y = 2 * np.exp(-1.3 * x) + 0.5 + random.normal(0, 0.1, len(x))
            writer.write_table(pa.table({"x": x, "y": y, "z": random.normal(size=len(x))}))


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description="Time and memory of passes over a Parquet file.")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--group", type=int, default=1_000_000, help="rows of a row group")
    parser.add_argument("--no-fit", action="store_true")
    options = parser.parse_args()
    work = {"one pass": PASS, "a sample of 1000": SAMPLE, "a fit": FIT}
    if options.no_fit:
        del work["a fit"]
    lines = [["", "rows", "file, MiB", "s", "rows/s", "imported, MiB", "beyond, MiB", "found"]]
    with tempfile.TemporaryDirectory() as folder:
        for rows in options.rows:
            path = Path(folder) / f"points{rows}.parquet"
            maker = get_context("spawn").Process(target=write, args=(path, rows, options.group))
            maker.start()
            maker.join()
            for name, code in work.items():
                done = subprocess.run(
                    [sys.executable, "-c", START + code + END, str(path)],
                    capture_output=True, text=True, env=environment(), check=False)  # fmt: skip
                if done.returncode:
                    sys.exit(done.stderr)
                seconds, more, before, *found = done.stdout.split()
                size = f"{path.stat().st_size / 2**20:.0f}"
                speed = f"{rows / float(seconds):.3g}"
                lines.append(
                    [name, f"{rows:,}", size, f"{float(seconds):.2f}", speed,
                     f"{float(before):.0f}", f"{float(more):.0f}", " ".join(found)])  # fmt: skip
            path.unlink()
    print(table(lines))


if __name__ == "__main__":
    main()
