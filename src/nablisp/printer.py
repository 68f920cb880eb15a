"""Any value as text that reads back as itself; functions and results as a summary.

Nothing recurses: text is a walk with a stack. A graph that shares parts would print exponentially
long, so past a budget of characters shared parts are named once, by `let`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import visible
from .expr import Call, Const, Expr, Num, Sym, postorder
from .forms import Array, Keyword, List, Number, String, Symbol

INLINE = 4_000
"""Characters up to which a formula is written out whole, shared parts and all."""


def text(value: Any, limit: float = math.inf) -> str:
    """A value as the language writes it, cut at `limit` characters with a word about it."""
    out = _text(value)
    if len(out) > limit:
        return f"{out[: int(limit)]} … ({len(out):,} characters)"
    return out


def brief(value: Any, width: int = 60) -> str:
    """A value in one short line, for messages: its middle left out if it is long."""
    whole = visible(_text(value)).replace("\n", " ")
    return whole if len(whole) <= width else f"{whole[: width - 14]} … {whole[-10:]}"


def _text(value: Any) -> str:
    match value:
        case bool() | np.bool_():
            return "true" if value else "false"
        case int() | float():
            return number(value)
        case str():
            return string(value)
        case np.ndarray():
            return array(value)
        case Expr():
            return formula(value)
        case Number(value=inner) | String(value=inner):
            return _text(inner)
        case Symbol(name=name):
            return name
        case Keyword(name=name):
            return f":{name}"
        case List() | Array():
            return _form(value)
        case tuple() | list():
            return "[" + " ".join(map(_text, value)) + "]"
        case None:
            return ""
    summary: str = getattr(value, "text", None) or str(value)
    return summary


def number(value: float) -> str:
    """The shortest text that reads back as the same number."""
    if value == math.pi:
        return "pi"
    return repr(value)


def string(value: str) -> str:
    """A string in quotes; control and invisible characters as escapes."""
    plain = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{visible(plain.replace(chr(9), chr(92) + "t"))}"'


def array(value: np.ndarray[Any, Any]) -> str:
    """An array in brackets, rows of a matrix on lines of their own."""
    if value.ndim == 0:
        return _text(value.item())
    if value.ndim == 1:
        return "[" + " ".join([element(v) for v in value.tolist()]) + "]"
    inner = [array(part).replace("\n", "\n ") for part in value]
    return "[" + "\n ".join(inner) + "]"


def element(value: float | bool) -> str:
    """A number as arrays show it: whole ones without a point."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if (
        value.is_integer()
        and abs(value) < 1e15
        and not (value == 0 and math.copysign(1, value) < 0)
    ):
        return str(int(value))
    return number(value)


def _form(root: List | Array) -> str:
    out: list[str] = []
    stack: list[Any] = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            out.append(item)
        elif isinstance(item, (List, Array)):
            opens, closes = "()" if isinstance(item, List) else "[]"
            out.append(opens)
            stack.append(closes)
            for i, part in enumerate(reversed(item.items)):
                stack += [" ", part] if i else [part]
        else:
            out.append(_text(item))
    return "".join(out)


# ---- formulas ------------------------------------------------------------------------------------


def formula(root: Expr) -> str:
    """An expression as text. Shared parts are written out while that is short, else named once."""
    order = postorder(root)
    length: dict[Expr, int] = {}
    for node in order:
        length[node] = (
            2 + len(_head(node)) + sum([1 + length[arg] for arg in node.args])
            if isinstance(node, Call)
            else len(_leaf(node))
        )
    if length[root] <= INLINE:
        return _written(root, {})
    uses = Counter(arg for node in order if isinstance(node, Call) for arg in node.args)
    shared = [n for n in order if isinstance(n, Call) and uses[n] > 1 and n is not root]
    if not shared or length[root] <= 2 * sum(len(_head(n)) + 4 for n in order):
        return _written(root, {})
    taken = {node.name for node in order if isinstance(node, Sym)}
    names: dict[Expr, str] = {}
    lines: list[str] = []
    for node in shared:
        lines.append(_written(node, names))
        name = f"t{len(names) + 1}"
        while name in taken:
            name += "_"
        names[node] = name
    bound = [f"({names[node]} {line})" for node, line in zip(shared, lines, strict=True)]
    return "(let (" + "\n      ".join(bound) + ")\n  " + _written(root, names) + ")"


def _written(root: Expr, names: dict[Expr, str]) -> str:
    out: list[str] = []
    stack: list[Any] = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            out.append(item)
        elif item in names:
            out.append(names[item])
        elif isinstance(item, Call):
            head, tail = _brackets(item)
            out.append(head)
            stack.append(tail)
            for i, arg in enumerate(reversed(item.args)):
                stack += [arg, " "] if head != "[" or i < len(item.args) - 1 else [arg]
        else:
            out.append(_leaf(item))
    return "".join(out)


def _brackets(node: Call) -> tuple[str, str]:
    """What opens and closes an operation: its name before, its options after the arguments."""
    if node.op.name == "stack" and dict(node.options).get("axis", 0) < 0:
        return "[", "]"  # only brackets count the new axis from the end
    options = dict(node.options)
    if node.op.name == "stack" and not options.get("axis"):
        options.clear()  # the default
    static = [options.pop(name, ()) for name in node.op.trailing]
    tail = "".join([f" {i}" for v in static for i in (v if isinstance(v, tuple) else (v,))])
    tail += "".join([f" :{name} {_text(value)}" for name, value in options.items()])
    return "(" + _head(node), tail + ")"


def _head(node: Expr) -> str:
    if isinstance(node, Call):
        return "-" if node.op.name == "neg" else node.op.name
    return ""


def _leaf(node: Expr) -> str:
    match node:
        case Num(value):
            return _text(value)
        case Const(value):
            return array(value).replace("\n", "")
        case Sym(name):
            return name
    return ""


def columns_of(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as aligned lines, the first column to the left, the others to the right."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
