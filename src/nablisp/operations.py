"""Operations applied to values: computed at once, or an expression if any argument is one."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from . import shapes as sh
from .errors import NablispError, Span, meant
from .evaluate import apply
from .expr import (
    EXACT,
    OPS,
    Call,
    Const,
    Expr,
    Num,
    Op,
    as_expr,
    options_of,
    plain,
    postorder,
)
from .forms import List
from .printer import brief
from .values import (
    Value,
    described,
    expect,
    key_span,
    kind_of,
    value_span,
)

_FORMULA = ("number", "boolean", "array", "expression")
"""Kinds of values that formulas are made of."""

_OF_ONE = {"-": "neg", "min": "amin", "max": "amax"}
"""What these mean when applied to one argument."""

_FROM_THE_LEFT = ("-", "/")
"""What takes away, or divides by, one argument after the other."""

_QUICK: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}
"""Operations that Python's own do as well, on two numbers: loops count with these."""


def call_op(
    session: Any, op: Op, args: Sequence[Value], options: dict[str, Value], form: List | None = None
) -> Value:
    """An operation on values: computed at once, or an expression if any argument is one."""
    if len(args) == 2 and op.name in _QUICK and not options:
        x, y = args
        if (type(x) is int or type(x) is float) and (type(y) is int or type(y) is float):
            value = _QUICK[op.name](x, y)
            return float(value) if type(value) is int and abs(value) > EXACT else value
    op = _meant(op, len(args))
    if len(args) > 2 and op.name in _FROM_THE_LEFT:
        first = call_op(session, op, args[:2], options, form)
        for arg in args[2:]:
            first = call_op(session, op, (first, arg), options, form)
        return first
    if op.trailing:
        options = {**options, **_trailing(op, args, form)}
        args = args[: op.arity[0]]
    least, most = op.arity
    if len(args) < least or (most is not None and len(args) > most):
        raise _wrong_count(op, len(args))
    options = {name: _option(op, name, value, form) for name, value in options.items()}
    _check_kinds(session, op, args, form)
    if args and not any([isinstance(arg, Expr) for arg in args]):
        return _at_once(session, op, args, options)
    nodes = tuple([as_expr(arg) for arg in args])
    if not nodes and op.identity is not None:
        return op.identity
    if op.name == "stack":  # from the front: only brackets count from the end
        dimensions = 1 + max(len(session.shape(node)) for node in nodes)
        options = {**options, "axis": sh.axis_of(options.get("axis", 0), dimensions)}
    session.budget.node()
    node = Call(op, nodes, options_of(options) if options else ())
    session.shape(node)
    return node


def _wrong_count(op: Op, count: int) -> NablispError:
    """What to say of too few or too many arguments."""
    least, most = _counts(op)
    words = arity_words(op.name, 1 if op.name in _OF_ONE else least, most, count)
    return NablispError("arity", words, hint=f"{usage(op)}  {op.doc}")


def _counts(op: Op) -> tuple[int, int | None]:
    """How many arguments are written, static ones included."""
    least, most = op.arity
    if op.trailing == ("index",):
        return least, None
    return (least + 1, least + 1) if op.trailing else (least, most)


def check_call(op: Op, count: int, named: Iterable[str], form: List | None = None) -> None:
    """Refuse a wrong number of arguments, or an unknown keyword, before their values are known."""
    if count > 2 and op.name in _FROM_THE_LEFT:
        count = 2
    op = _meant(op, count)
    least, most = _counts(op)
    if count < least or (most is not None and count > most):
        raise _wrong_count(op, count)
    for name in named:
        _known_option(op, name, form)


def _option(op: Op, name: str, value: Value, form: List | None) -> Value:
    """A static option as it is kept; the trailing ones have been looked at."""
    if name in op.trailing:
        return value
    _known_option(op, name, form)
    if name == "keep":
        return expect(value, ("boolean",), ":keep", value_span(form, name))
    return _whole(value, f":{name}", value_span(form, name))


def _known_option(op: Op, name: str, form: List | None) -> None:
    known = [o for o in op.options if o not in op.trailing]
    if name not in known:
        raise unknown_keyword(name, op.name, known, key_span(form, name))


def _trailing(op: Op, args: Sequence[Value], form: List | None) -> dict[str, Any]:
    """The static options written after the arguments: `(expand v axis)`, `(ref v i …)`."""
    extra = [
        _whole(value, f"the {name} of {op.name}", value_span(form, i))
        for name in op.trailing
        for i, value in enumerate(args)
        if i >= op.arity[0]
    ]
    if op.trailing == ("index",):
        return {"index": tuple(extra)}
    if len(extra) != 1:
        raise _wrong_count(op, len(args))
    return {op.trailing[0]: extra[0]}


def _meant(op: Op, count: int) -> Op:
    """`(- x)` is neg; `(min v)` and `(max v)` reduce."""
    return OPS[_OF_ONE[op.name]] if count == 1 and op.name in _OF_ONE else op


def usage(op: Op) -> str:
    """How an operation is written: `(clip x y z)`, with its keywords."""
    least, most = op.arity
    names = " ".join("xyz"[: max(least, 1) if most is None else most])
    more = " …" if most is None else ""
    more += "".join(" i …" if name == "index" else f" {name}" for name in op.trailing)
    keys = "".join(f" :{name} …" for name in op.options if name not in op.trailing)
    alone = f"({op.name} x) or " if op.name in _OF_ONE and least > 1 else ""
    return f"{alone}({op.name}{' ' if names else ''}{names}{more}{keys})"


def _at_once(session: Any, op: Op, args: Sequence[Value], options: dict[str, Value]) -> Value:
    if op.name in ("=", "!=") and all(kind_of(arg) not in ("number", "array") for arg in args):
        return (args[0] == args[1]) == (op.name == "=")
    if any(isinstance(arg, np.ndarray) for arg in args) or op.shape is not None:
        if op.name == "stack" and "axis" not in options:
            options = {**options, "axis": 0}
        shapes = [sh.of_value(arg) for arg in args]
        node = Call(
            op,
            tuple(as_expr(a) if np.size(a) < 1000 else Num(0) for a in args),
            options_of(options),
        )
        shape = sh.call_shape(node, shapes)
        session.budget.array(shape)
        if op.name in sh.COSTLY:
            session.budget.check("work", sh.operations(op, shapes, shape))
    return apply(op, args, options_of(options))


def _check_kinds(session: Any, op: Op, args: Sequence[Value], form: List | None) -> None:
    """Arithmetic takes numbers, logic truth values; each refuses the other, and all else."""
    if op.name in ("=", "!="):  # these compare what is of one sort
        formulas = {kind_of(arg) in _FORMULA for arg in args}
        if formulas == {False} or (
            formulas == {True} and len({sh.is_boolean(arg, session.truths) for arg in args}) == 1
        ):
            return
    for i, arg in enumerate(args):
        if kind_of(arg) not in _FORMULA:
            raise NablispError(
                "type",
                f"{op.name} takes numbers, not {described(arg)}",
                span=value_span(form, i),
                hint=f"{usage(op)}  {op.doc}",
            )
        truth = sh.is_boolean(arg, session.truths)
        wants_truth = op.takes == "boolean" or (op.takes == "choice" and i == 0)
        if wants_truth and not truth:
            raise NablispError(
                "type",
                f"{op.name} takes a condition here, not {brief(arg)}",
                span=value_span(form, i),
                hint="a condition is a comparison: (> x 0)",
            )
        shape_only = (op.name, i) == ("fill", 1)
        if truth and op.takes == "number" and op.name != "stack" and not shape_only:
            raise NablispError(
                "type",
                f"{op.name} takes numbers, and {brief(arg)} is true or false",
                span=value_span(form, i),
                hint="choose numbers with where: (where c 1 0)",
            )
    if op.takes == "choice" and len({sh.is_boolean(arg, session.truths) for arg in args[1:]}) > 1:
        raise NablispError(
            "type",
            f"{op.name} chooses between numbers, or between what is true or false",
            span=None if form is None else form.span,
            hint="choose numbers: (where c x 0)",
        )


def formula_of(value: Value, what: str, span: Span | None = None) -> Expr:
    """What may take the place of a name in a formula: names stand for numbers."""
    if sh.is_boolean(expect(value, _FORMULA, what, span)):
        raise NablispError(
            "type",
            f"{what} must be a number, and {brief(value)} is true or false",
            span=span,
            hint="choose numbers with where: (where c 1 0)",
        )
    return as_expr(value)


def _whole(value: Value, what: str, span: Span | None) -> int:
    number = expect(value, ("number",), what, span)
    if not abs(number) < EXACT or number != int(number):
        raise NablispError("value", f"{what} must be a whole number, not {brief(value)}", span=span)
    return int(number)


def simplest(session: Any, root: Expr) -> Value:
    """An expression with every part that has no names computed; a value if that is the whole."""
    new: dict[Expr, Expr] = {}
    for node in postorder(root):
        new[node] = node
        if isinstance(node, Call) and node.args:
            args = tuple([new[arg] for arg in node.args])
            new[node] = Call(node.op, args, node.options)
            if all(isinstance(arg, (Num, Const)) for arg in args):
                values = [plain(arg) for arg in args]
                session.budget.array(sh.call_shape(node, [sh.of_value(v) for v in values]))
                new[node] = as_expr(apply(node.op, values, node.options))
    return plain(new[root])


def array_of(session: Any, values: Sequence[Value]) -> Value:
    """Values side by side: an array, or an expression if any is one."""
    for value in values:
        if kind_of(value) not in _FORMULA:
            raise NablispError("type", f"an array holds numbers, not {described(value)}")
    if len({sh.is_boolean(value) for value in values}) == 2:
        raise NablispError(
            "type",
            "an array holds numbers or truth values, not both",
            hint="choose numbers with where: (where c 1 0)",
        )
    if any(isinstance(v, Expr) for v in values):
        nodes = tuple([as_expr(v) for v in values])
        shapes = [session.shape(n) for n in nodes]
        deep = any(shapes) and not sh.same_rows(shapes)  # then the new axis comes first
        axis = -1 - max(map(len, shapes)) if deep else -1
        session.budget.node()
        node = Call(OPS["stack"], nodes, (("axis", axis),))
        session.shape(node)
        return node
    lengths = {np.shape(v) for v in values}
    if len(lengths) > 1:
        raise NablispError(
            "shape",
            "the parts of an array differ in shape: "
            + " and ".join(sh.show(s) for s in sorted(lengths, key=str)),
        )
    session.budget.array((len(values), *(lengths.pop() if lengths else ())))
    return np.array(values, dtype=bool if any(sh.is_boolean(v) for v in values) else np.float64)


def unknown_keyword(
    name: str, owner: str, known: Sequence[str], span: Span | None = None
) -> NablispError:
    takes = ", ".join(f":{k}" for k in known) if known else "no keywords"
    return NablispError(
        "keyword",
        f"{owner} has no keyword :{name}",
        span=span,
        hint=meant(name, known, f"{owner} takes {takes}", mark=":"),
    )


def arity_words(name: str, least: int, most: int | None, count: int) -> str:
    if most is None:
        wanted = f"at least {least}"
    elif least == most:
        wanted = str(least)
    else:
        wanted = f"{least} or {most}" if most == least + 1 else f"{least} to {most}"
    plural = "" if wanted.endswith("1") else "s"
    return f"{name} takes {wanted} argument{plural}, not {count}"
