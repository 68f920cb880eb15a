"""Every operation, one row each: turns a name into its value, derivative, shape, rules and words.

Formulas are over the arguments `x y z` and the result `out`. Partials are chosen to hold at the
edges: nothing that is finite in truth overflows or cancels on the way. To add an elementwise
operation, add a row: its value on every backend, derivative, LaTeX, help, completion and tests
follow. Array rows name a pullback and a shape rule as well.
"""

from __future__ import annotations

import math

from . import pullbacks as back
from . import shapes as sh
from . import special
from .expr import OPS, Op

__all__ = ["OPS"]


def _add(*rows: Op) -> None:
    OPS.update((row.name, row) for row in rows)


def _unary(name: str, doc: str, array: str, partial: str, **facts: object) -> Op:
    """An elementwise function of one argument, set in upright LaTeX unless it says otherwise."""
    facts.setdefault("latex", rf"\operatorname{{{{{name}}}}}\left({{x}}\right)")
    return Op(name, doc, (1, 1), array, (partial,), **facts)  # type: ignore[arg-type]


# The table reads across.
# fmt: off

# ---- comparison and choice -----------------------------------------------------------------------

_add(
    *(
        Op(name, doc, (2, 2), array, result="boolean", latex=f"{{x}} {sign} {{y}}", binds=0,
           native=f"fcmp {test}", c=f"{{x}} {sign_c} {{y}}")
        for name, doc, array, sign, test, sign_c in (
            ("<", "less than", "less", "<", "olt", "<"),
            ("<=", "at most", "less_equal", r"\le", "ole", "<="),
            (">", "greater than", "greater", ">", "ogt", ">"),
            (">=", "at least", "greater_equal", r"\ge", "oge", ">="),
            ("=", "equal", "equal", "=", "oeq", "=="),
            ("!=", "not equal", "not_equal", r"\ne", "une", "!="),
        )
    ),
    Op("and", "true where all are", (0, None), "logical_and", takes="boolean", result="boolean",
       identity=True, c="{x} && {y}", native="and", latex=r"{args| \land }", binds=-1),
    Op("or", "true where any is", (0, None), "logical_or", takes="boolean", result="boolean",
       identity=False, c="{x} || {y}", native="or", latex=r"{args| \lor }", binds=-2),
    Op("not", "true where false", (1, 1), "logical_not",
       c="!{x}", native="not", takes="boolean", result="boolean",
       latex=r"\lnot {x}", binds=2, rules=(("(not (not x))", "x"),)),
    Op("finite?", "true where neither nan nor infinite", (1, 1), "isfinite",
       c="isfinite({x})", native="finite", result="boolean",
       latex=r"\operatorname{{finite}}\left({x}\right)"),
    Op("where", "the second where the first is true, else the third; only the one chosen counts",
       (3, 3), "where", c="{x} ? {y} : {z}", native="select", takes="choice", result="choice",
       latex=r"\begin{{cases}}{y} & \text{{if }} {x}\\{z} & \text{{else}}\end{{cases}}",
       binds=3, rules=(("(where x y y)", "y"), ("(where (not x) y z)", "(where x z y)")),
       example="(where (> x 0) (log x) 0)"),
)

# ---- arithmetic ----------------------------------------------------------------------------------

_add(
    Op("+", "sum of any number of terms", (0, None), "add", ("1", "1"),
       c="{x} + {y}", native="fadd", identity=0, exact=True,
       latex="{args| + }", binds=1, example="(+ a b c)",
       accurate_value=(
           ("(+ 1 (cos x))", "(* 2 (** (cos (* 0.5 x)) 2))"),
           ("(+ 1 (/ x (sqrt (- (** x 2) y))))",
            "(where (and (< x 0) (> y -inf))"
            " (neg (/ (/ y (sqrt (- (** x 2) y))) (+ (sqrt (- (** x 2) y)) (abs x))))"
            " (- (/ x (sqrt (- (** x 2) y))) -1))"),
           ("(+ 1 (/ x (sqrt (+ (** x 2) n))))",
            "(where (< x 0) (/ (/ n (sqrt (+ (** x 2) n))) (+ (sqrt (+ (** x 2) n)) (abs x)))"
            " (- (/ x (sqrt (+ (** x 2) n))) -1))"),
           ("(+ 1 (/ x (sqrt (+ (** x 2) 1))))",
            "(where (< x 0) (/ (/ 1 (sqrt (+ (** x 2) 1))) (+ (sqrt (+ (** x 2) 1)) (abs x)))"
            " (- (/ x (sqrt (+ (** x 2) 1))) -1))"),
           ("(+ 1 (tanh x))", "(* 2 (sigmoid (* 2 x)))"),
           ("(+ (** (tan x) 2) (neg (cos x)) 1)",
            "(+ (** (tan x) 2) (* 2 (** (sin (* 0.5 x)) 2)))"),
           ("(+ 1 (erf x))", "(erfc (neg x))"),
           ("(+ (exp x) (exp (neg x)))", "(* 2 (cosh x))"),
       )),
    Op("-", "difference; of one argument, its negative", (2, 2), "subtract", ("1", "-1"),
       c="{x} - {y}", native="fsub",
       exact=True, latex="{x} - {y}", binds=1,
       accurate=(
           ("(- (/ 1 x) (/ 1 (+ x n)))", "(* (/ 1 x) (/ n (+ x n)))"),
           ("(- (/ 1 (+ x n)) (/ 1 x))", "(neg (* (/ 1 x) (/ n (+ x n))))"),
           ("(- (/ 1 (- x n)) (/ 1 x))", "(* (/ 1 x) (/ n (- x n)))"),
           ("(- (/ 1 x) (/ 1 (- x n)))", "(neg (* (/ 1 x) (/ n (- x n))))"),
           ("(- (/ 1 (- x n)) (/ 1 (+ x n)))", "(/ (/ (* 2 n) (- x n)) (+ x n))"),
           ("(- (sqrt (+ x n)) (sqrt x))", "(/ n (+ (sqrt (+ x n)) (sqrt x)))"),
           ("(- (sqrt x) (sqrt (+ x n)))", "(neg (/ n (+ (sqrt (+ x n)) (sqrt x))))"),
           ("(- (sqrt x) (sqrt (- x n)))", "(/ n (+ (sqrt x) (sqrt (- x n))))"),
           ("(- (sqrt (+ x n)) (sqrt (- x n)))",
            "(/ (* 2 n) (+ (sqrt (+ x n)) (sqrt (- x n))))"),
           ("(- (log x) (log (- 1 x)))", "(log-odds x)"),
           ("(- x (logaddexp x y))", "(neg (softplus (- y x)))"),
           ("(- x (log (+ (exp x) (exp y))))", "(neg (softplus (- y x)))"),
           ("(- (log (+ 1 x)) (log (- 1 x)))", "(* 2 (atanh x))"),
       ),
       accurate_value=(
           ("(- (tan x) (sin x))", "(* 2 (* (tan x) (** (sin (* 0.5 x)) 2)))"),
           ("(- (cbrt (+ x n)) (cbrt x))",
            "(/ n (+ (** (cbrt (+ x n)) 2) (* (cbrt x) (+ (cbrt (+ x n)) (cbrt x)))))"),
           ("(- (/ 1 (** (cbrt (+ x n)) 2)) (/ 1 (** (cbrt x) 2)))",
            "(where (and (< (abs n) (* 0.5 (abs x))) (< (abs x) 1e200))"
            " (/ (* (* (- n) (+ (cbrt (+ x n)) (cbrt x))) (/ 1 (** (* (cbrt (+ x n)) (cbrt x)) 2)))"
            " (+ (** (cbrt (+ x n)) 2) (* (cbrt x) (+ (cbrt (+ x n)) (cbrt x)))))"
            " (- (/ 1 (** (cbrt (+ x n)) 2)) (* 1 (/ 1 (** (cbrt x) 2)))))"),
           ("(- (atan (+ x n)) (atan x))",
            "(where (finite? (* x (+ x n))) (atan2 n (+ 1 (* x (+ x n))))"
            " (- (atan (+ x n)) (* 1 (atan x))))"),
           ("(- (/ 1 (+ (** (+ x n) 2) 1)) (/ 1 (+ (** x 2) 1)))",
            "(where (and (< (abs x) 1e110) (< (abs n) 1e110))"
            " (* (- n) (/ (/ (+ (* 2 x) n) (+ (** (+ x n) 2) 1)) (+ (** x 2) 1)))"
            " (- (/ 1 (+ (** (+ x n) 2) 1)) (* 1 (/ 1 (+ (** x 2) 1)))))"),
           ("(- (exp x) 1)", "(expm1 x)"),
           ("(- 1 (exp x))", "(neg (expm1 x))"),
           ("(- (exp x) (exp (neg x)))", "(* 2 (sinh x))"),
           ("(- (exp x) (exp y))",
            "(where (< (abs (- x y)) 1) (* (exp y) (expm1 (- x y))) (- (exp x) (* 1 (exp y))))"),
           ("(- (/ (cos x) x) (/ (sin x) (** x 2)))", "(sinrel1 x)"),
           ("(- 1 (cos x))", "(* 2 (** (sin (* 0.5 x)) 2))"),
           ("(- (cos x) 1)", "(* -2 (** (sin (* 0.5 x)) 2))"),
           ("(- (cosh x) 1)", "(* 2 (** (sinh (* 0.5 x)) 2))"),
           ("(- 1 (cosh x))", "(* -2 (** (sinh (* 0.5 x)) 2))"),
           ("(- 1 (** (sin x) 2))", "(** (cos x) 2)"),
           ("(- 1 (** (cos x) 2))", "(** (sin x) 2)"),
           ("(- (** (cosh x) 2) 1)", "(** (sinh x) 2)"),
           ("(- 1 (** (tanh x) 2))", "(** (/ 1 (cosh x)) 2)"),
           ("(- 1 (** (/ 1 (cosh x)) 2))", "(** (tanh x) 2)"),
           ("(- (** (/ 1 (cosh x)) 2) 1)", "(neg (** (tanh x) 2))"),
           ("(- 1 (tanh x))", "(* 2 (sigmoid (* -2 x)))"),
           ("(- (tanh x) 1)", "(* -2 (sigmoid (* -2 x)))"),
           ("(- 1 (sigmoid x))", "(sigmoid (neg x))"),
           ("(- (sigmoid x) 1)", "(neg (sigmoid (neg x)))"),
           ("(- (* 2 (sigmoid x)) 1)", "(tanh (* 0.5 x))"),
           ("(- 1 (erf x))", "(erfc x)"),
           ("(- (erf x) 1)", "(neg (erfc x))"),
           ("(- 1 (erfc x))", "(erf x)"),
           ("(- (sqrt (+ (** x 2) n)) x)",
            "(where (> x 0) (/ n (+ (sqrt (+ (** x 2) n)) x))"
            " (+ (abs x) (sqrt (+ (** x 2) n))))"),
           ("(- (sqrt (+ (** x 2) 1)) x)",
            "(where (> x 0) (/ 1 (+ (sqrt (+ (** x 2) 1)) x))"
            " (+ (abs x) (sqrt (+ (** x 2) 1))))"),
           ("(- (sqrt (- (** x 2) y)) x)",
            "(where (and (> x 0) (> y -inf)) (/ (neg y) (+ (sqrt (- (** x 2) y)) x))"
            " (+ (abs x) (sqrt (- (** x 2) y))))"),
           ("(- (sqrt (- (** x 2) 1)) x)",
            "(where (> x 0) (/ -1 (+ (sqrt (- (** x 2) 1)) x))"
            " (+ (abs x) (sqrt (- (** x 2) 1))))"),
           ("(- (neg x) (sqrt (- (** x 2) y)))",
            "(where (and (< x 0) (> y -inf)) (/ y (+ (sqrt (- (** x 2) y)) (abs x)))"
            " (neg (+ x (sqrt (- (** x 2) y)))))"),
           ("(- (/ x (sqrt (+ (** x 2) n))) 1)",
            "(where (> x 0) (neg (/ (/ n (sqrt (+ (** x 2) n))) (+ (sqrt (+ (** x 2) n)) x)))"
            " (neg (+ 1 (/ (abs x) (sqrt (+ (** x 2) n))))))"),
           ("(- (/ x (sqrt (+ (** x 2) 1))) 1)",
            "(where (> x 0) (neg (/ (/ 1 (sqrt (+ (** x 2) 1))) (+ (sqrt (+ (** x 2) 1)) x)))"
            " (neg (+ 1 (/ (abs x) (sqrt (+ (** x 2) 1))))))"),
           ("(- -1 (/ x (sqrt (- (** x 2) y))))",
            "(where (and (< x 0) (> y -inf))"
            " (/ (/ y (sqrt (- (** x 2) y))) (+ (sqrt (- (** x 2) y)) (abs x)))"
            " (neg (- (/ x (sqrt (- (** x 2) y))) -1)))"),
           ("(- (/ x (sqrt (- (** x 2) y))) 1)",
            "(where (and (> x 0) (> y -inf))"
            " (/ (/ y (sqrt (- (** x 2) y))) (+ (sqrt (- (** x 2) y)) x))"
            " (neg (+ 1 (/ (abs x) (sqrt (- (** x 2) y))))))"),
           ("(- (** x 2) (** y 2))", "(* (- (abs x) (abs y)) (+ (abs x) (abs y)))"),
           ("(- (** x 2) 1)", "(* (- (abs x) 1) (+ (abs x) 1))"),
           ("(- 1 (** x 2))", "(* (- 1 x) (+ 1 x))"),
           ("(- (sqrt (+ 1 x)) 1)", "(where (= x inf) x (/ x (+ 1 (sqrt (+ 1 x)))))"),
           ("(- 1 (sqrt (+ 1 x)))", "(where (= x inf) (neg x) (/ (neg x) (+ 1 (sqrt (+ 1 x)))))"),
           ("(- 1 (sqrt (- 1 x)))",
            "(where (= x -inf) x (/ x (+ 1 (sqrt (- 1 x)))))"),
           ("(- (sqrt (+ 1 (** x 2))) 1)",
            "(where (= (abs x) inf) (abs x) (* x (/ x (+ 1 (sqrt (+ 1 (** x 2)))))))"),
           ("(- (/ 1 (+ 1 x)) 1)", "(where (finite? x) (neg (/ x (+ 1 x))) (- (/ 1 x) 1))"),
           ("(- 1 (/ 1 (+ 1 x)))", "(where (finite? x) (/ x (+ 1 x)) (- 1 (/ 1 x)))"),
           ("(- 1 (/ x (+ 1 x)))", "(/ 1 (+ 1 x))"),
           ("(- (log (+ x n)) (log x))",
            "(where (and (< (* -0.5 x) n) (< n (* 1e300 x))) (log1p (/ n x))"
            " (- (log (+ x n)) (* 1 (log x))))"),
           ("(- (log x) (log (+ x n)))",
            "(where (and (< (* -0.5 x) n) (< n (* 1e300 x))) (neg (log1p (/ n x)))"
            " (- (log x) (* 1 (log (+ x n)))))"),
           ("(- (log (+ 1 x)) (log x))",
            "(where (< 1e-300 x) (log1p (/ 1 x))"
            " (- (log1p x) (* 1 (log x))))"),
           ("(- (log x) (log (+ 1 x)))",
            "(where (< 1e-300 x) (neg (log1p (/ 1 x)))"
            " (- (log x) (* 1 (log1p x))))"),
           ("(- (sin (+ x y)) (sin x))",
            "(where (and (<= (abs y) 1) (<= (abs (* x y)) 1))"
            " (* 2 (* (cos (+ x (* 0.5 y))) (sin (* 0.5 y))))"
            " (- (sin (+ x y)) (* 1 (sin x))))"),
           ("(- (sin x) (sin (+ x y)))",
            "(where (and (<= (abs y) 1) (<= (abs (* x y)) 1))"
            " (* -2 (* (cos (+ x (* 0.5 y))) (sin (* 0.5 y))))"
            " (- (sin x) (* 1 (sin (+ x y)))))"),
           ("(- (cos x) (cos (+ x y)))",
            "(where (and (<= (abs y) 1) (<= (abs (* x y)) 1))"
            " (* 2 (* (sin (+ x (* 0.5 y))) (sin (* 0.5 y))))"
            " (- (cos x) (* 1 (cos (+ x y)))))"),
           ("(- (cos (+ x y)) (cos x))",
            "(where (and (<= (abs y) 1) (<= (abs (* x y)) 1))"
            " (* -2 (* (sin (+ x (* 0.5 y))) (sin (* 0.5 y))))"
            " (- (cos (+ x y)) (* 1 (cos x))))"),
       )),
    Op("neg", "negative, written (- x)", (1, 1), "negative", ("-1",),
       c="-{x}", native="fneg", exact=True, latex="-{x}",
       binds=1),
    Op("*", "product of any number of factors", (0, None), "multiply", ("y", "x"),
       c="{x} * {y}", native="fmul", identity=1,
       accurate_value=(("(* (exp x) (exp (neg (exp x))))", "(exp (- x (exp x)))"),),
       exact=True, latex=r"{args| \, }", binds=2, example="(* 2 a b)"),
    Op("/", "quotient; x/0 is inf or -inf, 0/0 is nan", (2, 2), "divide",
       ("(/ 1 y)", "(- (/ out y))"), textbook=("(/ 1 y)", "(/ (- 0 x) (** y 2))"),
       c="{x} / {y}", native="fdiv",
       latex=r"\frac{{{x}}}{{{y}}}", binds=3, domain=((-3, 3), (0.3, 3)),
       accurate=(
           ("(/ 1 (+ 1 (exp (neg x))))", "(sigmoid x)"),
           ("(/ y (+ 1 (exp (neg x))))", "(* y (sigmoid x))"),
           ("(/ 1 (+ 1 (exp x)))", "(sigmoid (neg x))"),
           ("(/ (exp x) (+ 1 (exp x)))", "(sigmoid x)"),
           ("(/ (exp x) (+ (exp x) (exp (neg x))))", "(sigmoid (* 2 x))"),
           ("(/ (exp (neg x)) (+ (exp x) (exp (neg x))))", "(sigmoid (* -2 x))"),
           ("(/ (exp x) (+ (exp x) (exp y) ...))", "(softmax2 x (logaddexp y ...))"),
           ("(/ (- (exp x) (exp (neg x))) (+ (exp x) (exp (neg x))))", "(tanh x)"),
           ("(/ (- (exp x) 1) (+ (exp x) 1))", "(tanh (* 0.5 x))"),
           ("(/ (- 1 (exp x)) (+ 1 (exp x)))", "(neg (tanh (* 0.5 x)))"),
           ("(/ (sinh x) (cosh x))", "(tanh x)"),
           ("(/ (- (exp x) 1) x)", "(exprel x)"),
           ("(/ (expm1 x) x)", "(exprel x)"),
           ("(/ (- 1 (exp (neg x))) x)", "(exprel (neg x))"),
           ("(/ (sin u) u)", "(sinrel u)"),
           ("(/ x (sin x))", "(/ 1 (sinrel x))"),
           ("(/ (tan x) x)", "(/ (sinrel x) (cos x))"),
           ("(/ (sinh x) x)", "(sinhrel x)"),
           ("(/ (- (cosh x) 1) (** x 2))", "(* 0.5 (** (sinhrel (* 0.5 x)) 2))"),
           ("(/ (- 1 (cos x)) (** x 2))", "(* 0.5 (** (sinrel (* 0.5 x)) 2))"),
           ("(/ (log (+ 1 x)) x)", "(logrel x)"),
           ("(/ (log1p x) x)", "(logrel x)"),
           ("(/ (exp x) (- (exp x) 1))", "(/ -1 (expm1 (neg x)))"),
       ),
       accurate_value=(
           ("(/ (sin x) x)", "(sinrel x)"),
           ("(/ (exp x) (- (exp x) 1))", "(/ 1 (- 0 (expm1 (neg x))))"),
           ("(/ x (- (exp x) 1))",
            "(where (> x 0) (/ (exp (neg x)) (exprel (neg x))) (/ 1 (exprel x)))"),
           ("(/ x (expm1 x))",
            "(where (> x 0) (/ (exp (neg x)) (exprel (neg x))) (/ 1 (exprel x)))"),
           ("(/ (- 1 (* (exp x) (/ x (- (exp x) 1)))) (- (exp x) 1))",
            "(where (> x -1) (where (> x 0)"
            " (* (exp (neg x)) (/ (/ (- (exprel1 (neg x)) (exprel (neg x)))"
            " (exprel (neg x))) (exprel (neg x))))"
            " (neg (/ (/ (exprel1 x) (exprel x)) (exprel x))))"
            " (/ (- 1 (/ (* x (exp x)) (expm1 x))) (expm1 x)))"),
           ("(/ (- 1 (cos x)) x)", "(* (sin (* 0.5 x)) (sinrel (* 0.5 x)))"),
           ("(/ (- (cosh x) 1) x)", "(* (sinh (* 0.5 x)) (sinhrel (* 0.5 x)))"),
           ("(/ x (+ 1 (** x 2)))",
            "(where (< (abs x) 1e8) (* x (/ 1 (+ 1 (** x 2)))) (/ 1 x))"),
           ("(/ (* n x) (+ 1 (** x 2)))",
            "(where (< (abs x) 1e8) (* x (/ n (+ 1 (** x 2)))) (/ n x))"),
           ("(/ (exp x) (** (+ 1 (exp x)) 2))", "(* (sigmoid x) (sigmoid (neg x)))"),
           ("(/ (* (sinh x) y ...) (cosh x))", "(* (tanh x) y ...)"),
           ("(/ (sinh x) (** (cosh x) 2))", "(/ (tanh x) (cosh x))"),
           ("(/ (sinh x) (** (cosh x) 3))", "(/ (tanh x) (** (cosh x) 2))"),
           ("(/ (* y (sinh x)) (** (cosh x) 3))", "(/ (* y (tanh x)) (** (cosh x) 2))"),
       )),
    Op("**", "power; never complex: a negative base with a fraction for exponent is nan", (2, 2),
       "nablisp_power", ("(where (= y 0) 0 (* y (** x (- y 1))))",
       "(where (and (= x 0) (>= y 0)) 0 (* out (log x)))"),
       textbook=("(* y (** x (- y 1)))", "(* out (log x))"),
       c="pow({x}, {y})", native="pow", exact=True,
       latex="{x}^{{{y}}}",
       binds=3, domain=((0.3, 3), (-3, 3)),
       rules=(("(** (sqrt x) 2)", "x"), ("(** (abs x) 2)", "(** x 2)")),
       accurate=(
           ("(** (+ 1 x) (/ 1 x))", "(exp (logrel x))"),
           ("(** (+ 1 (/ 1 x)) x)", "(exp (logrel (/ 1 x)))"),
           ("(** (- 1 (/ 1 x)) x)", "(exp (neg (logrel (/ -1 x))))"),
       ),
       accurate_value=(
           ("(** (+ 1 x) (/ 1 x))",
            "(where (< (abs x) 0.5) (exp (logrel x)) (pow1p x (/ 1 x)))"),
           ("(** (+ 1 (/ 1 x)) x)",
            "(where (> (abs x) 2) (exp (logrel (/ 1 x))) (pow1p (/ 1 x) x))"),
           ("(** (- 1 (/ 1 x)) x)",
            "(where (> (abs x) 2) (exp (neg (logrel (/ -1 x)))) (pow1p (/ -1 x) x))"),
           ("(** (+ 1 x) v)", "(pow1p x v)"),
           ("(** (- 1 x) v)", "(pow1p (neg x) v)"),
       ),
       python="np.float_power({x}, {y})"),
    Op("mod", "remainder of floored division: the sign of the second", (2, 2), "mod",
       ("1", "(- (floor (/ x y)))"), exact=True,
       c="fmod({x}, {y}) + (fmod({x}, {y}) != 0 && ({x} < 0) != ({y} < 0) ? {y} : 0.0)",
       latex=r"\operatorname{{mod}}\left({x}, {y}\right)",
       domain=((0.1, 0.9), (1.1, 3))),
    _unary("abs", "absolute value; its derivative is sign, 0 at 0", "abs", "(sign x)", exact=True,
           c="fabs({x})", native="llvm.fabs",
           latex=r"\left|{x}\right|", domain=((0.2, 3),),
           rules=(("(abs (abs x))", "(abs x)"), ("(abs (- x))", "(abs x)"))),
    _unary("sign", "-1, 0 or 1", "sign", "0", exact=True,
       c="isnan({x}) ? {x} : ({x} > 0) - ({x} < 0)", native="sign", domain=((0.2, 3),)),
    _unary("floor", "the integer at or below", "floor", "0", exact=True,
           c="floor({x})", native="llvm.floor", domain=((0.1, 0.9),),
           latex=r"\left\lfloor {x} \right\rfloor", rules=(("(floor (floor x))", "(floor x)"),)),
    _unary("ceil", "the integer at or above", "ceil", "0", exact=True,
           c="ceil({x})", native="llvm.ceil", domain=((0.1, 0.9),),
           latex=r"\left\lceil {x} \right\rceil", rules=(("(ceil (ceil x))", "(ceil x)"),)),
    Op("min", "the smaller, elementwise; of one array, its smallest element", (1, None), "minimum",
       ("(where (= x y) 0.5 (max 0 (sign (- y x))))", "(where (= x y) 0.5 (max 0 (sign (- x y))))"),
       c="{x} < {y} || isnan({x}) ? {x} : {y}",
       native="min", exact=True, latex=r"\min\left({args|, }\right)", rules=(("(min x x)", "x"),)),
    Op("max", "the larger, elementwise; of one array, its largest element", (1, None), "maximum",
       ("(where (= x y) 0.5 (max 0 (sign (- x y))))", "(where (= x y) 0.5 (max 0 (sign (- y x))))"),
       c="{x} > {y} || isnan({x}) ? {x} : {y}",
       native="max", exact=True, latex=r"\max\left({args|, }\right)", rules=(("(max x x)", "x"),)),
    Op("clip", "the first, kept between the second and the third", (3, 3), "nablisp_clip",
       ("(where (and (< y x) (< x z)) 1"
       " (where (and (<= y x) (<= x z) (< y z)) 0.5 (where (= x x) 0 x)))",
       "(where (and (< x y) (< y z)) 1 (where (and (<= x y) (<= y z)) 0.5 (where (= x x) 0 x)))",
       "(where (> (max x y) z) 1 (where (= (max x y) z) 0.5 (where (= x x) 0 x)))"),
       c="(min (max x y) z)",
       native="clip", exact=True, latex=r"\operatorname{{clip}}\left({x}, {y}, {z}\right)",
       domain=((-0.9, 0.9), (-3, -1), (1, 3)), example="(clip x 0 1)",
       python="np.minimum(np.maximum({x}, {y}), {z})"),
)

# ---- powers, exponentials, logarithms ------------------------------------------------------------

_add(
    _unary("sqrt", "square root; nan below 0", "sqrt", "(/ 0.5 out)",
           c="sqrt({x})", native="llvm.sqrt", latex=r"\sqrt{{{x}}}",
           domain=((0.2, 4),), rules=(("(sqrt (** x 2))", "(abs x)"),),
           accurate=(("(sqrt (** x 2))", "(abs x)"),),
           accurate_value=(
               ("(sqrt (+ (** x 2) (** y 2)))", "(hypot x y)"),
               ("(sqrt (+ 1 (** x 2)))", "(hypot 1 x)"),
           )),
    _unary("cbrt", "cube root, of negative numbers too", "cbrt", "(/ 1 (* 3 (** out 2)))",
           c="cbrt({x})", native="cbrt",
           latex=r"\sqrt[3]{{{x}}}", domain=((0.2, 4),), rules=(("(cbrt (** x 3))", "x"),)),
    _unary("exp", "e to the x", "exp", "out", latex="e^{{{x}}}", binds=3,
       c="exp({x})", native="exp",
           rules=(("(exp (log x))", "x"),)),
    _unary("expm1", "e to the x, minus 1, exact near 0", "expm1", "(exp x)",
       c="expm1({x})", native="expm1",
           rules=(("(expm1 (log1p x))", "x"),)),
    _unary("log", "natural logarithm", "log", "(/ 1 x)",
       c="log({x})", native="log", latex=r"\ln\left({x}\right)",
           domain=((0.2, 4),), rules=(("(log (exp x))", "x"),),
           accurate=(
               ("(log (exp x))", "x"),
               ("(log (/ 1 x))", "(neg (log x))"),
               ("(log (+ 1 (exp x)))", "(softplus x)"),
               ("(log (sigmoid x))", "(neg (softplus (neg x)))"),
               ("(log (- 1 (sigmoid x)))", "(neg (softplus x))"),
               ("(log (+ (exp x) ...))", "(logaddexp x ...)"),
               ("(log (+ 1 (exp x) ...))", "(logaddexp 0 (logaddexp x ...))"),
               ("(log (sum (exp x)))", "(logsumexp x)"),
               ("(log (softmax2 x y))", "(neg (softplus (- y x)))"),
               ("(log (/ x (- 1 x)))", "(log-odds x)"),
               ("(log (/ (+ 1 x) (- 1 x)))", "(* 2 (atanh x))"),
               ("(log (/ (- 1 x) (+ 1 x)))", "(* -2 (atanh x))"),
               ("(log (+ x (sqrt (+ (** x 2) 1))))", "(asinh x)"),
               ("(log (+ x (sqrt (- (** x 2) 1))))", "(acosh x)"),
           ),
           accurate_value=(
               ("(log (/ 1 x))", "(where (= x -inf) x (neg (log x)))"),
               ("(log (+ 1 x))", "(log1p x)"),
               ("(log (- 1 x))", "(log1p (neg x))"),
               ("(log (+ 1 (** x 2)))",
                "(where (< (abs x) 1e8) (log1p (** x 2)) (* 2 (log (abs x))))"),
               ("(log (** x 2))", "(* 2 (log (abs x)))"),
               ("(log (- (exp x) 1))", "(+ x (log (neg (expm1 (neg x)))))"),
               ("(log (- 1 (exp x)))",
                "(where (< x -0.7) (log1p (neg (exp x))) (log (/ (expm1 x) -1)))"),
               ("(log (cosh x))",
                "(where (< (abs x) 1) (log1p (* 2 (** (sinh (* 0.5 x)) 2)))"
                " (+ (abs x) (- (log1p (exp (* -2 (abs x)))) 0.6931471805599453)))"),
               ("(log (* 2 (cosh x)))", "(logaddexp x (neg x))"),
           )),
    _unary("log1p", "logarithm of 1 + x, exact near 0", "log1p", "(/ 1 (+ 1 x))",
       c="log1p({x})", native="log1p",
           domain=((-0.8, 3),), rules=(("(log1p (expm1 x))", "x"),),
           accurate=(("(log1p (exp x))", "(softplus x)"),)),
    _unary("log2", "logarithm to base 2", "log2", f"(/ {1 / math.log(2)!r} x)",
       c="log2({x})", native="log2",
           latex=r"\log_2\left({x}\right)", domain=((0.2, 4),)),
    _unary("log10", "logarithm to base 10", "log10", f"(/ {1 / math.log(10)!r} x)",
       c="log10({x})", native="log10",
           latex=r"\log_{{10}}\left({x}\right)", domain=((0.2, 4),)),
    Op("hypot", "sqrt(x² + y²) without overflow", (2, 2), "hypot",
       ("(where (= out 0) 0 (/ x out))", "(where (= out 0) 0 (/ y out))"),
       c="hypot({x}, {y})", native="hypot",
       latex=r"\operatorname{{hypot}}\left({x}, {y}\right)", domain=((0.2, 3), (0.2, 3))),
    _unary("exprel", "(exp(x) - 1)/x, 1 at 0", "", "(exprel1 x)",
           means="(where (= x 0) 1 (where (= x inf) inf (/ (expm1 x) x)))"),
    _unary("exprel1", "derivative of exprel", "", special.EXPREL2, means=special.EXPREL1),
    _unary("logrel", "log(1 + x)/x, 1 at 0", "", "(logrel1 x)",
           means="(where (= x 0) 1 (where (= x inf) 0 (/ (log1p x) x)))", domain=((-0.8, 3),)),
    _unary("logrel1", "derivative of logrel", "", special.LOGREL2, means=special.LOGREL1,
           domain=((-0.8, 3),)),
    Op("pow1p", "1 + x to the y, exact for small x", (2, 2),
       partials=("(where (= y 0) 0 (* y (pow1p x (- y 1))))",
       "(where (and (= x -1) (>= y 0)) 0 (* out (log1p x)))"),
       means=special.POW1P, exact=True, domain=((-0.7, 3), (-3, 3)),
       latex=r"\left(1 + {x}\right)^{{{y}}}", binds=3, example="(pow1p x y)"),
    Op("logaddexp", "log(exp(x) + exp(y)), for any x and y", (2, 2),
       partials=("(softmax2 x y)", "(softmax2 y x)"),
       means="(+ (max x y) (where (= x y) 0.6931471805599453 (log1p (exp (- (abs (- x y)))))))",
       latex=r"\ln\left(e^{{{x}}} + e^{{{y}}}\right)", example="(logaddexp x y)"),
    Op("softmax2", "exp(x)/(exp(x) + exp(y)), for any x and y", (2, 2),
       partials=("(* out (softmax2 y x))", "(- (* out (softmax2 y x)))"),
       means=special.SOFTMAX2,
       latex=r"\frac{{e^{{{x}}}}}{{e^{{{x}}} + e^{{{y}}}}}", binds=3, example="(softmax2 x y)"),
    _unary("log-odds", "log(x/(1 - x)), exact near 1/2", "", "(/ 1 (* x (- 1 x)))",
           means="(where (< (abs (- x 0.5)) 0.25) (log1p (/ (- (* 2 x) 1) (- 1 x)))"
           " (- (log x) (log1p (- x))))", domain=((0.1, 0.9),)),
)

# ---- trigonometric and hyperbolic ----------------------------------------------------------------

_add(
    _unary("sin", "sine", "sin", "(cos x)",
       c="sin({x})", native="sin", latex=r"\sin\left({x}\right)",
           rules=(("(sin (asin x))", "x"),)),
    _unary("cos", "cosine", "cos", "(- (sin x))",
       c="cos({x})", native="cos", latex=r"\cos\left({x}\right)",
           rules=(("(cos (acos x))", "x"), ("(cos (- x))", "(cos x)"))),
    _unary("tan", "tangent", "tan", "(+ 1 (** out 2))",
       c="tan({x})", native="tan", latex=r"\tan\left({x}\right)",
           domain=((-1.3, 1.3),), rules=(("(tan (atan x))", "x"),)),
    _unary("asin", "inverse sine", "asin", "(/ 1 (sqrt (- 1 (** x 2))))",
       c="asin({x})", native="asin",
           latex=r"\arcsin\left({x}\right)", domain=((-0.9, 0.9),)),
    _unary("acos", "inverse cosine", "acos", "(/ -1 (sqrt (- 1 (** x 2))))",
       c="acos({x})", native="acos",
           latex=r"\arccos\left({x}\right)", domain=((-0.9, 0.9),)),
    _unary("atan", "inverse tangent", "atan", "(/ 1 (+ 1 (** x 2)))", c="atan({x})", native="atan",
           latex=r"\arctan\left({x}\right)"),
    Op("atan2", "the angle of the point (second, first)", (2, 2), "atan2",
       ("(where (= (hypot x y) 0) 0 (/ (/ y (hypot x y)) (hypot x y)))",
       "(where (= (hypot x y) 0) 0 (- (/ (/ x (hypot x y)) (hypot x y))))"),
       c="atan2({x}, {y})", native="atan2",
       latex=r"\operatorname{{atan2}}\left({x}, {y}\right)", domain=((0.2, 3), (0.2, 3)),
       example="(atan2 y x)"),
    _unary("sinh", "hyperbolic sine", "sinh", "(cosh x)",
           c="sinh({x})", native="sinh", latex=r"\sinh\left({x}\right)",
           rules=(("(sinh (asinh x))", "x"),)),
    _unary("cosh", "hyperbolic cosine", "cosh", "(sinh x)",
           c="cosh({x})", native="cosh", latex=r"\cosh\left({x}\right)",
           rules=(("(cosh (- x))", "(cosh x)"), ("(cosh (acosh x))", "x"))),
    _unary("tanh", "hyperbolic tangent", "tanh", "(** (/ 1 (cosh x)) 2)",
       c="tanh({x})", native="tanh",
           latex=r"\tanh\left({x}\right)", rules=(("(tanh (atanh x))", "x"),)),
    _unary("sinhrel", "sinh(x)/x, 1 at 0", "", "(sinhrel1 x)",
           means="(where (= x 0) 1 (where (= (abs x) inf) inf (/ (sinh x) x)))"),
    _unary("sinhrel1", "derivative of sinhrel", "", special.SINHREL2, means=special.SINHREL1),
    _unary("asinh", "inverse hyperbolic sine", "asinh", "(/ 1 (hypot 1 x))",
       c="asinh({x})", native="asinh",
           rules=(("(asinh (sinh x))", "x"),)),
    _unary("acosh", "inverse hyperbolic cosine", "acosh",
           "(/ 1 (* (sqrt (- x 1)) (sqrt (+ x 1))))",
       c="acosh({x})", native="acosh", domain=((1.2, 4),)),
    _unary("atanh", "inverse hyperbolic tangent", "atanh", "(/ 1 (- 1 (** x 2)))",
           c="atanh({x})", native="atanh",
           domain=((-0.9, 0.9),), rules=(("(atanh (tanh x))", "x"),)),
    _unary("sinc", "sin(πx)/(πx), 1 at 0, as in NumPy", "sinc",
           "(where (< (abs x) 0.05)"
           " (* x (+ (/ (* -1 (** pi 2)) 3) (* (** x 2) (+ (/ (** pi 4) 30) (* (** x 2)"
           " (+ (/ (* -1 (** pi 6)) 840) (* (** x 2) (/ (** pi 8) 45360))))))))"
           " (/ (- (cos (* pi x)) out) x))",
       c="(where (= x 0) 1 (/ (sin (* pi x)) (* pi x)))", native="sinc"),
    _unary("sinrel", "sin(x)/x, 1 at 0", "", "(sinrel1 x)",
           means="(where (= x 0) 1 (/ (sin x) x))"),
    _unary("sinrel1", "derivative of sinrel", "", special.SINREL2, means=special.SINREL1),
)

# ---- of statistics and learning ------------------------------------------------------------------

_add(
    _unary("sigmoid", "1/(1 + exp(-x)), for any x", "", "(* out (sigmoid (- x)))", native="sigmoid",
           means="(/ (where (>= x 0) 1 (exp (- (abs x)))) (+ 1 (exp (- (abs x)))))",
           latex=r"\sigma\left({x}\right)"),
    _unary("softplus", "log(1 + exp(x)), for any x", "", "(sigmoid x)", native="softplus",
           means="(+ (max x 0) (log1p (exp (- (abs x)))))"),
    _unary("relu", "x where positive, else 0", "", "(max 0 (sign x))", means="(max x 0)",
           native="relu",
           exact=True, domain=((0.2, 3),), rules=(("(relu (relu x))", "(relu x)"),)),
    _unary("erf", "error function: the share of a normal distribution within x √2 deviations", "",
           f"(* {2 / math.sqrt(math.pi)!r} (exp (- (** x 2))))", native="erf", means=special.ERF),
    _unary("erfc", "1 - erf(x), exact for large x", "",
           f"(* {-2 / math.sqrt(math.pi)!r} (exp (- (** x 2))))", native="erfc",
           means=special.ERFC),
    _unary("lgamma", "logarithm of the absolute value of the gamma function", "", "(digamma x)",
           means=special.LGAMMA, latex=r"\ln\left|\Gamma\left({x}\right)\right|",
           domain=((0.2, 4),)),
    _unary("digamma", "derivative of lgamma", "", "(polygamma 1 x)", means=special.DIGAMMA,
           latex=r"\psi\left({x}\right)", domain=((0.2, 4),)),
    Op("polygamma", "derivative of digamma, as often as the first says; below 0 once", (2, 2),
       partials=("nan", "(polygamma (+ x 1) y)"), means=special.POLYGAMMA,
       latex=r"\psi^{{\left({x}\right)}}\left({y}\right)", domain=((2, 2), (0.3, 4)),
       example="(polygamma 1 x)"),
)

# ---- arrays --------------------------------------------------------------------------------------

_AXIS = ("axis", "keep")

_add(
    Op("sum", "sum of the elements, of all or along an axis", (1, 1), "sum", pullback=back.sum_,
       shape=sh.reduced, options=_AXIS, exact=True, latex=r"\sum {x}", binds=1,
       example="(sum A :axis 0)"),
    Op("mean", "mean of the elements, of all or along an axis", (1, 1), "mean",
       pullback=back.mean, shape=sh.reduced, options=_AXIS,
       latex=r"\operatorname{{mean}}\left({x}\right)"),
    Op("amin", "the smallest element; ties share the derivative", (1, 1), "min",
       pullback=back.extreme, shape=sh.reduced, options=_AXIS, exact=True,
       latex=r"\min\left({x}\right)"),
    Op("amax", "the largest element; ties share the derivative", (1, 1), "max",
       pullback=back.extreme, shape=sh.reduced, options=_AXIS, exact=True,
       latex=r"\max\left({x}\right)"),
    Op("argmax", "where the largest element is, from 0", (1, 1), "nablisp_argmax",
       pullback=back.constant, shape=sh.reduced, options=_AXIS, exact=True,
       python="1.0 * np.argmax({x}, axis={axis}, keepdims={keep})",
       latex=r"\operatorname{{argmax}}\left({x}\right)"),
    Op("logsumexp", "log of the sum of exp, without overflow", (1, 1), "nablisp_logsumexp",
       pullback=back.logsumexp, shape=sh.reduced, options=_AXIS,
       latex=r"\operatorname{{logsumexp}}\left({x}\right)",
       python="np.logaddexp.reduce({x}, axis={axis}, keepdims={keep})"),
    Op("rows", "how many rows the columns have", (0, 0), "nablisp_rows", pullback=back.constant,
       shape=sh.scalar, latex=r"n_\text{{rows}}", exact=True,
       python="rows"),
    Op("dot", "inner product along the last axis", (2, 2), "nablisp_dot", pullback=back.dot,
       shape=sh.dot, latex=r"{x} \cdot {y}", binds=2, example="(dot w X)",
       python="np.sum({x} * {y}, axis=-1)"),
    Op("@", "matrix product", (2, 2), "matmul", pullback=back.matmul, shape=sh.matmul,
       latex=r"{x} \, {y}", binds=2),
    Op("transpose", "axes in reverse order", (1, 1), "transpose", pullback=back.transpose,
       shape=sh.transposed, latex=r"{x}^{{\mathsf T}}", binds=3, exact=True,
       rules=(("(transpose (transpose x))", "x"),)),
    Op("solve", "the x with A x = b", (2, 2), "nablisp_solve", pullback=back.solve, shape=sh.solve,
       latex=r"{x}^{{-1}} {y}", binds=2,
       python="np.linalg.solve({x}, {y})"),
    Op("ref", "an element or part, indices from 0, along the first axes or from :axis on", (1, 1),
       "nablisp_ref", pullback=back.ref, shape=sh.indexed, options=("index", "axis"), exact=True,
       trailing=("index",),
       latex=r"{x}_{{{index}}}", example="(ref v 0)",
       python="{x}[(slice(None),) * ({axis} % np.ndim({x})) + {index}]"),
    Op("slice", "the part from :start to before :stop along an axis", (1, 1), "nablisp_slice",
       pullback=back.slice_, shape=sh.sliced, options=("axis", "start", "stop"), exact=True,
       latex=r"{x}_{{{start}:{stop}}}",
       python="np.moveaxis(np.moveaxis({x}, {axis}, 0)[{start}:{stop}], 0, {axis})"),
    Op("pad", "zeros :before and :after along an axis", (1, 1), "nablisp_pad", pullback=back.pad,
       shape=sh.padded, options=("axis", "before", "after"), exact=True,
       latex=r"\operatorname{{pad}}\left({x}\right)",
       python="np.moveaxis(np.pad(np.moveaxis({x}, {axis}, -1),"
       " [(0, 0)] * (np.ndim({x}) - 1) + [({before}, {after})]), -1, {axis})"),
    Op("pick", "one element per row, by class number", (2, 2), "nablisp_pick", pullback=back.pick,
       shape=sh.picked, exact=True, latex=r"{x}_{{{y}}}", example="(pick logits species)",
       python="np.take_along_axis("
       "np.broadcast_to({x}, np.broadcast_shapes(np.shape({x}), np.shape({y}) + (1,))),"
       " ({y} + np.zeros(np.shape({x})[:-1])).astype(int)[..., None], axis=-1)[..., 0]"),
    Op("one-hot", "1 at the class number, else 0, along a new last axis of this length", (1, 1),
       "nablisp_one_hot", pullback=back.constant, shape=sh.one_hot, options=("length",),
       trailing=("length",),
       exact=True, latex=r"\mathbf 1_{{{x}}}",
       python="1.0 * ({x}[..., None] == np.arange({length}))"),
    Op("expand", "a new axis of length 1, here", (1, 1), "expand_dims", pullback=back.expand,
       shape=sh.expanded, options=("axis",), trailing=("axis",), exact=True, latex="{x}"),
    Op("fill", "the first, repeated to the shape of the second", (2, 2), "nablisp_fill",
       pullback=back.fill, shape=sh.filled, exact=True, latex="{x}",
       python="np.broadcast_to({x}, np.broadcast_shapes(np.shape({x}), np.shape({y})))"),
    Op("stack", "arrays side by side along a new axis; [a b] puts it last for columns", (1, None),
       "nablisp_stack", pullback=back.stack, shape=sh.stacked, options=("axis",), exact=True,
       latex=r"\begin{{bmatrix}}{args| & }\end{{bmatrix}}",
       python="np.stack(np.broadcast_arrays({args}), axis={axis})"),
    Op("concat", "arrays joined along an axis they have", (1, None), "nablisp_concat",
       pullback=back.concat, shape=sh.concatenated, options=("axis",), exact=True,
       latex=r"\left[{args| \mid }\right]",
       python="np.concatenate(({args},), axis={axis})"),
)

# fmt: on
