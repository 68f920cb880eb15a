"""Formulas under construction: turns expressions into integer ids, and tidying calls into new ones.

`Expr` objects stand at the borders of a pass; inside, a node is an index into flat lists, made once
(hash-consed), arguments before what is made of them. The constructors `sum mul div neg pow call`
tidy as they build: a product is a rational coefficient and powers of bases, a sum collects like
terms. What was loaded is never rewritten, so what is built shares its parts; only products of a few
names and numbers are looked into (all, with `look_inside`, for a text to be read), and at most
`LOOK` factors or terms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

from . import shapes as sh
from .evaluate import apply
from .expr import (
    EXACT,
    OPS,
    Call,
    Const,
    Expr,
    Num,
    Op,
    Options,
    Steps,
    Sym,
    intern_calls,
    options_of,
)
from .limits import growing

ADD, SUB, NEG, MUL, DIV, POW = (OPS[name] for name in ("+", "-", "neg", "*", "/", "**"))
WHERE, AND, OR, NOT = (OPS[name] for name in ("where", "and", "or", "not"))
SUM, MEAN, FILL, ROWS = (OPS[name] for name in ("sum", "mean", "fill", "rows"))

LOOK = 8
"""How many factors or terms are looked into; without a bound, flattening is quadratic."""

Coefficient = int | Fraction
Factors = tuple[tuple[int, Any], ...]  # (base, exponent), in printing order
View = tuple[Coefficient, Factors]


def exact(value: Any) -> Coefficient | None:
    """A number as an exact rational, or None where decimals were rounded (0.1) or there is none."""
    if type(value) is int:
        return value
    if type(value) is not float or not abs(value) <= EXACT:
        return None
    if value.is_integer():
        return int(value)
    ratio = Fraction(value)
    return ratio if ratio.denominator <= 1024 else None


class Graph:
    """Nodes by id. `ops[i]` is None for a leaf; `exprs[i]` is the Expr of what was loaded."""

    def __init__(self, env: sh.ShapeEnv | None = None, *, look_inside: bool = False) -> None:
        self.env = env or {}
        self.look_inside = look_inside
        self.ops: list[Op | None] = []
        self.args: list[tuple[int, ...]] = []
        self.exprs: list[Expr | None] = []
        self.options: dict[int, Options] = {}
        self.numbers: dict[int, Any] = {}
        self.views: dict[int, View] = {}
        self.held: set[int] = set()
        self.shapes: list[sh.Shape] | None = None
        self.memo: dict[Any, int] = {}
        self.loaded = self.due = 0
        self.zero, self.one = self.number(0), self.number(1)

    # ---- in and out ------------------------------------------------------------------------------

    def load(self, *roots: Expr) -> list[int]:
        """Ids of expressions, as they stand. Shapes are kept only where something has one."""
        memo, ops, args_of, exprs = self.memo, self.ops, self.args, self.exprs
        stack = list(reversed(roots))
        shaped = self.shapes is not None
        products = []
        while stack:
            node = stack[-1]
            if node in memo:
                stack.pop()
                continue
            if type(node) is Call:
                try:
                    args = tuple([memo[arg] for arg in node.args])
                except KeyError:
                    stack += [arg for arg in reversed(node.args) if arg not in memo]
                    continue
                stack.pop()
                i = memo[node] = memo.setdefault((node.op, args, node.options), len(ops))
                if i < len(ops):
                    continue
                ops.append(node.op)
                args_of.append(args)
                exprs.append(node)
                if node.options:
                    self.options[i] = node.options
                if node.op in _PRODUCTS:
                    products.append(i)
                shaped = shaped or node.op.shape is not None
            else:
                stack.pop()
                self.leaf(node)
                shaped = (
                    shaped
                    or isinstance(node, Const)
                    or bool(isinstance(node, Sym) and self.env.get(node.name))
                )
        if shaped and self.shapes is None:
            self.shapes = []
        if self.shapes is not None:
            for i in range(len(self.shapes), len(ops)):
                self.shapes.append(self._own_shape(i))
        self.loaded = len(ops)
        for i in products:
            self._view_loaded(i)
        return [memo[root] for root in roots]

    def tidied(self, *roots: Expr) -> list[int]:
        """Ids of expressions rebuilt from their leaves by the tidying constructors."""
        from .expr import postorder

        order = postorder(*roots)
        self.load(*(node for node in order if not isinstance(node, Call)))
        if self.shapes is not None or any(isinstance(n, Call) and n.op.shape for n in order):
            self.load(*roots)  # for its shapes, which what is rebuilt may lose: v - v is 0
        place: dict[Expr, int] = {}
        for node in order:
            if isinstance(node, Call):
                args = tuple([place[arg] for arg in node.args])
                if node.op.shape is not None:
                    args = tuple([self.full(place[arg], self.memo[arg]) for arg in node.args])
                place[node] = self.tidy(node.op, args, node.options)
            else:
                place[node] = self.leaf(node)
        if self.shapes is None:
            return [place[root] for root in roots]
        return [self.full(place[root], self.memo[root]) for root in roots]

    def leaf(self, node: Expr) -> int:
        """The id of a number, array or name."""
        i = self.memo.get(node)
        if i is None:
            i = self.memo[node] = len(self.ops)
            self.ops.append(None)
            self.args.append(())
            self.exprs.append(node)
            if isinstance(node, Num):
                self.numbers[i] = node.value
                coefficient = exact(node.value)
                if coefficient is not None:
                    self.views[i] = (coefficient, ())
            if self.shapes is not None and len(self.shapes) == i:
                self.shapes.append(self._own_shape(i))
        return i

    def number(self, value: Any) -> int:
        return self.leaf(Num(value))

    def coefficient(self, value: Coefficient) -> int:
        """A rational as a number: an integer while exact, else the nearest binary64."""
        if isinstance(value, Fraction) and value.denominator == 1:
            value = value.numerator
        if isinstance(value, Fraction) and exact(_plain(value)) is None:
            i = self.memo.get(value)  # remembers that it is a third, not 0.3333333333333333
            if i is None:
                node = Num(_plain(value))
                i = self.memo[value] = len(self.ops)
                self.ops.append(None)
                self.args.append(())
                self.exprs.append(node)
                self.numbers[i] = node.value
                self.views[i] = (value, ())
                if self.shapes is not None:
                    self.shapes.append(())
            return i
        return self.number(_plain(value))

    def expr(self, *roots: int) -> list[Expr]:
        """Ids as expressions; only what the roots need is made."""
        exprs: list[Any] = self.exprs
        needed = bytearray(max(roots, default=-1) + 1)
        for root in roots:
            needed[root] = 1
        for i in range(len(needed) - 1, -1, -1):
            if needed[i] and exprs[i] is None:
                for arg in self.args[i]:
                    needed[arg] = 1
        new = [i for i, need in enumerate(needed) if need and exprs[i] is None]
        intern_calls(new, self.ops, self.args, exprs, self.options)
        return [exprs[root] for root in roots]

    # ---- facts -----------------------------------------------------------------------------------

    def shape(self, i: int) -> sh.Shape:
        return () if self.shapes is None else self.shapes[i]

    def option(self, i: int, name: str, default: Any = None) -> Any:
        return sh.option(self.options.get(i, ()), name, default)

    def _own_shape(self, i: int) -> sh.Shape:
        op, node = self.ops[i], self.exprs[i]
        if op is None:
            return sh.shape_of(node, self.env) if node is not None else ()
        shapes = [self.shapes[arg] for arg in self.args[i]]  # type: ignore[index]  # known
        if node is not None:
            return sh.call_shape(node, shapes)  # type: ignore[arg-type]  # words for the user
        if op.shape is None:
            return sh.broadcast(*shapes) if any(shapes) else ()
        return op.shape(shapes, **dict(self.options.get(i, ())))

    def _view_loaded(self, i: int) -> None:
        """Products of a few names and numbers, as the user wrote them, are looked into."""
        args = self.args[i]
        plain = self.look_inside or all(self.ops[a] is None or a in self.views for a in args)
        if len(args) <= LOOK and plain:
            self.views[i] = self.view(self.tidy(self.ops[i], args))  # type: ignore[arg-type]

    def view(self, i: int) -> View:
        """A node as coefficient and factors."""
        return self.views.get(i) or (1, ((i, 1),))

    def hold(self, i: int) -> None:
        """Say that a node will be used more than once: it is built on, not looked into."""
        if self.look_inside:
            return
        view = self.views.get(i)
        if view is None:
            self.held.add(i)
        elif len(view[1]) > 1:
            coefficient, factors = view
            outer: Factors = ()
            if self.shapes is not None and self.shapes[i]:  # numbers stay free to leave a sum
                outer = tuple(f for f in factors if self.shape(f[0]) == ())
                factors = tuple(f for f in factors if self.shape(f[0]) != ())
            rest = i if coefficient == 1 and not outer else self.product(1, factors)
            self.views.pop(rest, None)
            self.held.add(rest)
            if rest != i:
                self.views[i] = (coefficient, (*outer, (rest, 1)))

    # ---- construction ----------------------------------------------------------------------------

    def node(self, op: Op, args: tuple[int, ...], options: Options = ()) -> int:
        """The node of an operation, untidied."""
        key = (op, args, options)
        i = self.memo.get(key)
        if i is None:
            i = self.memo[key] = len(self.ops)
            if i >= self.due:
                self.due = growing(i)
            self.ops.append(op)
            self.args.append(args)
            self.exprs.append(None)
            if options:
                self.options[i] = options
            if self.shapes is not None:
                self.shapes.append(self._own_shape(i))
        return i

    def call(self, name: str, *args: int, **options: Any) -> int:
        """An operation by name, tidied."""
        return self.tidy(OPS[name], args, options_of(options))

    def tidy(self, op: Op, args: tuple[int, ...], options: Options = ()) -> int:
        """An operation, tidied: constants computed, its row's rules applied."""
        special = _TIDY.get(op)
        if special is not None:
            made: int = special(self, *args, **dict(options))
            return made
        numbers = self.numbers
        if args and op.shape is None and all([arg in numbers for arg in args]):
            return self.leaf(Num(apply(op, [numbers[arg] for arg in args])))
        return self._by_rules(op, args, options)

    def run(self, program: Steps, registers: list[int]) -> int:
        """A formula of a row, instantiated on ids."""
        result, made = program
        for op, operands in made:
            if op is None:
                registers.append(self.leaf(operands))
            else:
                registers.append(self.tidy(op, tuple([registers[r] for r in operands])))
        return registers[result]

    def _matches(
        self, pattern: Expr, op: Op | None, args: tuple[int, ...], bound: dict[str, int]
    ) -> bool:
        """Does the row's pattern fit this operation? Names it binds go to `bound`."""
        if not isinstance(pattern, Call) or pattern.op is not op or len(pattern.args) != len(args):
            return False
        for part, arg in zip(pattern.args, args, strict=True):
            match part:
                case Sym(name):
                    if bound.setdefault(name, arg) != arg:
                        return False
                case Num(value):
                    if self.numbers.get(arg) != value:
                        return False
                case _:
                    if not self._matches(part, self.ops[arg], self.args[arg], bound):
                        return False
        return True

    # ---- products --------------------------------------------------------------------------------

    def mul(self, a: int, b: int) -> int:
        if a == self.one:
            return b
        if b == self.one:
            return a
        views = self.views
        if a != b and a not in views and b not in views:
            if a in self.numbers and b in self.numbers:
                return self.number(apply(MUL, [self.numbers[a], self.numbers[b]]))
            if not self._before(a, b):
                a, b = b, a
            i = self.node(MUL, (a, b))
            views[i] = (1, ((a, 1), (b, 1)))
            return i
        return self._merge(self.view(a), self.view(b), 1)

    def div(self, a: int, b: int) -> int:
        if b == self.one:
            return a
        if self.views.get(b, (1,))[0] == 0:
            return self.node(DIV, (a, b))
        if a in self.numbers and b in self.numbers and not (a in self.views and b in self.views):
            return self.number(apply(DIV, [self.numbers[a], self.numbers[b]]))
        return self._merge(self.view(a), self.view(b), -1)

    def neg(self, a: int) -> int:
        if a in self.numbers and a not in self.views:
            return self.number(apply(NEG, [self.numbers[a]]))
        coefficient, factors = self.view(a)
        return self.product(-coefficient, factors)

    def mul_all(self, *args: int) -> int:
        numbers = [a for a in args if a in self.numbers]
        if len(numbers) > 1 and not all(a in self.views for a in numbers):
            folded = self.number(apply(MUL, [self.numbers[a] for a in numbers]))
            args = (folded, *(a for a in args if a not in self.numbers))
        out = self.one
        if len(args) <= LOOK:
            for arg in args:
                out = self.mul(out, arg)
            return out
        return self.node(MUL, args)

    def pow(self, base: int, exponent: int) -> int:
        value = self.numbers.get(exponent)
        power = exact(value)
        if power is None:
            if value is not None and base in self.numbers:
                return self.number(apply(POW, [self.numbers[base], value]))
            return self._by_rules(POW, (base, exponent))
        if power == 0:
            return self.one
        if power == 1:
            return base
        if base in self.numbers:
            return self.number(apply(POW, [self.numbers[base], value]))
        coefficient, factors = self.view(base)
        if coefficient == 1 and len(factors) == 1 and isinstance(power, int):
            ((inner, before),) = factors
            if isinstance(before, int) and before > 1 and abs(before * power) <= EXACT:
                return self.product(1, ((inner, before * power),))
        args = base, self.coefficient(power)
        i = self._by_rules(POW, args)
        if self.ops[i] is POW and self.args[i] == args:
            self.views.setdefault(i, (1, ((base, power),)))
        return i

    def _by_rules(self, op: Op, args: tuple[int, ...], options: Options = ()) -> int:
        for pattern, simpler in op.rewrite_steps:
            bound: dict[str, int] = {}
            if self._matches(pattern, op, args, bound):
                return self.run(simpler, [bound.get(name, self.zero) for name in "xyz"])
        return self.node(op, args, options)

    def _merge(self, left: View, right: View, sign: int) -> int:
        """left · right^sign, exponents of equal bases added."""
        if len(left[1]) + len(right[1]) > LOOK:
            left, right = self._closed(left), self._closed(right)
        powers: dict[int, Any] = dict(left[1])
        for base, exponent in right[1]:
            if powers.get(base, 1) < 0 > sign * exponent and self.ops[base] is not None:
                # y · y may overflow where x/y/y does not; names are let off, for the reader
                return self._merge(self._closed(left), right, sign)
            powers[base] = powers.get(base, 0) + sign * exponent
            if abs(powers[base]) > EXACT:
                return self._merge(self._closed(left), self._closed(right), sign)
        coefficient = left[0] * right[0] if sign > 0 else Fraction(left[0]) / right[0]
        factors = [item for item in powers.items() if item[1] != 0]
        if len(factors) > 1:
            factors.sort(key=self._rank)
        return self.product(coefficient, tuple(factors))

    def _closed(self, view: View) -> View:
        """The same with its factors as one."""
        return view[0], ((self.product(1, view[1]), 1),) if view[1] else ()

    def product(self, coefficient: Coefficient, factors: Factors) -> int:
        """The node of a coefficient and sorted factors: number, names, powers, rest."""
        if coefficient == 0:
            return self.zero
        if isinstance(coefficient, Fraction) and coefficient.denominator == 1:
            coefficient = coefficient.numerator
        if not factors:
            return self.coefficient(coefficient)
        if coefficient == 1 and len(factors) == 1 and factors[0][1] == 1:
            return factors[0][0]
        key = (coefficient, factors)
        i = self.memo.get(key)
        if i is not None:
            return i
        upper, lower = self._halves(coefficient, factors)
        negative = coefficient == -1 and bool(upper)
        if not negative and (upper == [] or self._lead(coefficient) != 1):
            upper.insert(0, self.coefficient(self._lead(coefficient)))
        i = upper[0] if len(upper) == 1 else self.node(MUL, tuple(upper))
        if lower:
            i = self.node(DIV, (i, lower[0] if len(lower) == 1 else self.node(MUL, tuple(lower))))
        if negative:
            i = self.node(NEG, (i,))
        if i not in self.held:
            self.views[i] = (coefficient, factors)
        self.memo[key] = i
        return i

    @staticmethod
    def _lead(coefficient: Coefficient) -> Coefficient:
        """The number that leads a product: halves and quarters stay, thirds go below."""
        if isinstance(coefficient, int) or coefficient.denominator & (coefficient.denominator - 1):
            return coefficient.numerator
        return coefficient

    def _halves(self, coefficient: Coefficient, factors: Factors) -> tuple[list[int], list[int]]:
        upper: list[int] = []
        lower: list[int] = []
        for base, exponent in factors:
            side, power = (upper, exponent) if exponent > 0 else (lower, -exponent)
            if power == 1:
                side.append(base)
            elif base in self.numbers:
                side.append(self.number(apply(POW, [self.numbers[base], _plain(power)])))
            else:
                i = self.node(POW, (base, self.coefficient(power)))
                self.views.setdefault(i, (1, ((base, power),)))
                side.append(i)
        if isinstance(coefficient, Fraction) and self._lead(coefficient) is not coefficient:
            lower.insert(0, self.coefficient(coefficient.denominator))
        return upper, lower

    def _rank(self, factor: tuple[int, Any]) -> tuple[int, str, int]:
        base, exponent = factor
        if base in self.numbers:
            return 0, "", base
        node = self.exprs[base]
        if isinstance(node, Sym):
            return (1 if exponent == 1 else 2), node.name, base
        return (3 if exponent == 1 else 2), "\U0010ffff", base

    def _before(self, a: int, b: int) -> bool:
        if self.ops[a] is None or self.ops[b] is None:
            return self._rank((a, 1)) < self._rank((b, 1))
        return a < b

    # ---- sums ------------------------------------------------------------------------------------

    def sub(self, a: int, b: int) -> int:
        return self.sum((a, self.neg(b)))

    def sum(self, parts: Sequence[int]) -> int:
        """A sum with like terms collected, in order of appearance, its constant last."""
        if len(parts) == 1:
            return parts[0]
        views, numbers = self.views, self.numbers
        if len(parts) == 2:
            a, b = parts
            if a != b and a not in views and b not in views:
                flat = self._is_open_sum(a) or self._is_open_sum(b)
                if not flat and a not in numbers and b not in numbers:
                    return self.node(ADD, (a, b))
        terms: dict[Factors, Coefficient] = {}
        rounded: list[int] = []
        constant: Coefficient = 0
        for part in self._open(parts):
            if part in numbers and part not in views:
                rounded.append(part)
                continue
            coefficient, factors = views.get(part) or (1, ((part, 1),))
            if factors:
                terms[factors] = terms.get(factors, 0) + coefficient
            else:
                constant += coefficient
        items = [(c, f) for f, c in terms.items() if c != 0]
        if rounded:
            value = apply(ADD, [*(numbers[i] for i in rounded), _plain(constant)])
            last: int | None = self.number(value)
        else:
            last = self.coefficient(constant) if constant != 0 else None
        if last is None and len(items) > 1:
            taken = self._common(items)
            if taken is not None:
                return taken
        return self._sum_of(items, last)

    def _is_open_sum(self, i: int) -> bool:
        return (
            (self.ops[i] is ADD or self.ops[i] is SUB)
            and (i >= self.loaded or self.look_inside)
            and i not in self.held
            and len(self.args[i]) <= LOOK
        )

    def _open(self, parts: Iterable[int]) -> Iterable[int]:
        """The terms of the parts: sums built here and used once are looked into."""
        for part in parts:
            if not self._is_open_sum(part):
                yield part
            elif self.ops[part] is ADD:
                yield from self.args[part]
            else:
                first, second = self.args[part]
                yield first
                yield self.neg(second)

    def _common(self, items: list[tuple[Coefficient, Factors]]) -> int | None:
        """A sum with what all its terms share taken out, or None if they share nothing."""
        if len(items) > LOOK:
            return None
        shared = set(items[0][1])
        for _, factors in items[1:]:
            shared &= set(factors)
        size = abs(Fraction(items[0][0]))
        if any([abs(c) != size for c, _ in items]):
            size = Fraction(1)
        if all(c < 0 for c, _ in items):
            size = -size
        if not shared and size in (1, -1):
            return None
        rest = [
            self.product(c / size, tuple(f for f in factors if f not in shared))
            for c, factors in items
        ]
        outer = self.product(size, tuple(f for f in items[0][1] if f in shared))
        return self.mul(outer, self.sum(rest))

    def _sum_of(self, items: list[tuple[Coefficient, Factors]], last: int | None) -> int:
        if last is None and len(items) == 2 and items[0][0] < 0 < items[1][0]:
            items.reverse()
        parts = [self.product(c, f) for c, f in items]
        if last is not None:
            if len(parts) == 1 and items[0][0] < 0:
                return self.node(SUB, (last, self.product(-items[0][0], items[0][1])))
            value = self.numbers[last]
            if len(parts) == 1 and value < 0:
                return self.node(SUB, (parts[0], self.number(-value)))
            parts.append(last)
        elif len(parts) == 2 and items[1][0] < 0:
            return self.node(SUB, (parts[0], self.product(-items[1][0], items[1][1])))
        if not parts:
            return self.zero
        return parts[0] if len(parts) == 1 else self.node(ADD, tuple(parts))

    # ---- choice ----------------------------------------------------------------------------------

    def where(self, condition: int, yes: int, no: int) -> int:
        known = self.numbers.get(condition)
        if known is not None:
            return yes if known else no
        if self.ops[yes] is WHERE and self.args[yes][0] == condition:
            yes = self.args[yes][1]
        if self.ops[no] is WHERE and self.args[no][0] == condition:
            no = self.args[no][2]
        return self._by_rules(WHERE, (condition, yes, no))

    def all_of(self, *conditions: int) -> int:
        return self._connective(AND, conditions, neutral=True)

    def any_of(self, *conditions: int) -> int:
        return self._connective(OR, conditions, neutral=False)

    def _connective(self, op: Op, conditions: tuple[int, ...], neutral: bool) -> int:
        kept: list[int] = []
        for condition in dict.fromkeys(conditions):
            known = self.numbers.get(condition)
            if known is None:
                kept.append(condition)
            elif known is not neutral:
                return self.number(not neutral)
        if any(self.ops[c] is NOT and self.args[c][0] in kept for c in kept):
            return self.number(not neutral)
        if not kept:
            return self.number(neutral)
        return kept[0] if len(kept) == 1 else self.node(op, tuple(kept))

    # ---- arrays ----------------------------------------------------------------------------------

    def count(self, shape: sh.Shape, axis: int | None = None) -> int:
        """How many elements a reduction of this shape takes together."""
        lengths = shape if axis is None or not shape else (shape[axis],)
        fixed = 1
        out = self.one
        for length in lengths:
            if isinstance(length, int):
                fixed *= length
            else:
                out = self.mul(out, self.node(ROWS, ()))
        return self.mul(self.number(fixed), out)

    def full(self, i: int, like: int) -> int:
        """A lazy value in the whole shape of `like`."""
        if self.shape(i) == self.shape(like):
            return i
        leaves = (k for k in range(self.loaded) if self.ops[k] is None)
        same = next((k for k in leaves if self.shape(k) == self.shape(like)), like)
        return self.call("fill", i, same)

    def sum_to(self, i: int, whole: sh.Shape, target: sh.Shape) -> int:
        """A lazy value of shape `whole`, summed over the axes that `target` lacks.

        An axis the value does not show counts as many times as it is long.
        """
        if whole == target:
            return i
        shape = self.shape(i)
        missing = len(whole) - len(target)
        absent: list[sh.Dim] = []
        shown: list[int] = []  # axes of i to sum, from the back
        for at, length in enumerate(whole):
            if at < missing or (target[at - missing] == 1 and length != 1):
                back = at - len(whole)
                if -back <= len(shape) and shape[back] != 1:
                    shown.append(back)
                elif length != 1:
                    absent.append(length)
        i = self.mul(i, self.count(tuple(absent)))
        if len(shown) == len(shape) and len(target) == 0:
            return self.call("sum", i)
        for back in shown:
            if -back <= len(target):
                i = self.call("sum", i, axis=back, keep=True)
        while len(self.shape(i)) > len(target):
            i = self.call("sum", i, axis=0)
        return i

    def total(self, i: int, *, axis: int | None = None, keep: bool = False) -> int:
        return self._reduced(SUM, i, axis, keep)

    def average(self, i: int, *, axis: int | None = None, keep: bool = False) -> int:
        return self._reduced(MEAN, i, axis, keep)

    def _reduced(self, op: Op, i: int, axis: int | None, keep: bool) -> int:
        """A sum or mean, with what does not vary taken out; a sum over (rows) is a mean."""
        shape = self.shape(i)
        if not shape:
            return i
        if self.ops[i] is FILL and axis is None and not keep and not self.shape(self.args[i][0]):
            (one, _) = self.args[i]
            return one if op is MEAN else self.mul(one, self.count(shape))
        coefficient, factors = self.view(i)
        outer = [f for f in factors if self.shape(f[0]) == ()]
        inner = tuple(f for f in factors if self.shape(f[0]) != ())
        core = self.product(1, inner)
        if self.shape(core) != shape:  # what had the shape cancelled
            return self.node(op, (i,), options_of({"axis": axis, "keep": keep}))
        if op is SUM and (rows := (self.node(ROWS, ()), -1)) in outer:
            lengths = shape if axis is None else (shape[axis],)
            if sh.ROWS in lengths:
                op = MEAN
                outer.remove(rows)
                for length in lengths:
                    coefficient *= length if isinstance(length, int) else 1
        core = self.node(op, (core,), options_of({"axis": axis, "keep": keep}))
        return self.mul(self.product(coefficient, tuple(outer)), core)


def _plain(value: Coefficient) -> int | float:
    try:
        return value if isinstance(value, int) else value.numerator / value.denominator
    except OverflowError:
        return math.inf if value > 0 else -math.inf


_PRODUCTS = {MUL, DIV, NEG, POW}
_TIDY: dict[Op, Callable[..., int]] = {
    ADD: lambda g, *args: g.sum(args) if args else g.zero,
    SUB: Graph.sub,
    NEG: Graph.neg,
    MUL: Graph.mul_all,
    DIV: Graph.div,
    POW: Graph.pow,
    WHERE: Graph.where,
    AND: Graph.all_of,
    OR: Graph.any_of,
    SUM: Graph.total,
    MEAN: Graph.average,
}
