"""Kernels as functions of NumPy arrays: a loop around each, compiled as the native backend does."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from nablisp.backends.native import emit, engine

Array = np.ndarray[Any, np.dtype[np.float64]]


class Loop:
    """One kernel: called with arrays of one length, it gives an array; truth values are 1 and 0."""

    def __init__(self, machine: Any, name: str, count: int, lanes: int) -> None:
        self.machine, self.lanes = machine, lanes
        types = [ctypes.c_int64, *[ctypes.c_void_p] * (count + 1)]
        self.raw = ctypes.CFUNCTYPE(None, *types)(machine.address(f"loop.{name}"))
        """(how many, address of the results, addresses of the arguments)"""

    def __call__(self, *args: Array) -> Array:
        length = len(args[0])
        padded = -(-length // self.lanes) * self.lanes
        given = [np.resize(np.ascontiguousarray(x, dtype=float), padded) for x in args]
        out = np.empty(padded)
        self.raw(padded, out.ctypes.data, *[x.ctypes.data for x in given])
        return out[:length]


def _add(module: emit.Module, name: str, count: int, lanes: int) -> None:
    code = emit.Code(module, lanes)
    t = code.type("number")
    given = []
    for i in range(count):
        code.lines.append(f"%p{i} = getelementptr double, ptr %x{i}, i64 %i")
        code.lines.append(f"%a{i} = load {t}, ptr %p{i}, align 8")
        given.append(emit.Value(f"%a{i}", "number"))
    out = code.kernel(name, given)
    if out.kind == "boolean":
        one, zero = (code.constant(v, "number").text for v in (1.0, 0.0))
        text = f"select {code.type('boolean')} {out.text}, {t} {one}, {t} {zero}"
        out = code.line(text, "number")
    module.function(
        f"define void @loop.{name}(i64 %n, ptr noalias %out"
        + "".join(f", ptr noalias %x{i}" for i in range(count))
        + ")",
        [
            "br label %head",
            "head:",
            "%i = phi i64 [0, %0], [%next, %done]",
            "%more = icmp slt i64 %i, %n",
            "br i1 %more, label %body, label %exit",
            "body:",
            *code.lines,
            "%o = getelementptr double, ptr %out, i64 %i",
            f"store {t} {out.text}, ptr %o, align 8",
            "br label %done",
            "done:",
            f"%next = add i64 %i, {lanes}",
            "br label %head",
            "exit:",
            "ret void",
        ],
    )


def text_of(arities: Mapping[str, int], lanes: int = emit.LANES) -> str:
    """A module of loops around kernels, which are given with how many arguments they take."""
    module = emit.Module()
    for name, count in arities.items():
        _add(module, name, count, lanes)
    return module.text()


def loops(arities: Mapping[str, int], lanes: int = emit.LANES) -> dict[str, Loop]:
    """Loops around kernels, compiled together."""
    machine = engine.Machine(text_of(arities, lanes))
    return {name: Loop(machine, name, count, lanes) for name, count in arities.items()}


def unit(x: Array | float) -> Array:
    """The unit in the last place; that of the largest number for what is none."""
    out: Array = np.spacing(np.fmin(np.abs(x), 2.0**1023))
    return out


def ulps(got: Array, nearest: Array, rest: Iterable[float]) -> Array:
    """How far off, in units of the last place, from the number nearest to the truth and the rest.

    The rest is in these units itself, since as a number it would be lost below subnormal ones.
    """
    with np.errstate(all="ignore"):
        out = np.abs((got - nearest) / unit(nearest) - np.fromiter(rest, float))
    same = (got == nearest) | (np.isnan(got) & np.isnan(nearest))
    return np.where(np.isfinite(out), out, np.where(same, 0.0, np.inf))
