"""Whole runs as machine code, by way of LLVM: for programs elementwise over rows with reductions.

Strict IEEE-754: eight lanes, blocks of rows and the order of combination are fixed, nothing is
fused or reordered by the compiler, and the elementary functions are our own (kernels). So the same
run gives the same bits on any number of threads and every processor with fused multiply-adds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from math import prod
from time import perf_counter
from typing import Any

import numpy as np

from ...evaluate import ROWS as COUNT
from ...expr import Expr, postorder
from ...limits import no_collection
from ...plan import plan
from ...shapes import ROWS, Shape, ShapeEnv, shape_of
from ...unroll import cells_of, class_columns, refused, unroll
from .. import THREADED, Ran, Step, Window
from .driver import STOPPED, driver
from .engine import Machine
from .memory import Memory, cores
from .program import Writer

TINY = 4
"""Rows up to which they are no rows: a step is straight-line code."""
RECORDS = 1 << 24
"""Bytes of records between two returns to Python at most; so many come in large pages of memory."""


class Program:
    """Outputs compiled for names of certain shapes."""

    def __init__(
        self,
        outputs: Sequence[Expr],
        names: Sequence[str],
        shapes: ShapeEnv,
        columns: Collection[str],
        most: int,
        step: tuple[int, int] | None = None,
    ) -> None:
        with no_collection():
            self.shapes = {name: shapes.get(name, ()) for name in names}
            order = postorder(*outputs)
            self.classes = class_columns(order, self.shapes)
            for name in self.classes:
                if name not in columns:
                    raise refused(f"native takes class numbers from a column, and {name} is none")
            self.groups = unroll(outputs, self.shapes, most, order)
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
            self.reductions = [writer.facts(p) for p in range(split.passes)]
            self.operations = len(split.level)
            self.text = writer.text
            self.machine = _compiled(self.text, writer.optimise)


@lru_cache(32)
def _compiled(text: str, optimise: bool) -> Machine:
    """The machine code of a text; the last ones are kept, since people run things again."""
    return Machine(text, optimise)


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
    columns = [name for name in inputs if ROWS in shapes.get(name, ())]
    program = Program(outputs, inputs, shapes, columns, most)
    memo: dict[Expr, Shape] = {}
    of_groups = [
        shape_of(output, program.shapes, memo) if group.ndim else ()
        for output, group in zip(outputs, program.groups, strict=True)
    ]
    threads = threads or cores()
    free: list[Memory] = []  # one caller each; a list's pop and append are atomic

    def function(*args: Any, into: Sequence[Any] | None = None) -> list[Any]:
        given = dict(zip(inputs, args, strict=True))
        try:
            memory = free.pop()
        except IndexError:
            memory = Memory(program, threads)
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
        found = _gathered(program, of_groups, memory, made)
        memory.release()
        free.append(memory)
        return found

    return function


def _gathered(
    program: Program, shapes: Sequence[Shape], memory: Memory, made: Mapping[Expr, Any]
) -> list[Any]:
    """The outputs' values, from cells and from what was stored by row."""
    found: list[Any] = []
    cell = program.first_output
    flat = iter(program.outputs)
    for group, shape in zip(program.groups, shapes, strict=True):
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
        elif any([np.ndim(item) for item in items]):
            at = shape.index(ROWS)
            sizes = [*group.shape[:at], *group.shape[at + 1 :], -1]
            found.append(np.moveaxis(np.stack(np.broadcast_arrays(*items)).reshape(sizes), -1, at))
        else:
            found.append(np.stack(items).reshape(group.shape))
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
        began = perf_counter()
        self.step, self.names = step, list(step.next)
        if rows is not None and 0 < rows <= TINY:  # so few that they are written out, too
            shapes = {n: tuple(rows if d == ROWS else d for d in s) for n, s in shapes.items()}
        outputs = [*step.stop.values(), *step.emit.values(), *step.next.values()]
        counts = len(step.stop), len(step.emit)
        names = [*self.names, *columns]
        self.program = Program(outputs, names, shapes, columns, most, counts)
        self.memory = memory = Memory(self.program, threads)
        shapes = self.program.shapes
        self.sizes = [prod(int(n) for n in shapes[name]) for name in self.names]
        driver(threads > 1 and (rows or 0) >= THREADED)  # once in a process: it counts here
        self.text, self.threads = self.program.text, threads
        self.seconds = perf_counter() - began
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
        room = min(steps, RECORDS // (8 * len(emit) + 8))
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
        rows = records[:kept] if 2 * kept > room else records[:kept].copy()  # lets the rest go
        return Ran(self._state(), {n: rows[:, i] for i, n in enumerate(emit)}, reason, taken)

    def _state(self) -> dict[str, Any]:
        at, sizes = self.program.first_input, self.sizes
        cells = self.memory.cells[at : at + sum(sizes)]
        if len(cells) == len(sizes):
            return dict(zip(self.names, cells.tolist(), strict=True))
        found: dict[str, Any] = {}
        at = 0
        for name, size in zip(self.names, sizes, strict=True):
            piece, shape = cells[at : at + size], self.program.shapes[name]
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


__all__ = ["Program", "Stepper", "compile", "iterate"]
