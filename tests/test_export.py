"""Formulas and their LaTeX: brackets where the meaning needs them, and only there."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from nablisp import Expr, Session
from nablisp.expr import OPS, Call, Op, Sym
from nablisp.notation import latex, mathml

LATEX = [
    ("(- a (- b c))", r"a - \left(b - c\right)"),
    ("(- (- a b) c)", "a - b - c"),
    ("(+ a (- b) -2 (* -3 c))", r"a - b - 2 - 3 \, c"),
    ("(- a (- b))", r"a - \left(-b\right)"),
    ("(- (+ x y))", r"-\left(x + y\right)"),
    ("(* a (+ b c))", r"a \, \left(b + c\right)"),
    ("(* -2 x)", r"-2 \, x"),
    ("(* x -2)", r"x \, \left(-2\right)"),
    ("(* 2 3 x)", r"2 \cdot 3 \, x"),
    ("(** -2 x)", r"\left(-2\right)^{x}"),
    ("(** (** x 2) 3)", r"\left(x^{2}\right)^{3}"),
    ("(** x (** y -1))", "x^{y^{-1}}"),
    ("(** (/ a b) 2)", r"\left(\frac{a}{b}\right)^{2}"),
    ("(** (sin x) 2)", r"\sin\left(x\right)^{2}"),
    ("(/ (+ a b) (- c))", r"\frac{a + b}{-c}"),
    ("(* (/ a b) c)", r"\frac{a}{b} \, c"),
    ("(* 1e-5 x)", r"10^{-5} \, x"),
    ("(exp (- (** x 2)))", "e^{-x^{2}}"),
    ("(* 2 (mod x y))", r"2 \, \operatorname{mod}\left(x, y\right)"),
    ("(sum (+ v 1))", r"\sum \left(v + 1\right)"),
    ("(+ (sum (* 2 v)) 1)", r"\sum 2 \, v + 1"),
    ("(ref (+ v 1) 0)", r"\left(v + 1\right)_{0}"),
    ("(* (expand v 0) v)", r"v \, v"),
    ("(@ (transpose [v v]) v)", r"\begin{bmatrix}v & v\end{bmatrix}^{\mathsf T} \, v"),
    ("(and (> y 0) (or (< x 0) (> x 1)))", r"y > 0 \land \left(x < 0 \lor x > 1\right)"),
    ("(not (> x 0))", r"\lnot \left(x > 0\right)"),
    ("(* alpha theta_2 rate x10)", r"\alpha \, \theta_{2} \, \mathrm{rate} \, x_{10}"),
    (
        "(where (> x 0) (log x) -1)",
        r"\begin{cases}\ln\left(x\right) & \text{if } x > 0\\-1 & \text{else}\end{cases}",
    ),
]


@pytest.mark.parametrize(("text", "written"), LATEX)
def test_latex(text: str, written: str) -> None:
    session = Session()
    session.run("(param v [1 2])")
    assert session.run(f"(latex {text})") == written


def of_names(op: Op) -> Call:
    """The operation of plain names, options at 1."""
    count = op.arity[0] or (0 if op.arity[1] == 0 else 2)
    args = tuple(Sym(name) for name in ("u", "x_2", "zoo")[:count])
    return Call(op, args, tuple((option, 1) for option in op.options))


def shown(markup: str) -> str:
    """The characters of markup, which must be well formed."""
    return "".join(ElementTree.fromstring(markup).itertext())


@pytest.mark.parametrize("op", OPS.values(), ids=str)
def test_every_operation_is_shown(op: Op) -> None:
    node = of_names(op)
    text, markup = latex(node), mathml(node)
    assert not re.search(r"[{}\\&]", shown(markup).replace("{", "", op.name == "where"))
    for name in ("u", "x", "zoo")[: len(node.args)]:
        assert (f">{name}<" in markup) == (name in text)
    assert text.count("{") == text.count("}")


def math(inside: str) -> str:
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">{inside}</math>'


MATHML = [
    ("x", "<mi>x</mi>"),
    ("(/ a 2.5)", "<mfrac><mi>a</mi><mn>2.5</mn></mfrac>"),
    ("(** e (- x))", "<msup><mi>e</mi><mrow><mo>−</mo><mi>x</mi></mrow></msup>"),
    ("(cbrt (+ α b))", "<mroot><mrow><mi>α</mi><mo>+</mo><mi>b</mi></mrow><mn>3</mn></mroot>"),
    ("rate_1", "<msub><mi>rate</mi><mn>1</mn></msub>"),
    ("(- a&b theta)", "<mrow><mi>a&amp;b</mi><mo>−</mo><mi>θ</mi></mrow>"),
    (
        "(where (< x 0) 1 y)",
        '<mrow><mo>{</mo><mtable><mtr><mtd style="text-align: left"><mn>1</mn></mtd>'
        '<mtd style="text-align: left"><mrow><mtext>if&#160;</mtext><mi>x</mi><mo>&lt;</mo>'
        '<mn>0</mn></mrow></mtd></mtr><mtr><mtd style="text-align: left"><mi>y</mi></mtd>'
        '<mtd style="text-align: left"><mtext>else</mtext></mtd></mtr></mtable></mrow>',
    ),
]


@pytest.mark.parametrize(("text", "inside"), MATHML)
def test_mathml(text: str, inside: str) -> None:
    assert mathml(Session().run(text)) == math(inside)


@pytest.mark.parametrize("name", ["</math><script>", "a\x01b", "\\^~_{}$#&%", "x \n*/", "\ud800"])
def test_mathml_of_any_name(name: str) -> None:
    assert shown(mathml(Sym(name))) == re.sub("[\x01\ud800]", "\ufffd", name)


def test_mathml_is_bounded() -> None:
    wide: Expr = Sym("x")
    deep: Expr = Sym("x")
    for _ in range(60):
        wide = wide * wide
    for _ in range(1000):
        deep = Call(OPS["sin"], (deep,))
    assert len(mathml(wide)) < 1000
    assert len(mathml(deep)) < 10_000
    assert "⋯" in mathml(deep)
