"""A thread that raises flags: machine code that looks at one comes back to Python in time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep
from typing import Any

from .. import TICK


class Ticker:
    """Raises every flag on its list, some time within `TICK` of the last."""

    def __init__(self) -> None:
        self.flags: dict[int, Any] = {}
        self.wanted = threading.Event()
        self.thread: threading.Thread | None = None

    @contextmanager
    def watching(self, flag: Any) -> Iterator[None]:
        """While the block runs, the flag (an array of one number) is set to 1 again and again."""
        self.flags[id(flag)] = flag
        if self.thread is None:
            self.thread = threading.Thread(target=self._tick, name="nablisp ticker", daemon=True)
            self.thread.start()
        self.wanted.set()
        try:
            yield
        finally:
            del self.flags[id(flag)]

    def _tick(self) -> None:
        while True:
            self.wanted.wait()
            sleep(TICK)
            flags = list(self.flags.values())
            if not flags:
                self.wanted.clear()
                if self.flags:  # one came in between
                    self.wanted.set()
            for flag in flags:
                flag[0] = 1


TICKER = Ticker()
if hasattr(os, "register_at_fork"):  # a forked process has no threads but its own
    os.register_at_fork(after_in_child=TICKER.__init__)  # type: ignore[misc]
