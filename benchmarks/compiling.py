"""How long machine code takes to make, as straight-line programs grow.

    python benchmarks/compiling.py

Each program is one long formula of a column and a parameter, in which one node in fifty is a sine.
A figure is the median of three, of the whole way from the formula to a function.
"""

from __future__ import annotations

import random
from statistics import median
from time import perf_counter

from timing import table

from nablisp import Expr, parse
from nablisp.backends import native
from nablisp.expr import OPS, Call, size
from nablisp.shapes import ROWS


def formula(operations: int, seed: int) -> Expr:
    """A mean over rows of so many operations."""
    draw = random.Random(seed)
    pool: list[Expr] = [parse("x"), parse("(* m x)")]
    for i in range(operations // 2):
        a, b = pool[-1], draw.choice(pool[-40:])
        pool.append(Call(OPS["sin"], (a,)) if i % 50 == 0 else a + b * draw.random())
    return Call(OPS["mean"], (pool[-1],))


def main() -> None:
    """The table."""
    lines = [["operations", "seconds", "µs an operation"]]
    for operations in (100, 1_000, 10_000, 50_000, 100_000):
        spent, count = [], 0
        for seed in range(3):  # another formula each time, since machine code is kept
            root = formula(operations, seed)
            count = size(root)
            start = perf_counter()
            native.compile([root], ["m", "x"], {"x": (ROWS,)}, count)
            spent.append(perf_counter() - start)
        seconds = median(spent)
        lines.append([f"{count:,}", f"{seconds:.3f}", f"{seconds / count * 1e6:.0f}"])
    print(table(lines))


if __name__ == "__main__":
    main()
