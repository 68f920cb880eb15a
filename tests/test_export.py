"""Formulas and their LaTeX: brackets where the meaning needs them, and only there."""

from __future__ import annotations

import pytest

from nablisp import Session

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


@pytest.mark.parametrize(("text", "latex"), LATEX)
def test_latex(text: str, latex: str) -> None:
    session = Session()
    session.run("(param v [1 2])")
    assert session.run(f"(latex {text})") == latex
