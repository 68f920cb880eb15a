"""Array programs: values against NumPy's meaning, gradients against differences, shapes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from nablisp import NablispError, Session, gradient
from nablisp.derivative import derivative
from nablisp.evaluate import ROWS, evaluate
from nablisp.expr import OPS, Call, Const, Expr, Sym, names
from nablisp.shapes import shape_of

# ---- values --------------------------------------------------------------------------------------

P, Q = "[[1 5 2] [4 0 3]]", "[2 -1 0.5]"
VALUES = [
    ("(sum P)", "15"),
    ("(sum P :axis 0)", "[5 5 5]"),
    ("(sum P :axis -1 :keep true)", "[[8]\n [7]]"),
    ("(sum P :keep true)", "[[15]]"),
    ("(mean P :axis 0)", "[2.5 2.5 2.5]"),
    ("(amin P :axis 1)", "[1 0]"),
    ("(amax P)", "5"),
    ("(max P)", "5"),
    ("(min Q)", "-1"),
    ("(argmax P)", "1"),
    ("(argmax P :axis 1)", "[1 0]"),
    ("(argmax [3 7 7])", "1"),
    ("(logsumexp (* 0 Q))", "1.0986122886681098"),
    ("(logsumexp [1000 1000])", "1000.6931471805599"),
    ("(logsumexp [-inf -inf])", "-inf"),
    ("(logsumexp [inf inf])", "inf"),
    ("(logsumexp [inf -inf])", "inf"),
    ("(logsumexp [nan 1])", "nan"),
    ("(amax [1 nan])", "nan"),
    ("(dot P Q)", "[-2 9.5]"),
    ("(dot Q Q)", "5.25"),
    ("(dot P P)", "[30 25]"),
    ("(@ P Q)", "[-2 9.5]"),
    ("(@ [1 2] P)", "[9 5 8]"),
    ("(@ P (transpose P))", "[[30 10]\n [10 25]]"),
    ("(@ Q Q)", "5.25"),
    ("(transpose P)", "[[1 4]\n [5 0]\n [2 3]]"),
    ("(solve [[2 0] [0 4]] [1 1])", "[0.5 0.25]"),
    ("(solve [[2 0] [0 4]] P)", "[[0.5 2.5 1]\n [1 0 0.75]]"),
    ("(solve [[1 1] [1 1]] [1 2])", "[nan nan]"),
    ("(ref P 1)", "[4 0 3]"),
    ("(ref P 1 -1)", "3"),
    ("(ref P 2 :axis 1)", "[2 3]"),
    ("(slice P :axis 1 :start 1 :stop 3)", "[[5 2]\n [0 3]]"),
    ("(slice Q :start 0 :stop 0)", "[]"),
    ("(slice Q :start 1)", "[-1 0.5]"),
    ("(pad Q :before 1 :after 2)", "[0 2 -1 0.5 0 0]"),
    ("(pad P :axis -1 :after 1)", "[[1 5 2 0]\n [4 0 3 0]]"),
    ("(pick P [2 0])", "[2 4]"),
    ("(pick Q 1)", "-1"),
    ("(pick Q [0 0 2 1])", "[2 2 0.5 -1]"),
    ("(one-hot [1 0] 3)", "[[0 1 0]\n [1 0 0]]"),
    ("(shape (expand Q 0))", "[1 3]"),
    ("(shape (expand Q -1))", "[3 1]"),
    ("(shape (expand P 1))", "[2 1 3]"),
    ("(fill 7 Q)", "[7 7 7]"),
    ("(fill Q P)", "[[2 -1 0.5]\n [2 -1 0.5]]"),
    ("(stack Q Q)", "[[2 -1 0.5]\n [2 -1 0.5]]"),
    ("(stack Q 1 :axis 1)", "[[2 1]\n [-1 1]\n [0.5 1]]"),
    ("(concat Q [7])", "[2 -1 0.5 7]"),
    ("(concat P P :axis 1)", "[[1 5 2 1 5 2]\n [4 0 3 4 0 3]]"),
    ("(+ P Q)", "[[3 4 2.5]\n [6 -1 3.5]]"),
    ("(where (> P 2) P Q)", "[[2 5 0.5]\n [4 -1 3]]"),
    ("(> Q 0)", "[true false true]"),
    ("(sum [])", "0.0"),
    ("(mean [])", "nan"),
    ("(amax [])", "nan"),
    ("(logsumexp [])", "-inf"),
]


@pytest.mark.parametrize(("text", "wanted"), VALUES)
def test_values(text: str, wanted: str) -> None:
    """Computed at once on arrays, and as a formula in the names of parameters."""
    at_once, later = Session(), Session()
    at_once.run(f"(define P {P}) (define Q {Q})")
    later.run(f"(param P {P}) (param Q {Q})")
    value = later.run(text)
    if isinstance(value, Expr):
        assert shape_of(value, later.shapes) == np.shape(later.value(value))
        value = later.value(value)
    assert later.text(value).replace(".0", "") == wanted.replace(".0", "")
    assert at_once.text(at_once.run(text)).replace(".0", "") == wanted.replace(".0", "")


# ---- gradients -----------------------------------------------------------------------------------

DECLARED = """
(params (u 0.7) (v [0.5 -1.2 2]) (A [[2 0.3 -0.5] [0.1 -1.5 0.4] [0.6 0.2 1.8]])
        (B [[0.4 -0.9] [1.1 0.2] [-0.3 1.6]]))
(data x [0.3 -0.8 1.4 0.6]) (data k [0 2 1 2])
(data X [[0.2 1.1 -0.7] [-1.3 0.4 0.9] [0.8 -0.6 0.5] [1.7 -0.2 0.1]])
"""

REDUCTIONS = [
    f"(* {array} ({op} {array} :axis {axis} :keep true))"
    if keep
    else f"({op} {array}{f' :axis {axis}' if axis != '' else ''})"
    for op in ("sum", "mean", "amin", "amax", "logsumexp")
    for array, axis, keep in itertools.product(("B", "(* X v)"), ("", 0, 1, -2, -1), (False, True))
    if not (keep and axis == "")
]

PROGRAMS = [
    *REDUCTIONS,
    # products
    "(dot v v)",
    "(dot u u)",
    "(dot A v)",
    "(dot v A)",
    "(dot A A)",
    "(dot (expand v 0) A)",
    "(dot v [2])",
    "(dot X v)",
    "(dot v X)",
    "(dot (* u X) (@ X A))",
    "(@ v v)",
    "(@ A v)",
    "(@ v A)",
    "(@ A B)",
    "(@ v B)",
    "(@ (transpose B) v)",
    "(@ A (@ A A))",
    "(@ X v)",
    "(@ X (@ A B))",
    "(@ x (* X v))",
    "(@ (* u x) x)",
    "(@ (transpose (* X v)) (* u x))",
    "(@ (transpose X) (* X v))",
    "(@ X (@ (transpose X) (sin (@ X v))))",
    "(transpose B)",
    "(transpose (* X v))",
    "(transpose v)",
    "(transpose (stack A A (* u A)))",
    "(solve A v)",
    "(solve A B)",
    "(solve (transpose A) (@ A v))",
    "(solve (+ (@ (transpose X) X) (* 5 u A)) (@ (transpose X) x))",
    # parts
    "(ref v 0)",
    "(ref v -1)",
    "(ref A 1)",
    "(ref B 2 0)",
    "(ref B 1 :axis 1)",
    "(ref (* X v) 2 :axis 1)",
    "(ref (stack A A) 1 0 :axis 1)",
    "(slice v :start 1 :stop 3)",
    "(slice B :axis -1 :stop 1)",
    "(slice v :start 2)",
    "(slice (* X v) :axis 1 :start 1 :stop 3)",
    "(pad v :before 1 :after 2)",
    "(pad B :axis -1 :before 1)",
    "(pad (* X v) :axis 1 :after 1)",
    "(pick (* X v) k)",
    "(pick v k)",
    "(pick A [0 2 1])",
    "(pick v 1)",
    "(dot (one-hot k 3) v)",
    "(@ (one-hot k 3) (* u A))",
    # shapes
    "(expand v 0)",
    "(expand v -1)",
    "(expand (* u x) -1)",
    "(expand u 0)",
    "(* (expand v 1) (expand v 0))",
    "(* (expand x -1) v)",
    "(fill u A)",
    "(fill v A)",
    "(fill u x)",
    "(fill v X)",
    "[u (ref v 0) 1]",
    "[[u 1] [2 (* u u)]]",
    "[x (* u x) u]",
    "(stack v v :axis 1)",
    "(stack v v :axis -1)",
    "(stack v u)",
    "(stack x u (* x u) :axis 0)",
    "(stack X (* v X) :axis 1)",
    "(concat v (* u v))",
    "(concat v [7 8] v)",
    "(concat A B :axis 1)",
    "(concat X (* u X) :axis -1)",
    "(concat (transpose A) A)",
    # broadcasting
    "(* v A)",
    "(- A v)",
    "(/ (expand v 1) (+ 2 (** B 2)))",
    "(* u A)",
    "(** (+ 2 (sin A)) v)",
    "(+ (* u x) u)",
    "(* X v u)",
    "(max A v)",
    "(min 0 (* X v))",
    "(+ A v u (expand v 1))",
    "(* A v u (expand v 1))",
    "(where (> X 0) v u)",
    "(where (> u 0) (* X u) v)",
    "(where (> v 0) (log v) 0)",
    "(* v (where (> X 0) (log (* u X)) 0))",
    "(clip (* X v) (- u) [1 0.5 u])",
    "(hypot X v)",
    "(atan2 v A)",
    # means within means
    "(- (* u x) (mean (* u x)))",
    "(mean (** (- (* u x) (mean (exp (* u x)))) 2))",
    "(variance (* X v))",
    "(standard (tanh (* u x)))",
    "(mean (* (mean (* X v) :axis 0) v))",
    "(- (* X v) (mean (* X v) :axis 0))",
    "(- (* X v) (mean (* X v) :axis 1 :keep true))",
    "(mean (mean (* X v) :axis 1))",
    "(sum (* x (sum (* u x (sum (* u x))))))",
    "(* (rows) u)",
    # models
    "(mse (dense X A v tanh) (* X v))",
    "(softmax (* X v))",
    "(cross-entropy (@ X A) k)",
    "(cross-entropy (dense (dense X A v tanh) (transpose A) u relu) k)",
    "(bce (@ X v) (where (> x 0) 1 0))",
    "(norm (- (@ X v) x))",
    "(polynomial x v)",
    "(huber (@ X v) x u)",
]


def scalar(e: Expr) -> Expr:
    """A number that weighs every element of an array differently."""
    return Call(OPS["sum"], (Call(OPS["sin"], ((e + 0.7) * 1.3,)),))


def slopes_by_differences(root: Expr, env: dict[str, Any], by: str) -> Any:
    """The derivative of a scalar by each element of a name, of fourth order in the step."""
    here = np.asarray(env[by], float)
    found = np.zeros(here.shape)
    h = 1e-3
    for at in np.ndindex(here.shape):
        values = []
        for k in (-2, -1, 1, 2):
            moved = here.copy()
            moved[at] += k * h
            given = {**env, by: moved if moved.ndim else float(moved)}
            values.append(evaluate([root], given)[0])
        found[at] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)
    return found


def check(root: Expr, wrt: list[Sym], shapes: Mapping[str, Any], env: dict[str, Any]) -> list[Expr]:
    slopes = gradient(root, wrt, shapes)
    said = evaluate(slopes, env)
    for name, slope, value in zip(wrt, slopes, said, strict=True):
        wanted = slopes_by_differences(root, env, name.name)
        assert shape_of(slope, shapes) == np.shape(value) == wanted.shape, f"{slope}"
        assert np.allclose(value, wanted, rtol=3e-8, atol=3e-8, equal_nan=True), (
            f"d/d{name} of {root}:\n{value}, and by differences\n{wanted}\nby {slope}"
        )
    return slopes


def environment(session: Session, rows: int = 4) -> dict[str, Any]:
    env: dict[str, Any] = {n: p.value for n, p in session.parameters.items()}
    env.update((n, c[:rows]) for n, c in session.columns.items())
    return {**env, ROWS: rows}


@pytest.mark.parametrize("text", PROGRAMS)
def test_gradients(text: str) -> None:
    """First and second derivatives, on four rows, three (as long as v) and one."""
    session = Session()
    session.run(DECLARED)
    shapes = session.shapes
    e = session.run(text)
    assert session.run(str(e)) is e
    root = scalar(e)
    inside = names(root)
    wrt = [Sym(n) for n in session.parameters if n in inside]
    for rows in (4, 3, 1) if shapes.keys() & inside.keys() & session.columns.keys() else (4,):
        env = environment(session, rows)
        slopes = check(root, wrt, shapes, env)
        along = [
            np.cos(1.0 + np.arange(s.size)).reshape(s.shape)
            for s in map(np.asarray, evaluate(slopes, env))
        ]
        parts = [
            Call(OPS["sum"], (slope * (Const(a) if a.ndim else float(a)),))
            for slope, a in zip(slopes, along, strict=True)
        ]
        check(Call(OPS["+"], (*parts, parts[0])), wrt, shapes, env)


@pytest.mark.parametrize("text", [text for text in PROGRAMS if " u" in text])
def test_an_array_by_a_number(text: str) -> None:
    session = Session()
    session.run(DECLARED)
    e = session.run(text)
    slope = derivative(e, Sym("u"), session.shapes)
    assert shape_of(slope, session.shapes) == session.shape(e)
    env = environment(session)
    h = 1e-3
    near = [evaluate([e], {**env, "u": 0.7 + k * h})[0] for k in (-2, -1, 1, 2)]
    wanted = (near[0] - 8 * near[1] + 8 * near[2] - near[3]) / (12 * h)
    found = evaluate([slope], env)[0]
    assert np.shape(found) == np.shape(wanted)
    assert np.allclose(found, wanted, rtol=1e-8, atol=1e-8), f"{found}, not {wanted}, by {slope}"


def test_every_array_row_is_tried() -> None:
    tried = {name for text in PROGRAMS for name in re.findall(r"\(([^\s()]+)", text)}
    rows = {op.name for op in OPS.values() if op.shape is not None}
    assert rows - tried == {"argmax"}


TIES = [
    ("(amax v)", "[0 0.5 0.5]"),
    ("(amin v)", "[1 0 0]"),
    ("(sum (amax [v v] :axis 0))", "[1 1 1]"),
    ("(sum (max v 2))", "[0 0.5 0.5]"),
    ("(sum (clip v 1 2))", "[0.5 0.5 0.5]"),
    ("(argmax v)", "[0 0 0]"),
    ("(sum (abs (- v 1)))", "[0 1 1]"),
    ("(norm (* 0 v))", "[0 0 0]"),
]


@pytest.mark.parametrize(("text", "wanted"), TIES)
def test_slopes_at_ties(text: str, wanted: str) -> None:
    session = Session()
    session.run("(param v [1 2 2])")
    assert session.text(session.run(f"(val (grad {text} v))")) == wanted


# ---- shapes --------------------------------------------------------------------------------------

REFUSED = [
    # text, what the message and hint say
    ("(+ v [1 2])", "[3] and [2]", "v has shape [3]", "[1 2] has shape [2]"),
    ("(* (sin v) B)", "[3] and [3 2]", "(sin v) has shape [3]", "B has shape [3 2]"),
    ("(@ B A)", "[3 2] by [3 3]", "2 is not 3"),
    ("(@ X x)", "[rows 3] by [rows]", "X has shape [rows 3]", "x has shape [rows]"),
    ("(@ u v)", "vectors and matrices"),
    ("(+ x X)", "[rows] and [rows 3]"),
    ("(+ x v)", "[rows] and [3]", "x has shape [rows]", "v has shape [3]"),
    ("(* x (expand x 1))", "crosswise", "x has shape [rows]", "(expand x 1) has shape [rows 1]"),
    ("(+ x (transpose (expand (* 2 x) 0)))", "crosswise"),
    ("(@ X (transpose X))", "crosswise"),
    ("(@ (expand x 1) (expand x 0))", "crosswise"),
    ("(stack x x (expand x 1))", "crosswise"),
    ("(pick (* X v) (expand k 1))", "crosswise"),
    ("(solve B v)", "square matrix", "[3 2], [3]"),
    ("(solve A x)", "[3 3], [rows]"),
    ("(ref v 3)", "index 3 is outside 0 … 2"),
    ("(ref v 0 0)", "[3] has no 2 axes"),
    ("(ref x 0)", "along the rows"),
    ("(slice x :start 0 :stop 1)", "along the rows"),
    ("(slice v :start 2 :stop 5)", "2 … 5 is outside 0 … 3"),
    ("(pad v :before -1)", "cannot add -1"),
    ("(concat x x)", "along the rows"),
    ("(concat A v)", "only along its axis", "A has shape [3 3]", "v has shape [3]"),
    ("(concat v u)", "only along its axis", "u is a number"),
    ("(concat u v)", "no axis 0 in 0 dimensions"),
    ("(sum A :axis 2)", "no axis 2 in 2 dimensions"),
    ("(mean u :axis 1)", "no axis 1 in 0 dimensions"),
    ("(expand v 3)", "no axis 3"),
    ("(pick u 0)", "not of a number"),
    ("(pick x k)", "along the rows"),
    ("(dot v [1 2])", "[3] and [2]"),
    ("(where (> v 0) A [1 2])", "[3 3] and [2]"),
    ("(grad v)", "wrap it in mean or sum"),
    ("(grad (* u x))", "[rows]", "wrap it in mean or sum"),
]


@pytest.mark.parametrize(("text", "words"), [(text, words) for text, *words in REFUSED])
def test_shapes_that_do_not_fit(text: str, words: list[str]) -> None:
    session = Session()
    session.run(DECLARED)
    with pytest.raises(NablispError) as caught:
        session.run(text)
    error = caught.value
    said = f"{error.message}\n{error.hint}"
    assert error.kind == "shape", said
    for word in words:
        assert word in said, f"{word!r} is not in: {said}"


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("(pick [[1 2] [3 4]] [0 2])", "value", "class number 2, which is none of 0 … 1"),
        ("(pick [1 2] 0.5)", "value", "class number 0.5"),
        ("(one-hot [-1] 2)", "value", "class number -1"),
        ("(+ [1 2] [1 2 3])", "shape", "[2] and [3]"),
        ("(@ [[1 2]] [1 2 3])", "shape", "[1 2] by [3]"),
        ("(ref [1 2] 2)", "shape", "index 2 is outside 0 … 1"),
        ("(sum [1 2] :axis 1)", "shape", "no axis 1 in 1 dimensions"),
        ("(concat [1] [[2]])", "shape", "only along its axis"),
        ("(+ [true false] 1)", "type", "true or false"),
        ("[[1 2] [3]]", "shape", "differ in shape"),
    ],
)
def test_mistakes_in_values(text: str, kind: str, words: str) -> None:
    with pytest.raises(NablispError) as caught:
        Session().run(text)
    assert caught.value.kind == kind
    assert words in f"{caught.value.message}\n{caught.value.hint}"
