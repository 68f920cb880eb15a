"""What programs mean: pairs of a text and what it prints, or the mistake it is and where."""

from __future__ import annotations

import random

import pytest

from nablisp import Expr, Limits, NablispError, Session, read
from nablisp.scope import NEAR, Scope

LINE = """
(params m b) (data x [-2 3]) (define (target x) (+ (* 2 x) 1)) (define (model x) (+ (* m x) b))
(define loss (mse (model x) (target x)))
"""

# a program, and what its forms print, one line each
VALUES: list[tuple[str, str]] = [
    # a shape that changes reaches the formulas made before
    (
        "(define e (+ a 1)) (define f (* e 2)) (param a [1 2]) (shape f) (define g (sin f)) "
        "(forget a) (shape g) (data a [1 2 3]) (shape g) (forget a) (param a 1) (shape (+ g 1))",
        "[2]\n[]\n[(rows)]\n[]",
    ),
    # the article's own first example
    ("(define e (+ (** x 2) (* x y))) e (d e x)", "(+ (** x 2) (* x y))\n(+ (* 2 x) y)"),
    ("(define e (+ (** x 2) (* x y))) (val e :x 2 :y 3) (val (d e x) :x 2 :y 3)", "10\n7"),
    (
        "(d (+ (** x 2) (* x y)) x :raw true)",
        "(+ (* 1 (+ (* (* 2 (** x 1)) 1) 0)) (* 1 (+ (* y 1) (* x 0))))",
    ),
    (LINE + "(d loss m)", "(* 2 (mean (* x (- (+ (* m x) b) (+ (* 2 x) 1)))))"),
    # values, and their kinds
    ('3 3.0 -0.0 1e3 inf nan true "a\\n" :lr pi',
     '3\n3.0\n-0.0\n1000.0\ninf\nnan\ntrue\n"a\\n"\n:lr\npi'),
    ("[1 2.5] [] [[1 2] [3 4]] [true false]", "[1 2.5]\n[]\n[[1 2]\n [3 4]]\n[true false]"),
    (
        '(kind 1) (kind true) (kind "a") (kind :lr) (kind [1]) (kind x) (kind (lambda () 1))',
        '"number"\n"boolean"\n"string"\n"keyword"\n"array"\n"expression"\n"function"',
    ),
    ("sin mse + (lambda (a b) a)", "sin\nfunction (mse p y)\n+\nfunction (lambda (a b) …)"),
    # numbers: exact to 2^53, IEEE-754 beyond and for everything else
    ("(+ 1 2) (- 5) (+) (*) (- 7 2) (/ 4 2)", "3\n-5\n0\n1\n5\n2.0"),
    ("(- 10 2 3) (/ 8 2 2) (- a 1 b)", "5\n2.0\n(- (- a 1) b)"),
    ("(+ 9007199254740991 1) (+ 9007199254740992 1)", "9007199254740992\n9007199254740992.0"),
    ("(** 2 (** 10 9)) (** 2 10) (** 2 -1)", "inf\n1024\n0.5"),
    ("(/ 1 0) (/ -1 0) (/ 0 0) (** 0 0) (** -8 (/ 1 3)) (log -1)", "inf\n-inf\nnan\n1\nnan\nnan"),
    ("(= nan nan) (< 1 2) (= [1 2] [1 3]) (= true true) (= \"a\" \"b\")",
     "false\ntrue\n[true false]\ntrue\nfalse"),
    # names
    ("learning-rate x-1 ... -", "learning-rate\nx-1\n...\n-"),
    ("(params a b c d) (+ a d) (d (* d d) d)", "(+ a d)\n(* 2 d)"),
    ("(define a x) (define b (+ a 1)) (define a 2) b", "(+ x 1)"),
    ("(define (f) y) (define y 1) (f) (define y 2) (f)", "1\n2"),
    ("(define e (* x 2)) (params (x 3)) (val e)", "6"),
    ("(define e (sum x)) (data x [1 2]) (val e)", "3.0"),
    ("(define x 1) (forget x) (params x) x", "x"),
    ("(define (mse p y) p) (mse 7 8)", "7"),
    # applications: at once if all are values, else as written
    ("(+ x 2) (+ 1 2 x) (* 1 x) (- x) (max x) (where (> x 0) x 0)",
     "(+ x 2)\n(+ 1 2 x)\n(* 1 x)\n(- x)\n(amax x)\n(where (> x 0) x 0)"),
    ("(if true 1 (f)) (if (< 2 1) (f) 2)", "1\n2"),
    ("(and) (or) (and false (f)) (or true (f)) (and true true) (or false false)",
     "true\nfalse\nfalse\ntrue\ntrue\nfalse"),
    ("(and true (> x 0)) (and (> x 0) (> y 0) true) (or (> x 0) true)",
     "(> x 0)\n(and (> x 0) (> y 0))\n(or (> x 0) true)"),
    ("(val (where (> x 0) (log x) 7) :x -1) (val (d (where (> x 0) (log x) 7) x x x) :x -1)",
     "7\n0"),
    # functions
    ("(define (f x) (* x x)) (f 3) (f y)", "9\n(* y y)"),
    ("((lambda (x) (* 2 x)) 4) (((lambda (n) (lambda (x) (+ x n))) 2) 3)", "8\n5"),
    ("(let ((a 1) (b (+ a 1))) (* a b)) (let () 1)", "2\n1"),
    ("(let ((f (lambda () k)) (k 3)) (f))", "k"),
    ("(define (f x) (define y (* x x)) (+ y 1)) (f 3) y", "10\ny"),
    ("(define (f n) (define (g k) (if (= k 0) 1 (* k (g (- k 1))))) (g n)) (f 5)", "120"),
    ("(define (fact n) (if (= n 0) 1 (* n (fact (- n 1))))) (fact 20) (fact 171)",
     "2.43290200817664e+18\ninf"),
    ("(map (lambda (k) (** x k)) (range 3)) (fold + 0 [1 2 3]) (map - [x y])",
     "[(** x 0) (** x 1) (** x 2)]\n6\n[(- x) (- y)]"),
    ("(repeat 3 (lambda (x) (* x x)) y)", "(* (* (* y y) (* y y)) (* (* y y) (* y y)))"),
    ("(reverse [1 2 3]) (linspace 0 1 3) (range 2 5) (zeros 2) (shape [[1 2]])",
     "[3 2 1]\n[0 0.5 1]\n[2 3 4]\n[0 0]\n[1 2]"),
    ("(polynomial 2 [1 0 3])", "13"),
    # derivatives
    ("(d (sin (* x y)) x y) (d 3 x) (d y x) (d [x (* x x)] x)",
     "(- (cos (* x y)) (* x y (sin (* x y))))\n0\n0\n[1 (* 2 x)]"),
    ("(d sin) ((d sin) 0) ((d (d sin)) x) (define (f x) (** x 3)) ((d f) 2)",
     "function (x) → (cos x)\n1.0\n(- (sin x))\n12"),
    ("(define e (* x x)) (define (f x) (* e x)) ((d f) 3)", "(* x x)"),
    ("(params m b (w [1 2])) (grad (** (+ m b) 2)) (grad (* u v) u v) (grad (sum (** w 2)))",
     "[(* 2 (+ m b)) (* 2 (+ m b))]\n[v u]\n(* 2 w)"),
    ("(hessian (* x x y) x y) (jacobian [(* x y) 3] x y) (hessian (** x 2) x)",
     "[[(* 2 y) (* 2 x)] [(* 2 x) 0]]\n[[y x] [0 0]]\n[[2]]"),
    ("(params (w [1 2])) (hessian (sum (** w 2)))", "[[2 0]\n [0 2]]"),
    ("(simplify (+ x x 1 2)) (subst (* a x) :x (+ y 1)) (subst (+ x y) :x y :y x)",
     "(+ (* 2 x) 3)\n(* a (+ y 1))\n(+ y x)"),
    ("(subst (+ (* 2 x) y) :x 3) (subst (+ x y) :x 1 :y 2)", "(+ 6 y)\n3"),
    ("(define (sq z) (* z z)) (define-derivative (sq z) (* 2 z)) (sq x) (sq 3) (d (sq (sin x)) x)",
     "(sq x)\n9\n(* 2 (sin x) (cos x))"),
    ("(check-grad (* x (sin y)))", "0.0"),
    # values of expressions: given names first, then parameters and columns
    ("(params (m 2)) (val m) (val (* m x) :x 3) (val (* m x) :x 3 :m 5)", "2\n6\n15"),
    (LINE + "(val (model x)) (val (model x) :x [1 2] :m 2 :b 1) (val (model x) :x 5 :m 2)",
     "[0 0]\n[3 5]\n10"),
    ("(data x [1 2 3]) (data y [4 5 6]) (val (sum (* x y)) :x [1 2] :y 3) (val (rows) :x [1])",
     "9.0\n1"),
    ("(val (d (* x y) y) :x 2 :y 3) (val (+ x 1) :x [1 2])", "2\n[2 3]"),
    # parameters and columns
    ("(param m 1 :min 0 :lr 0.1 :fixed true) (val m) (params (v 3) (w (zeros 2))) (val (+ v w))",
     "1\n[3 3]"),
    ("(params (m 1)) (train (** m 2) :lr 0.25 :steps 1) (val m) (reset) (val m)", "…\n0.5\n1"),
    ("(data x [1 2]) (data z (* 2 x)) (data X [x z (where (> x 1) 1 0)]) (val X)",
     "[[1 2 0]\n [2 4 1]]"),
    ("(data x [1 2]) (define z (* 2 x)) (val z) (data x [3 4 5]) (val z)", "[2 4]\n[6 8 10]"),
    ("(data x [1 2]) (shape [x x]) (val (shape [x x])) (rows) (val (rows))",
     "[(rows) 2]\n[2 2]\n(rows)\n2"),
    ("(data x [1 2]) (val (@ x x)) (val (dot x x)) (val (mean x))", "5.0\n5.0\n1.5"),
    # tools
    ('(print 1 "a" x [1 2]) (assert (< 1 2)) (assert [true true])', "1 a x [1 2]"),
    ("(help sin)", "(sin x)\n  sine\n  d/dx  (cos x)"),
    ("(define (f a) ; doubles\n (* 2 a)) (help f)",
     "(f a)\n  (define (f a) ; doubles\n   (* 2 a))"),
    ("(param m 1 :min 0 :lr 0.1 :fixed true) (data x [1 2]) (define k 3) (env)",
     "m  parameter  1  within 0 … inf  rate 0.1  fixed\nx  column  [rows], 2 rows\nk  number  3"),
    ("(latex (/ x 2))", '"\\\\frac{x}{2}"'),
]  # fmt: skip


def shown(program: str) -> str:
    """What a program prints; results by an ellipsis, they have tests of their own."""
    lines: list[str] = []
    session = Session(write=lines.append)
    for _, value in session.values(program):
        if value is not None:
            text = session.text(value)
            lines.append("…" if text.startswith("train by") else text)
    return "\n".join(lines)


@pytest.mark.parametrize(("program", "printed"), VALUES)
def test_values(program: str, printed: str) -> None:
    assert shown(program) == printed


# a program, the kind of its mistake, the text the error points at, words of its message or cure
MISTAKES: list[tuple[str, str, str, str]] = [
    # names
    ("(+ 1 (sine x))", "unbound-name", "sine", "did you mean sin?"),
    ("(f 1)", "unbound-name", "f", "define it: (define (f x) …)"),
    ("(*2 x)", "unbound-name", "*2", "(* 2 x)"),
    ("(map sine [1])", "unbound-name", "(map sine [1])", "did you mean sin?"),
    ("(+ 1 2x)", "slip", "2x", "(* 2 x)"),
    ("1/2", "slip", "1/2", "(/ 1 2)"),
    ("1.2.3", "slip", "1.2.3", "neither number nor name"),
    ("1e5x", "slip", "1e5x", "(* 1e5 x)"),
    ("-x", "slip", "-x", "(- x)"),
    ("(params a b c) a+b*c", "slip", "a+b*c", "(+ a (* b c))"),
    ("(define (f x) (* 2 x-1)) (f 1)", "slip", "x-1", "(- x 1)"),
    ("(define x 1) (params x)", "name", "x", "already a definition"),
    ("(params x) (define x 1)", "name", "x", "(forget x) frees the name"),
    ("(data x [1]) (params x)", "name", "x", "already a column"),
    ("(define sin 1)", "name", "sin", "built in"),
    ("(define (train x) 1)", "name", "train", "built in"),
    ("(params pi)", "name", "pi", "built in"),
    ("(define (f pi) 1)", "name", "pi", "is a constant"),
    ("(define (f x y x) 1)", "name", "x", "two arguments called x"),
    ("(lambda (x x) 1)", "name", "x", "two arguments called x"),
    ("(let ((a 1) (a 2)) a)", "name", "(a 2)", "binds a twice"),
    ("(forget q)", "unbound-name", "q", "not declared"),
    ("(help qqq)", "unbound-name", "qqq", "nothing is called"),
    # arguments
    ("(tanh x y)", "arity", "(tanh x y)", "(tanh x)  hyperbolic tangent"),
    ("(-)", "arity", "(-)", "- takes 1 or 2 arguments, not 0"),
    ("(mse 1)", "arity", "(mse 1)", "(mse p y)  mean of squared errors"),
    ("(define (f x) x) (f)", "arity", "(f)", "f takes 1 argument, not 0"),
    ("(if true 1)", "arity", "(if true 1)", "(if c a b)"),
    ("(define x 1 2)", "arity", "(define x 1 2)", "one value, not 2"),
    ("(d x)", "arity", "(d x)", "(d e x); all parameters: (grad e)"),
    ("(define (f x y) x) (d f)", "arity", "(d f)", "of one argument"),
    ("(sum x :axs 0)", "keyword", ":axs", "did you mean :axis?"),
    ("(train m :lrr 1)", "keyword", ":lrr", "did you mean :lr?"),
    ("(params m :lr 0.1)", "syntax", ":lr", "params takes names, not :lr"),
    ("(mse 1 2 :k 3)", "keyword", ":k", "mse takes no keywords"),
    ("(sum x :axis 0 :axis 1)", "keyword", ":axis", "given twice"),
    ("(sum x :axis)", "keyword", ":axis", "has no value"),
    ("(sum :axis 0 x)", "keyword", "x", "positional arguments come before keywords"),
    ("(subst (* a x) :y 1)", "keyword", ":y", "its names are a, x"),
    ("(val (* m lenght) :length 1)", "keyword", ":length", "did you mean :lenght?"),
    ("(params m) (train (** m 2) :on \"a\")", "unavailable", ":on", "not part of"),
    # kinds
    ('(+ 1 "a")', "type", '"a"', "+ takes numbers, not a string"),
    ("(1 2)", "type", "1", "1 is a number, not a function"),
    ("()", "type", "()", "an empty array is []"),
    ("(map if [1])", "type", "(map if [1])", "if is a form"),
    ("(if (> x 0) 1 2)", "type", "(> x 0)", "(where c a b)"),
    ("(d (lambda (u) (if (> u 0) 1 2)))", "type", "(> u 0)", "(> u  0) depends on names"),
    ("(if 1 2 3)", "type", "1", "must be a boolean"),
    ("(and true x)", "type", "x", "a condition is a comparison"),
    ("(not 1)", "type", "1", "a condition is a comparison"),
    ("(+ (> x 0) 1)", "type", "(> x 0)", "(where c 1 0)"),
    ("(sum [true false])", "type", "[true false]", "(where c 1 0)"),
    ("[true 1]", "type", "[true 1]", "not both"),
    ('[1 "a"]', "type", '[1 "a"]', "an array holds numbers, not a string"),
    ("(define x 2) (d (* y x) x)", "type", "x", "by names, not by a number: 2"),
    ("(d (print) x)", "type", "(print)", "not nothing"),
    ("(val (+ x 1) :x y)", "type", "y", ":x must be a number or an array"),
    ("(val (+ x 1) :x true)", "type", "true", ":x must be"),
    ("(params m) (data x [1]) (data y (* m x))", "type", "(* m x)",
     "cannot depend on the parameter"),
    ("(data x [true false])", "type", "[true false]", "(where c 1 0)"),
    ("(data x [1 2]) (map sin x)", "type", "(map sin x)", "cannot go over the rows"),
    ("(param m x)", "type", "x", "must be a number or an array"),
    ("((d (lambda (z) (* z z))) (> x 1))", "type", "((d (lambda (z) (* z z))) (> x 1))",
     "must be a number, and (> x 1) is true"),
    ("(subst (* 2 x) :x (> y 1))", "type", "(> y 1)", "(where c 1 0)"),
    ("(fold + 0 (> [1 2] x))", "type", "(fold + 0 (> [1 2] x))", "ref takes numbers"),
    ("(define x (print))", "type", "(print)", "no value to define x by"),
    ("(get 3 :loss)", "type", "3", "not of a number"),
    ("(sum [1] :keep 1)", "type", "1", ":keep must be a boolean"),
    # shapes
    ("[[1 2] [3]]", "shape", "[[1 2] [3]]", "[1] and [2]"),
    ("(* 2 (+ [1 2] [1 2 3]))", "shape", "(+ [1 2] [1 2 3])", "[2] and [3]"),
    ("(params (w [1 2])) (+ w [1 2 3])", "shape", "(+ w [1 2 3])", "w has shape [2]\n"),
    ("(data x [1 2]) (+ x [1 2])", "shape", "(+ x [1 2])", "[rows] and [2]"),
    ("(data x [1 2]) (+ x (expand x 1))", "shape", "(+ x (expand x 1))", "crosswise"),
    ("(data x [1 2]) (data s (sum x))", "shape", "(sum x)", "not one value per row"),
    ("(val (sum x) :x [1 2])", "shape", "(val (sum x) :x [1 2])", "cannot meet sum"),
    ("(data X [[1 2]]) (val X :X [1 2])", "shape", "(val X :X [1 2])",
     "[rows 2], and was given [2]"),
    ("(data x [1]) (data y [1]) (val (+ x y) :x [1 2] :y [1 2 3])", "shape",
     "(val (+ x y) :x [1 2] :y [1 2 3])", "x has 2, y has 3"),
    ("(data x [1 2]) (data y [1 2 3])", "data", "y", "y has 3 rows and x has 2"),
    ("(data x [])", "data", "[]", "no rows"),
    ("(+ 1 (mse [1 2] [1 2 3]))", "shape", "(mse [1 2] [1 2 3])", "[1 2] has shape [2]"),
    ("(params (v [1 2])) ((d (lambda (z) (* z z [1 2 3]))) v)", "shape",
     "((d (lambda (z) (* z z [1 2 3]))) v)", "[2] and [3]"),
    ("(ref [1 2] 2)", "shape", "(ref [1 2] 2)", "outside 0 … 1"),
    # values
    ("(val (+ x y) :x 1)", "unbound-name", "(val (+ x y) :x 1)", "y has no value"),
    ("(data x [1]) (data y [1]) (val (+ x y) :x [1])", "unbound-name",
     "(val (+ x y) :x [1])", "all columns come from the call"),
    ("(repeat 1.5 sin 1)", "value", "1.5", "a whole number from 0, not 1.5"),
    ("(sum [1] :axis nan)", "value", "nan", ":axis must be a whole number"),
    ("(range nan)", "value", "(range nan)", "must be finite"),
    ("(param m 5 :max 1)", "value", "m", "starts outside its bounds"),
    ("(param m :min 2 :max 1)", "value", "2", "the wrong way round"),
    ("(param m nan)", "value", "nan", "not finite"),
    ("(param m :lr -1)", "value", "-1", ":lr cannot be -1"),
    ("(pick [[1 2]] [2])", "value", "(pick [[1 2]] [2])", "none of 0 … 1"),
    ("(grad (* x y))", "value", "(grad (* x y))", "(grad e x y)"),
    ("(assert (< 2 1) \"why\")", "assertion", "(< 2 1)", "why"),
    ('(assert (< 2 1) " ")', "assertion", "(< 2 1)", "this does not hold"),
    ("(define (q z) (* z z)) (define-derivative (q z) (* 3 z))", "gradient",
     "(define-derivative (q z) (* 3 z))", "differences give"),
    ("(define (q z) (* z z)) (define-derivative (q z) (* z k))", "name", "(* z k)",
     "only z may occur"),
    ("(define-derivative (q z) z)", "unbound-name", "q", "define it first"),
    ("(define (q z) [1 z]) (define-derivative (q z) 1)", "shape", "(q z)", "has shape [2]"),
    ("(define (q z) (> z 1)) (define-derivative (q z) 1)", "type", "(q z)", "must be a number"),
    ("(load \"a.gd\")", "file", '"a.gd"', "may not open files"),
    # limits
    ("(range 1e12)", "limit", "(range 1e12)", "bytes"),
    ("(repeat 1e12 sin 1)", "limit", "(repeat 1e12 sin 1)", "steps"),
    ("(@ (ones 100000 1) (ones 1 100000))", "limit", "(@ (ones 100000 1) (ones 1 100000))",
     "bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("program", "kind", "where", "words"), MISTAKES)
def test_mistakes(program: str, kind: str, where: str, words: str) -> None:
    with pytest.raises(NablispError) as caught:
        shown(program)
    error = caught.value
    assert error.span is not None
    assert (error.kind, error.span.text) == (kind, where), str(error)
    assert words in f"{error.message}\n{error.hint}\n"


READ_BACK = """
    1 2.5 -0.0 1e22 1e-7 inf -inf nan pi 9007199254740993 true "a\\"b\\n\\u{1b}" :lr
    [] [1 2.5 nan] [[1 2] [3 4]] [[[1] [2]]] [true false] [1e22 -0.0 pi] (zeros 0 2)
    x (+ x 1 2) (- x) (- x 1.0) (where (and (> x 0) (not (< y 1))) x (max x y)) [x [y 1]]
    [[u 1] [u v]] (sum X :axis 0 :keep true) (mean X) (@ X w) (ref w 0) (ref X 0 :axis 1)
    (expand u 1) (pick X u) (one-hot u 3) [u 1] (stack u u :axis 0) (concat w w)
    (slice w :start 1 :stop 2) (pad w :before 1) (transpose X)
    (solve [[1 2] [3 4]] w) (logsumexp X :axis -1) (rows)
    (repeat 60 (lambda (x) (* x x)) x) (fold + x (range 3000)) (min u) (min u v) (fill 1 u)
"""


@pytest.mark.parametrize("text", [f.span.text for f in read(READ_BACK) if f.span])
def test_values_print_as_text_that_reads_back(text: str) -> None:
    """Every value but functions and results."""
    session = Session()
    session.run("(data u [0 1]) (data X [[1 2] [3 4]]) (params v (w [1 2]))")
    value = session.run(text)
    again = session.run(session.text(value))
    assert session.text(again) == session.text(value)
    assert again is value or not isinstance(value, Expr)


NOTES = [
    (
        "(define x 1) (define x 2)",
        ["x was redefined; expressions made before keep its old meaning"],
    ),
    ("(define (mse a b) a)", ["mse was redefined; expressions made before keep its old meaning"]),
    ("(define x 1) (forget x) (define x 2) (params m) (params m)", []),
    ("(define (f) (define y 1) y) (f) (f)", []),
]


@pytest.mark.parametrize(("program", "notes"), NOTES)
def test_a_redefinition_is_remarked_on(program: str, notes: list[str]) -> None:
    said: list[str] = []
    Session(note=said.append).run(program)
    assert said == notes


ENDLESS = [
    ("(define (f n) (f n)) (f 1)", "steps"),
    ("(define (f n) (+ 1 (f n))) (f 1)", "depth"),
    ("(define (f x) (f [x x])) (f 1)", "bytes"),
    ("(define (f e) (f (sin (+ e x)))) (f x)", "nodes"),
    ("(repeat 200 (lambda (e) (* e e)) (+ x 1))", None),
]


@pytest.mark.parametrize(("program", "limit"), ENDLESS)
def test_budgets_stop_what_does_not_end(program: str, limit: str | None) -> None:
    session = Session(Limits(nodes=3000, depth=3000, steps=20_000, bytes=10_000))
    if limit is None:
        session.run(program)
        return
    with pytest.raises(NablispError, match=f"Limits\\({limit}=") as caught:
        session.run(program)
    assert caught.value.kind == "limit"
    assert session.run("(+ 1 2)") == 3, "the session goes on"


def test_recursion_goes_deep() -> None:
    session = Session()
    session.run("(define (deep n) (if (= n 0) x (+ 1 (deep (- n 1)))))")
    session.run("(define e (deep 100000))")
    assert session.run("(val e :x 2)") == 100_002
    assert session.run("(d e x)") == 1


def test_names_are_found_however_deep() -> None:
    """A tree of scopes, some names bound late, against a look through them one by one."""
    chosen = random.Random(0)
    scopes = [Scope({"a": 0})]
    for number in range(1, 3000):
        scope = Scope({chosen.choice("abcdefgh") + str(number % 40): number}, scopes[-1])
        scopes = (
            [*scopes[: chosen.choice((-1, len(scopes)))], scope] if number % 9 else [*scopes, scope]
        )
        if number % 500 == 499:
            chosen.choice(scopes).bind("late" + str(number % 2), number)
        name = chosen.choice(("a", "late0", "late1", "h7", f"b{number % 40}"))
        chain = scope
        while chain.outer is not None and name not in chain.names:
            chain = chain.outer
        assert scope.find(name) == ((chain.names[name],) if name in chain.names else None)
    assert max(scope.depth for scope in scopes) > 4 * NEAR


def test_scopes_nest_deep() -> None:
    lets = "".join(f"(let ((a{i} {i}) (b (lambda (x) (+ x a{i // 2})))) " for i in range(5000))
    session = Session()
    assert session.run(f"{lets} (+ (b 1) a7 a4999){')' * 5000}") == 2499 + 1 + 7 + 4999
    assert session.budget.steps < 40_000
