"""Any value as text that reads back as itself; functions and results as a summary.

Nothing recurses: text is a walk with a stack. A graph that shares parts would print exponentially
long, so past a budget of characters shared parts are named once, by `let`. Text comes in pieces:
whoever wants the first thousand characters pays for no more.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from .errors import visible
from .expr import Call, Const, Expr, Num, Sym, postorder
from .forms import Array, Keyword, List, Number, String, Symbol
from .limits import walked

INLINE = 4_000
"""Characters up to which a formula is written out whole, shared parts and all."""
LONG = 10_000
"""Characters up to which messages know how a value ends."""
AT_ONCE = 1000
"""Characters, elements or words that are made at one time."""
HUGE = 2**60
"""A length from which nobody counts: that of a thousand self-squarings has 300 digits."""


def text(value: Any, limit: float = math.inf) -> str:
    """A value as the language writes it, cut at `limit` characters with a word about it."""
    out = _beginning(value, limit)
    if len(out) > limit:
        words = f" … (cut at {limit:,.0f} characters)"
        return out[: max(0, int(limit) - len(words))] + words
    return out


def brief(value: Any, width: int = 60) -> str:
    """A value in one short line, for messages: its middle left out if it is long."""
    whole = _beginning(value, LONG)
    end = "" if len(whole) > LONG else visible(whole[-10:]).replace("\n", " ")[-10:]
    line = visible(whole).replace("\n", " ")
    return line if len(line) <= width else f"{line[: width - 14]} … {end}".rstrip()


def _beginning(value: Any, length: float) -> str:
    """The text of a value; more than `length` characters of it, but not all, if it is longer."""
    out: list[str] = []
    made = 0
    for piece in _pieces(value):
        out.append(piece)
        made += len(piece)
        if made > length:
            break
    return "".join(out)


def _pieces(value: Any) -> Iterable[str]:
    """The text of a value, some at a time: only what is wanted is made."""
    match value:
        case bool() | np.bool_():
            return ("true" if value else "false",)
        case int() | float():
            return (number(value),)
        case str():
            return _string(value)
        case np.ndarray():
            return _array(value)
        case Expr():
            return _formula(value)
        case Number(value=inner) | String(value=inner):
            return _pieces(inner)
        case Symbol(name=name):
            return (name,)
        case Keyword(name=name):
            return (f":{name}",)
        case List() | Array():
            return _form(value)
        case tuple() | list():
            return ("[", " ".join(map(text, value)), "]")
        case None:
            return ()
    summary: str = getattr(value, "text", None) or str(value)
    return (summary,)


def counted(count: int, noun: str) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def number(value: float) -> str:
    """The shortest text that reads back as the same number."""
    if value == math.pi:
        return "pi"
    return repr(value)


def string(value: str) -> str:
    """A string in quotes; control and invisible characters as escapes."""
    return "".join(_string(value))


def _string(value: str) -> Iterator[str]:
    yield '"'
    for i in range(0, len(value), AT_ONCE):
        plain = value[i : i + AT_ONCE].replace("\\", "\\\\").replace('"', '\\"')
        yield visible(plain.replace("\n", "\\n").replace("\t", "\\t"))
    yield '"'


def _array(value: np.ndarray[Any, Any], apart: str = "\n ") -> Iterator[str]:
    """An array in brackets, rows of a matrix on lines of their own."""
    if value.ndim == 0:
        yield from _pieces(value.item())
        return
    if 0 in value.shape[:-1]:  # brackets would not say how long the later axes are
        yield f"(zeros {' '.join(map(str, value.shape))})"
        return
    yield "["
    if value.ndim == 1:
        for i in range(0, len(value), AT_ONCE):
            walked(0)
            part = [element(v) for v in value[i : i + AT_ONCE].tolist()]
            yield (" " if i else "") + " ".join(part)
    else:
        for i, part in enumerate(value):
            if i:
                yield apart
            yield from _array(part, apart + " ")
    yield "]"


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


def _form(root: List | Array) -> Iterator[str]:
    stack: list[Any] = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, (List, Array)):
            opens, closes = "()" if isinstance(item, List) else "[]"
            yield opens
            stack.append(closes)
            for i, part in enumerate(reversed(item.items)):
                stack += [" ", part] if i else [part]
        else:
            yield from _pieces(item)


# ---- formulas ------------------------------------------------------------------------------------


def formula(root: Expr) -> str:
    """An expression as text. Shared parts are written out while that is short, else named once."""
    return "".join(_formula(root))


def _formula(root: Expr) -> Iterator[str]:
    order = postorder(root)
    length: dict[Expr, int] = {}
    for node in order:
        length[node] = (
            min(HUGE, 2 + len(_head(node)) + sum([1 + length[arg] for arg in node.args]))
            if isinstance(node, Call)
            else _leaf_length(node)
        )
    if length[root] <= INLINE:
        return _written(root, {})
    uses = Counter(arg for node in order if isinstance(node, Call) for arg in node.args)
    shared = [n for n in order if isinstance(n, Call) and uses[n] > 1 and n is not root]
    if not shared or length[root] <= 2 * sum(len(_head(n)) + 4 for n in order):
        return _written(root, {})
    return _with_names(root, shared, {node.name for node in order if isinstance(node, Sym)})


def _with_names(root: Expr, shared: Sequence[Expr], taken: set[str]) -> Iterator[str]:
    """An expression with a name for each of the parts, which are in order."""
    names: dict[Expr, str] = {}
    yield "(let ("
    for node in shared:
        name = f"t{len(names) + 1}"
        while name in taken:
            name += "_"
        yield f"\n      ({name} " if names else f"({name} "
        yield from _written(node, names)
        yield ")"
        names[node] = name
    yield ")\n  "
    yield from _written(root, names)
    yield ")"


def _written(root: Expr, names: dict[Expr, str]) -> Iterator[str]:
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
        elif isinstance(item, Const):
            yield "".join(out)
            out.clear()
            yield from _array(item.value, " ")
        else:
            out.append(_leaf(item))
        if len(out) > AT_ONCE:
            yield "".join(out)
            out.clear()
    yield "".join(out)


def _brackets(node: Call) -> tuple[str, str]:
    """What opens and closes an operation: its name before, its options after the arguments."""
    if node.op.name == "stack" and dict(node.options).get("axis", 0) < 0:
        return "[", "]"  # only brackets count the new axis from the end
    options = dict(node.options)
    if node.op.name == "stack" and not options.get("axis"):
        options.clear()  # the default
    static = [options.pop(name, ()) for name in node.op.trailing]
    tail = "".join([f" {i}" for v in static for i in (v if isinstance(v, tuple) else (v,))])
    tail += "".join([f" :{name} {text(value)}" for name, value in options.items()])
    return "(" + _head(node), tail + ")"


def _head(node: Expr) -> str:
    if isinstance(node, Call):
        return "-" if node.op.name == "neg" else node.op.name
    return ""


def _leaf(node: Expr) -> str:
    return text(node.value) if isinstance(node, Num) else getattr(node, "name", "")


def _leaf_length(node: Expr) -> int:
    """Characters of a number, name or array; of a long array, at least."""
    if isinstance(node, Const):
        size = node.value.size
        return 2 * size if size > INLINE else sum(map(len, _array(node.value, " ")))
    return len(_leaf(node))


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
