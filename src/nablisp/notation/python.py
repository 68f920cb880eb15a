"""From expressions to one Python function that needs NumPy alone, by the rows' names there.

It takes numbers and arrays as our own evaluation does; a row that NumPy lacks is a helper function
of its meaning.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..accurate import accurate
from ..errors import NablispError
from ..expr import OPS, Call, Const, Expr, Num, Op, Sym, names, postorder
from ..plan import without_logarithm
from ..printer import brief
from ..shapes import ROWS, Shape, ShapeEnv, shape_of
from .mangled import comment, function_name, mangled

_KEYWORDS = {"axis": "axis", "keep": "keepdims"}
_DEFAULTS = {
    "axis": "0",
    "keep": "False",
    "start": "0",
    "stop": "None",
    "before": "0",
    "after": "0",
    "index": "()",
}


def python(
    e: Expr, by: Sequence[Sym], slopes: Sequence[Expr], shapes: ShapeEnv, name: str = "formula"
) -> str:
    """A function that returns the value of `e`, or with `slopes` that and a list of them."""
    order = list(names(e, *slopes, *by))
    own = mangled(order, "v_")
    roots = accurate(e, *slopes)
    writer = _Writer({Sym(n): own[n] for n in order}, shapes)
    lines = [f"    {own[n]} = np.asarray({own[n]}, dtype=np.float64)[()]" for n in order]
    columns = [n for n in order if ROWS in shapes.get(n, ())]
    if OPS["rows"] in {n.op for n in postorder(*roots) if isinstance(n, Call)}:
        given = [] if columns else ["rows"]
        lines += [f"    rows = len({own[columns[0]]})"] if columns else []
    else:
        given = []
    lines += ['    with np.errstate(all="ignore"):', *writer.straight(postorder(*roots), " " * 8)]
    value, *rest = [writer.atom(root) for root in roots]
    lines.append(f"        return {value}" + (f", [{', '.join(rest)}]" if slopes else ""))
    words = [f"    # {own[n]}: {comment(n)}" for n in order]
    if slopes:
        words.append(f"    # returns the value, and its gradient by {_listed(own, by)}")
    head = f"def {function_name(name)}({', '.join([*own.values(), *given])}):"
    return "\n".join(["import numpy as np", "", *writer.helpers.values(), head, *words, *lines, ""])


def _listed(own: Mapping[str, str], by: Sequence[Sym]) -> str:
    return ", ".join(own[s.name] for s in by if s.name in own)


class _Writer:
    """Writes operations line by line, and the helper functions that they need."""

    def __init__(self, leaves: Mapping[Expr, str], shapes: ShapeEnv) -> None:
        self.known, self.shapes = dict(leaves), shapes
        self.shape_of: dict[Expr, Shape] = {}
        self.helpers: dict[Op, str] = {}
        self.functions: dict[Op, str] = {}

    def straight(self, nodes: Sequence[Expr], indent: str) -> list[str]:
        """One line for each operation, in order."""
        lines: list[str] = []
        for node in nodes:
            if not isinstance(node, Call) or node in self.known:
                continue
            if (power := without_logarithm(node)) is not None:
                lines += self.straight(postorder(power, known=self.known), indent)
                self.known[node] = self.known[power]
            else:
                text = self.written(node)
                self.known[node] = f"t{len(self.known) + 1}"
                lines.append(f"{indent}{self.known[node]} = {text}")
        return lines

    def written(self, node: Call) -> str:
        """An operation of atoms, as Python."""
        op, options = node.op, dict(node.options)
        if "keep" in op.options and not shape_of(node.args[0], self.shapes, self.shape_of):
            options = {}  # a number has no axis
        parts = [self.atom(arg) for arg in node.args]
        if op.python:
            settings: dict[str, str] = dict(_DEFAULTS)
            if "keep" in op.options:
                settings["axis"] = "None"
            settings |= {key: repr(value) for key, value in options.items()}
            settings |= {"args": ", ".join(parts)} | dict(zip("xyz", parts, strict=False))
            text: str = op.python.format(**settings)
            return text
        if op.arity[1] is None and op.shape is None:
            if not parts:
                return _number(op.identity or 0)
            out = parts[0]
            for part in parts[1:]:
                out = f"np.{op.array}({out}, {part})"
            return out
        given = [*parts, *(f"{_KEYWORDS[k]}={v!r}" for k, v in options.items() if k in _KEYWORDS)]
        return f"{self.function(op, node)}({', '.join(given)})"

    def function(self, op: Op, node: Call) -> str:
        """NumPy's name of an operation, or that of the helper which is its meaning."""
        if op.array and not op.array.startswith("nablisp_"):
            return f"np.{op.array}"
        if op not in self.functions:
            if op.meaning is None:
                raise NablispError(
                    "unavailable",
                    f"Python code has no {op.name} yet, which occurs in {brief(node)}",
                    hint="compute it here: (val e)",
                )
            self.functions[op] = f"{mangled([op.name], '_nl_')[op.name]}_{len(self.functions)}"
            arguments = "xyz"[: op.arity[0]]
            inner = _Writer({Sym(x): x for x in arguments}, {})
            inner.helpers, inner.functions = self.helpers, self.functions
            lines = inner.straight(postorder(op.meaning), "    ")
            head = f"def {self.functions[op]}({', '.join(arguments)}):"
            body = [head, *lines, f"    return {inner.atom(op.meaning)}", "", ""]
            self.helpers[op] = "\n".join(body)
        return self.functions[op]

    def atom(self, node: Expr) -> str:
        match node:
            case Num(value):
                return _number(value)
            case Const(value):
                return f"np.array({_nested(value.tolist())})"
        return self.known[node]


def _nested(values: Any) -> str:
    if isinstance(values, list):
        return f"[{', '.join(map(_nested, values))}]"
    return _number(values)


def _number(value: float) -> str:
    """A number that reads back as itself."""
    if isinstance(value, bool):
        return str(value)
    if math.isnan(value):
        return "np.nan"
    if math.isinf(value):
        return "np.inf" if value > 0 else "-np.inf"
    return f"np.float64({float(value)!r})" if value == 0 else repr(float(value))
