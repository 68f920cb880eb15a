"""What kernels are made of: IEEE-754 operations that every processor has, as rows and as functions.

A kernel is a Python function from formulas to a formula; it is traced once. Numbers are binary64,
`bits` are 64-bit integers. Each primitive rounds once or not at all, so a kernel gives the same
bits on every processor. Beside these a kernel uses `+ - * /` and comparisons of formulas; a
product and a sum are never fused unless it says `fma`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..expr import Call, Expr, Op, as_expr
from ..ops import OPS

Bits = Expr
"""A formula whose value is a 64-bit integer."""


def _row(name: str, native: str, arity: int, result: str = "number") -> Op:
    return Op(name, "", (arity, arity), native=native, result=result)


PRIMITIVES = {
    row.name: row
    for row in (
        _row("fma", "llvm.fma", 3),
        _row("rint", "llvm.rint", 1),
        _row("copysign", "llvm.copysign", 2),
        _row("bits", "bitcast", 1, "bits"),
        _row("number", "bitcast", 1),
        _row("word", "constant", 0, "bits"),
        _row("iadd", "add", 2, "bits"),
        _row("isub", "sub", 2, "bits"),
        _row("imul", "mul", 2, "bits"),
        _row("iand", "and", 2, "bits"),
        _row("ior", "or", 2, "bits"),
        _row("ixor", "xor", 2, "bits"),
        _row("shl", "shl", 2, "bits"),
        _row("lshr", "lshr", 2, "bits"),
        _row("ashr", "ashr", 2, "bits"),
        _row("ieq", "icmp eq", 2, "boolean"),
        _row("ilt", "icmp slt", 2, "boolean"),
        _row("xor", "xor", 2, "boolean"),
        _row("lookup", "lookup", 1),
        Op("rarely", "", (3, None), native="rarely"),
    )
}


def _function(name: str) -> Callable[..., Expr]:
    row = PRIMITIVES.get(name) or OPS[name]

    def primitive(*args: Any) -> Expr:
        return Call(row, tuple(map(as_expr, args)))

    primitive.__name__ = name
    return primitive


fma = _function("fma")
"""x y + z, rounded once."""
rint = _function("rint")
"""The nearest integer, ties to even."""
floor, ceil, sqrt, absolute, negative = map(_function, ("floor", "ceil", "sqrt", "abs", "neg"))
copysign = _function("copysign")
"""The first with the sign of the second."""
where, both, either = map(_function, ("where", "and", "or"))
equal, unequal = map(_function, ("=", "!="))
"""`unequal(x, x)` is true for a nan alone."""
bits, number = map(_function, ("bits", "number"))
"""The 64 bits of a number as an integer, and back."""
iadd, isub, imul, iand, ior, ixor = map(_function, ("iadd", "isub", "imul", "iand", "ior", "ixor"))
shl, lshr, ashr = map(_function, ("shl", "lshr", "ashr"))
ieq, ilt = map(_function, ("ieq", "ilt"))
exclusive = _function("xor")


def word(value: int) -> Bits:
    """A constant of 64 bits."""
    return Call(PRIMITIVES["word"], (), (("value", value & (2**64 - 1)),))


def lookup(table: str, index: Bits) -> Expr:
    """The number at an index of a table of `TABLES`; the index must be inside."""
    return Call(PRIMITIVES["lookup"], (index,), (("table", table),))


def rarely(condition: Expr, kernel: str, *args: Any, usually: Expr) -> Expr:
    """`usually`, but where the condition holds the kernel of that name, applied to the args.

    The kernel is a function of its own, called only if the condition holds for some lane.
    """
    given = tuple(map(as_expr, (condition, usually, *args)))
    return Call(PRIMITIVES["rarely"], given, (("kernel", kernel),))


def horner(x: Expr, coefficients: Sequence[float | Expr]) -> Expr:
    """A polynomial with the coefficients from degree 0 on, one fma a degree."""
    *lower, out = map(as_expr, coefficients)
    for coefficient in reversed(lower):
        out = fma(out, x, coefficient)
    return out


def estrin(x: Expr, coefficients: Sequence[float]) -> Expr:
    """The same with a tree instead of a chain: about twice as fast where latency counts."""
    terms = [as_expr(c) for c in coefficients]
    while len(terms) > 1:
        pairs = [fma(b, x, a) for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + terms[len(pairs) * 2 :]
        x = x * x
    return terms[0]


def two_chains(x: Expr, coefficients: Sequence[float | Expr]) -> Expr:
    """The same as even and odd part: chains of half the length, for one more product, x x."""
    square = x * x
    return fma(x, horner(square, coefficients[1::2]), horner(square, coefficients[::2]))


class Sum(NamedTuple):
    """A number as the sum of a large and a small one."""

    high: Expr
    low: Expr


def two_sum(x: Expr, y: Expr) -> Sum:
    """x + y as a rounded sum and its error (Knuth)."""
    s = x + y
    t = s - x
    return Sum(s, (x - (s - t)) + (y - t))


def fast_two_sum(x: Expr, y: Expr) -> Sum:
    """The same where |x| ≥ |y| or x is 0 (Dekker)."""
    s = x + y
    return Sum(s, y - (s - x))


def two_product(x: Expr, y: Expr) -> Sum:
    """x y as a rounded product and its error."""
    p = x * y
    return Sum(p, fma(x, y, negative(p)))


def quotient(over: Sum, under: Sum) -> Expr:
    """The quotient of sums, rounded nearly once: corrected by what it leaves."""
    inverse = 1 / under.high
    out = over.high * inverse
    back = negative(out)
    rest = fma(back, under.high, over.high) + fma(back, under.low, over.low)
    return fma(rest, inverse, out)
