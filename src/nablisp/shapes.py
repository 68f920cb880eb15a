"""The shape of an expression: turns shapes of names into the shape of what is made of them.

A shape is a tuple of lengths; `ROWS` is the length of every column, known only when a program
runs. A shape environment maps names to shapes; a name it lacks is a scalar.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from math import prod
from typing import Any

from .errors import NablispError
from .expr import Call, Const, Expr, Num, Op, Options, Sym

ROWS = "rows"
Dim = int | str
Shape = tuple[Dim, ...]
ShapeEnv = Mapping[str, Shape]


def shape_of(
    expr: Expr, env: ShapeEnv | None = None, memo: MutableMapping[Expr, Shape] | None = None
) -> Shape:
    """The shape of an expression; NablispError "shape" names both shapes and sub-expressions.

    `memo` keeps the shapes of sub-expressions between calls with the same `env`.
    """
    env = env or {}
    known: MutableMapping[Expr, Shape] = {} if memo is None else memo
    if (shape := known.get(expr)) is not None:
        return shape
    stack = [expr]
    while stack:  # no further down than what is known
        node = stack[-1]
        waiting = [a for a in node.args if a not in known] if isinstance(node, Call) else []
        if waiting:
            stack += reversed(waiting)
        else:
            known[node] = _own(node, env, known)
            stack.pop()
    return known[expr]


def _own(node: Expr, env: ShapeEnv, known: Mapping[Expr, Shape]) -> Shape:
    match node:
        case Sym(name):
            return env.get(name, ())
        case Const(value):
            return of_value(value)
        case Call():
            return call_shape(node, [known[arg] for arg in node.args])
    return ()


def call_shape(node: Call, shapes: Sequence[Shape]) -> Shape:
    """The shape of one operation from its arguments' shapes."""
    if node.op.shape is None and not any(shapes):
        return ()
    try:
        return (node.op.shape or elementwise)(shapes, **dict(node.options))
    except NablispError as error:
        if not error.hint:
            from .printer import brief

            error.hint = "\n".join(
                f"{brief(arg)} " + (f"has shape {show(shape)}" if shape else "is a number")
                for arg, shape in zip(node.args, shapes, strict=True)
            )
        raise error from None


COSTLY = ("@", "solve")
"""Operations that do more than look at each element once."""


def operations(op: Op, given: Sequence[Shape], out: Shape, rows: int = 0) -> float:
    """How many additions and multiplications one operation takes, about."""
    *lengths, made = ([float(rows if n == ROWS else n) for n in s] for s in (*given, out))
    if op.name in COSTLY:
        inner = lengths[0][-1]
        return prod(made) * inner + (inner**3 if op.name == "solve" else 0)
    return max(map(prod, (made, *lengths)))


def show(shape: Shape) -> str:
    """A shape as the language writes it: `[rows 3]`; a scalar is `a number`."""
    return f"[{' '.join(map(str, shape))}]" if shape else "a number"


def refuse(message: str) -> NablispError:
    return NablispError("shape", message)


# ---- rules: shapes of the arguments, static options → shape of the result ------------------------


def elementwise(shapes: Sequence[Shape]) -> Shape:
    return broadcast(*shapes)


def broadcast(*shapes: Shape) -> Shape:
    """NumPy's rule, axes aligned from the last; two row axes may only meet each other."""
    longest = max(map(len, shapes), default=0)
    out: list[Dim] = []
    for i in range(-longest, 0):
        lengths = {s[i] for s in shapes if len(s) >= -i} - {1}
        if len(lengths) > 1:
            found = [s for s in shapes if s]
            raise refuse(
                "these shapes do not fit together: " + " and ".join(dict.fromkeys(map(show, found)))
            )
        out.append(lengths.pop() if lengths else 1)
    return _one_row_axis(tuple(out))


def _one_row_axis(shape: Shape) -> Shape:
    if shape.count(ROWS) > 1:
        raise refuse("two row axes meet crosswise, which would pair every row with every other")
    return shape


def axis_of(axis: int, dimensions: int) -> int:
    """An axis counted from the front; NablispError "shape" when there is none."""
    if not -dimensions <= axis < dimensions:
        raise refuse(f"there is no axis {axis} in {dimensions} dimensions")
    return axis % dimensions


def reduced(shapes: Sequence[Shape], axis: int | None = None, keep: bool = False) -> Shape:
    (shape,) = shapes
    if axis is None:
        return (1,) * len(shape) if keep else ()
    if not shape and axis in (0, -1):
        return ()
    at = axis_of(axis, len(shape))
    return (*shape[:at], *((1,) if keep else ()), *shape[at + 1 :])


def dot(shapes: Sequence[Shape]) -> Shape:
    return broadcast(*shapes)[:-1]


def matmul(shapes: Sequence[Shape]) -> Shape:
    a, b = shapes
    if not (1 <= len(a) <= 2 and 1 <= len(b) <= 2):
        raise refuse("@ multiplies vectors and matrices")
    if a[-1] != b[0]:
        raise refuse(f"@ cannot multiply {show(a)} by {show(b)}: {a[-1]} is not {b[0]}")
    return _one_row_axis((*a[:-1], *b[1:]))


def solve(shapes: Sequence[Shape]) -> Shape:
    a, b = shapes
    if len(a) != 2 or a[0] != a[1] or not 1 <= len(b) <= 2 or b[0] != a[0]:
        raise refuse(
            f"solve takes a square matrix and a vector or matrix, not {show(a)}, {show(b)}"
        )
    return b


def transposed(shapes: Sequence[Shape]) -> Shape:
    return shapes[0][::-1]


def expanded(shapes: Sequence[Shape], axis: int = -1) -> Shape:
    at = axis_of(axis, len(shapes[0]) + 1)
    return (*shapes[0][:at], 1, *shapes[0][at:])


def _fixed(length: Dim, what: str) -> int:
    """A length that must be a number now: the row axis has none yet."""
    if isinstance(length, int):
        return length
    raise refuse(f"{what} goes along the rows, whose number is known only when it runs")


def indexed(shapes: Sequence[Shape], index: tuple[int, ...] = (), axis: int | None = None) -> Shape:
    (shape,) = shapes
    first = 0 if axis is None else axis_of(axis, len(shape))
    if first + len(index) > len(shape):
        raise refuse(f"{show(shape)} has no {len(index)} axes to index")
    for at, i in enumerate(index, first):
        length = _fixed(shape[at], "ref")
        if not -length <= i < length:
            raise refuse(f"index {i} is outside 0 … {length - 1}")
    return (*shape[:first], *shape[first + len(index) :])


def sliced(
    shapes: Sequence[Shape], axis: int = 0, start: int = 0, stop: int | None = None
) -> Shape:
    (shape,) = shapes
    at = axis_of(axis, len(shape))
    length = _fixed(shape[at], "slice")
    stop = length if stop is None else stop
    if not 0 <= start <= stop <= length:
        raise refuse(f"{start} … {stop} is outside 0 … {length}")
    return (*shape[:at], stop - start, *shape[at + 1 :])


def padded(shapes: Sequence[Shape], axis: int = 0, before: int = 0, after: int = 0) -> Shape:
    (shape,) = shapes
    at = axis_of(axis, len(shape))
    if before < 0 or after < 0:
        raise refuse(f"pad adds zeros, and cannot add {min(before, after)}")
    return (*shape[:at], before + _fixed(shape[at], "pad") + after, *shape[at + 1 :])


def picked(shapes: Sequence[Shape]) -> Shape:
    values, index = shapes
    if not values:
        raise refuse("pick takes one element per row of an array, not of a number")
    _fixed(values[-1], "pick")
    return broadcast(values[:-1], index)


def one_hot(shapes: Sequence[Shape], length: int = 1) -> Shape:
    return (*shapes[0], length)


def stacked(shapes: Sequence[Shape], axis: int = 0) -> Shape:
    whole = broadcast(*shapes)
    at = axis_of(axis, len(whole) + 1)
    return (*whole[:at], len(shapes), *whole[at:])


def concatenated(shapes: Sequence[Shape], axis: int = 0) -> Shape:
    first = shapes[0]
    at = axis_of(axis, len(first))
    others = (*first[:at], *first[at + 1 :])
    if any(len(s) != len(first) or (*s[:at], *s[at + 1 :]) != others for s in shapes):
        raise refuse("concat joins arrays that differ only along its axis")
    total = sum(_fixed(s[at], "concat") for s in shapes)
    return (*first[:at], total, *first[at + 1 :])


def filled(shapes: Sequence[Shape]) -> Shape:
    return broadcast(*shapes)


def scalar(shapes: Sequence[Shape]) -> Shape:
    return ()


def same_rows(shapes: Iterable[Shape]) -> bool:
    """Does any of the shapes have the row axis?"""
    return any(ROWS in shape for shape in shapes)


def of_value(value: Any) -> Shape:
    """The shape of a number or array."""
    return tuple(getattr(value, "shape", ()))


def is_boolean(value: Any, known: MutableMapping[Expr, bool] | None = None) -> bool:
    """Is this a truth value, an array of them, or an expression that will be one?

    `known` keeps the answers for choices, which are those of what they choose from.
    """
    node, kept = value, None
    while isinstance(node, Call) and (node.op.result == "choice" or node.op.name == "stack"):
        if known is not None and (kept := known.get(node)) is not None:
            break
        node = node.args[1 if node.op.result == "choice" else 0]
    if kept is None:
        held = node.value if isinstance(node, (Num, Const)) else node
        kept = (
            node.op.result == "boolean"
            if isinstance(node, Call)
            else isinstance(held, bool) or getattr(getattr(held, "dtype", None), "kind", "") == "b"
        )
    if known is not None and node is not value:
        known[value] = kept
    return kept


def option(options: Options, name: str, default: Any = None) -> Any:
    return dict(options).get(name, default)
