"""`python -m nablisp`, and the command: the process hears of signals before it imports the rest."""

from __future__ import annotations

import sys

from .process import command


def _run() -> int:
    from . import quick  # noqa: F401  # before anything imports numpy
    from .cli import main

    return main(sys.argv[1:])


def main() -> None:
    """Run the command, and end the process with its status."""
    command(_run)


if __name__ == "__main__":
    main()
