"""From a formula and numbers to its value and a bound of what rounding did to it.

Every operation passes on the errors of its arguments by its own partials, and adds its own:
err(out) = Σ |∂ᵢ| err(xᵢ) + u |out|, with u = 2^-53. What is exact adds nothing, and what overflowed
on the way is never trusted. A number that is written with at most 15 digits and is none of binary64
(0.1, 1e-20) stands for that decimal, and is off by half a unit; any other is taken as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from . import shapes as sh
from .accurate import accurate
from .evaluate import ROWS, _lookup, apply, evaluate
from .expr import OPS, Call, Const, Expr, Num, Op, Options, Sym, postorder
from .printer import number, text

U = 2.0**-53
"""Half a unit in the last place of 1."""
LEAST = 5e-324
"""What an underflow may lose."""
ROUGH = 1e-8
"""An error above this share of its number, or of 1, is more than its partial tells."""
DIGITS = 15
"""A number of at most so many digits is meant as that decimal."""

Value = Any
Pair = tuple[Value, Value]
"""A value, and how far it may be from the truth; of a condition, may it be the other way?"""


@dataclass(frozen=True, slots=True)
class Bounded:
    """A number or array, with a bound of its error."""

    value: Value
    bound: Value

    @property
    def digits(self) -> int:
        """How many digits are correct for certain; of an array, in each of its elements."""
        size, bound = np.abs(self.value), np.asarray(self.bound, dtype=float)
        with np.errstate(all="ignore"):
            found = np.where(bound == 0, 17, np.floor(-np.log10(2 * bound / size)))
            found = np.where(np.isfinite(bound) & np.isfinite(size), found, 0)
        return int(np.clip(found, 0, 17).min(initial=17))

    def parts(self) -> dict[str, Any]:
        """What `(get r :key)` finds, by key."""
        return {"value": self.value, "bound": self.bound, "digits": self.digits}

    @property
    def text(self) -> str:
        """The value with its bound, and what they come to."""
        bound = float(np.max(self.bound, initial=0.0))
        if bound == 0:
            return f"{text(self.value)} exactly"
        count = self.digits
        what = f"{count or 'no'} correct digit{'' if count == 1 else 's'}"
        off = f" ± {number(float(f'{bound:.2g}'))}" if np.isfinite(bound) else ","
        return f"{text(self.value)}{off} ({what})" if off != "," else f"{text(self.value)}, {what}"

    def __str__(self) -> str:
        return self.text


def bounded(root: Expr, env: Mapping[str, Value], budget: Any = None) -> Bounded:
    """The value of a formula, in its accurate form, with its bound."""
    return Bounded(*bounds([root], env, budget)[0])


def bounds(roots: Sequence[Expr], env: Mapping[str, Value], budget: Any = None) -> list[Pair]:
    """The values of formulas, in their accurate form, each with a bound of its error.

    Numbers and arrays, by NumPy's rules; a bound has the shape of its value. It is inf where a
    part on the way was not finite, and 0 where all was exact.
    """
    pairs: dict[Expr, Pair] = {}
    live = 0
    found = accurate(*roots)
    with np.errstate(all="ignore"):
        for node in postorder(*found):
            match node:
                case Call(op, args, options):
                    given = [pairs[arg] for arg in args]
                    shape = sh.call_shape(node, [sh.of_value(value) for value, _ in given])
                    if budget is not None:
                        budget.array(shape, 2 * live)
                        live += 8 * prod([int(n) for n in shape])
                    pairs[node] = (
                        (_lookup(ROWS, env), 0.0)
                        if op.array == "nablisp_rows"
                        else applied(op, given, options)
                    )
                case Sym(name):
                    value = _lookup(name, env)
                    pairs[node] = value, _written(value)
                case Num(value) | Const(value):
                    pairs[node] = value, of_constant(value)
    return [pairs[root] for root in found]


def applied(op: Op, given: Sequence[Pair], options: Options = ()) -> Pair:
    """An operation on values with bounds."""
    if OPS.get(op.name) is not op and op.meaning is not None:
        return _meant(op, given)
    if op.shape is not None:
        return _of_arrays(op, given, options)
    if op.result == "boolean":
        return _condition(op, given)
    if op.result == "choice":
        return _chosen(op, given)
    if op.arity[1] is None and len(given) > 2:
        out = given[0]
        for pair in given[1:]:
            out = applied(op, [out, pair])
        return out
    values = [value for value, _ in given]
    out = apply(op, values)
    if len(given) == 1 and op.arity[1] is None:
        return given[0]
    error: Value = 0.0
    for k, (_, off) in enumerate(given):
        if np.any(off):
            error = error + _passed_on(op, values, out, k, off)
    if len(given) == 2 and all(np.any(off) for _, off in given):
        error = _together(op, given, out, error)
    whole = type(out) is int and not np.any(error)
    error = error + (0.0 if whole else np.where(np.isfinite(out), _own(op, values, out), 0.0))
    return out, _never_trusted(out, values, error)


def _written(value: Value) -> Value:
    """How far numbers are from the decimals they were written as."""
    if isinstance(value, (bool, int)):
        return 0.0
    array = np.asarray(value, dtype=float)
    if array.dtype.kind == "b" or np.all((array == np.rint(array)) & (np.abs(array) < 2.0**53)):
        return np.zeros(array.shape) if array.ndim else 0.0
    found = np.array([_rounded(float(v)) for v in array.ravel()]).reshape(array.shape)
    return found if array.ndim else float(found)


CONSTANTS = {
    3.141592653589793: 1.2246467991473532e-16,
    0.6931471805599453: 2.3190468138462996e-17,
}
"""How far the doubles for π and log 2 are from them."""


def of_constant(value: Value) -> Value:
    """The same for what stands in a formula."""
    return CONSTANTS.get(value) or _written(value) if type(value) is float else _written(value)


def _rounded(value: float) -> float:
    if not np.isfinite(value):
        return 0.0
    from decimal import Decimal

    meant = Decimal(repr(value))
    if len(meant.as_tuple().digits) > DIGITS or meant == Decimal(value):
        return 0.0
    return abs(float(Decimal(value) - meant))


def _passed_on(op: Op, values: Sequence[Value], out: Value, k: int, off: Value) -> Value:
    """What an error of one argument makes of the result: by its partial, and where that is not
    enough, by the operation itself at both ends.
    """
    names = dict(zip("xyz", values, strict=False))
    (slope,) = evaluate([op.slopes[k]], {**names, "out": out})
    error = np.where(off == 0, 0.0, np.abs(slope) * off)
    here = values[k]
    steps = op.exact and op.name not in _SMOOTH
    rough = steps | _rough(here, off) | ~np.isfinite(error)
    error = np.where(np.isfinite(error), error, 0.0)
    if np.any(rough):
        for way in (np.inf, -np.inf):
            end = np.where(off == 0, here, np.nextafter(here + np.copysign(off, way), way))
            there = apply(op, [*values[:k], end, *values[k + 1 :]])
            error = np.where(rough, np.fmax(error, np.abs(there - out)), error)
            error = np.where(rough & np.isnan(there), np.inf, error)
    return np.where(np.isnan(error), np.inf, error)


def _rough(here: Value, off: Value) -> Value:
    """Is an error more than a partial tells?"""
    return off > ROUGH * np.minimum(1.0, np.abs(here))


def _together(op: Op, given: Sequence[Pair], out: Value, error: Value) -> Value:
    """A bound with what two errors do together: of a product their product, of others what the
    operation says where both are at their ends.
    """
    (x, off_x), (y, off_y) = given
    if op.name in ("+", "-"):
        return error
    if op.name == "*":
        return error + off_x * off_y
    rough = _rough(x, off_x) & _rough(y, off_y)
    if np.any(rough):
        for sign in (1, -1):
            for other in (1, -1):
                there = apply(op, [x + sign * off_x, y + other * off_y])
                away = np.where(np.isnan(there), np.inf, np.abs(there - out))
                error = np.where(rough, np.fmax(error, away), error)
    return error


_SMOOTH = frozenset(("+", "-", "neg", "*", "**", "pow1p"))
"""Exact on whole numbers, and without steps or kinks."""


def _own(op: Op, values: Sequence[Value], out: Value) -> Value:
    """The rounding of the operation itself."""
    exactly = _EXACTLY.get(op.name)
    if exactly is not None:
        return exactly(*values, out)
    if op.name in EXACT:
        return 0.0
    units, floor = _UNITS.get(op.name, (4, 0.0))
    off = U * (units * np.abs(out) + floor)
    if op.name == "logaddexp":
        off = off + U * np.abs(values[0])
    if op.name in _CANCELS:
        off = off + _meant(op, [(value, 0.0) for value in values])[1]
    return off + LEAST


EXACT = frozenset(
    ("neg", "abs", "sign", "floor", "ceil", "round", "min", "max", "relu", "clip", "where")
)
"""Operations that round nothing."""
_UNITS: dict[str, tuple[float, float]] = {
    "sqrt": (1, 0.0),
    "sinc": (4, 4.0),
    "logaddexp": (4, 4.0),
    "lgamma": (16, 16.0),
    "digamma": (16, 16.0),
    "polygamma": (64, 0.0),
}
"""Errors in units of u: of the result, and besides; (4, 0), two in the last place, for the rest."""
_CANCELS = frozenset(("exprel1", "logrel1", "sinrel1", "sinhrel1"))
"""Operations that lose more than that where their series end, which their formulas know."""


def _sum_lost(x: Value, y: Value, out: Value) -> Value:
    """What rounding x + y lost, exactly (D. E. Knuth, TAOCP 2, 4.2.2)."""
    back = out - x
    return np.abs((x - (out - back)) + (y - back))


def _product_lost(x: Value, y: Value, out: Value) -> Value:
    """What rounding x·y lost (T. J. Dekker, 1971), or u |out| where that cannot be seen."""
    seen = (
        (np.abs(x) < 1e140) & (np.abs(y) < 1e140) & ((np.abs(out) > 1e-250) | (x == 0) | (y == 0))
    )
    (a, b), (c, d) = _halves(x), _halves(y)
    lost = np.abs(((a * c - out) + a * d + b * c) + b * d)
    return np.where(seen, lost, U * np.abs(out) + LEAST)


def _halves(x: Value) -> tuple[Value, Value]:
    high = x * 134217729.0
    high = high - (high - x)
    return high, x - high


def _quotient_lost(x: Value, y: Value, out: Value) -> Value:
    """u |out|, or nothing where the quotient is exact."""
    product = out * y
    exact = (product == x) & (_product_lost(out, y, product) == 0) & np.isfinite(out)
    return np.where(exact, 0.0, U * np.abs(out) + LEAST)


def _float(x: Value) -> Value:
    return float(x) if isinstance(x, (bool, int)) else x


_EXACTLY: dict[str, Callable[..., Value]] = {
    "+": lambda x, y, out: _sum_lost(_float(x), _float(y), _float(out)),
    "-": lambda x, y, out: _sum_lost(_float(x), -_float(y), _float(out)),
    "*": lambda x, y, out: _product_lost(_float(x), _float(y), _float(out)),
    "/": lambda x, y, out: _quotient_lost(_float(x), _float(y), _float(out)),
    "mod": lambda x, y, out: np.where((x < 0) == (y < 0), 0.0, U * np.abs(out) + LEAST),
}
"""Operations whose rounding is known."""


def _never_trusted(out: Value, values: Sequence[Value], error: Value) -> Value:
    """An infinite bound where the result is not finite, unless an argument was infinite itself."""
    infinite = False
    for value in values:
        infinite = infinite | np.isinf(value)
    trusted = np.isfinite(out) | (np.isinf(out) & infinite & (error == 0))
    error = np.where(trusted & ~np.isnan(error), error, np.inf)
    return error if np.ndim(error) else float(error)


# ---- choice --------------------------------------------------------------------------------------


def _condition(op: Op, given: Sequence[Pair]) -> Pair:
    """A truth value, and whether errors may turn it."""
    values = [value for value, _ in given]
    out = apply(op, values)
    if op.takes == "boolean":
        return out, _any_of([off for _, off in given])
    if op.name == "finite?":
        return out, False
    (x, off_x), (y, off_y) = given
    off = off_x + off_y
    return out, (off > 0) & ~(np.abs(_float(x) - _float(y)) > off)


def _any_of(conditions: Sequence[Value]) -> Value:
    out: Value = False
    for condition in conditions:
        out = out | (np.asarray(condition) != 0)
    return out


def _chosen(op: Op, given: Sequence[Pair]) -> Pair:
    """What is chosen, with its bound; where the choice is in doubt, the other counts as well."""
    (test, doubt), (yes, off_yes), (no, off_no) = given
    out = apply(op, [test, yes, no])
    off: Value = np.where(test, off_yes, off_no)
    if np.any(doubt):
        if np.asarray(out).dtype.kind == "b":
            return out, np.where(doubt, yes != no, off)
        both = np.fmax(off_yes, off_no) + np.abs(_float(yes) - _float(no))
        off = np.where(doubt, np.where(np.isnan(both), np.inf, both), off)
    return out, off if np.ndim(off) else off.item()


def _meant(op: Op, given: Sequence[Pair]) -> Pair:
    """A function of the user's own, by what it means."""
    assert op.meaning is not None
    pairs = {Sym(name): pair for name, pair in zip("xyz", given, strict=False)}
    found: dict[Expr, Pair] = {}
    (root,) = accurate(op.meaning)
    for node in postorder(root):
        match node:
            case Call(inner, args, options):
                found[node] = applied(inner, [found[arg] for arg in args], options)
            case Num(value) | Const(value):
                found[node] = value, of_constant(value)
            case _:
                found[node] = pairs[node]  # type: ignore[index]  # a name
    return found[root]


# ---- arrays --------------------------------------------------------------------------------------


def _of_arrays(op: Op, given: Sequence[Pair], options: Options) -> Pair:
    """An operation over axes."""
    values = [np.asarray(value, dtype=float) for value, _ in given]
    offs = [
        np.broadcast_to(off, value.shape) for value, (_, off) in zip(values, given, strict=True)
    ]
    out = apply(op, [value for value, _ in given], options)

    def moved(*parts: Value) -> Value:
        return apply(op, parts, options)

    match op.name:
        case "sum" | "mean":
            (x,) = values
            count = x.size // max(np.size(out), 1)
            added = apply(OPS["sum"], [np.abs(x)], options)
            off = moved(offs[0])
            if not (np.all(x == np.rint(x)) and np.all(added <= 2.0**53)):
                own = _adding(count, dict(options)) * U * added
                off = off + (own / max(count, 1) if op.name == "mean" else own)
            off = off + (U * np.abs(out) if op.name == "mean" else 0.0)
        case "amin" | "amax":
            off = apply(OPS["amax"], offs, options)
        case "argmax":
            off = _argmax_doubt(values[0], offs[0], options)
        case "logsumexp":
            (x,) = values
            top = apply(OPS["amax"], [x], options)
            share = np.exp(x - _kept(out, x, options))
            count = x.size // max(np.size(out), 1)
            off = apply(OPS["sum"], [share * offs[0]], options)
            off = off + U * (np.abs(out) + np.abs(top) + 8 + np.log2(max(count, 1)))
        case "dot" | "@":
            (x, y), (off_x, off_y) = map(np.abs, values), offs
            size = moved(x, y)
            off = moved(x, off_y) + moved(off_x, y) + moved(off_x, off_y)
            whole = all(np.all(value == np.rint(value)) for value in values)
            if not (whole and np.all(size <= 2.0**53)):
                ends = values[:1] if op.name == "@" else values
                terms = max([1, *(n for value in ends for n in value.shape[-1:])])
                off = off + U * terms * size
        case "solve":
            off = _solve_error(values, offs, out)
        case "pick" | "fill":
            off = moved(offs[0], given[1][0])
        case "one-hot":
            off = np.zeros(np.shape(out))
        case _:  # moves elements
            off = moved(*offs)
    return out, _never_trusted(out, [np.any(np.isinf(value)) * np.inf for value in values], off)


def _adding(count: int, options: Mapping[str, Any]) -> float:
    """Roundings that a sum's terms go through: NumPy adds in pairs, but not along an axis."""
    return count if options.get("axis") is not None else 16 + np.log2(max(count, 1))


def _kept(out: Value, x: Value, options: Options) -> Value:
    """A reduced value with its axis put back."""
    axis, keep = dict(options).get("axis"), dict(options).get("keep", False)
    return out if axis is None or keep or not x.ndim else np.expand_dims(out, axis)


def _argmax_doubt(x: Value, off: Value, options: Options) -> Value:
    """inf where another element may be the largest."""
    axis = dict(options).get("axis")
    low, high = x - off, x + off
    best = np.max(low, axis=axis, keepdims=True)
    count = np.sum(high >= best, axis=axis, keepdims=bool(dict(options).get("keep", False)))
    some = np.any(off > 0)
    return np.where(some & (count > 1), np.inf, 0.0)


def _solve_error(values: Sequence[Value], offs: Sequence[Value], out: Value) -> Value:
    """|e| ≤ |C| |b - A x| + |I - C A| |e| for any C, here the computed inverse; inf where it is
    none (N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2002, 7.4).

    However the elimination went: where its pivots grew, the residual is large.
    """
    a, b = values
    unknown = np.full(np.shape(out), np.inf)
    try:
        inverse = np.linalg.inv(a)
    except np.linalg.LinAlgError:
        return unknown
    n, c, x = len(a), np.abs(inverse), np.abs(out)
    off_a = offs[0] + (n + 2) * U * np.abs(a)  # and what computing the residual rounds
    residual = np.abs(b - a @ out) + (n + 2) * U * np.abs(b) + offs[1] + off_a @ x
    near = (np.abs(np.eye(n) - inverse @ a) + c @ off_a).sum(axis=1)
    share = near.max(initial=0.0)
    if not share < 1:
        return unknown
    first = c @ residual
    most = first.max(axis=0, initial=0.0) / (1 - share)
    return first + (near[:, None] * most if np.ndim(first) == 2 else near * most)


__all__ = ["Bounded", "applied", "bounded", "bounds"]
