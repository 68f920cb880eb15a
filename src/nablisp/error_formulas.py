"""The running bound of rounding as formulas: for machine code, which bounds a million rows at once.

As in rounding.py, with every operation's own error by its kind, and names given exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .expr import Call, Expr, Num, Sym, call, postorder, substitute, sum_of
from .rounding import CONSTANTS, EXACT, U, of_constant

_ONCE = {"+", "-", "*", "/", "sqrt"}
"""Operations that round once; others are off by up to 4 halves of a unit."""


def error_formulas(roots: Sequence[Expr]) -> list[Expr]:
    """The running bounds of elementwise formulas, as formulas of the same names, given exactly.

    For machine code, which bounds the errors of a million rows in the time of some more operations.
    """
    off: dict[Expr, Expr] = {}
    none = Num(0)
    for node in postorder(*roots):
        if not isinstance(node, Call) or node.op.result == "boolean":
            near = of_constant(node.value) if type(node) is Num and node.value in CONSTANTS else 0
            off[node] = Num(near) if near else none
            continue
        op, args = node.op, node.args
        if op.result == "choice":
            off[node] = call("where", args[0], off[args[1]], off[args[2]])
            continue
        parts = [part for k in range(len(args)) if (part := _part(node, k, off)) is not none]
        if op.name not in EXACT:
            share = U * (max(len(args) - 1, 1) if op.name in _ONCE else 4)
            whole = sum_of([call("abs", arg) for arg in args]) if len(args) > 2 else node
            parts.append(call("*", Num(share), call("abs", whole)))
        off[node] = sum_of(parts) if parts else none
    return [off[root] for root in roots]


def _part(node: Call, k: int, off: Mapping[Expr, Expr]) -> Expr:
    """What the error of an argument comes to in the result: |∂| err."""
    error = off[node.args[k]]
    if error is Num(0) or node.op.name in ("+", "-", "neg", "abs", "min", "max", "relu"):
        return error
    if node.op.name == "*":
        rest = [arg for i, arg in enumerate(node.args) if i != k]
        return call("*", error, *(call("abs", arg) for arg in rest))
    slope = node.op.slopes[k]
    names: dict[Expr, Expr] = {Sym("out"): node}
    names.update(zip((Sym("x"), Sym("y"), Sym("z")), node.args, strict=False))
    partial = substitute([slope], names)[0]
    return call("*", error, call("abs", partial))
