"""The bound of a value's rounding: above the error, near it, and honest where nothing is left."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, note
from mpmath import mp, mpf
from test_ops import NUMERIC, oracle
from test_random import PLACES, formulas, tried, truth

from nablisp import NablispError, Session, parse, val
from nablisp.expr import OPS, Call, Expr, Op, Sym
from nablisp.rounding import Bounded, bounded, bounds

U = 2.0**-53


def bound_of(text: str, **env: Any) -> Bounded:
    found = val(parse(text), env, bound=True)
    assert isinstance(found, Bounded)
    return found


# ---- what it says --------------------------------------------------------------------------------

SAYS = [
    ("(val (* 3 x) :x 2 :bound true)", "6 exactly"),
    ("(val (/ x 4) :x 3 :bound true)", "0.75 exactly"),
    ("(val (+ x 0.1) :x 0.2 :bound true)", "0.30000000000000004 ± 4.4e-17 (15 correct digits)"),
    ("(val (- (+ x 1) 1) :x 1e-17 :bound true)", "0.0 ± 1e-17 (no correct digits)"),
    (
        "(val (* (- (+ u 1) 1) (- (+ v 1) 1)) :u 1e-17 :v 1e-17 :bound true)",
        "0.0 ± 1e-34 (no correct digits)",
    ),
    (
        "(val (hypot (- (+ u 1) 1) (- (+ v 1) 1)) :u 1e-17 :v 1e-17 :bound true)",
        "0.0 ± 2e-17 (no correct digits)",
    ),
    (
        "(val (sin (* pi u)) :u 1 :bound true)",
        "1.2246467991473532e-16 ± 1.2e-16 (no correct digits)",
    ),
    (
        "(val (mod x y) :x -6.75476338494107e-13 :y 0.4069859903529544 :bound true)",
        "0.40698599035227895 ± 4.5e-17 (15 correct digits)",
    ),
    ("(val (mod x 3) :x 7.5 :bound true)", "1.5 exactly"),
    ("(val (** (+ 1 x) n) :x 1 :n 10 :bound true)", "1024 exactly"),
    (
        "(val (** (+ 1 x) n) :x 0.1 :n 10 :bound true)",
        "2.5937424601 ± 1.3e-15 (15 correct digits)",
    ),
    ("(val (- (exp x) (exp x)) :x 800 :bound true)", "nan, no correct digits"),
    ("(val (exp x) :x 800 :bound true)", "inf, no correct digits"),
    ("(val (/ 1 (cosh x)) :x 800 :bound true)", "0.0, no correct digits"),
    ("(val (log x) :x inf :bound true)", "inf exactly"),
    ("(val (+ 1 2) :bound true)", "3 exactly"),
    (
        "(param c 0.3) (val (dot c [1 2 4]) :bound true)",
        "2.0999999999999996 ± 7.8e-16 (15 correct digits)",
    ),
    ("(param c 0.3) (val (dot c c) :bound true)", "0.09 ± 1.7e-17 (15 correct digits)"),
    ("(get (val (+ x 0.1) :x 0.2 :bound true) :digits)", "15"),
    ("(get (val (+ x 0.25) :x 0.5 :bound true) :bound)", "0.0"),
    ("(get (val (sin x) :x 0 :bound true) :value)", "0.0"),
    ("(data v [1 2 3]) (val (* v 2) :bound true)", "[2 4 6] exactly"),
    ("(val (* v 2) :v 3 :bound false)", "6"),
    ("(val (* bound 2) :bound 3)", "6"),
]


@pytest.mark.parametrize(("program", "text"), SAYS)
def test_texts(program: str, text: str) -> None:
    session = Session()
    assert session.text(session.run(program)) == text


def test_a_name_that_is_missing() -> None:
    with pytest.raises(NablispError, match="x has no value"):
        Session().run("(val (sin x) :bound true)")


# ---- where digits are lost, and where not --------------------------------------------------------

LOST = [
    ("(- (* x (exp y)) (* z (exp y)))", {"x": 1.1, "y": 0.3, "z": 1.1}),
    ("(- (sin (+ x 1e16)) 0.5)", {"x": 0.3}),
    ("(floor (* x 10))", {"x": 0.3}),
    ("(where (< (* 3 x) 0.3) 1 2)", {"x": 0.1}),
    ("(sign (- (* 3 x) 0.3))", {"x": 0.1}),
    ("(sqrt (- (* 3 x) 0.3))", {"x": 0.1}),
    ("(/ 1 (+ 1 (/ 1 (exp (* x x)))))", {"x": 1e200}),
    ("(- (** x 2) (* 2 x y) (neg (** y 2)))", {"x": 1.00000001, "y": 1.0}),
]


@pytest.mark.parametrize(("text", "env"), LOST)
def test_nothing_is_claimed(text: str, env: dict[str, float]) -> None:
    text = text.replace("(neg ", "(- ")
    found = bound_of(text, **env)
    assert found.digits < 9, found.text


KEPT = [
    ("(- (exp x) 1)", {"x": 1e-20}),
    ("(log (+ 1 (exp x)))", {"x": 800.0}),
    ("(- x 1)", {"x": 1.0000000000000002}),
    ("(where (> x 0) (sqrt x) (log x))", {"x": 2.0}),
    ("(max x 3)", {"x": 3.0}),
    ("(floor x)", {"x": 2.5}),
    ("(/ (exp x) (+ (exp x) (exp y)))", {"x": -1000.0, "y": -1001.0}),
]


@pytest.mark.parametrize(("text", "env"), KEPT)
def test_digits_are_claimed(text: str, env: dict[str, float]) -> None:
    assert bound_of(text, **env).digits >= 14


def test_decimals_are_what_was_written() -> None:
    assert bound_of("(* 1 x)", x=0.1).bound == pytest.approx(abs(0.1 - mpf("0.1")))
    assert bound_of("(* 1 x)", x=0.1234567890123456).bound == 0
    assert bound_of("(* 1 x)", x=0.375).bound == 0
    assert bound_of("(* 1 x)", x=12345.0).bound == 0


# ---- against many digits -------------------------------------------------------------------------


@tried
@given(formulas(), PLACES)
def test_random_formulas(e: Expr, place: tuple[float, float]) -> None:
    """The error is within twice the bound, whatever the formula."""
    at = dict(zip("xy", place, strict=True))
    with mp.workdps(40):
        found = truth(e, {name: mpf(repr(value)) for name, value in at.items()})
        assume(found is not None and not found.tie)
        assert found is not None
        assume(not isinstance(found.value, bool))
        value, bound = bounds([e], at)[0]
        note(f"{e} at {at}: {value!r} ± {bound!r}, in truth {found.value}")
        assert not math.isfinite(bound) or abs(value - found.value) <= 2 * bound


POINTS = np.array([0.1, 0.7, 1.3, 2.9, -0.4, 1e5, 3.0, 0.123])
ARRAYS = [
    "(sum v)",
    "(mean (* v v))",
    "(sum (sin v))",
    "(amax (* v 3))",
    "(dot v (* 0.1 v))",
    "(logsumexp (* 0.01 v))",
    "(sum (* v (exp (* -0.001 v))))",
    "(ref (* v 0.3) 2)",
    "(mean (** (- v (mean v)) 2))",
]


@pytest.mark.parametrize("text", ARRAYS)
def test_arrays(text: str) -> None:
    """Against the same in extended precision, element by element the decimals that were written."""
    session = Session()
    session.run("(param v [0.1 0.7 1.3 2.9 -0.4 1e5 3 0.123])")
    found = session.run(f"(val {text} :bound true)")
    with mp.workdps(40):
        v = [mpf(repr(float(x))) for x in POINTS]
        n = len(v)
        middle = sum(v) / n
        wanted = {
            "(sum v)": sum(v),
            "(mean (* v v))": sum(x * x for x in v) / n,
            "(sum (sin v))": sum(map(mp.sin, v)),
            "(amax (* v 3))": 3 * max(v),
            "(dot v (* 0.1 v))": sum(x * x for x in v) / 10,
            "(logsumexp (* 0.01 v))": mp.log(sum(mp.exp(x / 100) for x in v)),
            "(sum (* v (exp (* -0.001 v))))": sum(x * mp.exp(-x / 1000) for x in v),
            "(ref (* v 0.3) 2)": v[2] * 3 / 10,
            "(mean (** (- v (mean v)) 2))": sum((x - middle) ** 2 for x in v) / n,
        }[text]
        assert abs(found.value - wanted) <= found.bound <= 1e-12 * abs(wanted)


def test_solving() -> None:
    session = Session()
    session.run("(param A [[1 2] [3 4.5]]) (param h [[1 0.5] [0.5 0.25000000000001]])")
    good = session.run("(val (solve A [1 1]) :bound true)")
    bad = session.run("(val (solve h [1 1]) :bound true)")
    assert good.digits >= 13 and bad.digits <= 3


def _wilkinson(n: int) -> Any:
    """Whose pivots double at each step (J. H. Wilkinson, 1961)."""
    out = np.eye(n) - np.tril(np.ones((n, n)), -1)
    out[:, -1] = 1
    return out


MATRICES = [
    _wilkinson(20),
    _wilkinson(50),
    _wilkinson(60),
    1 / (np.arange(8)[:, None] + np.arange(8) + 1),
    np.random.default_rng(3).normal(size=(6, 6)),
    np.ones((2, 2)),
]


@pytest.mark.parametrize("matrix", MATRICES, ids=lambda a: f"{a[1, 0]:.2g}, {len(a)} by {len(a)}")
def test_solutions_are_within_their_bounds(matrix: Any) -> None:
    b = np.random.default_rng(1).normal(size=len(matrix))
    found = bounded(Call(OPS["solve"], (Sym("A"), Sym("b"))), {"A": matrix, "b": b})
    if not np.all(np.isfinite(found.bound)):
        assert found.digits == 0
        return
    with mp.workdps(60):
        truth = mp.lu_solve(mp.matrix(matrix.tolist()), mp.matrix(b.tolist()))
        off = [abs(float(x - t)) for x, t in zip(map(mpf, found.value), truth, strict=True)]
    assert np.all(np.array(off) <= found.bound)


@pytest.mark.parametrize("op", NUMERIC, ids=repr)
def test_no_row_claims_more_than_it_has(op: Op) -> None:
    """Through its domain, and at its finest near 0, where series end and differences cancel."""
    along = np.concatenate([np.linspace(0.002, 0.998, 97), 0.5 + 0.5 / 3 ** np.arange(1, 33)])
    ways = (along, along[::-1], np.roll(along, 40))
    at = {
        name: low + (high - low) * way
        for name, way, (low, high) in zip("xyz", ways, op.domain or [(-3, 3)] * 3, strict=False)
    }
    ((values, offs),) = bounds([Call(op, tuple(Sym(n) for n in "xyz"[: op.arity[1] or 2]))], at)
    f = oracle(op)
    assert np.all(np.isfinite(offs)) and f is not None
    with mp.workdps(80):
        given = list(at.values())[: op.arity[1] or 2]
        for *point, value, off in zip(*given, values, offs, strict=True):
            truth = f(*map(mpf, point))
            assert abs(value - truth) <= off, f"{op} {point}: {value!r} ± {off:.2g}, not {truth}"
