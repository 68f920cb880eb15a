"""From expressions to one C99 function: the plan of the program by rows, written out by the rows.

Every operation is one line, so that shared parts are computed once and nothing depends on how
tightly C's operators hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import count

from ..accurate import accurate
from ..errors import NablispError
from ..expr import OPS, Call, Expr, Num, Op, Sym, formula, names, postorder
from ..plan import FMA, Plan, plan
from ..printer import brief
from ..shapes import ROWS, Shape, ShapeEnv, shape_of, show
from ..unroll import element, unroll
from .mangled import comment, function_name, mangled

_STARTS = {"sum": "0.0", "amin": "INFINITY", "amax": "-INFINITY"}
_JOINS = {"sum": "+", "amin": "min", "amax": "max"}
_TRUTH = {True: "1", False: "0"}


def c(
    e: Expr, by: Sequence[Sym], slopes: Sequence[Expr], shapes: ShapeEnv, name: str = "formula"
) -> str:
    """A function that returns the value of `e`, and writes `slopes`, by the names `by`.

    NablispError "shape" for one value per row, "unavailable" for what has no scalar form.
    """
    shape = shape_of(e, shapes)
    if shape:
        raise NablispError(
            "shape",
            f"C is written for one number, and this has shape {show(shape)}",
            hint="wrap it in mean or sum, or export it to Python",
        )
    order = list(names(e, *slopes, *by))
    own = mangled(order, "v_")
    try:
        cells = unroll(accurate(e, *slopes), shapes, has=lambda op: op.c or op.means is not None)
    except NablispError as error:
        if error.kind != "unavailable":
            raise
        raise NablispError(
            "unavailable", error.message.replace("native", "C"), hint="Python has it: :to python"
        ) from None
    leaves: dict[Expr, str] = {}
    for symbol in order:
        leaves.update(_elements(symbol, own[symbol], shapes.get(symbol, ())))
    outputs = [cell for array in cells for cell in array.reshape(-1)]
    by_rows = [s.name for s in leaves if isinstance(s, Sym) and "[i" in leaves[s]]
    program = _Writer(leaves)
    body = program.planned(plan(outputs, by_rows), bool(slopes))
    arguments, words = [], []
    if by_rows or OPS["rows"] in {n.op for n in postorder(*outputs) if isinstance(n, Call)}:
        arguments.append("size_t rows")
    for symbol in order:
        at = shapes.get(symbol, ())
        arguments.append(f"{'const double *' if at else 'double '}{own[symbol]}")
        words.append(f" *   {own[symbol]}: {comment(symbol)}{' ' + show(at) if at else ''}")
    if slopes:
        arguments.append("double *gradient")
        words.append(f" *   gradient: by {', '.join(own[s.name] for s in by)}, in this order")
    head = f"double {function_name(name)}({', '.join(arguments) or 'void'})"
    lines = [
        "#include <math.h>", "#include <stddef.h>", "", *program.helpers.values(),
        "/* Arguments:", *(words or [" *   none"]), " */", head, "{", *body, "}", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _elements(name: str, own: str, shape: Shape) -> dict[Expr, str]:
    """The symbols of a name's elements (see unroll.py), and where C finds them."""
    if not shape:
        return {Sym(name): own}
    width = math.prod(int(n) for n in shape if n != ROWS)
    if ROWS not in shape:
        return {element(name, k, shape): f"{own}[{k}]" for k in range(width)}
    if shape[0] != ROWS:
        raise NablispError("unavailable", f"C has no layout for the shape {show(shape)} of {name}")
    row = "i" if shape == (ROWS,) else f"i * {width}"
    return {
        element(name, k, shape): f"{own}[{row}{f' + {k}' if width > 1 else ''}]"
        for k in range(width)
    }


class _Writer:
    """Writes operations line by line, and the helper functions that they need."""

    def __init__(self, leaves: Mapping[Expr, str]) -> None:
        self.known: dict[Expr, str] = {Call(OPS["rows"], ()): "(double)rows", **leaves}
        self.helpers: dict[Op, str] = {}
        self.functions: dict[Op, str] = {}
        self.number = count(1)

    def planned(self, made: Plan, gradient: bool) -> list[str]:
        """The body: what no row changes, a loop over the rows, what follows; for each pass."""
        lines = self.straight(made.stage(0))
        for at, reductions in enumerate(made.reductions):
            sums = {node: f"t{next(self.number)}" for node in reductions}
            lines += [f"    double {t} = {_STARTS[n.op.name]};" for n, t in sums.items()]
            lines.append("    for (size_t i = 0; i < rows; i++) {")
            before = dict(self.known)
            inside = postorder(*[node.args[0] for node in reductions], known=self.known)
            lines += self.straight([n for n in inside if n in made.rows], "        ")
            for node, total in sums.items():
                value = self.atom(node.args[0])
                join = OPS[_JOINS[node.op.name]]
                lines.append(f"        {total} = {join.c.format(x=total, y=value)};")
            lines.append("    }")
            self.known = before | dict(sums.items())
            lines += self.straight(made.stage(at + 1))
        value, *slopes = [self.atom(output) for output in made.outputs]
        if gradient:
            lines += [f"    gradient[{k}] = {slope};" for k, slope in enumerate(slopes)]
        return [*lines, f"    return {value};"]

    def straight(self, nodes: Sequence[Expr], indent: str = "    ") -> list[str]:
        """One line for each operation, in order."""
        lines: list[str] = []
        for node in nodes:
            if not isinstance(node, Call) or node in self.known:
                continue
            parts = [self.atom(arg) for arg in node.args]
            kind = "int" if node.op.result == "boolean" else "double"
            out = self.written(node, parts)
            step = out(*parts[:2]) if len(parts) > 2 and node.op.arity[1] is None else out(*parts)
            rest = parts[2:] if node.op.arity[1] is None else []
            for part in rest:
                name = f"t{next(self.number)}"
                lines.append(f"{indent}const {kind} {name} = {step};")
                step = out(name, part)
            self.known[node] = f"t{next(self.number)}"
            lines.append(f"{indent}const {kind} {self.known[node]} = {step};")
        return lines

    def written(self, node: Call, parts: Sequence[str]) -> Callable[..., str]:
        """An operation of atoms, as C."""
        op = node.op
        if op.arity[1] is None and len(parts) < 2:
            return lambda *given: given[0] if given else _number(op.identity or 0)
        if op is FMA:
            return lambda *given: f"fma({', '.join(given)})"
        if op.c and not op.c.startswith("("):
            return lambda *given: op.c.format(**dict(zip("xyz", given, strict=False)))
        function = self.helper(op, node)
        return lambda *given: f"{function}({', '.join(given)})"

    def helper(self, op: Op, node: Call) -> str:
        """The name of the static function that is a row's meaning, written if it is new."""
        if op not in self.functions:
            meaning = formula(op.c) if op.c else op.meaning
            if meaning is None:
                raise NablispError(
                    "unavailable",
                    f"C has no {op.name}, which occurs in {brief(node)}",
                    hint="Python has it: :to python",
                )
            self.functions[op] = f"{mangled([op.name], 'nl_')[op.name]}_{len(self.functions)}"
            arguments = "xyz"[: op.arity[0]]
            inner = _Writer({Sym(x): x for x in arguments})
            inner.helpers, inner.functions = self.helpers, self.functions
            lines = inner.straight(postorder(meaning))
            head = ", ".join(f"double {x}" for x in arguments)
            self.helpers[op] = "\n".join(
                [f"static double {self.functions[op]}({head})", "{", *lines,
                 f"    return {inner.atom(meaning)};", "}", ""]
            )  # fmt: skip
        return self.functions[op]

    def atom(self, node: Expr) -> str:
        if isinstance(node, Num):
            return _number(node.value)
        return self.known[node]


def _number(value: float) -> str:
    """A number that reads back as itself."""
    if isinstance(value, bool):
        return _TRUTH[value]
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "(-INFINITY)"
    text = repr(float(value))
    return f"({text})" if text.startswith("-") else text
