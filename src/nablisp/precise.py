"""From expressions and pairs of doubles to pairs: values to some thirty digits, elementwise.

For fits, which need residuals to more digits than doubles carry. Rows that have no such form here
(special functions) are computed in doubles and corrected for the low parts of their arguments by
their partials. Formulas over arrays are written out by element first (see unroll.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import reduce
from typing import Any

import numpy as np

from . import double_double as dd
from .arrays import array_function
from .double_double import Pair
from .evaluate import evaluate
from .expr import Call, Expr, Num, Op, Sym, postorder

DIGITS = 15
"""A double that prints with at most so many digits is meant as that decimal."""


def precise(roots: Sequence[Expr], env: Mapping[str, Pair]) -> list[Pair]:
    """The values of scalar expressions at pairs of numbers or of arrays of one length."""
    values: dict[Expr, Any] = {}
    with np.errstate(all="ignore"):
        for node in postorder(*roots):
            match node:
                case Call(op, args):
                    values[node] = _applied(op, [values[arg] for arg in args])
                case Sym(name):
                    values[node] = env[name]
                case Num(value):
                    values[node] = value if type(value) is bool else _constant(float(value))
    return [values[root] for root in roots]


def meant(values: Any) -> Pair:
    """Numbers as the decimals they were written as: 0.1 is a tenth, not 0.1000000000000000055…

    Taken are decimals of at most 15 digits, 22 of them behind the point; other doubles stand as
    they are.
    """
    array = np.asarray(values, dtype=np.float64)
    flat = array.ravel()
    wholes, powers = np.zeros(flat.shape), np.ones(flat.shape)
    left = np.flatnonzero((flat != np.rint(flat)) & np.isfinite(flat))
    if len(left) > FEW and not any(_rest(x) for x in flat[left[:FEW]].tolist()):
        return Pair(array, np.zeros(array.shape))
    for places in range(1, 23):
        if not len(left):
            break
        x, power = flat[left], 10.0**places  # exact up to 10^22
        whole = np.rint(x * power)
        fits = (whole / power == x) & (np.abs(whole) < 10.0**DIGITS)
        found = left[fits]
        wholes[found], powers[found] = whole[fits], power
        left = left[~fits]
    low = dd.divide(dd.pair(wholes), dd.pair(powers)).low
    return Pair(array, np.where(powers > 1, low, 0.0).reshape(array.shape))


FEW = 64
"""Numbers that are looked at first: where none is a short decimal, none of the others is."""


def _rest(value: float) -> float:
    """What a double lacks of its decimal."""
    if not math.isfinite(value) or abs(value) > 1e250 or abs(value) < 1e-250:
        return 0.0
    text = Decimal(repr(value))
    if len(text.as_tuple().digits) > DIGITS:
        return 0.0
    over, under = text.as_integer_ratio()
    n, d = value.as_integer_ratio()
    return (over * d - n * under) / (under * d)


def _constant(value: float) -> Pair:
    return Pair(value, 1.2246467991473532e-16 if value == math.pi else _rest(value))


def _applied(op: Op, args: list[Any]) -> Any:
    known = _EXACT.get(op.name)
    if known is not None:
        return known(*args)
    given = [arg.high if isinstance(arg, Pair) else arg for arg in args]
    value = np.asarray(array_function(op, np)(*given))
    if op.result == "boolean":
        return value
    low: Any = 0.0
    if op.partials is not None and len(args) <= 3 and op.arity[1] is not None:
        names = dict(zip("xyz", given, strict=False))
        for slope, arg in zip(op.slopes, args, strict=True):
            if isinstance(arg, Pair) and np.any(arg.low):
                step = evaluate([slope], {**names, "out": value})[0] * arg.low
                low = low + np.where(np.isfinite(step), step, 0.0)
    return Pair(value, low)


def _sign(a: Pair) -> Any:
    return np.where(a.high != 0, np.sign(a.high), np.sign(a.low))


def _compared(test: Callable[[Any, Any], Any]) -> Callable[[Pair, Pair], Any]:
    def compare(a: Pair, b: Pair) -> Any:
        same = np.asarray(a.high) == b.high
        return np.where(same, test(np.asarray(a.low), b.low), test(np.asarray(a.high), b.high))

    return compare


def _chosen(c: Any, a: Pair, b: Pair) -> Pair:
    return Pair(np.where(c, a.high, b.high), np.where(c, a.low, b.low))


def _absolute(a: Pair) -> Pair:
    return _chosen(_sign(a) < 0, dd.negative(a), a)


def _larger(a: Pair, b: Pair) -> Pair:
    same = np.asarray(a.high) == b.high
    larger = np.where(same, np.asarray(a.low) > b.low, np.asarray(a.high) > b.high)
    return _chosen(np.isnan(a.high) | larger, a, b)


def _power(a: Pair, b: Pair) -> Pair:
    """A whole exponent by products, a half by the root, others by exp(b log a)."""
    exponent = np.asarray(b.high)
    if exponent.ndim == 0 and not np.any(b.low):
        n = float(exponent)
        if n == int(n) and abs(n) <= 64 if math.isfinite(n) else False:
            return dd.power(a, int(n))
        if abs(n) in (0.5, 1.5) and np.all(np.asarray(a.high) > 0):
            root = dd.sqrt(a)
            root = dd.multiply(root, a) if abs(n) == 1.5 else root
            return root if n > 0 else dd.divide(dd.pair(1.0), root)
    rough = np.asarray(np.power(a.high, exponent))
    base = np.asarray(a.high) > 0
    safe = Pair(np.where(base, a.high, 1.0), np.where(base, a.low, 0.0))
    fine = dd.exp(dd.multiply(b, dd.log(safe)))
    use = base & np.isfinite(rough) & (rough > 0)
    return Pair(np.where(use, fine.high, rough), np.where(use, fine.low, 0.0))


def _sigmoid(a: Pair) -> Pair:
    e = dd.exp(dd.negative(_absolute(a)))
    over = _chosen(np.asarray(a.high) >= 0, dd.pair(np.ones(np.shape(e.high))), e)
    return dd.divide(over, dd.add(e, dd.pair(1.0)))


def _softplus(a: Pair) -> Pair:
    zero = dd.pair(np.zeros(np.shape(a.high)))
    return dd.add(_larger(a, zero), dd.log1p(dd.exp(dd.negative(_absolute(a)))))


def _hypot(a: Pair, b: Pair) -> Pair:
    return dd.sqrt(dd.add(dd.multiply(a, a), dd.multiply(b, b)))


def _fold(function: Callable[[Pair, Pair], Pair], start: float) -> Callable[..., Pair]:
    return lambda *args: reduce(function, args) if args else dd.pair(start)


def _over_log(base: str) -> Callable[[Pair], Pair]:
    return lambda a: dd.divide(dd.log(a), dd.log(dd.pair(float(base))))


_EXACT: dict[str, Callable[..., Any]] = {
    "+": _fold(dd.add, 0.0),
    "*": _fold(dd.multiply, 1.0),
    "-": dd.subtract,
    "/": dd.divide,
    "neg": dd.negative,
    "**": _power,
    "abs": _absolute,
    "sign": lambda a: Pair(_sign(a), 0.0),
    "min": _fold(lambda a, b: dd.negative(_larger(dd.negative(a), dd.negative(b))), 0.0),
    "max": _fold(_larger, 0.0),
    "relu": lambda a: _larger(a, dd.pair(0.0)),
    "where": _chosen,
    "sqrt": dd.sqrt,
    "hypot": _hypot,
    "exp": dd.exp,
    "expm1": dd.expm1,
    "log": dd.log,
    "log1p": dd.log1p,
    "log2": _over_log("2"),
    "log10": _over_log("10"),
    "sin": lambda a: dd.sin_cos(a)[0],
    "cos": lambda a: dd.sin_cos(a)[1],
    "tan": dd.tan,
    "asin": dd.asin,
    "acos": dd.acos,
    "atan": dd.atan,
    "sinh": dd.sinh,
    "cosh": dd.cosh,
    "tanh": dd.tanh,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "<": _compared(np.less),
    "<=": _compared(np.less_equal),
    ">": _compared(np.greater),
    ">=": _compared(np.greater_equal),
    "=": lambda a, b: (np.asarray(a.high) == b.high) & (np.asarray(a.low) == b.low),
    "!=": lambda a, b: (np.asarray(a.high) != b.high) | (np.asarray(a.low) != b.low),
    "and": lambda *args: reduce(np.logical_and, args, np.True_),
    "or": lambda *args: reduce(np.logical_or, args, np.False_),
    "not": np.logical_not,
    "finite?": lambda a: np.isfinite(a.high),
}
"""The rows that keep all digits."""
