"""From a formula to one that means the same and rounds well: the accurate forms of the rows.

A row lists pairs (pattern, accurate form). A pattern fits exactly, but for the order of two terms
or factors and for spellings that mean the same: `(- 0 x)`, `(* x x)`, `(+ x -1)`. A name stands for
any formula, `n` for a number, `v` for anything but a number up to 8, `u` for anything but a name,
and `...` repeats what stands before it, for a few terms. Nothing is associated anew, and what a
user wrote is still what is shown. `(* 1 x)` in a form keeps the form from being fitted again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from math import inf
from typing import Any

from .expr import Call, Expr, Num, Op, Sym, formula, postorder, size
from .ops import OPS

ADD, SUB, NEG, MUL, DIV, POW, SQRT = (OPS[n] for n in ("+", "-", "neg", "*", "/", "**", "sqrt"))
ZERO, ONE, TWO, HALF, MORE = Num(0), Num(1), Num(2), Num(0.5), Sym("...")
SMALL = 8
"""A power up to this one is no worse for the rounding of its base than other operations are."""
MOST = 10
"""Terms that `...` may stand for, all in all: each is looked at for each quotient they make."""
KEPT = 256
"""Sets of operations whose rules are kept at hand."""

Kind = Op | type
"""The operation of a node, or the class of a leaf."""
Bound = Mapping[str, Any]
"""What the names of a pattern stand for; "..." for what repeats, "options" of an array row."""


def accurate(*roots: Expr, to_derive: bool = False) -> list[Expr]:
    """The formulas with what the rows' patterns fit in its accurate form, shared parts once.

    With `to_derive` only where it makes the derivative better, too: (d (- 1 (cos x)) x) is good as
    it stands. Shapes stay, and a second time changes nothing.
    """
    return _accurate(roots, to_derive)


def _accurate(roots: tuple[Expr, ...], to_derive: bool, below: float = inf) -> list[Expr]:
    """The same by patterns whose text is shorter than `below`."""
    order = postorder(*roots)
    rules = _rules(_operations(order), to_derive, below)
    if not rules.of_operation:
        return list(roots)
    new: dict[Expr, Expr] = {}
    for node in order:
        if type(node) is not Call:
            continue
        renewed = node
        if new and not new.keys().isdisjoint(node.key[1]):
            renewed = Call(node.op, tuple([new.get(arg, arg) for arg in node.args]), node.options)
        made = rules.applied(renewed)
        if made is not node:
            new[node] = made
    return [new.get(root, root) for root in roots]


def _operations(order: list[Expr]) -> frozenset[Op]:
    """The operations of nodes, and those that they spell otherwise."""
    found: set[Op] = set()
    for node in order:
        if type(node) is Call:
            op = node.key[0]
            found.add(op)
            if op in _SPELLS and _SPELLS[op] not in found:
                found.update([other for other, _ in _spelled(node)])
    return frozenset(found)


# ---- rules ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Rule:
    """A pair of a row, read when it may first fit."""

    op: Op
    pattern: str
    form: str
    to_derive: bool

    @cached_property
    def needs(self) -> frozenset[str]:
        """The names of the operations in the pattern."""
        return frozenset(_NAME.findall(self.pattern))

    @cached_property
    def makes(self) -> frozenset[str]:
        """The names of the operations in the form, and of what its negatives may spell."""
        negative = "(neg " in self.form or " -" in self.form
        return frozenset((*_NAME.findall(self.form), *(("-",) if negative else ())))

    @cached_property
    def args(self) -> tuple[Expr, ...]:
        """The arguments of the pattern, as a pass from below finds them: accurate themselves."""
        whole = formula(self.pattern)
        assert isinstance(whole, Call) and whole.op is self.op, self.pattern
        return tuple(_accurate(whole.args, self.to_derive, len(self.pattern)))

    @cached_property
    def meaning(self) -> Expr:
        """The form as an expression."""
        return formula(self.form)

    def may_fit(self, key: tuple[Kind, ...]) -> bool:
        """May it fit this operation on arguments of these kinds?"""
        op, *kinds = key
        if self.op is not op or len(kinds) != len(self.args):
            return False
        orders = [kinds, kinds[::-1]] if op in _COMMUTATIVE else [kinds]
        return any(all(map(_may_match, self.args, order)) for order in orders)


_NAME = re.compile(r"\(([^\s()]+)")
_COMMUTATIVE = (ADD, MUL)
_SPELLINGS: dict[Op, tuple[Kind, ...]] = {
    NEG: (SUB, MUL, DIV, Num),
    POW: (MUL,),
    SQRT: (POW,),
    SUB: (ADD,),
}
"""What an operation may be written as."""
_SPELLS = {MUL: POW, POW: SQRT, ADD: SUB}
"""What an operation may be, when it is looked at as a whole (see `_spelled`)."""


def _may_be(wanted: Op, kind: Kind) -> bool:
    return wanted is kind or kind in _SPELLINGS.get(wanted, ())


def _may_match(part: Expr, kind: Kind) -> bool:
    if isinstance(part, Call):
        return _may_be(part.op, kind)
    return not isinstance(part, Num) or kind is Num


@cache
def _all_rules(to_derive: bool) -> tuple[Rule, ...]:
    """Every pair of every row, the most particular first; of one pattern, a value's own form."""
    found = [
        Rule(op, pattern, form, to_derive)
        for op in OPS.values()
        for pairs in ((op.accurate,) if to_derive else (op.accurate_value, op.accurate))
        for pattern, form in pairs
    ]
    return tuple(sorted(found, key=lambda rule: ("..." in rule.pattern, -len(rule.pattern))))


@lru_cache(KEPT)
def _rules(operations: frozenset[Op], to_derive: bool, below: float) -> Rules:
    """The rules that may fit in a formula of these operations, or in what they make of it."""
    known = {op.name for op in operations} | {"neg"}
    found: list[Rule] = []
    left = [rule for rule in _all_rules(to_derive) if len(rule.pattern) < below]
    while True:
        fit = [rule for rule in left if rule.needs <= known]
        if not fit:
            break
        found += fit
        left = [rule for rule in left if rule not in fit]
        for rule in fit:
            known |= rule.makes
    chosen = set(found)
    return Rules([rule for rule in _all_rules(to_derive) if rule in chosen])


class Rules:
    """Some rules, found by the operation and the kinds of its arguments."""

    def __init__(self, rules: list[Rule]) -> None:
        self.rules = rules
        self.of_operation = {op for rule in rules for op in (rule.op, *_SPELLINGS.get(rule.op, ()))}
        self.of_kinds: dict[tuple[Kind, ...], list[Rule]] = {}

    def applied(self, node: Call) -> Expr:
        """The node in its accurate form, or itself."""
        if node.key[0] not in self.of_operation:
            return node
        for op, args in _spelled(node):
            key = (op, *[arg.key[0] if type(arg) is Call else type(arg) for arg in args])
            rules = self.of_kinds.get(key)
            if rules is None:
                rules = [rule for rule in self.rules if rule.may_fit(key)]
                self.of_kinds[key] = rules
            for rule in rules:
                bound = _args(op, rule.args, args, {})
                if bound is not None:
                    return self._built(rule.meaning, bound, {})
        return node

    def _built(self, form: Expr, bound: Bound, made: dict[Expr, Expr]) -> Expr:
        """A form on what its names stand for."""
        if not isinstance(form, Call):
            found: Expr = bound.get(form.name, form) if isinstance(form, Sym) else form
            return found
        if form in made:
            return made[form]
        op, args, _ = form.key
        options = bound.get("options", ()) if op.options else ()
        fixed = args[:-2] if args[-1] is MORE else args
        given = tuple([self._built(arg, bound, made) for arg in fixed])
        given += bound["..."] if args[-1] is MORE else ()
        while op.arity[1] == 2 and len(given) > 2:
            given = (self.applied(Call(op, given[:2])), *given[2:])
        lone = args[-1] is MORE and len(given) == 1
        out = made[form] = given[0] if lone else self.applied(Call(op, given, options))
        return out


# ---- matching ------------------------------------------------------------------------------------

_REFUSED: dict[str, Callable[[Expr], bool]] = {
    "n": lambda node: type(node) is not Num,
    "v": lambda node: isinstance(node, Num) and abs(node.value) <= SMALL,
    "u": lambda node: isinstance(node, Sym),
}
"""What some names do not stand for."""


def _match(pattern: Expr, node: Expr, bound: Bound) -> Bound | None:
    """What the names stand for if the pattern fits, or None."""
    if type(pattern) is Sym:
        name = pattern.name
        if name in bound:
            return bound if bound[name] is node else None
        refused = _REFUSED.get(name)
        return None if refused is not None and refused(node) else {**bound, name: node}
    if type(pattern) is Num:
        same = type(node) is Num and type(node.value) is not bool and node.value == pattern.value
        return bound if same else None
    assert type(pattern) is Call
    op, parts, _ = pattern.key
    if type(node) is Call and node.key[0] is op:
        found = _args(op, parts, node.key[1], bound)
        if found is not None and op.options:
            return {**found, "options": node.options}
        return found
    if op in _SPELLINGS:
        for args in _as(op, node):
            if (found := _args(op, parts, args, bound)) is not None:
                return found
    return None


def _args(op: Op, parts: tuple[Expr, ...], args: tuple[Expr, ...], bound: Bound) -> Bound | None:
    """The same for arguments; two terms or factors in either order."""
    if parts[-1] is MORE:
        return _repeated(op, parts[:-1], args, bound)
    if len(parts) != len(args):
        return None
    found = _in_order(parts, args, bound)
    if found is None and op in _COMMUTATIVE:
        found = _in_order(parts, args[::-1], bound)
    return found


def _in_order(parts: tuple[Expr, ...], args: tuple[Expr, ...], bound: Bound) -> Bound | None:
    for i in _order(parts):
        found = _match(parts[i], args[i], bound)
        if found is None:
            return None
        bound = found
    return bound


@cache
def _order(parts: tuple[Expr, ...]) -> tuple[int, ...]:
    """In which order parts are matched: what is short leaves less choice than what is long."""
    return tuple(sorted(range(len(parts)), key=lambda i: size(parts[i])))


def _repeated(
    op: Op, parts: tuple[Expr, ...], args: tuple[Expr, ...], bound: Bound
) -> Bound | None:
    """Each part but the last fits one argument, in any order, and the last all others."""
    left: list[Expr] = []
    stack = list(reversed(args))
    while stack:  # sums of sums are one sum here
        if len(left) + len(stack) > MOST:
            return None
        node = stack.pop()
        if isinstance(node, Call) and node.op is op:
            stack += reversed(node.args)
        else:
            left.append(node)
    *fixed, last = parts
    for part in fixed:
        for node in left:
            if (found := _match(part, node, bound)) is not None:
                left.remove(node)
                bound = found
                break
        else:
            return None
    ((name, _),) = [(s.name, s) for s in postorder(last) if isinstance(s, Sym)]
    items = [_match(last, node, bound) for node in left]
    if not items or None in items:
        return None
    return {**bound, "...": tuple([item[name] for item in items if item is not None])}


def _as(op: Op, node: Expr) -> list[tuple[Expr, ...]]:
    """The arguments of a node as an operation that it spells otherwise."""
    if op is NEG:
        inner = _negated(node)
        return [] if inner is None else [(inner,)]
    return [args for head, args in _spelled(node) if head is op] if type(node) is Call else []


def _spelled(node: Call) -> list[tuple[Op, tuple[Expr, ...]]]:
    """The operation a node is, and those it spells otherwise, each with its arguments."""
    op, args, _ = node.key
    found = [(op, args)]
    if len(args) != 2:
        return found
    x, y = args
    if op is ADD:
        if (inner := _negated(y)) is not None:
            found.append((SUB, (x, inner)))
        if (inner := _negated(x)) is not None:
            found.append((SUB, (y, inner)))
    elif op is MUL and x is y:
        found.append((POW, (x, TWO)))
    elif op is POW and y is HALF:
        found.append((SQRT, (x,)))
    return found


def _negated(node: Expr) -> Expr | None:
    """What a negative is the negative of, however it is written; None for no negative."""
    if type(node) is Num:
        return Num(-node.value) if node.value < 0 else None
    if type(node) is not Call:
        return None
    op, args, _ = node.key
    if op is NEG:
        return args[0]
    if op is SUB:
        return args[1] if args[0] is ZERO else None
    if op is MUL:
        for i, arg in enumerate(args):
            if type(arg) is Num or (type(arg) is Call and arg.key[0] is NEG):
                inner = _negated(arg)
                if inner is not None:
                    rest = (*args[:i], *args[i + 1 :])
                    if inner is not ONE:
                        return Call(MUL, (*args[:i], inner, *args[i + 1 :]))
                    return rest[0] if len(rest) == 1 else Call(MUL, rest)
    if op is DIV and (inner := _negated(args[0])) is not None:
        return Call(DIV, (inner, args[1]))
    return None
