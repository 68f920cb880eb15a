"""Expressions as straight-line NumPy programs: each operation once, temporaries freed after use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..arrays import array_function
from ..evaluate import ROWS, evaluate
from ..expr import Call, Expr, Sym, plain, postorder, substitute
from . import Ran, Step, Window


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
        for node in order:
            if node not in place and isinstance(node, Call):
                place[node] = first + len(code)
                args = tuple([place[arg] for arg in node.args])
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

    def __call__(self, *inputs: Any) -> list[Any]:
        registers = self.start.copy()
        registers[: len(inputs)] = inputs
        append = registers.append
        for function, args, options, dead in self.code:
            append(function(*[registers[arg] for arg in args], **options))
            for arg in dead:
                registers[arg] = None
        return [registers[output] for output in self.outputs]


def compile(outputs: Sequence[Expr], inputs: Sequence[str]) -> Callable[..., list[Any]]:  # noqa: A001
    """A function of the inputs, in order, to the outputs' values. IEEE-754: nothing raises."""
    program = Program(outputs, inputs)

    def function(*args: Any) -> list[Any]:
        with np.errstate(all="ignore"):
            return program(*args)

    return function


def iterate(
    step: Step,
    state: Mapping[str, Any],
    columns: Mapping[str, Any],
    windows: Sequence[Window],
) -> Ran:
    """Take the step once per window of rows, until a reason to stop or an interrupt.

    What depends on columns alone is computed once where all windows are the same.
    """
    names = list(state)
    outputs = [*step.stop.values(), *step.emit.values(), *(step.next[name] for name in names)]
    stops, emits = len(step.stop), len(step.stop) + len(step.emit)
    now = [state[name] for name in names]
    records: dict[str, list[Any]] = {name: [] for name in step.emit}
    steady = len(set(windows)) <= 1
    with np.errstate(all="ignore"):
        if steady and windows:
            outputs, window = _hoisted(outputs, set(names), _windowed(columns, windows[0]))
            program = Program(outputs, [*names, *window])
        else:
            program = Program(outputs, [*names, *columns, ROWS])
        taken = 0
        try:
            for window_ in windows:
                if not steady:
                    window = _windowed(columns, window_)
                found = program(*now, *window.values())
                reasons = found[:stops]
                for name, value in zip(step.emit, found[stops:emits], strict=True):
                    records[name].append(value)
                if any(reasons):
                    reason = next(n for n, r in zip(step.stop, reasons, strict=True) if r)
                    return Ran(dict(zip(names, now, strict=True)), records, reason, taken)
                now = found[emits:]
                taken += 1
        except KeyboardInterrupt:
            for values in records.values():
                del values[taken:]
            return Ran(dict(zip(names, now, strict=True)), records, "interrupted", taken)
    return Ran(dict(zip(names, now, strict=True)), records, None, taken)


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
