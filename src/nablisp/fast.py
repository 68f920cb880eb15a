"""Gradients of large scalar formulas: the reverse sweep of derivative.py, plain, for machines.

Nobody reads a derivative of ten thousand operations, so nothing is tidied here but ones: nodes are
integers, a new node is two appends, and equal nodes meet again when they become expressions. Rows
whose adjoints need conditions or shapes are left to derivative.py.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .expr import Call, Const, Expr, Num, Op, Sym, intern_calls
from .ops import OPS

ADD, SUB, NEG, MUL, DIV, WHERE = (OPS[name] for name in ("+", "-", "neg", "*", "/", "where"))

READABLE = 1_500
"""Up to this many nodes a derivative is tidied for its reader."""


@contextmanager
def no_collection() -> Iterator[None]:
    """Nodes make no cycles, and the collector's passes over many new ones double the time."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


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
                moves.append(any([moves[arg] for arg in args]))
            ids[node] = len(ops)
            ops.append(op)
            args_of.append(args)
            exprs.append(node)
        self.ids, self.ops, self.args, self.exprs, self.moves = ids, ops, args_of, exprs, moves
        self.loaded = len(ops)

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
        """Is every row scalar, with partials and two arguments at most (or a sum)?"""
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
        one = self.leaf(Num(1))
        moves = self.moves
        adjoints: list[Any] = [None] * len(ops)  # None, an id, or a list of ids to be summed
        adjoints[top] = one
        fresh = len(ops)  # the next new node's id
        new_op, new_args = ops.append, args_of.append
        for i in range(top, -1, -1):
            adjoint = adjoints[i]
            if adjoint is None:
                continue
            if isinstance(adjoint, list):
                adjoint.reverse()
                new_op(ADD)
                new_args(tuple(adjoint))
                adjoint = adjoints[i] = fresh
                fresh += 1
            op, args = ops[i], args_of[i]
            if op is MUL and len(args) == 2:
                x, y = args
                if moves[x]:
                    if adjoint == one:
                        back = y
                    else:
                        new_op(MUL)
                        new_args((adjoint, y))
                        back = fresh
                        fresh += 1
                    held = adjoints[x]
                    if held is None:
                        adjoints[x] = back
                    elif type(held) is list:
                        held.append(back)
                    else:
                        adjoints[x] = [held, back]
                if not moves[y]:
                    continue
                if adjoint == one:
                    back = x
                else:
                    new_op(MUL)
                    new_args((adjoint, x))
                    back = fresh
                    fresh += 1
                held = adjoints[y]
                if held is None:
                    adjoints[y] = back
                elif type(held) is list:
                    held.append(back)
                else:
                    adjoints[y] = [held, back]
            elif op is ADD:
                for arg in args:
                    if moves[arg]:
                        held = adjoints[arg]
                        if held is None:
                            adjoints[arg] = adjoint
                        elif type(held) is list:
                            held.append(adjoint)
                        else:
                            adjoints[arg] = [held, adjoint]
            elif op is not None:
                for (result, made), arg in zip(op.slope_steps, args, strict=False):
                    if not moves[arg]:
                        continue
                    registers = [*args, 0, 0, 0][:3]
                    registers.append(i)
                    for step_op, operands in made:
                        if step_op is None:
                            registers.append(self.leaf(operands))
                            fresh = len(ops)
                        else:
                            new_op(step_op)
                            new_args(tuple([registers[r] for r in operands]))
                            registers.append(fresh)
                            fresh += 1
                    back = registers[result]
                    if adjoint != one:
                        new_op(MUL)
                        new_args((adjoint, back))
                        back = fresh
                        fresh += 1
                    held = adjoints[arg]
                    if held is None:
                        adjoints[arg] = back
                    elif type(held) is list:
                        held.append(back)
                    else:
                        adjoints[arg] = [held, back]
        return [adjoints[i] for i in wrt]  # by now each list is a sum  # lists became sums above

    def expressions(self, roots: Sequence[int]) -> list[Expr]:
        """The nodes as expressions."""
        exprs: list[Any] = self.exprs
        exprs += [None] * (len(self.ops) - len(exprs))
        new = [i for i in range(self.loaded, len(exprs)) if exprs[i] is None]
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
