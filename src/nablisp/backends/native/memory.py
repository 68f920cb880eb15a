"""What compiled code works on, and the calls into it: context, cells, pointers, accumulators."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ...arrays import whole
from .. import THREADED, Window
from .driver import BLOCK, FIELDS, LEFT, SEGMENT, SIZE, driver
from .emit import LANES
from .ticker import TICKER

if TYPE_CHECKING:
    from . import Program

SMALL = 1 << 20
"""Bytes up to which a column is copied to where vectors do not straddle cache lines."""
BRIEF = 20_000_000
"""Operations that are over before anybody would interrupt them."""

_RUN = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)
_HELP = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Memory:
    """What the driver works on: context, cells, pointers, accumulators; of one caller at a time."""

    def __init__(self, program: Program, threads: int) -> None:
        self.program, self.threads = program, max(threads, 1)
        raw = np.zeros(SIZE + 8, dtype=np.int64)
        start = -raw.ctypes.data % 64 // 8
        self.context = raw[start : start + SIZE]
        self.address = self.context.ctypes.data
        self.flag = self.context[FIELDS["flag"] : FIELDS["flag"] + 1]
        self.cells = np.zeros(program.cells)
        self.cells[list(program.constants)] = list(program.constants.values())
        pointers = sum(map(len, program.places.values())) + len(program.stored)
        self.pointers = np.zeros(max(pointers, 1), dtype=np.int64)
        self.columns: Any = None
        self.taken_from: Sequence[Window] = ()
        self.held: list[Any] = []
        passes = range(len(program.reductions))
        address = program.machine.address
        self.tables = {
            "stages_ptr": np.array([address(f"stage{p}") for p in passes], dtype=np.int64),
            "blocks_ptr": np.array([address(f"block{p}") for p in passes], dtype=np.int64),
            "reductions_ptr": np.array(program.reductions, dtype=np.int64),
        }
        for field, table in self.tables.items():
            self[field] = table.ctypes.data
        self["cells_ptr"] = self.cells.ctypes.data
        self["columns_ptr"] = self.pointers.ctypes.data
        self["last_ptr"] = address("last")
        self["passes"] = len(program.reductions)
        self["yield_ptr"] = _yield_address()

    def __setitem__(self, field: str, value: int) -> None:
        self.context[FIELDS[field]] = value

    def __getitem__(self, field: str) -> int:
        return int(self.context[FIELDS[field]])

    def give(self, columns: Mapping[str, Any], often: bool) -> None:
        """Point at columns, each element's rows in one piece; aligned, where it happens `often`.

        NablispError "value" for class numbers that are none.
        """
        if columns is self.columns:
            return
        self.release()
        for name, count in self.program.classes.items():
            whole(np, columns[name], count, name)
        for name, places in self.program.places.items():
            table = np.asarray(columns[name], dtype=np.float64)
            for element, place in places:
                at: Any = np.unravel_index(element, table.shape[1:]) if table.ndim > 1 else ()
                piece = np.ascontiguousarray(table[(slice(None), *at)])
                piece = _aligned(piece) if often else piece
                self.held.append(piece)
                self.pointers[place] = piece.ctypes.data
        self.columns = columns

    def release(self) -> None:
        """Hold on to nobody's columns."""
        self.columns, self.held = None, []

    def fill(self, state: Sequence[Any]) -> None:
        """Put scalars and small arrays into their cells, in the program's order."""
        at = self.program.first_input
        if not any(isinstance(value, np.ndarray) for value in state):
            self.cells[at : at + len(state)] = state
            return
        for value in state:
            size = np.size(value)
            self.cells[at : at + size] = value if size == 1 else np.ravel(value)
            at += size

    def windows(self, windows: Sequence[Window]) -> None:
        """The rows of every step, in turn."""
        if windows == self.taken_from:
            return
        self.taken_from = windows
        self.window_table = np.array(windows, dtype=np.int64)
        self["windows"] = len(windows)
        self["windows_ptr"] = self.window_table.ctypes.data
        self.most = int((self.window_table[:, 1] - self.window_table[:, 0]).max(initial=0))
        segments = max(-(-self.most // SEGMENT), 1)
        vectors = max((facts[0] for facts in self.program.reductions), default=0)
        self.accumulators = np.empty(segments * vectors * LANES + 8)
        start = -self.accumulators.ctypes.data % 64
        self["places_ptr"] = self.accumulators.ctypes.data + start

    def run(self, steps: int) -> int:
        """Take steps until all are taken, one gives a reason to stop, or 50 ms are over."""
        self["wanted"], self["taken"] = steps, 0
        helpers = min(self.threads, -(-self.most // SEGMENT)) - 1
        helpers = helpers if self.most >= THREADED else 0
        work = steps * max(self.most, 1) * self.program.operations
        with TICKER.watching(self.flag) if work > BRIEF else nullcontext():
            code = self._enter(helpers)
            while code == LEFT and (self["pass"] or self["begun"] or not self["taken"]):
                self["wanted"] = self["taken"] + 1  # to the end of the step that is under way
                code = self._enter(helpers)
        return code

    def _enter(self, helpers: int) -> int:
        self.flag[0] = 0
        machine = driver(helpers > 0)
        if not helpers:
            brief = self.most <= BLOCK and self["windows"] == 1
            return int(_RUN(machine.address("brief" if brief else "run"))(self.address))
        self["leave"] = 0
        help_ = _HELP(machine.address("help"))
        helping: list[Future[None]] = []
        try:
            try:
                for _ in range(helpers):
                    # one by one, so that an interrupt finds all there are
                    helping.append(_pool().submit(_help, help_, self))  # noqa: PERF401
            except RuntimeError:  # the interpreter is about to end, and starts no thread any more
                pass
            return int(_RUN(machine.address("run"))(self.address))
        finally:
            self["leave"] = 1
            _wait([future for future in helping if not future.cancel()])


def _help(function: Any, memory: Memory) -> None:
    """What a helper does; it holds on to the memory."""
    function(memory.address)


def _wait(helping: Sequence[Future[None]]) -> None:
    """Wait until nobody works on the memory any more, whatever is pressed meanwhile."""
    interrupt: KeyboardInterrupt | None = None
    while True:
        try:
            wait(helping)
            break
        except KeyboardInterrupt as pressed:
            interrupt = pressed
    if interrupt is not None:
        raise interrupt


def _aligned(column: Any) -> Any:
    """A column that begins with a cache line: a small one is copied if it does not."""
    if column.ctypes.data % 64 == 0 or column.nbytes > SMALL:
        return column
    raw = np.empty(len(column) + 8)
    start = -raw.ctypes.data % 64 // 8
    raw[start : start + len(column)] = column
    return raw[start : start + len(column)]


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(os.cpu_count() or 1, 8), thread_name_prefix="nablisp helper")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


@cache
def _yield_address() -> int:
    """The address of what gives the processor to another thread."""
    if sys.platform == "win32":
        function = ctypes.WinDLL("kernel32").SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)


def cores() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
