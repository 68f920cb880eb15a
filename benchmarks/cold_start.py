"""A cold start beside JAX's and PyTorch's: the article's twenty steps, whole processes in turn.

    pip install -r benchmarks/requirements-cold-start.txt
    python benchmarks/cold_start.py [--quick]

Each program runs once unmeasured, which compiles its modules and fills the disk cache, as on a
machine where it ran before. All three end at the article's m, to twelve digits.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from timing import Spread, environment, table

HERE = Path(__file__).parent
SLOPE = 2.0010576248168945
"""m after twenty steps."""

PROGRAMS = {
    "python -c pass": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "nablisp examples/line.gd": ["-m", "nablisp", str(HERE.parent / "examples" / "line.gd")],
    "JAX, jit": [str(HERE / "peers" / "line_jax.py")],
    "PyTorch": [str(HERE / "peers" / "line_torch.py")],
}


def run(name: str) -> float:
    """Seconds of a whole process; SystemExit where it goes wrong or ends elsewhere."""
    start = perf_counter()
    done = subprocess.run(
        [sys.executable, *PROGRAMS[name]],
        capture_output=True, text=True, env=environment(), check=False)  # fmt: skip
    seconds = perf_counter() - start
    if done.returncode != 0:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    numbers = [float(line) for line in done.stdout.splitlines() if line[:2] == "2."]
    if done.stdout and not math.isclose(numbers[0], SLOPE, rel_tol=1e-12):
        raise SystemExit(f"{name} ends at {numbers[0]!r}, not at {SLOPE!r}")
    return seconds


def main() -> None:
    """Rounds of all programs, and their medians."""
    parser = argparse.ArgumentParser(description="Whole processes, side by side.")
    parser.add_argument("--quick", action="store_true", help="5 rounds instead of 15")
    rounds = 5 if parser.parse_args().quick else 15
    for name in PROGRAMS:
        run(name)
    taken: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(rounds):
        for name, seconds in taken.items():
            seconds.append(run(name))
    spreads = {name: Spread(tuple(seconds)) for name, seconds in taken.items()}
    ours = spreads["nablisp examples/line.gd"].median
    rows = [["whole process", "ms", "times nablisp"]]
    rows += [
        [name, spread.show(1e-3, 0), f"{spread.median / ours:.2f}×"]
        for name, spread in spreads.items()
    ]
    print(table(rows))


if __name__ == "__main__":
    main()
