"""What a run records: joins what its calls came to; of a long run, every second, fourth, … step.

A record has at most `MOST` entries, evenly apart. How far apart depends on the number of steps and
names alone, not on when the joining happened: a run that was interrupted and resumed, on whatever
machine, records the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .backends import Ran

MOST = 1 << 20
"""Entries of one name."""
ROOM = 1 << 23
"""Entries of all names together, where these are many."""
LEAST = 1 << 10
"""Entries that a name has at any rate."""
CALL = 256
"""Entries that take as much room as what else there is of a call."""


def apart(steps: int, count: int) -> int:
    """Steps from one entry to the next after so many steps: the smallest power of two that fits."""
    most = max(LEAST, min(MOST, ROOM // max(count, 1)))
    return 1 << (-(-steps // most) - 1).bit_length() if steps else 1


class Recording:
    """The calls of one run, one after the other; an interrupt at any moment leaves it whole."""

    def __init__(self, ran: Ran) -> None:
        self._runs, self._last = [ran], ran
        self._loose = 0

    @property
    def state(self) -> dict[str, Any]:
        """The state after all of it."""
        return self._runs[-1].state

    @property
    def steps(self) -> int:
        """Steps taken in all."""
        return sum(ran.steps for ran in self._runs)

    @property
    def bytes(self) -> int:
        """Its size, within a call."""
        first = self._runs[0]
        return 8 * len(first.records) * (-(-first.steps // first.every) + self._loose)

    def last(self, name: str, none: float) -> float:
        """The last entry of a name; `none` where there is none."""
        entries = self._last.records[name]
        return float(entries[-1]) if len(entries) else none

    def add(self, ran: Ran) -> None:
        """What the next call came to."""
        self._runs.append(ran)
        self._last = ran
        self._loose += ran.steps + CALL
        if self._loose * len(ran.records) > ROOM:
            whole = self.joined(self.steps)
            self._runs[:] = [whole]
            self._loose = 0

    def parts(self, steps: int) -> tuple[int, dict[str, list[Any]]]:
        """How far apart the entries of its first steps are, and they, in parts."""
        runs = list(self._runs)
        every = max(runs[0].every, apart(steps, len(runs[0].records)))
        found: dict[str, list[Any]] = {name: [] for name in runs[0].records}
        at = 0
        for ran in runs:
            taken = min(ran.steps, steps - at)
            first, kept = -at % every // ran.every, -(-taken // ran.every)
            for name, parts in found.items():
                parts.append(ran.records[name][first : max(kept, 0) : every // ran.every])
            at += ran.steps
        return every, found

    def joined(self, steps: int) -> Ran:
        """Its first steps as one call."""
        every, parts = self.parts(steps)
        records = {name: np.concatenate(found) for name, found in parts.items()}
        return Ran(self.state, records, None, steps, every)

    def history(self, ends: Mapping[str, Any]) -> History:
        """What the result of the run shows, with what was found at the end."""
        steps = self.steps
        every, parts = self.parts(steps)
        found = {name: [*entries, np.array([ends[name]])] for name, entries in parts.items()}
        return History(found, steps, every)


class History(Mapping[str, Any]):
    """What a run recorded, a vector a name: before every step, or of a long run every second, ….

    The last entry is what was found at the end, after `done` steps.
    """

    def __init__(self, parts: Mapping[str, Sequence[Any]], done: int, every: int = 1) -> None:
        self._parts = {name: list(found) for name, found in parts.items()}
        self.done, self.every = done, every

    def __getitem__(self, name: str) -> Any:
        if len(self._parts[name]) > 1:
            self._parts[name] = [np.concatenate(self._parts[name])]
        return self._parts[name][0]

    def __contains__(self, name: object) -> bool:
        return name in self._parts

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def steps(self) -> np.ndarray[Any, Any]:
        """How many steps had been taken at every entry."""
        return np.append(np.arange(0, self.done, self.every), self.done)

    def place(self, step: int) -> int:
        """Which entry is of this step, or of the last one before it."""
        return -(-self.done // self.every) if step >= self.done else step // self.every
