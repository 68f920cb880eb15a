"""Expressions as straight-line NumPy programs: each operation once, temporaries freed after use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from time import perf_counter
from typing import Any

import numpy as np

from ..arrays import array_function
from ..evaluate import ROWS, evaluate
from ..expr import Call, Expr, Sym, plain, postorder, substitute
from ..limits import LONG, Budget, in_force
from ..shapes import ShapeEnv
from . import TICK, Ran, Step, Window


class Program:
    """Outputs as a list of instructions on registers; inputs come first, then constants."""

    def __init__(self, outputs: Sequence[Expr], inputs: Sequence[str]) -> None:
        register: dict[Any, int] = {name: i for i, name in enumerate(inputs)}
        self.start: list[Any] = [None] * len(inputs)
        order = postorder(*outputs)
        code: list[tuple[Callable[..., Any], tuple[int, ...], dict[str, Any]]] = []
        place: dict[Expr, int] = {}
        for node in order:
            if isinstance(node, Sym):
                place[node] = register[node.name]
            elif isinstance(node, Call) and node.op.array == "nablisp_rows":
                place[node] = register[ROWS]
            elif not isinstance(node, Call):
                place[node] = len(self.start)
                value = plain(node)
                self.start.append(float(value) if type(value) is int else value)
        first = len(self.start)
        self.names: list[str] = []
        for node in order:
            if node not in place and isinstance(node, Call):
                place[node] = first + len(code)
                args = tuple([place[arg] for arg in node.args])
                self.names.append(node.op.name)
                code.append((array_function(node.op), args, dict(node.options)))
        self.outputs = [place[output] for output in outputs]
        kept = set(self.outputs)
        last: dict[int, int] = {}
        for at, (_, args, _) in enumerate(code):
            last.update((arg, at) for arg in args)
        self.code = [
            (
                f,
                args,
                options,
                [a for a in set(args) if a >= first and last[a] == at and a not in kept],
            )
            for at, (f, args, options) in enumerate(code)
        ]

    def listing(self) -> str:
        """The instructions, one a line."""
        first = len(self.start)
        lines = []
        for k, (name, (_, args, options, _)) in enumerate(zip(self.names, self.code, strict=True)):
            given = [f"r{a}" for a in args] + [f":{o} {v}" for o, v in options.items()]
            lines.append(f"r{first + k} = ({' '.join([name, *given])})")
        return "\n".join(lines)

    def __call__(self, *inputs: Any) -> list[Any]:
        registers = self.start.copy()
        registers[: len(inputs)] = inputs
        append = registers.append
        budget = in_force()
        if budget is not None:
            budget.clock()
            if any([getattr(v, "nbytes", 0) > LONG for v in inputs]):
                return self._watched(registers, budget)
        for function, args, options, dead in self.code:
            append(function(*[registers[arg] for arg in args], **options))
            for arg in dead:
                registers[arg] = None
        return [registers[output] for output in self.outputs]

    def _watched(self, registers: list[Any], budget: Budget) -> list[Any]:
        """The same on large arrays, which take time and room."""
        live = 0
        for function, args, options, dead in self.code:
            budget.clock()
            made = function(*[registers[arg] for arg in args], **options)
            registers.append(made)
            live += getattr(made, "nbytes", 0)
            budget.room(live)
            for arg in dead:
                live -= getattr(registers[arg], "nbytes", 0)
                registers[arg] = None
        return [registers[output] for output in self.outputs]


def compile(  # noqa: A001
    outputs: Sequence[Expr],
    inputs: Sequence[str],
    shapes: ShapeEnv,
    most: int = 0,
    threads: int | None = None,
) -> Callable[..., list[Any]]:
    """A function of the inputs, in order, to the outputs' values. IEEE-754: nothing raises."""
    program = Program(outputs, inputs)

    def function(*args: Any) -> list[Any]:
        with np.errstate(all="ignore"):
            return program(*args)

    return function


def iterate(
    step: Step,
    columns: Sequence[str],
    shapes: ShapeEnv,
    most: int = 0,
    threads: int | None = None,
    rows: int | None = None,
) -> Stepper:
    """The step as a function that takes it many times."""
    return Stepper(step, columns)


class Stepper:
    """A step as a program. What only columns change is computed once, if all rows take part."""

    backend = "numpy"
    threads = 1
    why = ""

    def __init__(self, step: Step, columns: Sequence[str]) -> None:
        began = perf_counter()
        self.step, self.state = step, list(step.next)
        self.outputs = [*step.stop.values(), *step.emit.values(), *step.next.values()]
        self.inputs = [*self.state, *columns, ROWS]
        self.columns: Any = None
        self.seconds = perf_counter() - began

    @cached_property
    def moving(self) -> Program:
        """The program for windows that differ."""
        return Program(self.outputs, self.inputs)

    @property
    def text(self) -> str:
        """The instructions, one a line."""
        return self.moving.listing()

    def __call__(
        self,
        state: Mapping[str, Any],
        columns: Mapping[str, Any],
        windows: Sequence[Window],
        steps: int,
    ) -> Ran:
        began = perf_counter()
        step, names = self.step, self.state
        stops, emits = len(step.stop), len(step.stop) + len(step.emit)
        now = [state[name] for name in names]
        records: list[list[Any]] = []
        reason, taken = None, 0
        with np.errstate(all="ignore"):
            program, inputs = self._prepared(columns, windows)
            try:
                while taken < steps and not (taken and perf_counter() - began > TICK):
                    found = program(*now, *inputs(windows[taken % len(windows)]))
                    records.append(found[stops:emits])
                    if any(found[:stops]):
                        held = zip(step.stop, found, strict=False)
                        reason = next(name for name, holds in held if holds)
                        break
                    now = found[emits:]
                    taken += 1
            except KeyboardInterrupt:
                del records[taken:]
                reason = "interrupted"
        table = np.array(records, dtype=np.float64).reshape(len(records), len(step.emit))
        return Ran(
            dict(zip(names, now, strict=True)),
            {name: table[:, i] for i, name in enumerate(step.emit)},
            reason,
            taken,
        )

    def _prepared(
        self, columns: Mapping[str, Any], windows: Sequence[Window]
    ) -> tuple[Program, Callable[[Window], Iterable[Any]]]:
        """The program for these windows, and what it takes beside the state."""
        if len(windows) > 1:
            return self.moving, lambda window: _windowed(columns, window).values()
        key = (columns, windows[0])
        if self.columns is None or self.columns[0] is not columns or self.columns[1] != windows[0]:
            window = _windowed(columns, windows[0])
            outputs, window = _hoisted(self.outputs, set(self.state), window)
            self.columns = key
            self.steady = Program(outputs, [*self.state, *window]), list(window.values())
        program, inputs = self.steady
        return program, lambda window: inputs


def _windowed(columns: Mapping[str, Any], window: Window) -> dict[str, Any]:
    start, stop = window
    found = {name: column[start:stop] for name, column in columns.items()}
    found[ROWS] = float(stop - start)
    return found


def _hoisted(
    outputs: list[Expr], moving: set[str], window: dict[str, Any]
) -> tuple[list[Expr], dict[str, Any]]:
    """The outputs with every largest part that no step changes as an input of its own."""
    still: set[Expr] = set()
    parts: dict[Expr, None] = {}
    for node in postorder(*outputs):
        if isinstance(node, Call):
            if node.op.array == "nablisp_rows" or all([arg in still for arg in node.args]):
                still.add(node)
            else:
                parts.update((a, None) for a in node.args if a in still and isinstance(a, Call))
        elif not (isinstance(node, Sym) and node.name in moving):
            still.add(node)
    parts.update((o, None) for o in outputs if o in still and isinstance(o, Call))
    if not parts:
        return outputs, window
    values = evaluate(list(parts), window)
    inputs = {part: Sym(f" {i}") for i, part in enumerate(parts)}  # a blank: no user's name
    given = dict(zip((name.name for name in inputs.values()), values, strict=True))
    return substitute(outputs, inputs), {**window, **given}
