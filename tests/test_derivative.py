"""Derivatives: the article's texts, tidy texts, true values, and what is shared."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import sympy

from nablisp import NablispError, Session, d, gradient, params, parse, simplify, val
from nablisp.derivative import hessian, jacobian
from nablisp.evaluate import evaluate
from nablisp.expr import OPS, Call, Expr, Num, Sym, names, plain, postorder, size, substitute

# ---- the article ---------------------------------------------------------------------------------

x, y, m, b = params("x y m b")
E = x**2 + x * y
LOSS: Expr = sum(((m * at + b) - (2 * at + 1)) ** 2 for at in (-2, 3)) / 2

ARTICLE = [
    (E, "(+ (** x 2) (* x y))"),
    (
        d(E, "x", simplify=False),
        "(+ (* 1 (+ (* (* 2 (** x 1)) 1) 0)) (* 1 (+ (* y 1) (* x 0))))",
    ),
    (
        d(E, "y", simplify=False),
        "(+ (* 1 (+ (* (* 2 (** x 1)) 0) 0)) (* 1 (+ (* y 0) (* x 1))))",
    ),
    (LOSS, "(/ (+ (+ 0 (** (- (+ (* m -2) b) -3) 2)) (** (- (+ (* m 3) b) 7) 2)) 2)"),
    (
        d(LOSS, "m", simplify=False),
        """(+ (* 0.5 (+ (* 1 (+ 0 (* 1 (+ (* (* 2 (** (- (+ (* m -2) b) -3) 1))
        (+ (* 1 (+ (* 1 (+ -2 (* m 0))) 0)) 0)) 0)))) (* 1 (+ (* (* 2 (** (- (+ (* m 3) b) 7) 1))
        (+ (* 1 (+ (* 1 (+ 3 (* m 0))) 0)) 0)) 0)))) (* (/ (- 0 (+ (+ 0
        (** (- (+ (* m -2) b) -3) 2)) (** (- (+ (* m 3) b) 7) 2))) 4) 0))""",
    ),
    (
        d(LOSS, "b", simplify=False),
        """(+ (* 0.5 (+ (* 1 (+ 0 (* 1 (+ (* (* 2 (** (- (+ (* m -2) b) -3) 1))
        (+ (* 1 (+ (* 1 (+ 0 (* m 0))) 1)) 0)) 0)))) (* 1 (+ (* (* 2 (** (- (+ (* m 3) b) 7) 1))
        (+ (* 1 (+ (* 1 (+ 0 (* m 0))) 1)) 0)) 0)))) (* (/ (- 0 (+ (+ 0
        (** (- (+ (* m -2) b) -3) 2)) (** (- (+ (* m 3) b) 7) 2))) 4) 0))""",
    ),
]


@pytest.mark.parametrize(("made", "text"), ARTICLE, ids=["e", "e x", "e y", "loss", "m", "b"])
def test_the_article_s_texts(made: Expr, text: str) -> None:
    assert str(made) == " ".join(text.split())


def test_the_article_s_values() -> None:
    at = {"x": 2, "y": 3}
    assert [val(E, at), val(d(E, "x", simplify=False), at), val(d(E, "y"), at)] == [10, 7, 2]
    start = {"m": 0, "b": 0}
    for name, slope in (("m", -27), ("b", -4)):
        assert val(d(LOSS, name, simplify=False), start) == val(d(LOSS, name), start) == slope


# ---- tidy texts ----------------------------------------------------------------------------------

TIDY = [
    ("(d (+ (** x 2) (* x y)) x)", "(+ (* 2 x) y)"),
    ("(d (+ (** x 2) (* x y)) y)", "x"),
    ("(d 5 x)", "0"),
    ("(d y x)", "0"),
    ("(d (* 0 x) x)", "0"),
    ("(d (- x x) x)", "0"),
    ("(d (- 1 x) x)", "-1"),
    ("(d (+ x x x) x)", "3"),
    ("(d (** x 3) x)", "(* 3 (** x 2))"),
    ("(d (** x 3) x x)", "(* 6 x)"),
    ("(d (** x 3) x x x)", "6"),
    ("(d (** x -2) x)", "(/ -2 (** x 3))"),
    ("(d (** (** x 2) 3) x)", "(* 6 (** x 5))"),
    ("(d (** x n) x)", "(where (= n 0) 0 (* n (** x (- n 1))))"),
    ("(d (** 2 x) x)", "(* 0.6931471805599453 (** 2 x))"),
    ("(d (* x x x) x)", "(* 3 (** x 2))"),
    ("(d (* a b c x) x)", "(* a b c)"),
    ("(d (- (* a x)) x)", "(- a)"),
    ("(d (/ a x) x)", "(- (/ a (** x 2)))"),
    ("(d (/ 1 x) x x)", "(/ 2 (** x 3))"),
    ("(d (/ (** x 3) 3) x)", "(** x 2)"),
    ("(d (* 0.5 (** x 2)) x)", "x"),
    ("(d (/ (* 2 x) 3) x)", "0.6666666666666666"),
    ("(d (+ a (* b x) (* c (** x 2))) x)", "(+ b (* 2 c x))"),
    ("(d (** (- (+ (* m x) b) y) 2) m)", "(* 2 x (- (+ (* m x) b) y))"),
    ("(d (** (- y (+ (* m x) b)) 2) b)", "(* -2 (- y (+ (* m x) b)))"),
    ("(d (** (+ 1 (* x y)) 5) x)", "(* 5 y (** (+ 1 (* x y)) 4))"),
    ("(d (sqrt (+ 1 (** x 2))) x)", "(/ x (sqrt (+ 1 (** x 2))))"),
    ("(d (exp (- (** x 2))) x)", "(* -2 x (exp (- (** x 2))))"),
    ("(d (exp (- (** x 2))) x x)", "(* (exp (- (** x 2))) (- (* 4 (** x 2)) 2))"),
    ("(d (* x (log x)) x)", "(+ (log x) 1)"),
    ("(d (log (+ 1 (** x 2))) x)", "(/ (* 2 x) (+ 1 (** x 2)))"),
    ("(d (* (sin x) (cos x)) x)", "(- (** (cos x) 2) (** (sin x) 2))"),
    ("(d (/ (sin x) x) x)", "(- (/ (cos x) x) (/ (sin x) (** x 2)))"),
    ("(d (sin (* w x)) w w)", "(- (* (** x 2) (sin (* w x))))"),
    ("(d (tan x) x x)", "(* 2 (tan x) (+ (** (tan x) 2) 1))"),
    ("(d (* a (exp (* k x))) k)", "(* a x (exp (* k x)))"),
    (
        "(d (gaussian x height center width) center)",
        "(/ (* height (- x center) (exp (* -0.5 (** (/ (- x center) width) 2)))) (** width 2))",
    ),
    ("(d (sigmoid (* w x)) w)", "(* x (sigmoid (* w x)) (sigmoid (- (* w x))))"),
    ("(d (max x 0) x)", "(where (= x 0) 0.5 (max 0 (sign x)))"),
    ("(d (where (> x 0) (** x 2) (- x)) x)", "(where (> x 0) (* 2 x) -1)"),
    ("(d (where (> x 0) (log x) 0) x)", "(where (> x 0) (/ 1 x) 0)"),
    ("(simplify (+ (* 1 x) 0))", "x"),
    ("(simplify (- x (- y)))", "(+ x y)"),
    ("(simplify (+ x (* 2 x) 1 2))", "(+ (* 3 x) 3)"),
    ("(simplify (* 2 (* 3 x) 0.5))", "(* 3 x)"),
    ("(simplify (/ (* x y) (* y z)))", "(/ x z)"),
    ("(simplify (+ (* a x) (* a y)))", "(* a (+ x y))"),
    ("(simplify (+ (* -1 x) y))", "(- y x)"),
    ("(simplify (where (not (> x 0)) 1 2))", "(where (> x 0) 2 1)"),
    ("(simplify (and (> x 0) (> x 0)))", "(> x 0)"),
]


@pytest.mark.parametrize(("text", "tidy"), TIDY)
def test_tidy_texts(text: str, tidy: str) -> None:
    assert str(Session().run(text)) == tidy


ROWS = """
(params m b) (data x [-2 3 5])
(define loss (mse (+ (* m x) b) (+ (* 2 x) 1)))
"""
TIDY_ROWS = [
    ("(d loss b)", "(* 2 (mean (- (+ (* m x) b) (+ (* 2 x) 1))))"),
    ("(d loss m)", "(* 2 (mean (* x (- (+ (* m x) b) (+ (* 2 x) 1)))))"),
    ("(d loss b b)", "2"),
    ("(d (sum (* m x)) m)", "(sum x)"),
    ("(d (sum (+ b (* 0 x))) b)", "(rows)"),
    ("(d (mean b) b)", "1"),
    ("(d (* m x) m)", "x"),
]


@pytest.mark.parametrize(("text", "tidy"), TIDY_ROWS)
def test_tidy_texts_of_rows(text: str, tidy: str) -> None:
    session = Session()
    session.run(ROWS)
    assert str(session.run(text)) == tidy


# ---- true values ---------------------------------------------------------------------------------

SYMPY: dict[str, Callable[..., Any]] = {
    "+": lambda *terms: sum(terms),
    "-": lambda a, b: a - b,
    "neg": lambda a: -a,
    "*": lambda *factors: sympy.prod(factors),
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
    "expm1": lambda a: sympy.exp(a) - 1,
    "log1p": lambda a: sympy.log(1 + a),
    "lgamma": sympy.loggamma,
    "hypot": lambda a, b: sympy.sqrt(a**2 + b**2),
    "sigmoid": lambda a: 1 / (1 + sympy.exp(-a)),
    "softplus": lambda a: sympy.log(1 + sympy.exp(a)),
}


def work(root: Expr) -> int:
    """Distinct operations, not counting choices: those of `**` at 0 are not in the raw form."""
    calls = [node.op for node in postorder(root) if isinstance(node, Call)]
    return sum(op.result == "number" for op in calls)


def in_sympy(root: Expr) -> Any:
    made: dict[Expr, Any] = {}
    for node in postorder(root):
        match node:
            case Num(value):
                made[node] = sympy.Rational(value)
            case Sym(name):
                made[node] = sympy.Symbol(name)
            case Call(op, args):
                f = SYMPY.get(op.name) or getattr(sympy, op.name)
                made[node] = f(*(made[arg] for arg in args))
    return made[root]


FORMULAS = """
    (/ (- (* x y) 1) (+ (** x 2) (** y 2)))
    (* (exp (- (/ x y))) (sin (* 3 x y)))
    (** (+ x y) (- x y))
    (** x (** y x))
    (log (+ (exp x) (exp (* 2 y))))
    (sqrt (/ (+ 1 (* x y)) (- 5 (cos x))))
    (/ (tanh (* x y)) (+ x (/ 1 y)))
    (atan2 (* x y) (- y 3))
    (- (asin (/ x 3)) (acos (/ y 4)) )
    (* x (erf (/ (- y x) (* 2 (sqrt y)))))
    (sigmoid (- (* x (softplus y)) (hypot x y)))
    (/ (* 3 (** (- x 1.5) 4) (sinh y)) (** (- 7 (* x y)) 3))
    (* (+ x 1) (+ x 2) (+ x 3) (- y x) (- y 0.25))
    (- (exp (* -0.5 (** (/ (- x 1) y) 2))) (** (cosh (/ x y)) -0.5))
    (+ (log1p (* x y)) (expm1 (- x)) (atan (/ y x)) (tan (/ x 5)))
    (* (lgamma (+ x y)) (digamma (* x y)))
    (/ (/ (/ x y) (/ y (+ x 2))) (/ 1 (- x 7)))
    (- (asinh (* x y)) (- (atanh (/ x 9)) (acosh (+ 1 y))))
    (/ (+ (* 2 x y) (* 4 x)) (* 6 x))
    (* (sqrt x) (sqrt (* x y)) (/ 1 (sqrt y)) (** x (/ 1 3)))
""".strip().splitlines()


@pytest.mark.parametrize("text", [text.strip() for text in FORMULAS])
def test_values_agree_with_sympy(text: str) -> None:
    e = parse(text)
    same = in_sympy(e)
    for order in ("x", "y", "xx", "xy", "yy", "xxy"):
        slope = d(e, *order)
        wanted = sympy.diff(same, *order)
        for at in ({"x": 0.7, "y": 1.3}, {"x": 2.1, "y": 0.6}):
            truth = float(wanted.evalf(30, subs={k: sympy.Float(v, 40) for k, v in at.items()}))
            found = val(slope, at)
            assert math.isclose(found, truth, rel_tol=1e-11, abs_tol=1e-12), (
                f"d{order} at {at}: {found!r}, and SymPy {truth!r}, by {slope}"
            )
    for name in "xy":
        tidy, raw = d(e, name), d(e, name, simplify=False)
        assert work(tidy) <= work(raw), f"{work(tidy)} operations tidy, {work(raw)} raw: {tidy}"
        assert math.isclose(val(raw, at), val(tidy, at), rel_tol=1e-11, abs_tol=1e-13)


# ---- where ---------------------------------------------------------------------------------------

CHOICES = [
    "(where (> x 0) (log x) 0)",
    "(where (> x 0) (sqrt x) (* x y))",
    "(where (< x 0) (** (- x) 1.5) (** x 1.5))",
    "(where (= x 0) y (/ (sin (* x y)) x))",
    "(where (!= x 0) (/ (expm1 x) x) 1)",
    "(* y (where (> x 0) (log x) (* 2 x)))",
    "(exp (* y (where (> x 0) (log x) 0)))",
    "(where (> x 0) (where (> y 0) (** x y) (/ x y)) (where (> y 0) (log y) (* x y y)))",
    "(where (and (> x 0) (> y 0)) (* (log x) (log y)) (+ x y))",
    "(where (or (> x 1) (not (> y 0))) (/ (log y) (- x 1)) (* x y))",
    "(where (> x 0) (* (log x) (where (> x 1) (sqrt (- x 1)) (sqrt (- 1 x)))) 3)",
    "(+ (where (> x 0) (log x) 0) (where (> x 1) (* (log x) (log x)) (* y (log x))) 1)",
    "(/ (where (> x 0) x 1) (where (> x 0) (log (+ x 1)) y))",
    "(- (where (> x 0) (log x) 0) (where (<= x 0) 0 (log x)))",
    "(where (> (* x x) 2) (/ y (- (* x x) 1)) (acos (- x)))",
]


def decided(root: Expr, at: Mapping[str, float]) -> Expr:
    """The formula with every `where` replaced by the branch it takes at a point."""
    calls = [node for node in postorder(root) if isinstance(node, Call)]
    wheres = [node for node in calls if node.op.name == "where"]
    taken = evaluate([node.args[0] for node in wheres], at)
    new: dict[Expr, Expr] = {}
    for node, yes in zip(wheres, taken, strict=True):
        new[node] = substitute([node.args[1 if yes else 2]], new)[0]
    return substitute([root], new)[0]


@pytest.mark.parametrize("text", CHOICES)
def test_a_branch_not_taken_gives_nothing(text: str) -> None:
    """To third order, the derivative is that of the branch taken alone."""
    e = parse(text)
    slopes = {order: d(e, *order) for order in ("x", "y", "xx", "xy", "yy", "xxx", "xxy", "yyy")}
    for at in ({"x": p, "y": q} for p in (-1.5, 0.0, 0.5, 1.25) for q in (-0.5, 0.75)):
        alone = decided(e, at)
        for order, slope in slopes.items():
            found, wanted = val(slope, at), val(plain(d(alone, *order)), at)
            assert not math.isfinite(wanted) or math.isclose(
                found, wanted, rel_tol=1e-13, abs_tol=1e-13
            ), f"d{order} at {at}: {found!r}, and of the branch taken {wanted!r}, by {slope}"


SUMS = [
    "(mean (where (> x 0) (log (* a x)) 0))",
    "(sum (* x (where (> x 0) (log (* a x)) (* a x))))",
    "(** (mean (where (> x 0) (sqrt (* a x)) (exp (* a x)))) 3)",
    "(logsumexp (where (> x 0) (log (* a x)) (* a a x)))",
    "(mean (* (where (> x 0) (log (* a x)) 0) (mean (where (> x 0) (/ a x) 1))))",
    "(sum (* w (where (> x 0) (log (* a x)) 0)))",
    "(mean (+ (where (> x 0) (log (* a x)) 0) (where (> x 1) (* a (log x)) (* b a))))",
]


@pytest.mark.parametrize("text", SUMS)
def test_a_branch_not_taken_gives_nothing_under_sums(text: str) -> None:
    """The same over rows: against the same text with a row's own formula where it is taken."""
    data = np.array([-1.5, 0.0, 0.5, 2.0])
    session = Session()
    session.run("(params (a 0.7) (b 0.3) (w 2))", data={"x": data})
    loss = session.run(text)
    for order in ("a", "aa", "aaa", "ab", "w"):
        found = session.run(f"(val (d {text} {' '.join(order)}))")
        assert math.isfinite(found), f"d{order} is {found}, by {d(loss, *order)}"
        safe = text.replace("(log (* a x))", "(log (* a (where (> x 0) x 1)))")
        safe = safe.replace("(sqrt (* a x))", "(sqrt (* a (where (> x 0) x 1)))")
        safe = safe.replace("(log x)", "(log (where (> x 0) x 1))")
        safe = safe.replace("(/ a x)", "(/ a (where (> x 0) x 1))")
        wanted = session.run(f"(val (d {safe} {' '.join(order)}))")
        assert math.isclose(found, wanted, rel_tol=1e-13, abs_tol=1e-13), f"{found} ≠ {wanted}"


# ---- sharing and size ----------------------------------------------------------------------------

LAYERS = """
(params (u 0.1) (v 0.2) (w 0.3) (c 0.4) (e 0.5)) (data x [1 2 3]) (data y [0 1 0])
(define hidden (tanh (+ (* u x) v)))
(define loss (+ (bce (+ (* w hidden) c) y) (* e (** w 2))))
"""


def test_loss_and_gradient_share_their_parts() -> None:
    session = Session()
    session.run(LAYERS)
    loss = session.run("loss")
    slopes = gradient(loss, [Sym(n) for n in "uvwce"], session.shapes)
    apart = size(loss) + sum(map(size, slopes))
    together = size(loss, *slopes)
    assert together < 0.6 * apart, f"{together} operations together, {apart} apart"
    assert set(postorder(session.run("hidden"))) <= set(postorder(*slopes))


def test_one_sweep_for_a_thousand_parameters() -> None:
    wrt = [Sym(f"p{i}") for i in range(1000)]
    e: Expr = Sym("x")
    for p in wrt:
        e = Call(OPS["tanh"], (e * p + 0.5,))
    began = time.process_time()
    slopes = gradient(e, wrt)
    seconds = time.process_time() - began
    assert seconds < 2, f"{seconds:.1f} s"
    assert size(e, *slopes) < 5 * size(e)
    at = {p.name: 0.9 + i / 9000 for i, p in enumerate(wrt)} | {"x": 0.3}
    for i in (0, 998, 999):
        h = 1e-6
        up, down = (val(e, at | {f"p{i}": at[f"p{i}"] + s}) for s in (h, -h))
        assert math.isclose(val(slopes[i], at), (up - down) / (2 * h), rel_tol=1e-6, abs_tol=1e-9)


@pytest.mark.parametrize("op", ["+", "*", "max"])
def test_many_arguments(op: str) -> None:
    wrt = [Sym(f"p{i}") for i in range(3000)]
    e = Call(OPS[op], tuple(wrt))
    began = time.process_time()
    slopes = gradient(e, wrt)
    assert size(e, *slopes) < 40_000 and isinstance(simplify(e), Expr)
    seconds = time.process_time() - began
    assert seconds < 2, f"{seconds:.1f} s"
    at = {p.name: 1.0 + (i == 7) for i, p in enumerate(wrt)}
    wanted = {"+": 1, "*": 1, "max": 1}[op]
    assert val(slopes[7], at) == wanted


# ---- what else is asked --------------------------------------------------------------------------


def test_hessians_are_symmetric_and_jacobians_rows() -> None:
    e = parse("(* (exp (* x y)) (sin (+ x (* 2 z))))")
    wrt = [Sym(n) for n in "xyz"]
    second = hessian(e, wrt)
    at = {"x": 0.3, "y": 0.4, "z": 0.5}
    for i, j in itertools.product(range(3), repeat=2):
        assert second[i][j] is second[j][i]
        assert math.isclose(val(second[i][j], at), val(d(e, "xyz"[j], "xyz"[i]), at), rel_tol=1e-14)
    rows = jacobian([x * y, x + y], [x, y])
    assert [[str(cell) for cell in row] for row in rows] == [["y", "x"], ["1", "1"]]


def test_what_cannot_be_differentiated() -> None:
    with pytest.raises(NablispError, match="needs a name"):
        d(E)
    with pytest.raises(NablispError, match="by a name, not by"):
        d(E, x**2)
    session = Session()
    session.run("(params a) (data x [1 2])")
    for text, words in [
        ("(grad (* a x))", "wrap it in mean or sum"),
        ("(d (* a x) x)", "use jacobian"),
        ("(d (mean (* a x)) a :raw true)", "of scalars, not of mean"),
        ("(d a (* 2 a))", "differentiates by names"),
    ]:
        with pytest.raises(NablispError, match=words):
            session.run(text)


def test_a_derivative_is_of_the_formula_not_of_its_writing() -> None:
    assert names(d(E, "x")) == names(E)
    assert d(parse("(+ x 1)"), "x") == 1 and type(d(parse("(* 2 x)"), "x")) is int
    assert d(3, "x") == 0 and d(np.array([1.0, 2.0]).sum(), "x") == 0
