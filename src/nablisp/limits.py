"""How much work a text may ask for: turns a profile of limits into counters that refuse.

Checked before the work where its size is known, counted while it runs where it is not. A session
puts its budget in force while it evaluates; passes over formulas, which know no session, ask the
one that is in force in this thread by `walked` and `growing`. No timer, no signal: a deadline is
looked at in loops.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import inf, prod
from typing import Any
from weakref import ref

from .errors import NablispError
from .process import whole


@contextmanager
def no_collection() -> Iterator[None]:
    """Forms and nodes make no cycles; the collector, looking for them, would double the time.

    Only who finds it on turns it off, and on again: so of several threads the last leaves it on.
    """
    on = gc.isenabled()
    if on:
        gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


@dataclass(frozen=True, slots=True)
class Limits:
    """What one `Session.run` may use. `inf` means no limit."""

    nodes: float = 3_000_000
    depth: float = 200_000
    steps: float = 10_000_000
    seconds: float = inf
    bytes: float = 8 * 2**30
    output: float = 2**24
    source: float = 2**30
    work: float = inf

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
            work=1e10,
        )


USES = {
    "nodes": ("nodes", "forms read; operations and names in a formula, and all that are made"),
    "depth": ("levels of nesting", "brackets inside each other; calls inside each other"),
    "steps": ("expansion steps", "applications and loop turns while the program expands"),
    "seconds": ("seconds", "wall time"),
    "bytes": ("bytes of arrays", "arrays that the session holds at one time"),
    "output": ("characters of output", "what one value shows, and all that is printed or written"),
    "source": ("bytes of source", "a program's text, in UTF-8"),
    "work": ("operations", "a step of a run times its rows times its steps; a product of matrices"),
}
"""For each limit what it counts: in the words of an error, and of the reference."""

SMALL = 1024
"""Bytes of an array up to which it is not counted: what holds it costs as much."""
LONG = 2**20
"""Bytes of an array from which making it may take time."""
AXES = 32
"""Axes of an array: NumPy broadcasts no more."""
BATCH = 4096
"""Nodes that a pass makes between looks at its budget."""


class Unknown(Exception):  # noqa: N818  # no mistake of anybody's
    """What only a run would tell, met by a check."""


class Budget:
    """The counters of one run; every floor above text counts against the same object.

    A `dry` one is for checks: nothing begins that trains, computes a value, writes or draws.
    """

    __slots__ = (
        "_deadline",
        "_held",
        "dry",
        "held",
        "limits",
        "nodes",
        "output",
        "steps",
    )

    def __init__(self, limits: Limits | None = None, *, dry: bool = False) -> None:
        self.limits = limits or Limits.trusted()
        self.dry = dry
        self.held = 0
        """bytes of the arrays that are alive"""
        self._held: dict[int, ref[Any]] = {}
        self.restart()

    def restart(self) -> None:
        self.nodes = self.steps = self.output = 0
        self._deadline = time.monotonic() + self.limits.seconds

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """While the block runs, passes in this thread count against this budget."""
        token = _IN_FORCE.set(self)
        try:
            yield
        finally:
            _IN_FORCE.reset(token)

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
                f"this needs {asked:,.0f} {USES[name][0]}, over the limit of {allowed:,.0f}",
                hint=f"the host sets it with Limits({name}=…)",
            )

    def step(self, count: int = 1) -> None:
        """Count expansion steps, and look at the clock now and then."""
        before = self.steps
        self.steps = before + count
        if self.steps > self.limits.steps:
            self.check("steps", self.steps)
        if before >> 6 != self.steps >> 6:
            self.clock()

    def node(self, count: int = 1) -> None:
        """Count expression nodes made."""
        self.nodes += count
        if self.nodes > self.limits.nodes:
            self.check("nodes", self.nodes)

    def reads(self, count: int) -> None:
        """Look at the clock while a text is read, of so many forms by now."""
        self.check("nodes", count)
        self.clock()

    def nests(self, depth: int) -> None:
        """Refuse brackets that stand too deep."""
        self.check("depth", depth)

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self._deadline - time.monotonic()

    def clock(self) -> None:
        """Refuse to go on after the deadline."""
        if time.monotonic() > self._deadline:
            raise NablispError(
                "limit",
                f"this takes longer than the limit of {self.limits.seconds:g} seconds",
                hint="the host sets it with Limits(seconds=…)",
            )

    def array(self, shape: Sequence[float], beside: float = 0) -> None:
        """Refuse an array of binary64 numbers before it is made, beside so many bytes in use."""
        if len(shape) > AXES:
            raise NablispError("shape", f"an array has at most {AXES} axes, not {len(shape)}")
        asked = 8 * prod([float(n) for n in shape])
        if asked > LONG:
            self.clock()
        self.room(beside + asked)

    def room(self, asked: float) -> None:
        """Refuse so many bytes beside the arrays that are held."""
        if self.held + asked > self.limits.bytes:
            self.check("bytes", self.held + asked)

    def hold(self, array: Any) -> None:
        """Count an array as long as it lives; of a part of one, the whole."""
        while getattr(array.base, "nbytes", 0):
            array = array.base
        key, size = id(array), array.nbytes
        if size <= SMALL or key in self._held:
            return

        @whole
        def gone(_: object) -> None:
            self.held -= size
            del self._held[key]

        self.held += size
        self._held[key] = ref(array, gone)
        if self.held > self.limits.bytes:
            self.check("bytes", self.held)

    def write(self, text: str) -> str:
        """Text that goes out, counted."""
        self.output += len(text)
        self.check("output", self.output)
        return text


_IN_FORCE: ContextVar[Budget | None] = ContextVar("the budget in force", default=None)


def in_force() -> Budget | None:
    """The budget of whoever evaluates in this thread; none outside of sessions."""
    return _IN_FORCE.get()


def walked(count: int) -> None:
    """Called by a pass over so many nodes of a formula."""
    budget = _IN_FORCE.get()
    if budget is not None:
        if count > budget.limits.nodes:
            budget.check("nodes", count)
        budget.clock()


def growing(count: int) -> int:
    """Called by a pass that makes nodes; it is to call again at the count returned."""
    walked(count)
    return count + BATCH
