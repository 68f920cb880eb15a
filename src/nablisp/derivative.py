"""Derivatives: turns an expression and names into expressions, by one reverse sweep.

Every adjoint is built by the tidying constructors of `Graph`, all partials in one pass, at a cost
in proportion to the expression, whatever the number of names. The result is again an expression: it
can be read, evaluated, compiled and differentiated again. An adjoint also carries the condition
under which it is live: and-ed at `where`, or-ed where paths join, applied before sums and at the
end, so that a branch not taken gives nothing, to any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import fast
from . import shapes as sh
from .accurate import accurate
from .errors import NablispError
from .evaluate import apply
from .expr import (
    OPS,
    Call,
    Expr,
    Num,
    Steps,
    Sym,
    as_expr,
    asked,
    names,
    plain,
    postorder,
    substitute,
)
from .graph import ADD, WHERE, Graph

Part = tuple[int, int | None]  # an adjoint's id, and the id of its condition (None: always)
COTANGENT = Sym("adjoint of the whole")


def d(e: Any, *wrt: str | Sym, simplify: bool = True, shapes: sh.ShapeEnv | None = None) -> Any:
    """The derivative of a formula by a name; of several names, one after the other.

    >>> x, y = params("x y")
    >>> print(d(x**2 + x * y, "x"))
    (+ (* 2 x) y)

    The result is a number where it does not depend on any name. `shapes` maps names to shapes (a
    tuple of lengths, "rows" for the rows of a column); a name it lacks is a scalar. By an array
    the result has that array's shape. With `simplify=False` the text is the article's, untidied.
    """
    if not wrt:
        raise NablispError("arity", "d needs a name to differentiate by", hint='d(e, "x")')
    for name in wrt:
        symbol = Sym(name) if isinstance(name, str) else name
        if not isinstance(symbol, Sym):
            raise NablispError("type", f"d differentiates by a name, not by {symbol}")
        root = asked(e)
        e = plain(derivative(root, symbol, shapes) if simplify else raw(root, symbol))
    return e


def derivative(root: Expr, wrt: Sym, shapes: sh.ShapeEnv | None = None) -> Expr:
    """The derivative of a scalar by a name of any shape, or of an array by a scalar."""
    (root,) = accurate(root, to_derive=True)
    if (large := fast.gradient(root, [wrt], shapes)) is not None:
        return large[0]
    g = Graph(shapes, look_inside=True)
    top, variable = g.load(root, wrt)
    if g.shape(top) == ():
        return _finish(g, sweep(g, {top: g.one}, [variable]), [variable])[0]
    if g.shape(variable) != ():
        raise NablispError(
            "shape",
            f"the derivative of an array of shape {sh.show(g.shape(top))} by {wrt.name}, of shape "
            f"{sh.show(g.shape(variable))}, is a matrix",
            hint="use jacobian, or make it a number with sum or mean first",
        )
    slope = g.expr(g.full(_pushed(g, top, variable), top))
    return substitute(slope, {COTANGENT: root})[0]  # where it only lends its shape


def gradient(
    root: Expr,
    wrt: Sequence[str | Sym],
    shapes: sh.ShapeEnv | None = None,
    *,
    look_inside: bool = False,
) -> list[Expr]:
    """The derivatives of a scalar by several names, each of its name's shape, in one sweep.

    They share their parts with the expression and each other; with `look_inside` they are tidied
    further, for a reader.
    NablispError "shape" where the expression is not a scalar.
    """
    (root,) = accurate(asked(root), to_derive=True)
    names = [Sym(name) if isinstance(name, str) else name for name in wrt]
    if (large := fast.gradient(root, names, shapes)) is not None:
        return large
    g = Graph(shapes, look_inside=look_inside)
    top, *variables = g.load(root, *names)
    if g.shape(top) != ():
        raise NablispError(
            "shape",
            f"this is one value per row or element, of shape {sh.show(g.shape(top))}, "
            "and a gradient needs a number",
            hint="wrap it in mean or sum",
        )
    return _finish(g, sweep(g, {top: g.one}, variables), variables)


def jacobian(
    outputs: Sequence[Expr], wrt: Sequence[Sym], shapes: sh.ShapeEnv | None = None
) -> list[list[Expr]]:
    """The derivative of each scalar output by each name: a list of rows."""
    return [gradient(output, wrt, shapes, look_inside=True) for output in outputs]


def columns(root: Expr, wrt: Sequence[Sym], shapes: sh.ShapeEnv | None = None) -> list[Expr]:
    """The derivatives of an array (one value per row, say) by several scalars, each its shape."""
    return [derivative(root, name, shapes) for name in wrt]


def hessian(root: Expr, wrt: Sequence[Sym], shapes: sh.ShapeEnv | None = None) -> list[list[Expr]]:
    """The second derivatives of a scalar by scalar names: rows of a symmetric matrix."""
    rows = jacobian(gradient(root, wrt, shapes), wrt, shapes)
    return [[rows[min(i, j)][max(i, j)] for j in range(len(wrt))] for i in range(len(wrt))]


# ---- the sweep -----------------------------------------------------------------------------------


def sweep(g: Graph, seeds: dict[int, int], wrt: Sequence[int]) -> dict[int, int]:
    """Adjoints of the nodes `wrt`, from adjoints given for some nodes above. Lazy in shape."""
    top = max(seeds) + 1
    wanted = set(wrt)
    moves = bytearray(max(top, 1 + max(wrt, default=0)))
    for i in wrt:
        moves[i] = 1
    for i, args in enumerate(g.args[:top]):
        for arg in args:
            if moves[arg]:
                moves[i] = 1
                break
    pending: list[list[Part] | None] = [None] * top
    for i, seed in seeds.items():
        pending[i] = [(seed, None)]
    ops, args_of = g.ops, g.args
    found: dict[int, int] = {}
    for i in range(top - 1, -1, -1):
        parts = pending[i]
        if parts is None or not moves[i]:
            continue
        pending[i] = None
        adjoint, live = parts[0] if len(parts) == 1 else _joined(g, parts)
        if i in wanted:
            found[i] = _guarded(g, adjoint, live)
        op = ops[i]
        if op is None:
            continue
        args = args_of[i]
        if sum([moves[arg] for arg in args]) > 1:
            g.hold(adjoint)
        if op is WHERE:
            backs = _through_where(g, adjoint, live, args)
        elif op.pullback is not None:
            adjoints = op.pullback(g, _guarded(g, adjoint, live), i)
            backs = [None if a is None else (a, None) for a in adjoints]
        elif op is ADD or (op.arity[1] is None and op.slope_steps and len(args) > 2):
            backs = _folded(g, op, adjoint, live, args)
        else:
            backs = [
                _step(g, program, adjoint, live, [*args, *_NONE[len(args) :], i], i, arg)
                if moves[arg]
                else None
                for program, arg in zip(op.slope_steps, args, strict=False)
            ]
        for arg, back in zip(args, backs, strict=False):
            if back is not None and moves[arg]:
                waiting = pending[arg]
                if waiting is None:
                    pending[arg] = [back]
                else:
                    waiting.append(back)
    return found


_NONE = (0, 0, 0)  # registers of the arguments a row does not have


def _step(
    g: Graph,
    program: Steps,
    adjoint: int,
    live: int | None,
    registers: list[int],
    node: int,
    arg: int,
) -> Part | None:
    """adjoint · partial, summed to the argument's shape."""
    result, made = program
    if made:
        slope = g.run(program, registers)
        if slope == g.zero:
            return None
        adjoint = g.mul(adjoint, slope)
    else:
        adjoint = g.mul(adjoint, registers[result])
    if g.shapes is None or g.shapes[node] == g.shapes[arg]:
        return adjoint, live
    return _summed(g, adjoint, live, g.shapes[node], g.shapes[arg])


def _summed(g: Graph, adjoint: int, live: int | None, whole: sh.Shape, target: sh.Shape) -> Part:
    if whole == target:
        return adjoint, live
    return g.sum_to(_guarded(g, adjoint, live), whole, target), None


def _folded(
    g: Graph, op: Any, adjoint: int, live: int | None, args: tuple[int, ...]
) -> list[Part | None]:
    """A row of many arguments is its binary form from the left, and is swept as that."""
    whole = sh.broadcast(*(g.shape(arg) for arg in args)) if g.shapes is not None else ()
    if op is ADD:
        return [_summed(g, adjoint, live, whole, g.shape(arg)) for arg in args]
    partial = [args[0]]
    for arg in args[1:]:
        partial.append(g.tidy(op, (partial[-1], arg)))
    backs: list[Part | None] = [None] * len(args)
    for k in range(len(args) - 1, 0, -1):
        registers = [partial[k - 1], args[k], 0, partial[k]]
        slope = g.run(op.slope_steps[1], registers[:])
        backs[k] = _summed(g, g.mul(adjoint, slope), live, whole, g.shape(args[k]))
        adjoint = g.mul(adjoint, g.run(op.slope_steps[0], registers))
    backs[0] = _summed(g, adjoint, live, whole, g.shape(args[0]))
    return backs


def _through_where(
    g: Graph, adjoint: int, live: int | None, args: tuple[int, ...]
) -> list[Part | None]:
    """Each branch's adjoint lives under the condition, or its opposite."""
    condition, yes, no = args
    whole = sh.broadcast(*(g.shape(arg) for arg in args)) if g.shapes is not None else ()
    backs: list[Part | None] = [None]
    for branch, taken in ((yes, condition), (no, g.call("not", condition))):
        under = taken if live is None else g.all_of(live, taken)
        backs.append(_summed(g, adjoint, under, whole, g.shape(branch)))
    return backs


def _joined(g: Graph, parts: list[Part]) -> Part:
    """Contributions to one node: a sum, each under its own condition unless all agree."""
    parts.reverse()  # the sweep meets the last first; a sum reads in order of appearance
    lives = [live for _, live in parts]
    if all(live == lives[0] for live in lives):
        return g.sum([adjoint for adjoint, _ in parts]), lives[0]
    if len(parts) == 2:
        (a, yes), (b, no) = parts
        if yes is not None and no is not None:
            if g.call("not", yes) == no:
                return g.where(yes, a, b), None
            if g.call("not", no) == yes:
                return g.where(no, b, a), None
    total = g.sum([_guarded(g, adjoint, live) for adjoint, live in parts])
    known = [live for live in lives if live is not None]
    if len(known) < len(lives):
        return total, None
    either = g.any_of(*known)
    return total, None if g.numbers.get(either) is True else either


def _guarded(g: Graph, adjoint: int, live: int | None) -> int:
    return adjoint if live is None else g.where(live, adjoint, g.zero)


def _finish(g: Graph, found: dict[int, int], variables: Sequence[int]) -> list[Expr]:
    return g.expr(*(g.full(found.get(v, g.zero), v) for v in variables))


def _pushed(g: Graph, top: int, variable: int) -> int:
    """The derivative of an array by a scalar: the transpose of a pullback, which is linear.

    With g(u) the adjoint of x for the adjoint u of e, de/dx is dg/du.
    """
    cotangent = g.leaf(COTANGENT)
    assert g.shapes is not None
    g.shapes[cotangent] = g.shape(top)
    back = sweep(g, {top: cotangent}, [variable]).get(variable)
    if back is None:
        return g.zero
    return sweep(g, {back: g.one}, [cotangent]).get(cotangent, g.zero)


# ---- the article's own way -----------------------------------------------------------------------


def raw(root: Expr, wrt: Sym) -> Expr:
    """The derivative as the article writes it: forward, nothing tidied but numbers.

    `(+ (* de/dl dl/dx) (* de/dr dr/dx))` for every operation, whatever is 0 or 1 in it. Scalars
    only.
    """
    slopes: dict[Expr, Expr] = {}
    for node in _paired(root):
        if not isinstance(node, Call):
            slopes[node] = Num(1 if node is wrt else 0)
            continue
        op, args = node.op, node.args
        if op.pullback is not None or op.result == "boolean":
            if op.pullback is not None:
                raise NablispError("shape", f"a raw derivative is of scalars, not of {op.name}")
            slopes[node] = Num(0)
            continue
        if op is WHERE:
            slopes[node] = Call(WHERE, (args[0], slopes[args[1]], slopes[args[2]]))
            continue
        terms = []
        for k, (program, arg) in enumerate(zip(_raw_steps(op), args, strict=False)):
            constant = k == 1 and op.name == "**" and isinstance(arg, Num)
            registers: list[Expr] = [*args, *[Num(0)] * (3 - len(args)), node]
            slope = Num(0) if constant else _at_once(program, registers)
            terms.append(_compute(OPS["*"], (slope, slopes[arg])))
        total = terms[0]
        for term in terms[1:]:
            total = _compute(ADD, (total, term))
        slopes[node] = total
    return slopes[_paired(root)[-1]]


def _paired(root: Expr) -> list[Expr]:
    """The nodes in order, sums and products of many as nested pairs."""
    new: dict[Expr, Expr] = {}
    for node in postorder(root):
        if isinstance(node, Call):
            args = [new[arg] for arg in node.args]
            while node.op.arity[1] is None and node.op.result == "number" and len(args) > 2:
                args[:2] = [Call(node.op, (args[0], args[1]))]
            new[node] = Call(node.op, tuple(args), node.options)
        else:
            new[node] = node
    return postorder(new[root])


def _raw_steps(op: Any) -> list[Steps]:
    from .expr import steps

    return [steps(slope, ("x", "y", "z", "out")) for slope in op.raw_slopes]


def _at_once(program: Steps, registers: list[Expr]) -> Expr:
    result, made = program
    for op, operands in made:
        if op is None:
            registers.append(operands)
        else:
            registers.append(_compute(op, tuple(registers[r] for r in operands)))
    return registers[result]


def _compute(op: Any, args: tuple[Expr, ...]) -> Expr:
    if all(isinstance(arg, Num) for arg in args):
        return as_expr(apply(op, [plain(arg) for arg in args]))
    return Call(op, args)


__all__ = ["columns", "d", "derivative", "gradient", "hessian", "jacobian", "names", "raw", "sweep"]
