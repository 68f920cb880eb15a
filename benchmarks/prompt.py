"""From the start of the process to the first prompt, on a pseudo-terminal.

    python benchmarks/prompt.py [--quick]

Runs once unmeasured, as on a machine where it ran before. Needs pexpect, of the extra `test`.
"""

from __future__ import annotations

import argparse
import sys
from time import perf_counter

import pexpect
from timing import Spread, environment


def start() -> float:
    """Seconds until the prompt is drawn."""
    before = perf_counter()
    child = pexpect.spawn(
        sys.executable, ["-m", "nablisp"], env={**environment(), "PROMPT_TOOLKIT_NO_CPR": "1"},
        encoding="utf-8", timeout=60)  # fmt: skip
    child.expect("∇")
    seconds = perf_counter() - before
    child.close(force=True)
    return seconds


def main() -> None:
    """The median of 10."""
    parser = argparse.ArgumentParser(description="The first prompt.")
    parser.add_argument("--quick", action="store_true", help="3 rounds instead of 10")
    rounds = 3 if parser.parse_args().quick else 10
    start()
    spread = Spread(tuple(start() for _ in range(rounds)))
    print(f"first prompt after {spread.show(1e-3, 0)} ms")


if __name__ == "__main__":
    main()
