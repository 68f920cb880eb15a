"""Every fact of every row of OPS: a new row is tested by being there.

A line in ORACLE says what it is in truth; without one its derivatives are held against differences.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from math import inf, nan, pi
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

from nablisp import Session, d, parse, val
from nablisp import compile as compile_formula
from nablisp.evaluate import apply
from nablisp.expr import EXACT, OPS, Call, Op, Sym, size
from nablisp.expr import formula as read_formula
from nablisp.expr import names as names_in
from nablisp.notation import latex

Point = tuple[float, ...]

ELEMENTWISE = [op for op in OPS.values() if op.shape is None]
NUMERIC = [op for op in ELEMENTWISE if op.partials is not None]
EXACT_ROWS = [op for op in NUMERIC if op.exact]
BOOLEAN = {True, False}

# ---- what each row is in truth, by mpmath or Python ----------------------------------------------


def _mod(x: Any, y: Any) -> Any:
    return x - y * mpmath.floor(x / y)


ORACLE: dict[str, Callable[..., Any]] = {
    "<": lambda x, y: x < y,
    "<=": lambda x, y: x <= y,
    ">": lambda x, y: x > y,
    ">=": lambda x, y: x >= y,
    "=": lambda x, y: x == y,
    "!=": lambda x, y: x != y,
    "and": lambda *given: all(given),
    "or": lambda *given: any(given),
    "not": lambda x: not x,
    "finite?": mpmath.isfinite,
    "where": lambda x, y, z: y if x else z,
    "+": lambda *given: sum(given),
    "-": lambda x, y: x - y,
    "neg": lambda x: -x,
    "*": lambda *given: math.prod(given),
    "/": lambda x, y: x / y,
    "**": lambda x, y: x**y,
    "mod": _mod,
    "abs": abs,
    "sign": mpmath.sign,
    "floor": mpmath.floor,
    "ceil": mpmath.ceil,
    "min": min,
    "max": max,
    "clip": lambda x, y, z: min(max(x, y), z),
    "sqrt": mpmath.sqrt,
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "log2": lambda x: mpmath.log(x, 2),
    "log10": mpmath.log10,
    "hypot": mpmath.hypot,
    "exprel": lambda x: mpmath.expm1(x) / x if x else mpf(1),
    "exprel1": lambda x: (1 + (x - 1) * mpmath.exp(x)) / x**2 if x else mpf(0.5),
    "logrel": lambda x: mpmath.log1p(x) / x if x else mpf(1),
    "logrel1": lambda x: (x / (1 + x) - mpmath.log1p(x)) / x**2 if x else mpf(-0.5),
    "sinrel": lambda x: mpmath.sin(x) / x if x else mpf(1),
    "sinrel1": lambda x: (x * mpmath.cos(x) - mpmath.sin(x)) / x**2 if x else mpf(0),
    "sinhrel": lambda x: mpmath.sinh(x) / x if x else mpf(1),
    "sinhrel1": lambda x: (x * mpmath.cosh(x) - mpmath.sinh(x)) / x**2 if x else mpf(0),
    "pow1p": lambda x, y: (1 + x) ** y,
    "logaddexp": lambda x, y: mpmath.log(mpmath.exp(x) + mpmath.exp(y)),
    "softmax2": lambda x, y: 1 / (1 + mpmath.exp(y - x)),
    "log-odds": lambda x: mpmath.log(x / (1 - x)),
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "asin": mpmath.asin,
    "acos": mpmath.acos,
    "atan": mpmath.atan,
    "atan2": mpmath.atan2,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
    "asinh": mpmath.asinh,
    "acosh": mpmath.acosh,
    "atanh": mpmath.atanh,
    "sinc": mpmath.sincpi,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "relu": lambda x: max(x, 0),
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
    "lgamma": lambda x: mpmath.log(abs(mpmath.gamma(x))),
    "digamma": mpmath.digamma,
    "polygamma": lambda x, y: mpmath.polygamma(int(x), y),
}


def domain(op: Op) -> list[tuple[float, float]]:
    count = op.arity[1] or max(op.arity[0], 3)
    return list(op.domain or [(-3, 3)] * count)


def grid(op: Op) -> Iterator[Point]:
    """Points inside the row's domain, the arguments different from each other."""
    shares = (0.07, 0.29, 0.43, 0.58, 0.71, 0.94)
    for i in range(len(shares)):
        yield tuple(
            low + (high - low) * (shares[(i + 2 * k) % len(shares)] + 0.013 * k)
            for k, (low, high) in enumerate(domain(op))
        )


def on(op: Op, count: int) -> tuple[Call, list[Sym]]:
    """The row on names, as many as it has arguments here."""
    names = [Sym(name) for name in "xyz"[:count]]
    return Call(op, tuple(names)), names


def bits(value: Any) -> str:
    """A value so that 0.0 and -0.0 differ, and nans do not."""
    return repr(float(value))


# ---- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", OPS.values(), ids=repr)
def test_a_row_says_what_it_is(op: Op) -> None:
    least, most = op.arity
    assert 0 <= least <= (most or 3) <= 3 and op.doc and op.latex
    assert not op.doc.endswith(".") and len(op.doc) < 90
    count = most or max(least, 3)
    for slopes in (op.partials, op.textbook):
        assert slopes is None or len(slopes) == (2 if most is None else most)
    assert len(op.domain) in (0, count)
    assert (op.shape is None) == (op.pullback is None)
    assert bool(op.array) != bool(op.means)
    assert (op.identity is not None) == (least == 0 and most is None)
    assert not op.example or f"({op.name} " in op.example
    assert not op.example or op.shape is not None or str(parse(op.example)) == op.example
    node, _ = on(op, count)
    written = latex(node)
    assert written.count("{") == written.count("}") and written.isprintable()


# ---- values and derivatives inside the domain ----------------------------------------------------


def oracle(op: Op) -> Callable[..., Any] | None:
    """What the row is in truth: its line in ORACLE, else mpmath's function of that name."""
    return ORACLE.get(op.name) or getattr(mpmath, op.name, None)


def differences(slope: Any, point: Point, by: int) -> float:
    """The slope of a slope along one argument, by a central difference of fourth order."""
    h = 1e-3

    def at(step: float) -> float:
        moved = [x + step * (k == by) for k, x in enumerate(point)]
        return float(val(slope, dict(zip("xyz", moved, strict=False))))

    return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)


def true(op: Op, point: Point, order: tuple[int, ...] = ()) -> float:
    """The row's value, or a derivative of the orders given for its arguments, to 16 digits."""
    with mp.workdps(60):
        at = [mpf(x) for x in point]
        f = oracle(op)
        assert f is not None
        return float(mpmath.diff(f, tuple(at), order) if any(order) else f(*at))


@pytest.mark.parametrize("op", NUMERIC, ids=repr)
def test_values_and_derivatives(op: Op) -> None:
    count = len(domain(op))
    node, names = on(op, count)
    moving = [k for k, (low, high) in enumerate(domain(op)) if low < high]
    orders: list[tuple[int, ...]] = [()]
    orders += [(k,) for k in moving]
    orders += list(itertools.combinations_with_replacement(moving, 2))
    for order in orders:
        slope = d(node, *(names[k] for k in order)) if order else node
        for point in grid(op):
            env = dict(zip("xyz", point, strict=False))
            found = val(slope, env)
            if oracle(op) is not None:
                wanted = true(op, point, tuple(order.count(k) for k in range(count)))
                allowed = 2e-15 if not order else 1e-13 if len(order) == 1 else 1e-11
            elif order:
                before = d(node, *(names[k] for k in order[:-1])) if order[1:] else node
                wanted, allowed = differences(before, point, order[-1]), 1e-7
            else:
                continue
            assert math.isclose(found, wanted, rel_tol=allowed, abs_tol=allowed), (
                f"{slope} at {env}: {found!r}, and in truth {wanted!r}"
            )


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.rules], ids=repr)
def test_rules_are_true_and_shrink(op: Op) -> None:
    for pattern, simpler in op.rules:
        left, right = read_formula(pattern), read_formula(simpler)
        assert size(right) < size(left), f"{pattern} → {simpler}"
        choices: list[tuple[Any, ...]] = []
        for name in names_in(left):
            truth = op.takes == "boolean" or (op.takes == "choice" and name == "x")
            numbers = (-2.3, -1.0, -0.4, 0.0, 0.7, 1.0, 2.9)
            choices.append((True, False) if truth else numbers)
        if op.shape is not None:
            choices = [(np.arange(6.0).reshape(2, 3),) for _ in choices]
        tried = 0
        for point in itertools.product(*choices):
            data = dict(zip(names_in(left), point, strict=True))
            a, b = val(left, data=data), val(right, data=data)
            if np.all(np.isfinite(a)) and np.all(np.isfinite(b)):
                tried += 1
                assert np.shape(a) == np.shape(b)
                assert np.allclose(a, b, rtol=1e-14, atol=1e-15), f"{pattern} is {a}, {simpler} {b}"
        assert tried


# ---- IEEE-754 ------------------------------------------------------------------------------------

EDGES = (0.0, -0.0, 1.0, -1.0, 0.5, -1.5, 2.0, 5e-324, -5e-324, 1e308, -1e308, inf, -inf, nan)


@pytest.mark.parametrize("op", ELEMENTWISE, ids=repr)
def test_numbers_and_arrays_agree_everywhere(op: Op) -> None:
    """Nothing raises, nothing is complex, and an array's elements are the numbers' bits."""
    count = op.arity[1] or max(op.arity[0], 2)
    edges = [(True, False) if _truth(op, k) else EDGES for k in range(count)]
    points = [*itertools.product(*edges)]
    if op.partials is not None:
        points += [point[:count] for point in grid(op)]
    node, names = on(op, count)
    formulas = [node]
    if op.partials is not None:
        formulas += [slope for s in names if isinstance(slope := d(node, s), Call)]
    for formula in formulas:
        singles = [val(formula, dict(zip("xyz", point, strict=False))) for point in points]
        kinds = {type(value) for value in singles}
        assert kinds == {bool} if formula.op.result == "boolean" else kinds <= {int, float}
        columns = {
            n: np.array(column)
            for n, column in zip("xyz"[:count], zip(*points, strict=True), strict=True)
        }
        arrays = {
            "val": val(formula, columns),
            "compile": compile_formula(formula, list(columns))(*columns.values()),
        }
        for how, together in arrays.items():
            for point, single, one in zip(points, singles, together, strict=True):
                assert bits(one) == bits(single), (
                    f"{formula} at {point}: {single!r} alone, {one!r} in an array ({how})"
                )


def _truth(op: Op, k: int) -> bool:
    return op.takes == "boolean" or (op.takes == "choice" and k == 0)


WHOLE = (0, 1, -1, 2, 3, 7, -5, EXACT, -EXACT, EXACT - 1)


@pytest.mark.parametrize("op", EXACT_ROWS, ids=repr)
def test_whole_numbers_are_exact(op: Op) -> None:
    """Integers in, integer out, while it is one and at most 2^53; then binary64."""
    count = op.arity[1] or 2
    for point in itertools.product(WHOLE, repeat=count):
        if op.name in ("/", "mod", "**") and point[0] * point[-1] == 0:
            continue
        if op.name == "pow1p" and point[0] == -1:
            continue
        if op.name in ("**", "pow1p") and abs(point[1]) > 40:
            continue
        with mp.workdps(2000):
            f = oracle(op)
            assert f is not None, f"say in ORACLE what {op.name} is, as it claims to be exact"
            wanted = f(*map(mpf, point))
            whole = abs(wanted) <= EXACT and wanted == int(wanted)
            expected = int(wanted) if whole else float(wanted)
        found = apply(op, point)
        if whole:
            assert (type(found), found) == (int, expected), f"({op} {point}) is {found!r}"
        else:
            assert math.isclose(found, expected, rel_tol=3e-16), f"{found!r}, not {expected!r}"


# ---- conventions at special points ---------------------------------------------------------------

VALUES = [
    ("(** 0 0)", 1),
    ("(** -8 (/ 1 3))", nan),
    ("(** nan 0)", 1),
    ("(** 1 nan)", 1),
    ("(** 0 -1)", inf),
    ("(** -0.0 -1)", -inf),
    ("(** inf -1)", 0),
    ("(** 2 (** 10 9))", inf),
    ("(** -2 1024)", inf),
    ("(/ 1 0)", inf),
    ("(/ -1 0)", -inf),
    ("(/ 1 -0.0)", -inf),
    ("(/ 0 0)", nan),
    ("(- inf inf)", nan),
    ("(* 0 inf)", nan),
    ("(mod 1 0)", nan),
    ("(mod -7 3)", 2),
    ("(mod 7 -3)", -2),
    ("(sqrt -1)", nan),
    ("(sqrt -0.0)", -0.0),
    ("(cbrt -8)", -2),
    ("(log 0)", -inf),
    ("(log -1)", nan),
    ("(log1p -1)", -inf),
    ("(asin 2)", nan),
    ("(acosh 0)", nan),
    ("(atanh 1)", inf),
    ("(atan2 0 -1)", pi),
    ("(atan2 -0.0 -1)", -pi),
    ("(hypot inf nan)", inf),
    ("(hypot 1e308 1e308)", 1.4142135623730951e308),
    ("(exp 710)", inf),
    ("(expm1 -inf)", -1),
    ("(tanh inf)", 1),
    ("(sinc 0)", 1),
    ("(sinc inf)", nan),
    ("(exprel 0)", 1),
    ("(exprel -inf)", 0),
    ("(exprel inf)", inf),
    ("(exprel1 inf)", inf),
    ("(logrel 0)", 1),
    ("(logrel inf)", 0),
    ("(logrel -1)", inf),
    ("(sinrel 0)", 1),
    ("(sinhrel -inf)", inf),
    ("(pow1p -1 0)", 1),
    ("(pow1p -1 2)", 0),
    ("(pow1p inf -1)", 0),
    ("(pow1p 1e-20 1e20)", math.e),
    ("(logaddexp 1000 1000)", 1000.6931471805599),
    ("(logaddexp inf inf)", inf),
    ("(logaddexp -inf -inf)", -inf),
    ("(softmax2 inf 0)", 1),
    ("(softmax2 1000 1000)", 0.5),
    ("(log-odds 0)", -inf),
    ("(log-odds 1)", inf),
    ("(sigmoid 1000)", 1),
    ("(sigmoid -1000)", 0),
    ("(sigmoid -700)", 9.859676543759770e-305),
    ("(softplus 1000)", 1000),
    ("(softplus -1000)", 0),
    ("(softplus -40)", 4.248354255291589e-18),
    ("(softplus inf)", inf),
    ("(relu -inf)", 0),
    ("(erf inf)", 1),
    ("(erfc -inf)", 2),
    ("(erfc 27)", 5.237048923789256e-319),
    ("(lgamma 0)", inf),
    ("(lgamma -3)", inf),
    ("(lgamma inf)", inf),
    ("(digamma 0)", -inf),
    ("(digamma inf)", inf),
    ("(polygamma 1 0)", inf),
    ("(polygamma 1 inf)", 0),
    ("(min 1 nan)", nan),
    ("(max nan 1)", nan),
    ("(clip nan 0 1)", nan),
    ("(clip -inf 0 1)", 0),
    ("(sign nan)", nan),
    ("(relu nan)", nan),
    ("(< nan 1)", False),
    ("(= nan nan)", False),
    ("(!= nan nan)", True),
    ("(finite? inf)", False),
    ("(where true 1 nan)", 1),
]


@pytest.mark.parametrize(("text", "wanted"), VALUES)
def test_special_values(text: str, wanted: float) -> None:
    found = Session().run(text)
    assert math.isclose(found, wanted, rel_tol=4e-16) or bits(found) == bits(wanted), (
        f"{found!r}, not {wanted!r}"
    )
    if wanted == 0:
        assert bits(found) == bits(float(wanted))


SLOPES = [
    # formula, by, where, the derivative there
    ("(abs x)", "x", {"x": 0}, 0),
    ("(abs x)", "x", {"x": -0.0}, 0),
    ("(sign x)", "x", {"x": 0}, 0),
    ("(sqrt x)", "x", {"x": 0}, inf),
    ("(cbrt x)", "x", {"x": 0}, inf),
    ("(log x)", "x", {"x": 0}, inf),
    ("(hypot x y)", "x", {"x": 0, "y": 0}, 0),
    ("(hypot x y)", "y", {"x": 0, "y": 0}, 0),
    ("(hypot x y)", "x", {"x": 3e200, "y": 4e200}, 0.6),
    ("(atan2 y x)", "x", {"x": 0, "y": 0}, 0),
    ("(atan2 y x)", "y", {"x": 0, "y": 0}, 0),
    ("(atan2 y x)", "y", {"x": 1e-200, "y": 1e-200}, 5e199),
    ("(** x y)", "x", {"x": 0, "y": 0}, 0),
    ("(** x y)", "x", {"x": -2, "y": 0}, 0),
    ("(** x y)", "x", {"x": inf, "y": 0}, 0),
    ("(** x y)", "x", {"x": 0, "y": 1}, 1),
    ("(** x y)", "x", {"x": -3, "y": 3}, 27),
    ("(** x y)", "y", {"x": 0, "y": 0}, 0),
    ("(** x y)", "y", {"x": 0, "y": 2}, 0),
    ("(** x y)", "y", {"x": 0, "y": -1}, -inf),
    ("(** x y)", "y", {"x": -2, "y": 2}, nan),
    ("(** x 2)", "x", {"x": 0}, 0),
    ("(** x 3)", "x", {"x": -2}, 12),
    ("(** x 1)", "x", {"x": 0}, 1),
    ("(** x 0)", "x", {"x": 0}, 0),
    ("(** x 0.5)", "x", {"x": 0}, inf),
    ("(relu x)", "x", {"x": 0}, 0),
    ("(relu x)", "x", {"x": 5e-324}, 1),
    ("(max x 0)", "x", {"x": 0}, 0.5),
    ("(max x y)", "y", {"x": 2, "y": 2}, 0.5),
    ("(min x y)", "x", {"x": 2, "y": 2}, 0.5),
    ("(min x y)", "x", {"x": 1, "y": 2}, 1),
    ("(clip x 0 1)", "x", {"x": 0}, 0.5),
    ("(clip x 0 1)", "x", {"x": 1}, 0.5),
    ("(clip x 0 1)", "x", {"x": 0.5}, 1),
    ("(clip x y 1)", "y", {"x": 0, "y": 0}, 0.5),
    ("(clip x 0 z)", "z", {"x": 2, "z": 1}, 1),
    ("(* 0 x)", "x", {"x": inf}, 0),
    ("(- x x)", "x", {"x": inf}, 0),
    ("(/ x x)", "x", {"x": 2}, 0),
    ("(floor x)", "x", {"x": 2}, 0),
    ("(tanh x)", "x", {"x": 300}, 1.060158621201724e-260),
    ("(sigmoid x)", "x", {"x": 700}, 9.859676543759770e-305),
    ("(sigmoid x)", "x", {"x": -700}, 9.859676543759770e-305),
    ("(softplus x)", "x", {"x": 1000}, 1),
    ("(acosh x)", "x", {"x": 1}, inf),
    ("(asin x)", "x", {"x": 1}, inf),
    ("(asin x)", "x", {"x": 1e-300}, 1),
    ("(asinh x)", "x", {"x": 1e300}, 1e-300),
    ("(exprel x)", "x", {"x": 0}, 0.5),
    ("(sinc x)", "x", {"x": 0}, 0),
    ("(erfc x)", "x", {"x": 20}, -2.161037474386802e-174),
    ("(where (> x 0) (log x) 0)", "x", {"x": 0}, 0),
    ("(where (> x 0) (log x) 0)", "x", {"x": -1}, 0),
]


@pytest.mark.parametrize(("text", "by", "env", "wanted"), SLOPES)
def test_special_slopes(text: str, by: str, env: dict[str, float], wanted: float) -> None:
    slope = d(parse(text), by)
    found = val(slope, env)
    assert math.isclose(found, wanted, rel_tol=4e-15) or bits(found) == bits(wanted), (
        f"{slope} is {found!r}, not {wanted!r}"
    )
