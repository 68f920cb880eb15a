"""A program split by rows, once for every backend that goes through the data in blocks.

What no row changes is computed before a pass over the rows; what rows do change is computed for
each; reductions end the pass; what follows from them comes after it. A reduction of something that
depends on a reduction needs a pass of its own. A node's level is the number of passes that must be
over before it is known.

Sums are kept cheap: numbers are taken out of them, and a product that is only added is fused with
the sum (one rounding instead of two).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, reduce
from typing import NamedTuple

from .expr import Call, Expr, Num, Op, Sym, call, formula, postorder, substitute

REDUCTIONS = {"sum": "+", "amin": "min", "amax": "max"}
"""Reductions over rows, and the operation that joins two results."""

LONG = 1500
"""Nodes from which a program is taken as it is, since compiling it is what takes the time."""
ORDINARY = 2.0**-64, 2.0**64
"""Between these, numbers may be taken out of a sum: it overflows or vanishes no sooner."""
FMA = Op("fma", "x y + z, rounded once", (3, 3), native="llvm.fma")


@dataclass(frozen=True)
class Plan:
    """Passes over the rows, and what is computed between them.

    `outputs` are scalar expressions over the leaves, with reductions inside. `rows` holds the nodes
    that differ by row, `level` every node's level; `reductions[p]` are those that end pass p.
    """

    outputs: list[Expr]
    rows: set[Expr]
    level: dict[Expr, int]
    reductions: list[list[Call]] = field(default_factory=list)

    @cached_property
    def passes(self) -> int:
        """How many passes over the rows; one more for outputs that differ by row."""
        last = max([self.level[o] + 1 for o in self.outputs if o in self.rows], default=0)
        return max(len(self.reductions), last)

    def stage(self, level: int) -> list[Expr]:
        """What is computed between two passes, in order; reductions themselves are given."""
        return [
            node
            for node, at in self.level.items()
            if at == level and node not in self.rows and not is_reduction(node)
        ]


POWERS = {
    -1: "(/ 1 x)",
    0.5: "(sqrt (where (= x -inf) inf (+ x 0.0)))",
    1: "x",
    2: "(* x x)",
    3: "(* x (* x x))",
}
"""Powers that need no logarithm. A power of -inf is inf and of -0.0 is 0.0, which a root is not."""


def is_reduction(node: Expr) -> bool:
    """Is this a reduction over rows?"""
    return type(node) is Call and node.op.name in REDUCTIONS


def plan(outputs: Sequence[Expr], row_names: Iterable[str]) -> Plan:
    """The plan of scalar expressions (see unroll.py), given which names differ by row."""
    names = set(row_names)
    outputs, rows = _pulled(outputs, names)
    order = postorder(*outputs)
    if len(order) <= LONG:
        outputs = _fused(outputs, order, rows)
        order = postorder(*outputs)
    rows = set()
    level: dict[Expr, int] = {}
    reductions: list[list[Call]] = []
    for node in order:
        if type(node) is not Call:
            level[node] = 0
            if type(node) is Sym and node.name in names:
                rows.add(node)
            continue
        op, args, _ = node.key
        at = max([level[arg] for arg in args], default=0)
        if op.name in REDUCTIONS:
            reductions += [[] for _ in range(at + 1 - len(reductions))]
            reductions[at].append(node)
            at += 1
        elif not rows.isdisjoint(args):
            rows.add(node)
        level[node] = at
    return Plan(outputs, rows, level, reductions)


class Term(NamedTuple):
    """What differs by row, as a number times a core."""

    factor: float
    core: Expr


def _pulled(outputs: Sequence[Expr], names: set[str]) -> tuple[list[Expr], set[Expr]]:
    """The outputs with numbers outside the sums; and the nodes that differ by row."""
    rows: set[Expr] = set()
    terms: dict[Expr, Term] = {}
    new: dict[Expr, Expr] = {}
    count = call("rows")
    order = postorder(*outputs)
    short = len(order) <= LONG
    for node in order:
        if type(node) is not Call:
            if type(node) is Sym and node.name in names:
                rows.add(node)
            new[node] = node
            continue
        op, old, options = node.key
        args = tuple([new[arg] for arg in old])
        name = op.name
        if not args and op.identity is not None:
            new[node] = Num(op.identity)
            continue
        if name in ("sum", "mean", "amin", "amax") and not options:
            new[node] = _reduction(name, args[0], rows, terms, count)
            continue
        if name == "*" and len(args) > 2:
            args = _steady_first(args, rows)
        plain = node if args == old else Call(op, args, options)
        power = without_logarithm(plain)
        made = plain if power is None else power
        new[node] = made
        if not rows.isdisjoint(args):
            rows.add(made)
            if short and name in ("*", "/", "neg") and (term := _term(name, args, rows, terms)):
                terms[made] = term
    return [new[output] for output in outputs], rows


def _term(
    name: str, args: tuple[Expr, ...], rows: set[Expr], terms: Mapping[Expr, Term]
) -> Term | None:
    """A product, quotient or negative as a term, if there is a number in it to take out.

    Only numbers of ordinary size, so that no sum overflows or vanishes that did not before.
    """
    if name == "neg":
        factor, core = terms.get(args[0], Term(1.0, args[0]))
        return Term(-factor, core)
    if name == "/":
        over = terms.get(args[0])
        if over is None or args[1] not in rows:
            return None
        return Term(over.factor, call("/", over.core, args[1]))
    product, cores = 1.0, []
    for arg in args:
        value = float(arg.value) if type(arg) is Num else 0.0
        if ORDINARY[0] < abs(value) < ORDINARY[1]:
            product *= value
        else:
            factor, core = terms.get(arg, Term(1.0, arg))
            product *= factor
            cores.append(core)
    if product == 1 or not ORDINARY[0] < abs(product) < ORDINARY[1]:
        return None
    return Term(product, reduce(lambda a, b: call("*", a, b), cores))


def without_logarithm(node: Call) -> Expr | None:
    """A power by one of the numbers in POWERS, written out."""
    if node.op.name != "**" or type(node.args[1]) is not Num or node.args[1].value not in POWERS:
        return None
    return substitute([_power(node.args[1].value)], {Sym("x"): node.args[0]})[0]


@cache
def _power(exponent: float) -> Expr:
    return formula(POWERS[exponent])


def _steady_first(args: tuple[Expr, ...], rows: set[Expr]) -> tuple[Expr, ...]:
    """The factors of a product, the first of which no row changes as one."""
    steady = next((i for i, arg in enumerate(args) if arg in rows), len(args))
    if steady < 2 or steady == len(args):
        return args
    return (call("*", *args[:steady]), *args[steady:])


def _reduction(
    name: str, arg: Expr, rows: set[Expr], terms: Mapping[Expr, Term], count: Expr
) -> Expr:
    """A reduction of an expression, as one of what rows change in it."""
    if arg not in rows:
        return call("*", arg, count) if name == "sum" else arg
    if name in ("amin", "amax"):
        return call("where", call("=", count, Num(0)), Num(float("nan")), call(name, arg))
    factor, core = terms.get(arg, Term(1.0, arg))
    out = call("sum", core)
    if factor != 1:
        out = call("*", Num(factor), out)
    return call("/", out, count) if name == "mean" else out


def _fused(outputs: list[Expr], order: Sequence[Expr], rows: set[Expr]) -> list[Expr]:
    """Products that are only added, fused with the sum; where rows change them."""
    uses: Counter[Expr] = Counter(outputs)
    for node in order:
        if isinstance(node, Call):
            uses.update(node.args)
    for node in order:  # pulling factors made nodes that are not known to differ by row yet
        if isinstance(node, Call) and not is_reduction(node) and not rows.isdisjoint(node.args):
            rows.add(node)
    new: dict[Expr, Expr] = {}
    for node in order:
        if not isinstance(node, Call):
            new[node] = node
            continue
        args = tuple([new[arg] for arg in node.args])
        if node in rows and node.op.name in ("+", "-"):
            new[node] = _sum(node, args, rows, uses)
        else:
            new[node] = node if args == node.args else Call(node.op, args, node.options)
    return [new[output] for output in outputs]


def _sum(node: Call, args: tuple[Expr, ...], rows: set[Expr], uses: Mapping[Expr, int]) -> Expr:
    """A sum or difference, term by term; `args` are the new terms, those of `node` the old.

    A product is fused if one of its factors is the same for all rows, and not with another, or
    if it meets what is the same for all rows, and no number: rounded differently, x² - y² would not
    be 0 where x = y, nor 1 - x (1/x) where that is 1.
    """
    if len(args) == 2 and all([product(_unsigned(arg)) for arg in args]):
        return call(node.op.name, *args)
    sign = node.op.name == "-"
    alone = len(args) == 2 and any(arg not in rows and type(arg) is not Num for arg in node.args)
    parts = [
        product(new)
        if uses[old] == 1 and old in rows and (alone or _half_steady(old, rows))
        else None
        for old, new in zip(node.args, args, strict=True)
    ]
    first = 0
    if sign and parts[1] is None and parts[0] is not None:
        a, b = parts[0]
        return Call(FMA, (a, b, call("neg", args[1])))
    if not sign and parts[0] is not None and len(parts) > 1 and parts[1] is None:
        first = 1  # the product comes second, so that it is fused
    order = [first, *(i for i in range(len(args)) if i != first)]
    out = args[order[0]]
    for i in order[1:]:
        part = parts[i]
        if part is None:
            out = call(node.op.name, out, args[i])
        else:
            a, b = part
            out = Call(FMA, (call("neg", a) if sign else a, b, out))
    return out


def _half_steady(node: Expr, rows: set[Expr]) -> bool:
    return type(node) is Call and sum(arg in rows for arg in node.args) == 1


def _unsigned(node: Expr) -> Expr:
    return node.args[0] if type(node) is Call and node.op.name == "neg" else node


def product(node: Expr) -> tuple[Expr, Expr] | None:
    """The two factors of a product."""
    if type(node) is Call and node.op.name == "*" and len(node.args) > 1:
        *head, last = node.args
        return (head[0] if len(head) == 1 else call("*", *head)), last
    return None
