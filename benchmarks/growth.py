"""How time grows with the input: the rows of tests/growth_rows.py at sizes that double.

    python benchmarks/growth.py [--doublings 5] [reading tidying …]

A line has the milliseconds of the smallest size, and how much longer each double takes: 2 is
linear, 4 quadratic. Times are of the processor, the least of rounds in which two sizes take turns.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from growth_rows import ROWS, ratio, seconds
from timing import table


def main() -> None:
    text = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=text)
    parser.add_argument("words", nargs="*", help="rows whose name holds one of these")
    parser.add_argument("--doublings", type=int, default=4)
    options = parser.parse_args()
    chosen = [n for n in ROWS if any(w in n for w in options.words) or not options.words]
    found = []
    for name in chosen:
        n, make = ROWS[name]
        first = min(seconds(make(n)) for _ in range(3))
        ratios = [ratio(make, n << k, 2, 0.0, 5) for k in range(options.doublings)]
        cells = [name, str(n), f"{1e3 * first:.2f}", *(f"{r:.2f}" for r in ratios)]
        found.append((max(ratios), cells))
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    heads = ["row", "size", "ms", *(f"×{2 << k}" for k in range(options.doublings))]
    print(table([heads, *(cells for _, cells in sorted(found, reverse=True))]))


if __name__ == "__main__":
    main()
