"""Whole runs as machine code, by way of LLVM: for programs elementwise over rows with reductions.

Strict IEEE-754: eight lanes, blocks of rows and the order of combination are fixed, nothing is
fused or reordered by the compiler, and the elementary functions are our own (kernels). So the same
run gives the same bits on any number of threads and every processor with fused multiply-adds.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import nullcontext
from functools import cache
from threading import Lock
from time import perf_counter
from typing import Any

import numpy as np

from ...arrays import whole
from ...evaluate import ROWS as COUNT
from ...expr import Expr
from ...limits import no_collection
from ...plan import plan
from ...shapes import ROWS, ShapeEnv
from ...unroll import cells_of, class_columns, unroll
from .. import THREADED, Ran, Step, Window
from .driver import BLOCK, DONE, FIELDS, LEFT, SEGMENT, SIZE, STOPPED, driver
from .emit import LANES
from .engine import Machine
from .program import Writer
from .ticker import TICKER

SMALL = 1 << 20
"""Bytes up to which a column is copied to where vectors do not straddle cache lines."""
TINY = 4
"""Rows up to which they are no rows: a step is straight-line code."""
RECORDS = 1 << 17
"""Steps between two returns to Python at most: so much room there is for records."""
BRIEF = 20_000_000
"""Operations that are over before anybody would interrupt them."""

_RUN = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)
_HELP = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Program:
    """Outputs compiled for names of certain shapes."""

    backend = "native"

    def __init__(
        self,
        outputs: Sequence[Expr],
        names: Sequence[str],
        shapes: ShapeEnv,
        most: int,
        step: tuple[int, int] | None = None,
    ) -> None:
        began = perf_counter()
        with no_collection():
            self._build(outputs, names, shapes, most, step)
        self.seconds = perf_counter() - began

    def _build(
        self,
        outputs: Sequence[Expr],
        names: Sequence[str],
        shapes: ShapeEnv,
        most: int,
        step: tuple[int, int] | None,
    ) -> None:
        self.shapes = {name: shapes.get(name, ()) for name in names}
        self.groups = unroll(outputs, self.shapes, most)
        flat = [cell for group in self.groups for cell in group.reshape(-1)]
        by_row = {n: cells_of(n, s).reshape(-1) for n, s in self.shapes.items() if ROWS in s}
        split = plan(flat, [cell.name for cells in by_row.values() for cell in cells])
        self.scalars = [n for n in names if n not in by_row and n != COUNT]
        inputs = [c for n in self.scalars for c in cells_of(n, self.shapes[n]).reshape(-1)]
        writer = Writer(split, inputs, step)
        self.outputs, self.stored = split.outputs, writer.stored
        self.first_input, self.first_output = writer.first_input, writer.first_output
        self.cells = writer.layout.size
        self.constants = writer.constants()
        self.places = {
            name: [(i, writer.layout.columns[cell]) for i, cell in enumerate(cells)
                   if cell in writer.layout.columns]
            for name, cells in by_row.items()
        }  # fmt: skip
        """for every column, its elements that are used: which, and the pointer's place"""
        self.classes = class_columns(outputs, self.shapes)
        self.reductions = [writer.facts(p) for p in range(split.passes)]
        self.operations = len(split.level)
        self.text = writer.text
        self.machine = _compiled(self.text, writer.optimise)


_LOCK = Lock()
_MACHINES: OrderedDict[str, Machine] = OrderedDict()


def _compiled(text: str, optimise: bool) -> Machine:
    """The machine code of a text; the last ones are kept, since people run things again."""
    with _LOCK:
        machine = _MACHINES.pop(text, None)
    machine = machine or Machine(text, optimise)
    with _LOCK:
        _MACHINES[text] = machine
        while len(_MACHINES) > 32:
            _MACHINES.popitem(last=False)
    return machine


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
        helping = [_pool().submit(help_, self.address) for _ in range(helpers)]
        try:
            return int(_RUN(machine.address("run"))(self.address))
        finally:
            self["leave"] = 1
            wait([future for future in helping if not future.cancel()])


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


# ---- the two verbs -------------------------------------------------------------------------------


def compile(  # noqa: A001
    outputs: Sequence[Expr],
    inputs: Sequence[str],
    shapes: ShapeEnv,
    most: int,
    threads: int | None = None,
) -> Callable[..., list[Any]]:
    """A function of the inputs, in order, to the outputs' values.

    NablispError "unavailable" says what native cannot take.
    """
    program = Program(outputs, inputs, shapes, most)
    threads = threads or cores()
    free: list[Memory] = []  # one caller each; a list's pop and append are atomic

    def function(*args: Any, into: Sequence[Any] | None = None) -> list[Any]:
        given = dict(zip(inputs, args, strict=True))
        memory = free.pop() if free else Memory(program, threads)
        columns = {name: given[name] for name in program.places}
        memory.give(columns, False)
        memory.fill([given[name] for name in program.scalars])
        rows = len(next(iter(columns.values()))) if columns else int(given.get(COUNT, 0))
        if into is None:
            into = [np.empty(rows) for _ in program.stored]
        made = dict(zip(program.stored, into, strict=True))
        for node, place in program.stored.items():
            memory.pointers[place] = made[node].ctypes.data
        memory.windows([(0, rows)])
        memory["pass"] = memory["begun"] = 0
        memory.run(1)
        found = _gathered(program, memory, made)
        memory.release()
        free.append(memory)
        return found

    return function


def _gathered(program: Program, memory: Memory, made: Mapping[Expr, Any]) -> list[Any]:
    """The outputs' values, from cells and from what was stored by row."""
    found: list[Any] = []
    cell = program.first_output
    flat = iter(program.outputs)
    for group in program.groups:
        items: list[Any] = []
        for _ in range(group.size):
            node = next(flat)
            if node in made:
                items.append(made[node])
            else:
                items.append(memory.cells[cell])
                cell += 1
        if not group.ndim:
            found.append(items[0])
        elif group.size == 1 and np.ndim(items[0]):
            found.append(items[0].reshape([-1 if n == 1 else n for n in group.shape]))
        else:
            found.append(np.stack(items, axis=-1).reshape(group.shape))
    return found


class Stepper:
    """A step compiled: a function that takes it many times."""

    backend = "native"
    why = ""

    def __init__(
        self,
        step: Step,
        columns: Sequence[str],
        shapes: ShapeEnv,
        most: int,
        threads: int,
        rows: int | None,
    ) -> None:
        self.step, self.names = step, list(step.next)
        if rows is not None and 0 < rows <= TINY:  # so few that they are written out, too
            shapes = {n: tuple(rows if d == ROWS else d for d in s) for n, s in shapes.items()}
        outputs = [*step.stop.values(), *step.emit.values(), *step.next.values()]
        counts = len(step.stop), len(step.emit)
        self.program = Program(outputs, [*self.names, *columns], shapes, most, counts)
        self.memory = memory = Memory(self.program, threads)
        self.seconds, self.text, self.threads = self.program.seconds, self.program.text, threads
        memory["record_size"] = len(step.emit)

    def __call__(
        self,
        state: Mapping[str, Any],
        columns: Mapping[str, Any],
        windows: Sequence[Window],
        steps: int,
    ) -> Ran:
        memory, emit = self.memory, list(self.step.emit)
        memory.give(columns, True)
        given = {**columns, **state}
        memory.fill([given[name] for name in self.program.scalars])
        memory.windows(windows)
        room = min(steps, RECORDS)
        records = np.empty((room + 1, max(len(emit), 1)))
        memory["record_ptr"] = records.ctypes.data
        memory["pass"] = memory["begun"] = 0
        reason = None
        try:
            if memory.run(room) == STOPPED:
                reason = list(self.step.stop)[memory["reason"] - 1]
        except KeyboardInterrupt:
            reason = "interrupted"
        taken = memory["taken"]
        kept = taken + (reason is not None and reason != "interrupted")
        return Ran(self._state(), {n: records[:kept, i] for i, n in enumerate(emit)}, reason, taken)

    def _state(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        at = self.program.first_input
        for name in self.names:
            shape = self.program.shapes[name]
            size = int(np.prod([int(n) for n in shape]))
            piece = self.memory.cells[at : at + size]
            found[name] = (
                piece.reshape([int(n) for n in shape]).copy() if shape else float(piece[0])
            )
            at += size
        return found


def iterate(
    step: Step,
    columns: Sequence[str],
    shapes: ShapeEnv,
    most: int,
    threads: int | None = None,
    rows: int | None = None,
) -> Stepper:
    """The step as a function that takes it many times; NablispError "unavailable" says why not."""
    return Stepper(step, columns, shapes, most, threads or cores(), rows)


__all__ = ["DONE", "Program", "Stepper", "compile", "iterate"]
