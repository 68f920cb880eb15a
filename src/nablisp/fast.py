"""Gradients of large scalar formulas: the reverse sweep of derivative.py, plain, for machines.

Nobody reads a derivative of ten thousand operations, so nothing is tidied here but ones: nodes are
integers, a new node is two appends, and equal nodes meet again when they become expressions. Rows
whose adjoints need conditions or shapes are left to derivative.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .expr import Call, Const, Expr, Num, Op, Steps, Sym, intern_calls, steps
from .graph import Graph
from .limits import growing, no_collection
from .ops import OPS

ADD, SUB, NEG, MUL, DIV, WHERE = (OPS[name] for name in ("+", "-", "neg", "*", "/", "where"))

_UNKNOWN = (None, None)

READABLE = 500
"""Up to this many nodes a derivative is tidied for its reader."""


class Plain:
    """An expression as flat lists: node i is `ops[i]` on the nodes `args[i]`; leaves have no op."""

    def __init__(self, root: Expr, wrt: Sequence[Sym]) -> None:
        ids: dict[Expr, int] = {}
        ops: list[Op | None] = []
        args_of: list[tuple[int, ...]] = []
        exprs: list[Expr | None] = []
        moves = bytearray()  # does the node depend on a name in wrt?
        place, names = ids.__getitem__, set(wrt)
        stack = [root, *reversed(wrt)]
        while stack:
            node = stack.pop()
            if node in ids:
                continue
            if type(node) is not Call:
                ids[node] = len(ops)
                ops.append(None)
                args_of.append(())
                exprs.append(node)
                moves.append(node in names)
                continue
            op, given, _ = node.key
            if len(given) == 2:
                x, y = given
                a, b = ids.get(x), ids.get(y)
                if a is None or b is None:
                    stack += (node, y, x)
                    continue
                args: tuple[int, ...] = (a, b)
                moves.append(moves[a] or moves[b])
            else:
                waiting = [arg for arg in given if arg not in ids]
                if waiting:
                    stack.append(node)
                    waiting.reverse()
                    stack += waiting
                    continue
                args = tuple(map(place, given))
                if op is MUL and len(args) > 2:  # in pairs, from the left
                    first, *rest, last = args
                    for arg in rest:
                        moves.append(moves[first] or moves[arg])
                        ops.append(MUL)
                        args_of.append((first, arg))
                        exprs.append(None)
                        first = len(ops) - 1
                    args = (first, last)
                moves.append(any([moves[arg] for arg in args]))
            ids[node] = len(ops)
            ops.append(op)
            args_of.append(args)
            exprs.append(node)
        self.ids, self.ops, self.args, self.exprs, self.moves = ids, ops, args_of, exprs, moves
        self.programs: dict[Any, list[Steps]] = {}

    def leaf(self, node: Expr) -> int:
        found = self.ids.get(node)
        if found is None:
            found = self.ids[node] = len(self.ops)
            self.exprs += [None] * (found - len(self.exprs))
            self.ops.append(None)
            self.args.append(())
            self.exprs.append(node)
        return found

    def suits(self, shapes: Any) -> bool:
        """Is every row scalar, with partials and two arguments at most (or a sum or product)?"""
        for op in set(self.ops):
            if op is not None and (op.shape is not None or not op.partials or op is WHERE):
                return False
        if any(len(a) > 2 and o is not ADD for o, a in zip(self.ops, self.args, strict=True)):
            return False
        return not any(
            isinstance(e, Const) or (isinstance(e, Sym) and shapes and shapes.get(e.name))
            for o, e in zip(self.ops, self.exprs, strict=True)
            if o is None
        )

    def sweep(self, top: int, wrt: Sequence[int]) -> list[int | None]:
        """Ids of the derivatives of node `top` by the leaves `wrt`; None for no dependence."""
        ops, args_of = self.ops, self.args
        one, zero = self.one, self.zero = self.leaf(Num(1)), self.leaf(Num(0))
        numbers = {i: e for i, e in enumerate(self.exprs) if isinstance(e, Num)}
        moves = self.moves
        adjoints: list[Any] = [None] * len(ops)  # None, an id, or a list of ids to be summed
        adjoints[top] = one
        new_op, new_args = ops.append, args_of.append
        due = 0
        for i in range(top, -1, -1):
            if len(ops) >= due:
                due = growing(len(ops))
            adjoint = adjoints[i]
            if adjoint is None:
                continue
            if type(adjoint) is list:
                adjoint.reverse()  # in order of appearance
                new_args(tuple(adjoint))
                adjoint = adjoints[i] = len(ops)
                new_op(ADD)
            op = ops[i]
            if op is None:
                continue
            args = args_of[i]
            if len(args) == 2:
                x, y = args
                back_x = back_y = adjoint
                if op is MUL:
                    back_x, back_y = y, x
                    if adjoint != one:
                        if moves[x]:
                            back_x = len(ops)
                            new_op(MUL)
                            new_args((adjoint, y))
                        if moves[y]:
                            back_y = len(ops)
                            new_op(MUL)
                            new_args((adjoint, x))
                elif op is SUB:
                    back_y = len(ops)
                    new_op(NEG)
                    new_args((adjoint,))
                elif op is not ADD:
                    known = numbers.get(x), numbers.get(y)
                    programs = op.slope_steps if known == _UNKNOWN else self._tidied(op, known)
                    back_x = self._back(programs[0], x, y, i, adjoint) if moves[x] else zero
                    back_y = self._back(programs[1], x, y, i, adjoint) if moves[y] else zero
                if moves[y] and back_y != zero:
                    held = adjoints[y]
                    if held is None:
                        adjoints[y] = back_y
                    elif type(held) is list:
                        held.append(back_y)
                    else:
                        adjoints[y] = [held, back_y]
                if not moves[x] or back_x == zero:
                    continue
            elif len(args) == 1:
                (x,) = args
                back_x = self._back(op.slope_steps[0], x, zero, i, adjoint)
                if back_x == zero:
                    continue
            else:  # a sum of many
                for x in args:
                    if moves[x]:
                        held = adjoints[x]
                        if held is None:
                            adjoints[x] = adjoint
                        elif type(held) is list:
                            held.append(adjoint)
                        else:
                            adjoints[x] = [held, adjoint]
                continue
            held = adjoints[x]
            if held is None:
                adjoints[x] = back_x
            elif type(held) is list:
                held.append(back_x)
            else:
                adjoints[x] = [held, back_x]
        return [adjoints[i] for i in wrt]  # by now each list is a sum

    def _back(self, program: Steps, x: int, y: int, out: int, adjoint: int) -> int:
        """adjoint · partial, for a partial over the arguments and the result."""
        result, made = program
        registers = [x, y, 0, out]
        ops, args_of = self.ops, self.args
        for op, operands in made:
            if op is None:
                registers.append(self.leaf(operands))
            else:
                registers.append(len(ops))
                ops.append(op)
                args_of.append(tuple([registers[r] for r in operands]))
        back = registers[result]
        if back == self.one:
            return adjoint
        if adjoint != self.one and back != self.zero:
            args_of.append((adjoint, back))
            back = len(ops)
            ops.append(MUL)
        return back

    def _tidied(self, op: Op, known: tuple[Num | None, ...]) -> list[Steps]:
        """The partials of a row whose arguments are partly numbers, tidied once for all such."""
        found = self.programs.get((op, known))
        if found is None:
            g = Graph()
            names = [
                Sym(name) if number is None else number
                for name, number in zip("xy", known, strict=True)
            ]
            registers = [g.leaf(name) for name in (*names, Num(0), Sym("out"))]
            slopes = [g.expr(g.run(program, registers[:]))[0] for program in op.slope_steps]
            found = [steps(slope, ("x", "y", "z", "out")) for slope in slopes]
            self.programs[op, known] = found
        return found

    def expressions(self, roots: Sequence[int]) -> list[Expr]:
        """The nodes as expressions."""
        exprs: list[Any] = self.exprs
        exprs += [None] * (len(self.ops) - len(exprs))
        new = [i for i, expr in enumerate(exprs) if expr is None]
        intern_calls(new, self.ops, self.args, exprs)
        return [exprs[root] for root in roots]


def gradient(root: Expr, wrt: Sequence[Sym], shapes: Any = None) -> list[Expr] | None:
    """The gradient of a large scalar formula, or None for one that is small or has shapes."""
    with no_collection():
        plain = Plain(root, wrt)
        if len(plain.ops) <= READABLE or not plain.suits(shapes):
            return None
        found = plain.sweep(plain.ids[root], [plain.ids[name] for name in wrt])
        zero = plain.leaf(Num(0)) if None in found else 0
        return plain.expressions([zero if i is None else i for i in found])
