"""How much work a text may ask for: turns a profile of limits into counters that refuse.

Checked before the work where its size is known, counted while it runs where it is not.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf, prod

from .errors import NablispError


@contextmanager
def no_collection() -> Iterator[None]:
    """Forms and nodes make no cycles; the collector, looking for them, would double the time."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


@dataclass(frozen=True, slots=True)
class Limits:
    """What one `Session.run` may use. `inf` means no limit."""

    nodes: float = 50_000_000
    """expression nodes made"""
    depth: float = 1_000_000
    """nesting of forms, expressions and calls"""
    steps: float = 20_000_000
    """applications and loop turns while the program expands"""
    seconds: float = inf
    """wall time"""
    bytes: float = 8 * 2**30
    """size of one array"""
    output: float = 2**24
    """characters of one printed value"""
    source: float = 2**30
    """bytes of program text"""

    @classmethod
    def trusted(cls) -> Limits:
        """The default: so generous that only a slip or a bomb meets it."""
        return cls()

    @classmethod
    def untrusted(cls) -> Limits:
        """For a stranger's text."""
        return cls(
            nodes=100_000,
            depth=10_000,
            steps=1_000_000,
            seconds=1.0,
            bytes=256 * 2**20,
            output=64 * 2**10,
            source=64 * 2**10,
        )


_WORDS = {
    "nodes": "expression nodes",
    "depth": "levels of nesting",
    "steps": "expansion steps",
    "seconds": "seconds",
    "bytes": "bytes in one array",
    "output": "characters of output",
    "source": "bytes of source",
}


class Unknown(Exception):  # noqa: N818  # no mistake of anybody's
    """What only a run would tell, met by a check."""


class Budget:
    """The counters of one run; every floor above text counts against the same object.

    A `dry` one is for checks: nothing begins that trains, computes a value, writes or draws.
    """

    __slots__ = ("_deadline", "dry", "limits", "nodes", "steps")

    def __init__(self, limits: Limits | None = None, *, dry: bool = False) -> None:
        self.limits = limits or Limits.trusted()
        self.dry = dry
        self.restart()

    def restart(self) -> None:
        self.nodes = self.steps = 0
        self._deadline = time.monotonic() + self.limits.seconds

    def begin(self) -> None:
        """Called where what was asked for has been checked, and is done from here on."""
        if self.dry:
            raise Unknown

    def check(self, name: str, asked: float) -> None:
        """Refuse when a known size is over its limit."""
        allowed = getattr(self.limits, name)
        if asked > allowed:
            raise NablispError(
                "limit",
                f"this needs {asked:,.0f} {_WORDS[name]}, over the limit of {allowed:,.0f}",
                hint=f"the host sets it with Limits({name}=…)",
            )

    def step(self, count: int = 1) -> None:
        """Count expansion steps, and look at the clock now and then."""
        before = self.steps
        self.steps = before + count
        if self.steps > self.limits.steps:
            self.check("steps", self.steps)
        if before >> 10 != self.steps >> 10:
            self.clock()

    def node(self, count: int = 1) -> None:
        """Count expression nodes made."""
        self.nodes += count
        if self.nodes > self.limits.nodes:
            self.check("nodes", self.nodes)

    def clock(self) -> None:
        """Refuse to go on after the deadline."""
        if time.monotonic() > self._deadline:
            raise NablispError(
                "limit",
                f"this takes longer than the limit of {self.limits.seconds:g} seconds",
                hint="the host sets it with Limits(seconds=…)",
            )

    def array(self, shape: tuple[int, ...]) -> None:
        """Refuse an array of binary64 numbers before it is made."""
        self.check("bytes", 8 * prod(float(n) for n in shape))
