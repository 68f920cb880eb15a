"""From arrays to scalars: a program over small vectors as one over numbers, element by element.

Every expression becomes an object array of scalar expressions, in which the row axis has length 1:
NumPy's own shape functions move the elements. What is left are elementwise operations and the
reductions over rows, `sum` and its kin of one scalar per row. Element `i` of a name `w` is the
symbol `w#i`, which no program can write.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .arrays import array_function
from .errors import NablispError
from .expr import Call, Const, Expr, Num, Op, Sym, as_expr, call, postorder, sum_of
from .printer import brief
from .shapes import ROWS, Shape, ShapeEnv, axis_of, option, shape_of

Cells = np.ndarray[Any, Any]
"""An object array of scalar expressions; an axis of rows has length 1."""


def element(name: str, index: int, shape: Shape) -> Sym:
    """The symbol of an element, counted along all axes but the rows."""
    return Sym(f"{name}#{index}") if any(d != ROWS for d in shape) else Sym(name)


def cells_of(name: str, shape: Shape) -> Cells:
    """A name's elements."""
    sizes = [1 if d == ROWS else int(d) for d in shape]
    count = int(np.prod(sizes))
    return _array([element(name, i, shape) for i in range(count)]).reshape(sizes)


def _array(items: Sequence[Expr]) -> Cells:
    out = np.empty(len(items), dtype=object)
    out[:] = items
    return out


MOST = 100_000
"""Operations of a program that native takes, when it is asked to."""


def unroll(
    outputs: Sequence[Expr],
    shapes: ShapeEnv,
    few: int = MOST,
    order: Sequence[Expr] | None = None,
    has: Callable[[Op], object] = lambda op: op.native or op.means is not None,
) -> list[Cells]:
    """The outputs' elements, as scalar expressions, of elementwise operations that there are.

    NablispError "unavailable" names an operation that has no scalar form, or says that there are
    too many: more than `few` where arrays had to be written out.
    """
    order = order or postorder(*outputs)
    if _is_unrolled(order, shapes, has):
        if sum(type(node) is Call for node in order) > MOST:
            raise _too_many(MOST)
        return [_array([output]).reshape(()) for output in outputs]
    known: dict[Expr, Shape] = {}
    for output in outputs:
        shape_of(output, shapes, known)
    if sum(_count(node, known[node], known) for node in order) > few:
        raise _too_many(few)
    found: dict[Expr, Any] = {}
    for node in order:
        shape = known[node]
        cells: Any = node
        match node:
            case Sym(name):
                cells = node if all(d == ROWS for d in shape) else cells_of(name, shape)
            case Const(value):
                items = value.reshape(-1).tolist()
                cells = _array([Num(item) for item in items]).reshape(value.shape)
            case Call():
                if node.op.shape is None and not has(node.op):
                    raise _unable(node)
                if node.op.shape or any(found[a] is not a for a in node.args):
                    cells = _unrolled(node, found, known)  # else it stands as it is
        found[node] = cells
    return [_whole(found[o], known[o]) for o in outputs]


def _too_many(most: int) -> NablispError:
    return refused(f"written out by element, this program has more than {most:,} operations")


def _unable(node: Call) -> NablispError:
    return refused(f"native has no {node.op.name}", node)


def refused(message: str, node: Expr | None = None) -> NablispError:
    """What native cannot take, where, and what can."""
    where = "" if node is None else f"it occurs in {brief(node)}\n"
    return NablispError(
        "unavailable", message, hint=f"{where}NumPy takes it: leave the backend out"
    )


def _is_unrolled(order: Sequence[Expr], shapes: ShapeEnv, has: Callable[[Op], object]) -> bool:
    """Is this one number for each row already, or none, and every reduction over rows?"""
    rows: set[Expr] = set()
    for node in order:
        if type(node) is Call:
            op, args, options = node.key
            if op.shape is not None:
                if op.name != "rows" and (
                    op.name not in _REDUCTIONS or options or args[0] not in rows
                ):
                    return False
            elif not has(op):
                return False
            elif not rows.isdisjoint(args):
                rows.add(node)
        elif type(node) is Sym:
            shape = shapes.get(node.name, ())
            if shape == (ROWS,):
                rows.add(node)
            elif shape:
                return False
        elif type(node) is Const:
            return False
    return True


_REDUCTIONS = ("sum", "mean", "amin", "amax")


def _count(node: Expr, shape: Shape, known: Mapping[Expr, Shape]) -> int:
    """How many operations a node comes to."""
    if not isinstance(node, Call):
        return 0
    count = math.prod(int(n) for n in shape if n != ROWS)
    if node.op.name in ("@", "dot") or not shape:
        arg = known[node.args[0]] if node.args else ()
        inner = arg if not shape else arg[-1:]
        count *= math.prod(int(n) for n in inner if n != ROWS)
    return count


def _whole(cells: Any, shape: Shape) -> Cells:
    """An array of cells; an expression that stands as it is gets the axes of its shape."""
    if isinstance(cells, np.ndarray):
        return cells
    return _array([cells]).reshape([1] * len(shape))


def _unrolled(node: Call, found: Mapping[Expr, Any], known: Mapping[Expr, Shape]) -> Any:
    op, args, _ = node.key
    given = [_whole(found[arg], known[arg]) for arg in args]
    shapes = [known[arg] for arg in args]
    if op.shape is None:
        if not given:
            return node
        return _each(lambda *cells: Call(op, cells), *given)
    rule = _RULES.get(op.name)
    if rule is None:
        raise _unable(node)
    out = np.asarray(rule(given, shapes, node), dtype=object)
    return out[()] if not known[node] else out


# ---- rules: the arguments' cells and shapes, and the node → cells of the result ------------------


def _moved(given: list[Cells], shapes: list[Shape], node: Call) -> Any:
    """What only moves elements is NumPy's."""
    return array_function(node.op)(*given, **dict(node.options))


def _padded(given: list[Cells], shapes: list[Shape], node: Call) -> Any:
    return _each(as_expr, _moved(given, shapes, node))


def _rows(given: list[Cells], shapes: list[Shape], node: Call) -> Any:
    return node


def _each(function: Callable[..., Expr], *cells: Cells) -> Cells:
    """A function of scalar expressions, elementwise; of any number of them."""
    shape = np.broadcast_shapes(*(given.shape for given in cells))
    flat = [np.broadcast_to(given, shape).reshape(-1) for given in cells]
    return _array([function(*items) for items in zip(*flat, strict=True)]).reshape(shape)


def _fold(cells: Any, axis: int, name: str) -> Cells:
    """One operation of all elements along an axis."""
    moved = np.moveaxis(cells, axis, -1)
    out = np.empty(moved.shape[:-1], dtype=object)
    for at in np.ndindex(*out.shape):
        items = tuple(moved[at])
        out[at] = items[0] if len(items) == 1 else call(name, *items)
    return out


def _reduce(name: str, join: str) -> Callable[[list[Cells], list[Shape], Call], Cells]:
    """A reduction: the elements of a row are joined first, then the rows are reduced."""

    def rule(given: list[Cells], shapes: list[Shape], node: Call) -> Cells:
        (cells,), (shape,) = given, shapes
        axis = option(node.options, "axis")
        axes = range(len(shape)) if axis is None else [axis_of(axis, len(shape))] if shape else ()
        count = 1
        for at in sorted(axes, reverse=True):
            if shape[at] == ROWS:
                cells = _each(lambda cell: call(name, cell), cells)
            else:
                count *= int(shape[at])
                cells = np.expand_dims(_fold(cells, at, join), at)
        if name == "mean" and count > 1:
            cells = _each(lambda cell: call("/", cell, Num(count)), cells)
        return cells if option(node.options, "keep", False) else np.squeeze(cells, tuple(axes))

    return rule


_sum, _amax = _reduce("sum", "+"), _reduce("amax", "max")


def _logsumexp(given: list[Cells], shapes: list[Shape], node: Call) -> Any:
    """By the largest, which is left alone where it is not finite."""
    keep = Call(node.op, node.args, tuple(sorted({**dict(node.options), "keep": True}.items())))
    top = _each(lambda t: call("where", call("finite?", t), t, Num(0)), _amax(given, shapes, keep))
    spread = _each(lambda x, t: call("exp", call("-", x, t)), given[0], top)
    out = _each(lambda t, s: call("+", t, call("log", s)), top, _sum([spread], shapes, keep))
    if option(node.options, "keep", False):
        return out
    return np.squeeze(out, option(node.options, "axis") if shapes[0] else ())


def _contract(a: Cells, b: Cells, rows: bool, product: Callable[[Cells, Cells], Any]) -> Any:
    """A product that sums over an axis; over that of the rows, by a reduction."""
    out = np.asarray(product(a, b), dtype=object)
    return _each(lambda cell: call("sum", cell), out) if rows else out


def _joined(a: Cells, b: Cells) -> Expr:
    """The inner product of two vectors of cells."""
    return sum_of([call("*", x, y) for x, y in zip(a, b, strict=True)])


def _dot(given: list[Cells], shapes: list[Shape], node: Call) -> Any:
    a, b = (np.atleast_1d(cells) for cells in np.broadcast_arrays(*given))

    def inner(a: Cells, b: Cells) -> Cells:
        out = np.empty(a.shape[:-1], dtype=object)
        for at in np.ndindex(*out.shape):
            out[at] = _joined(a[at], b[at])
        return out

    return _contract(a, b, any(s[-1:] == (ROWS,) for s in shapes), inner)


def _matmul(given: list[Cells], shapes: list[Shape], node: Call) -> Any:
    a, b = given

    def product(a: Cells, b: Cells) -> Any:
        left = a if a.ndim == 2 else a[None]
        right = b if b.ndim == 2 else b[:, None]
        out = np.empty((left.shape[0], right.shape[1]), dtype=object)
        for i, j in np.ndindex(*out.shape):
            out[i, j] = _joined(left[i], right[:, j])
        return out.reshape(a.shape[:-1] + b.shape[1:])

    return _contract(a, b, shapes[0][-1] == ROWS, product)


def _chosen(index: Expr, values: Sequence[Expr]) -> Expr:
    """The value whose place the index says; the caller has checked that there is one."""
    *rest, out = values
    for i in range(len(rest) - 1, -1, -1):
        out = call("where", call("=", index, Num(i)), rest[i], out)
    return out


def _pick(given: list[Cells], shapes: list[Shape], node: Call) -> Any:
    values, index = given
    _check_index(node.args[1], node)
    lead = np.broadcast_shapes(values.shape[:-1], index.shape)
    every: Any = np.broadcast_to(values, (*lead, values.shape[-1]))
    which: Any = np.broadcast_to(index, lead)
    out = np.empty(lead, dtype=object)
    for at in np.ndindex(*lead):
        out[at] = _chosen(which[at], list(every[at]))
    return out


def _one_hot(given: list[Cells], shapes: list[Shape], node: Call) -> Any:
    index: Any = given[0]
    _check_index(node.args[0], node)
    length = option(node.options, "length", 1)
    out = np.empty((*index.shape, length), dtype=object)
    for at in np.ndindex(*out.shape):
        out[at] = call("where", call("=", index[at[:-1]], Num(at[-1])), Num(1), Num(0))
    return out


def _check_index(index: Expr, node: Call) -> None:
    """Class numbers are looked at before a run, which only a column's can be."""
    if not isinstance(index, Sym):
        raise refused(f"native takes class numbers from a column, not from {brief(index)}", node)


_RULES: dict[str, Callable[[list[Cells], list[Shape], Call], Any]] = {
    **dict.fromkeys(("transpose", "ref", "slice", "expand", "fill", "stack", "concat"), _moved),
    "pad": _padded,
    "rows": _rows,
    "sum": _sum,
    "mean": _reduce("mean", "+"),
    "amin": _reduce("amin", "min"),
    "amax": _amax,
    "logsumexp": _logsumexp,
    "dot": _dot,
    "@": _matmul,
    "pick": _pick,
    "one-hot": _one_hot,
}


def class_columns(order: Sequence[Expr], shapes: ShapeEnv) -> dict[str, int]:
    """The columns that hold class numbers, and how many classes there are; of nodes in order."""
    found: dict[str, int] = {}
    known: dict[Expr, Shape] = {}
    for node in order:
        if type(node) is Call and node.key[0].name in ("pick", "one-hot"):
            index = node.args[-1]
            if isinstance(index, Sym):
                if node.op.name == "pick":
                    count = shape_of(node.args[0], shapes, known)[-1]
                else:
                    count = option(node.options, "length", 1)
                found[index.name] = min(int(count), found.get(index.name, int(count)))
    return found
