"""Every accurate form of every row: the same as its pattern, and right over its whole range.

A new pair is tested by being there. The points go from the smallest to the largest numbers, thick
where exp, log and the like lose digits; the truth is the pattern itself, in as many digits as it
takes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf
from test_ops import ORACLE

from nablisp import Session, d, parse, val
from nablisp import compile as compile_formula
from nablisp.accurate import accurate
from nablisp.expr import (
    OPS,
    Call,
    Expr,
    Num,
    Sym,
    formula,
    names,
    postorder,
    substitute,
)
from nablisp.shapes import shape_of


class Pair(NamedTuple):
    """A pattern and its form, with numbers for what stands for numbers."""

    pattern: Expr
    form: Expr
    to_derive: bool


def _pairs() -> Iterator[Pair]:
    for op in OPS.values():
        for to_derive, pairs in ((True, op.accurate), (False, op.accurate_value)):
            for texts in pairs:
                pattern, form = (formula(_several(text)) for text in texts)
                for n in (1, 3) if "n" in names(pattern) else (1,):
                    new: Mapping[Expr, Expr] = {Sym("n"): Num(n), Sym("u"): parse("(+ x 0)")}
                    left, right = substitute([pattern, form], new)
                    yield Pair(left, right, to_derive)


def _several(text: str) -> str:
    """`...` written out: the same for another name."""
    for name in "xy":
        text = text.replace(f"(exp {name}) ...", f"(exp {name}) (exp w)")
        text = text.replace(f" {name} ...", f" {name} w")
    return text


PAIRS = list(_pairs())

# ---- points --------------------------------------------------------------------------------------

SIZES = (
    *(1e-300, 1e-155, 1e-17, 2e-16, 1e-12, 1e-8, 1e-5, 1e-3, 0.02, 0.099, 0.11, 0.29, 0.31),
    *(0.49999, 0.72, 0.999999, 1 - 2**-53, 1.0, 1 + 2**-52, 1.57, 3.14, 7.3, 18.0, 36.5),
    *(90.0, 350.0, 708.5, 740.0, 800.0, 3e4, 9e7, 2e8, 1e16, 1e100, 1e155, 1e300),
)
"""Of one name, with both signs."""
FEW = (-1e200, -800.0, -40.0, -1.0, -1e-9, 1e-17, 0.3, 1.00001, 708.0, 1e200)
"""Of each of two names."""
FEWER = (-710.0, -0.7, 1e-9, 40.0, 1e200)


def points(count: int) -> Iterator[tuple[float, ...]]:
    if count == 1:
        yield from ((sign * size,) for size in SIZES for sign in (1, -1))
    else:
        yield from itertools.product(FEW if count == 2 else FEWER, repeat=count)


class Limit(NamedTuple):
    """How many ulps are allowed, where numbers can carry what is on the way; and why."""

    why: str
    ulps: float = 4
    low: float = -math.inf
    high: float = math.inf


LIMITS = {
    "(sqrt (+ (** x 2) 3))": Limit("x² has to be a number", low=-1e150, high=1e150),
    "(sqrt (- (** x 2) y))": Limit("x² is rounded before it cancels", 4000, -1e150, 1e150),
    "(sin (+ x y))": Limit("x + y is rounded as the pattern rounds it", low=-1, high=1),
    "(cos (+ x y))": Limit("x + y is rounded as the pattern rounds it", low=-1, high=1),
    "(- (exp x) (exp y))": Limit("exp has to be a number", high=709),
    "(- (exp x) 1) x)": Limit("exp has to be a number", low=-709, high=709),
    "(- 1 (exp (- x))) x)": Limit("exp has to be a number", low=-709, high=709),
    "(/ (expm1 x) x)": Limit("exp has to be a number", high=709),
    "(/ y (+ 1 (exp": Limit("a product that is no underflow", low=-700, high=700),
    "(* (exp x) (exp": Limit("exp(x) is rounded in the pattern", 400),
    "(/ (* (sinh x) y w": Limit("a product that is no underflow", low=-700, high=700),
    "(** (+ 1 x) (/ 1 x))": Limit("1 + x is nearly 0", 40),
    "(** (+ 1 (/ 1 x)) x)": Limit("1 + 1/x is nearly 0", 40),
    "(** (- 1 (/ 1 x)) x)": Limit("1 - 1/x is nearly 0", 40),
    "(log (+ 1 (exp x) (exp w": Limit("near a result of 0", 400),
    "(+ (exp x) (exp y) (exp w": Limit("two steps", 400),
    "(- x (logaddexp": Limit("x - y is rounded", 400),
    "(- x (log (+": Limit("x - y is rounded", 400),
    "(log (+ (exp x)": Limit("near a result of 0", 8),
    "(log (softmax2": Limit("x - y is rounded", 400),
    "(log (- (exp x) 1))": Limit("near a result of 0", 8),
}
"""By a part of the pattern."""


def limit(pattern: Expr) -> Limit:
    return next((row for part, row in LIMITS.items() if part in str(pattern)), Limit("any"))


def digits(point: Sequence[float]) -> int:
    """How many digits the truth takes at a point."""
    sizes = [abs(math.log10(abs(x))) for x in point]
    wide = max(sizes) > 4 or any(5 < abs(x) < 1e4 for x in point)
    return 40 + (720 if wide else 0)


def truth(root: Expr, at: Mapping[str, float]) -> Any:
    """The value to many digits, or None where there is no real number."""
    values: dict[Expr, Any] = {}
    for node in postorder(root):
        match node:
            case Num(value):
                values[node] = value if isinstance(value, bool) else mpf(value)
            case Sym(name):
                values[node] = mpf(at[name])
            case Call(op, args):
                given = [values[arg] for arg in args]
                if op.name == "where":
                    values[node] = None if given[0] is None else given[1 if given[0] else 2]
                    continue
                try:
                    found = None if None in given else TRUE.get(op.name, ORACLE[op.name])(*given)
                except (ZeroDivisionError, ValueError, OverflowError):
                    found = None
                real = isinstance(found, (mpf, bool)) and (found is True or not mpmath.isnan(found))
                values[node] = found if real or found is False else None
    return values[root]


def _exp(x: Any) -> Any:
    """Of what no number can hold, what it comes to."""
    return mpmath.exp(x) if abs(x) < 1e6 else mpf("inf") if x > 0 else mpf(0)


TRUE: Mapping[str, Any] = {
    "exp": _exp,
    "expm1": lambda x: mpmath.exp(x) - 1,
    "log1p": lambda x: mpmath.log(1 + x),
    "softplus": lambda x: mpmath.log(1 + mpmath.exp(x)),
}
"""As ORACLE, in as many digits as there are."""


def ulps(found: float, wanted: Any) -> float:
    """The error in units of the last place of the truth; of what is too large or small for a
    number, whether it is found so.
    """
    nearest = float(wanted)
    if math.isinf(nearest) or abs(nearest) < 1e-307:
        return 0.0 if found == nearest or abs(found - nearest) < 1e-307 else math.inf
    if not math.isfinite(found):
        return math.inf
    return float(abs(mpf(found) - wanted) / mpf(float(np.spacing(abs(nearest)))))


# ---- the table -----------------------------------------------------------------------------------

SCALAR = [pair for pair in PAIRS if "(sum " not in str(pair.pattern)]


@pytest.mark.parametrize("pair", SCALAR, ids=lambda pair: str(pair.pattern))
def test_forms_are_the_patterns_and_right(pair: Pair) -> None:
    """Where the pattern is a real number, and a number can hold what the limit says."""
    order, row, tried = list(names(pair.pattern)), limit(pair.pattern), 0
    for point in points(len(order)):
        if not all(row.low <= x <= row.high for x in point):
            continue
        at = dict(zip(order, point, strict=True))
        with mp.workdps(digits(point)):
            wanted = truth(pair.pattern, at)
            if wanted is None or mpmath.isinf(wanted):
                continue
            tried += 1
            if 1e-290 < abs(wanted) < 1e290:
                same = truth(pair.form, at)
                assert same is not None and abs(same - wanted) <= 1e-15 * abs(wanted), (
                    f"at {at} {pair.pattern} is {wanted}, and {pair.form} {same}"
                )
            found = val(pair.pattern, at)
            assert ulps(found, wanted) <= row.ulps, (
                f"{pair.pattern} at {at}: {found!r}, in truth {mpmath.nstr(wanted, 20)}"
            )
    assert tried >= 10


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: str(pair.pattern))
def test_patterns_fit_themselves(pair: Pair) -> None:
    """Each is rewritten, once for all, to what has its shape."""
    for to_derive in {pair.to_derive, False}:
        (found,) = accurate(pair.pattern, to_derive=to_derive)
        assert found is not pair.pattern
        assert accurate(found, to_derive=to_derive) == [found]
        assert accurate(*accurate(pair.pattern, to_derive=True)) == accurate(pair.pattern)
    if "(sum " not in str(pair.pattern):
        shapes = {name: ("rows", 3) if name == "x" else (3,) for name in names(pair.pattern)}
        assert shape_of(found, shapes) == shape_of(pair.pattern, shapes)


# ---- what fits, and what does not ----------------------------------------------------------------

SPELLINGS = [
    ("(+ (exp x) -1)", "(expm1 x)"),
    ("(+ -1 (exp x))", "(expm1 x)"),
    ("(+ (- (cos x)) 1)", "(* 2 (** (sin (* 0.5 x)) 2))"),
    ("(- (* x x) (* y y))", "(* (- x y) (+ x y))"),
    ("(** (+ (* y y) (** x 2)) 0.5)", "(hypot y x)"),
    ("(/ 1 (+ (exp (- 0 x)) 1))", "(sigmoid x)"),
    ("(/ 1 (+ 1 (exp (* -2 x))))", "(sigmoid (* 2 x))"),
    ("(/ 1 (+ 1 (exp (* -0.5 x y))))", "(sigmoid (* 0.5 x y))"),
    ("(/ 1 (+ 1 (exp (/ (- x) y))))", "(sigmoid (/ x y))"),
    ("(log (+ (+ (exp x) (exp y)) (exp z)))", "(logaddexp (logaddexp x y) z)"),
    ("(log (/ 1 (+ 1 (exp (- x)))))", "(- (softplus (- x)))"),
    ("(/ (exp y) (+ (exp x) (exp y)))", "(softmax2 y x)"),
    ("(where (> x 0) (log (+ x 1)) (- (exp x) 1))", "(where (> x 0) (log1p x) (expm1 x))"),
]


@pytest.mark.parametrize(("text", "wanted"), SPELLINGS)
def test_spellings(text: str, wanted: str) -> None:
    assert str(accurate(parse(text))[0]) == wanted


NEVER = [
    "(* (exp x) (exp y))",
    "(exp (* y (log (+ 2 x))))",
    "(- (log x) (log y))",
    "(* (sqrt x) (sqrt y))",
    "(* 0 x)",
    "(/ x x)",
    "(+ (- x y) (+ y 1))",
    "(** (+ 1 x) 2)",
    "(- (exp x) 1.5)",
    "(+ 1 x (exp y))",
]


@pytest.mark.parametrize("text", NEVER)
def test_nothing_else_is_touched(text: str) -> None:
    e = parse(text)
    assert accurate(e) == [e] == accurate(e, to_derive=True)


# ---- where it is done ----------------------------------------------------------------------------

SHOWN = [
    ("(define e (log (+ 1 (exp x)))) e", "(log (+ 1 (exp x)))"),
    ("(d (log (+ 1 (exp x))) x)", "(sigmoid x)"),
    ("(d (- (** x 2) (** y 2)) x)", "(* 2 x)"),
    ("(d (- 1 (cos x)) x)", "(sin x)"),
    ("(d (sqrt (+ (** x 2) (** y 2))) x)", "(/ x (sqrt (+ (** x 2) (** y 2))))"),
    ("(d (/ 1 (+ 1 (exp (- x)))) x)", "(* (sigmoid x) (sigmoid (- x)))"),
    ("(d (log (+ 1 (exp x))) x :raw true)", None),
    ("(simplify (- (exp x) 1))", "(- (exp x) 1)"),
]


@pytest.mark.parametrize(("program", "text"), SHOWN)
def test_what_is_shown(program: str, text: str | None) -> None:
    shown = str(Session().run(program))
    assert shown == text if text else "sigmoid" not in shown


def test_every_way_to_a_value() -> None:
    e, at = parse("(log (+ 1 (exp x)))"), np.full(2000, 800.0)
    assert val(e, {"x": 800.0}) == 800
    assert val(d(e, "x"), {"x": 800.0}) == 1
    assert compile_formula(e, ["x"])(800.0) == 800
    assert np.all(compile_formula(e, ["x"], backend="native")(at) == 800)
    assert Session().run("(val (log (+ 1 (exp x))) :x 800)") == 800
    session = Session()
    result = session.run(
        "(param w 1) (data x [-900 900 400]) (data y [0 1 1])"
        "(train (mean (- (log (+ 1 (exp (* w x)))) (* w x y))) :steps 3 :lr 1e-4)"
    )
    assert result.status == "steps" and math.isfinite(result.loss)


def test_arrays() -> None:
    session = Session()
    session.run("(data v [[1000 1001] [-1000 -1000]])")
    rows = session.run("(val (log (sum (exp v) :axis 1)))")
    assert rows == pytest.approx([1001.3132616875182, -999.3068528194401], rel=1e-15)
    assert session.run("(val (log (sum (exp v))))") == pytest.approx(1001.3132616875182)
    assert session.run("(val (/ (- (exp (* 1e-9 v)) 1) (* 1e-9 v)))").shape == (2, 2)
